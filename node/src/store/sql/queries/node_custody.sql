-- Newest county receipt over the logs of each node.
SELECT l.node, max(p.at) AS at FROM receipt_line AS p JOIN log AS l ON l.id = p.log
WHERE p.holder IN (SELECT unhex(value) FROM json_each(:county)) GROUP BY l.node
