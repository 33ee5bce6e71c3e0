SELECT 1 FROM case_row WHERE rid = ?1
