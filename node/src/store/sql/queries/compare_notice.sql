SELECT n.*, (SELECT group_concat(p.site) FROM (SELECT site FROM notice_place WHERE doc = n.doc ORDER BY site) AS p) AS places
FROM notice_row AS n ORDER BY n.doc
