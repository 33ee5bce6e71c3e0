INSERT INTO serial (prefix, epoch, last) VALUES (?1, ?2, ?3)
ON CONFLICT (prefix) DO UPDATE SET epoch = excluded.epoch, last = excluded.last
