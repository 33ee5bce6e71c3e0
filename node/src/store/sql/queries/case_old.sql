SELECT rid, site, number, item, name, id_no, phone FROM case_row WHERE case_id = ?1
