-- Something of the case came back: own work until it is settled, other nodes' until it is seen.
SELECT 1 FROM rejection AS r JOIN log AS l ON l.id = r.log
WHERE r.doc IN (?1, ?2) AND CASE WHEN l.node = ?3
  THEN EXISTS (SELECT 1 FROM entry AS e
         WHERE e.log = r.log AND e.seq = r.seq AND e.hash = r.hash AND e.state IN (1, 2))
   AND NOT EXISTS (SELECT 1 FROM settled AS s WHERE s.hash = r.hash)
  ELSE r.seen_at IS NULL AND (r.applied = 1 OR r.made = 1) END
LIMIT 1
