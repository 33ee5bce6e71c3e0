SELECT 1 FROM serial WHERE epoch = ?1 LIMIT 1
