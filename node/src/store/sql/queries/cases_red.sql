SELECT r.* FROM case_row AS r
WHERE r.due < :today AND r.due < '9999'
  AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.due, r.rid LIMIT :limit OFFSET :offset
