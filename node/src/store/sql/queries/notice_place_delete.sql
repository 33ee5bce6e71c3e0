DELETE FROM notice_place WHERE doc = ?1
