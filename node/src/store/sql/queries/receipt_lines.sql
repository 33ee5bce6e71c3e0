-- A receipt counts while this node holds the branch of the log that it names.
SELECT p.holder, p.seq, p.at FROM receipt_line AS p
JOIN entry AS e ON e.log = p.log AND e.seq = p.seq AND e.chain = p.chain
WHERE p.log = ?1
