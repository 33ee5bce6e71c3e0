-- What is held here of each node's logs: how many entries, and when the newest came.
SELECT l.node, sum(l.seq) AS held,
  max((SELECT e.received_at FROM entry AS e WHERE e.log = l.id AND e.seq = l.seq)) AS at
FROM log AS l WHERE l.seq > 0 GROUP BY l.node
