SELECT state, sum(n) AS n FROM case_tally
WHERE (:all OR site IN (SELECT value FROM json_each(:area))) GROUP BY state
