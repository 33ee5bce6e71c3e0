-- Entries of a case's two documents, each with every receipt of this very branch that covers it.
SELECT e.log, e.seq, e.hash, e.received_at, l.node, c.holder, c.at, c.receipt
FROM entry AS e
JOIN log AS l ON l.id = e.log
LEFT JOIN (
  SELECT r.holder, r.log, r.seq, r.at, r.receipt
  FROM receipt_line AS r
  JOIN entry AS top ON top.log = r.log AND top.seq = r.seq AND top.chain = r.chain
) AS c ON c.log = e.log AND c.seq >= e.seq
WHERE e.doc IN (?1, ?2) AND e.state IN (0, 3)
ORDER BY e.log, e.seq
