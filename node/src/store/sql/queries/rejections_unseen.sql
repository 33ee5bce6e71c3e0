SELECT count(*) FROM rejection WHERE seen_at IS NULL AND made = 0
