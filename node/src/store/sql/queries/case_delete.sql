DELETE FROM case_row WHERE rid = ?1
