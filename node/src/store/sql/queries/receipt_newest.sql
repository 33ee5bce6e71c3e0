-- Newest receipt of each holder over logs this node wrote.
SELECT p.holder, max(p.at) AS at FROM log AS l
JOIN receipt_line AS p ON p.log = l.id
JOIN entry AS e ON e.log = p.log AND e.seq = p.seq AND e.chain = p.chain
WHERE l.node = ?1 GROUP BY p.holder
