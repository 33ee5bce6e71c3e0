-- Entries of one log after the position a receipt of the county covers.
SELECT count(*), min(received_at)
FROM entry
WHERE log = ?1 AND seq > ?2 AND state IN (0, 3)
