-- What was published here, above or below, or is meant for this place; newest first.
SELECT n.* FROM notice_row AS n
WHERE :all OR n.publisher IN (SELECT value FROM json_each(:area))
   OR EXISTS (SELECT 1 FROM notice_place AS p WHERE p.site = :own AND p.doc = n.doc)
ORDER BY n.published_at DESC LIMIT :limit
