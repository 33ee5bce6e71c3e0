-- The highest number known under a prefix, whoever's database it came from.
SELECT max(number) FROM case_row
WHERE number IS NOT NULL AND number >= ?1 AND number < ?2
