SELECT r.* FROM case_row AS r
WHERE r.conflict + r.needs_ruling + r.twin > 0
  AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.rid DESC LIMIT :limit OFFSET :offset
