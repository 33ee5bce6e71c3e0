SELECT r.case_id, t.col, t."offset", t.term
FROM case_term AS t LEFT JOIN case_row AS r ON r.rid = t.doc
ORDER BY r.case_id, t.col, t."offset", t.term
