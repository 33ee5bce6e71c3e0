SELECT r.* FROM case_row AS r
WHERE r.state IN ('correcting', 'closed') AND r.state = :state
  AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.due, r.rid LIMIT :limit OFFSET :offset
