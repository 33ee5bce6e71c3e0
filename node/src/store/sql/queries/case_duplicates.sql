SELECT r.* FROM case_row AS r
WHERE r.id_no = :id_no AND r.id_no <> '' AND r.item = :item AND r.open = 1
  AND (:all OR +r.site IN (SELECT value FROM json_each(:area)))
ORDER BY r.rid DESC LIMIT 20
