INSERT OR IGNORE INTO notice_place (site, doc) VALUES (?1, ?2)
