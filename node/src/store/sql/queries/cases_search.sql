SELECT r.* FROM case_search AS s JOIN case_row AS r ON r.rid = s.rowid
WHERE case_search MATCH :match
  AND (:state IS NULL OR r.state = :state)
  AND CASE :view
      WHEN 'all' THEN 1
      WHEN 'mine' THEN r.turn = :turn OR (r.turn = 1 AND r.site = :own)
      WHEN 'yellow' THEN r.yellow_from <= :today AND r.due >= :today AND r.due < '9999'
      WHEN 'red' THEN r.due < :today
      WHEN 'pending' THEN r.conflict + r.needs_ruling + r.twin > 0
      WHEN 'drafts' THEN r.site = :own AND r.state = 'draft'
      ELSE 0 END
  AND (:all OR r.site IN (SELECT value FROM json_each(:area)))
ORDER BY s.rowid DESC LIMIT :limit OFFSET :offset
