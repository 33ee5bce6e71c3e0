DELETE FROM attachment WHERE doc = ?1
