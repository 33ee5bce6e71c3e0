-- Documents with own entries that no receipt of the county covers, oldest first.
SELECT e.doc, min(e.received_at) AS at
FROM log AS l
JOIN entry AS e ON e.log = l.id AND e.seq > coalesce((
    SELECT max(p.seq) FROM receipt_line AS p
    JOIN entry AS held ON held.log = p.log AND held.seq = p.seq AND held.chain = p.chain
    WHERE p.log = l.id AND p.holder IN (SELECT unhex(value) FROM json_each(:county))), 0)
WHERE l.node = :node AND e.state IN (0, 3)
GROUP BY e.doc ORDER BY at LIMIT :limit
