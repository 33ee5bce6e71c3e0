SELECT r.* FROM case_row AS r WHERE r.case_id = ?1
