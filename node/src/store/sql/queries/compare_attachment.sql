SELECT doc, act, part, kind, site, hash, size, at FROM attachment ORDER BY doc, act, part
