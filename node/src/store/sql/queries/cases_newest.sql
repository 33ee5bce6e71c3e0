SELECT rid, case_id FROM case_row
WHERE site = ?1 AND open = ?2 AND rid < ?3
ORDER BY rid DESC LIMIT ?4
