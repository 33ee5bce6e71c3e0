SELECT site FROM notice_place WHERE doc = ?1 ORDER BY site
