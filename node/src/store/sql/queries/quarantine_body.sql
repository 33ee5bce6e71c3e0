SELECT body FROM quarantine WHERE hash = ?1 AND body IS NOT NULL LIMIT 1
