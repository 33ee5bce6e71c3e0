DELETE FROM notice_row WHERE doc = ?1
