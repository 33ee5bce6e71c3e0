SELECT r.* FROM case_search AS s JOIN case_row AS r ON r.rid = s.rowid
WHERE case_search MATCH ?1 AND r.state <> 'draft'
ORDER BY s.rowid DESC LIMIT 60
