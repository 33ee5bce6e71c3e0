SELECT e.hash, e.received_at, l.node FROM entry AS e JOIN log AS l ON l.id = e.log
WHERE e.doc IN (?1, ?2) AND e.state IN (0, 3) ORDER BY e.received_at, e.log, e.seq
