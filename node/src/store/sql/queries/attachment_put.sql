INSERT INTO attachment (doc, act, part, kind, site, hash, size, at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
