SELECT n.* FROM notice_place AS p JOIN notice_row AS n ON n.doc = p.doc
WHERE p.site = :own AND n.withdrawn_at IS NULL
  AND n.from_day <= :today AND (n.until_day IS NULL OR n.until_day >= :today)
ORDER BY n.published_at DESC LIMIT 200
