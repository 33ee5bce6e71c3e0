SELECT l.id, l.node, max(e.seq) AS seq, max(e.received_at) AS at
FROM entry AS e JOIN log AS l ON l.id = e.log
WHERE e.doc IN (?1, ?2) AND e.state IN (0, 3)
GROUP BY l.id, l.node
