SELECT r.* FROM case_row AS r
WHERE r.state = :state AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.rid DESC LIMIT :limit OFFSET :offset
