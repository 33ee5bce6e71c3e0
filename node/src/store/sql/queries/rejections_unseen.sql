-- What an authority took back of other nodes' work here and nobody has looked at.
SELECT count(*) FROM rejection AS r JOIN log AS l ON l.id = r.log
WHERE r.seen_at IS NULL AND r.applied = 1 AND l.node <> ?1
