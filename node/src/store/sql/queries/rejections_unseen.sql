-- What an authority took back here and nobody has looked at.
SELECT count(*) FROM rejection WHERE seen_at IS NULL AND applied = 1
