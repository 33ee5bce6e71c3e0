SELECT (SELECT coalesce(sum(documents), 0) FROM scope) AS documents,
       (SELECT coalesce(sum(seq), 0) FROM log) AS entries,
       (SELECT count(*) FROM quarantine) AS quarantine
