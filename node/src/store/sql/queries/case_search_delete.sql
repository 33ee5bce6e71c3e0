DELETE FROM case_search WHERE rowid = ?1
