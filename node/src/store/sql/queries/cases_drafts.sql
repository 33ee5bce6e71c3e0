SELECT r.* FROM case_row AS r
WHERE r.site = :own AND r.state = 'draft'
ORDER BY r.rid DESC LIMIT :limit OFFSET :offset
