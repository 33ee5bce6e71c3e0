-- Two cases of one person and item, both alive or taken within 30 days of each other, which
-- nobody has linked or given a reason for.
UPDATE case_row AS a SET twin = 1 - twin
WHERE a.id_no = ?1 AND a.item = ?2 AND a.twin <> (
    a.state NOT IN ('draft', 'consult', 'not_accepted', 'withdrawn', 'terminated')
    AND EXISTS (
        SELECT 1 FROM case_row AS b
        WHERE b.id_no = a.id_no AND b.item = a.item AND b.id_no <> '' AND b.case_id <> a.case_id
          AND b.state NOT IN ('draft', 'consult', 'not_accepted', 'withdrawn', 'terminated')
          AND (a.open + b.open = 2 OR abs(a.received_at - b.received_at) <= 2592000000)
          AND (a.duplicate_of IS NULL OR a.duplicate_of <> b.case_id)
          AND (b.duplicate_of IS NULL OR b.duplicate_of <> a.case_id)
          AND NOT CASE WHEN (a.opened_at, a.case_id) > (b.opened_at, b.case_id)
                       THEN a.reasoned ELSE b.reasoned END
    )
) AND a.id_no <> ''
