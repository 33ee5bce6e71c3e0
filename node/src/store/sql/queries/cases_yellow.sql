-- A light is yellow for at most 30 days: only deadlines that near are looked at.
SELECT r.* FROM case_row AS r
WHERE r.due >= :today AND r.due <= :horizon AND r.due < '9999' AND r.yellow_from <= :today
  AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.due, r.rid LIMIT :limit OFFSET :offset
