INSERT INTO case_search (rowid, name, latin, tail, site) VALUES (?1, ?2, ?3, ?4, ?5)
