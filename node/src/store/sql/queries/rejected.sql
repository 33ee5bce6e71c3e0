SELECT 1 FROM rejection WHERE doc IN (?1, ?2) AND made = 0 AND seen_at IS NULL LIMIT 1
