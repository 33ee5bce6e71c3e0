SELECT epoch, last FROM serial WHERE prefix = ?1
