SELECT b.* FROM case_row AS a
JOIN case_row AS b ON b.id_no = a.id_no AND b.item = a.item AND b.case_id <> a.case_id
WHERE a.case_id = :case_id AND a.id_no <> '' AND b.id_no <> ''
  AND (a.open + b.open = 2 OR abs(a.received_at - b.received_at) <= 2592000000)
  AND (:all OR +b.site IN (SELECT value FROM json_each(:area)))
ORDER BY b.rid LIMIT 20
