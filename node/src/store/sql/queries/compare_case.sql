SELECT case_id, site, number, item, item_version, name, id_no, phone, address, grp,
       state, open, turn, opened_at, received_at, changed_at,
       due, due_kind, yellow_from, provisional, calendar, paused,
       conflict, needs_ruling, parallel, duplicate_of, reasoned, twin
FROM case_row ORDER BY case_id
