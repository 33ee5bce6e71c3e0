-- Entries of a log after a position, each with the seal that ends there, if one does.
SELECT e.seq, e.doc, e.hash, e.chain, e.state, e.body,
       s.at AS sealed_at, s.signature
FROM entry AS e
LEFT JOIN seal AS s ON s.log = e.log AND s.seq = e.seq
WHERE e.log = ?1 AND e.seq > ?2
ORDER BY e.seq
