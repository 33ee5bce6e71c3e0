-- The logs of one scope of which anything is held.
SELECT kind, site, node, epoch, seq, chain
FROM log
WHERE kind = ?1 AND site = ?2 AND seq > 0
ORDER BY node, epoch
