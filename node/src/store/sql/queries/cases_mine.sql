SELECT r.* FROM case_row AS r
WHERE r.turn = :turn AND r.turn > 0 AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
UNION ALL
SELECT r.* FROM case_row AS r
WHERE r.turn = 1 AND r.turn > 0 AND :turn <> 1 AND r.site = :own
ORDER BY due, rid LIMIT :limit OFFSET :offset
