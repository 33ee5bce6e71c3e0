-- Own entries that no receipt of the county covers, oldest first, as documents.
SELECT e.doc, min(e.received_at) AS at
FROM log AS l
JOIN entry AS e ON e.log = l.id AND e.seq > coalesce((
    SELECT max(p.seq) FROM receipt_line AS p
    WHERE p.log = l.id AND p.holder IN (SELECT unhex(value) FROM json_each(:county))), 0)
WHERE l.node = :node AND e.state IN (0, 3)
GROUP BY e.doc ORDER BY at LIMIT :limit
