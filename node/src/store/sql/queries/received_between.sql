SELECT count(*) FROM case_row AS r
WHERE r.received_at >= :from AND r.received_at < :until
  AND (:all OR r.site IN (SELECT value FROM json_each(:area)))
