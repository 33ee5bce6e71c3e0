SELECT 1 FROM rejection
WHERE doc IN (?1, ?2) AND seen_at IS NULL AND (applied = 1 OR made = 1) LIMIT 1
