-- Own work that came back and is not settled: each entry once, however many nodes refused it.
SELECT count(DISTINCT r.hash) FROM log AS l
JOIN rejection AS r ON r.log = l.id
JOIN entry AS e ON e.log = r.log AND e.seq = r.seq AND e.hash = r.hash AND e.state IN (1, 2)
WHERE l.node = ?1 AND NOT EXISTS (SELECT 1 FROM settled AS s WHERE s.hash = r.hash)
