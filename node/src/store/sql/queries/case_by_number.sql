SELECT r.case_id FROM case_row AS r WHERE r.number = ?1 AND r.number IS NOT NULL
