INSERT INTO case_row (
    rid, case_id, site, number, item, item_version, name, id_no, phone, address, grp,
    state, open, turn, opened_at, received_at, changed_at,
    due, due_kind, yellow_from, provisional, calendar, paused,
    conflict, needs_ruling, parallel, duplicate_of, reasoned
) VALUES (
    :rid, :case_id, :site, :number, :item, :item_version, :name, :id_no, :phone, :address, :grp,
    :state, :open, :turn, :opened_at, :received_at, :changed_at,
    :due, :due_kind, :yellow_from, :provisional, :calendar, :paused,
    :conflict, :needs_ruling, :parallel, :duplicate_of, :reasoned
)
ON CONFLICT (case_id) DO UPDATE SET
    number = excluded.number, item = excluded.item, item_version = excluded.item_version,
    name = excluded.name, id_no = excluded.id_no, phone = excluded.phone,
    address = excluded.address, grp = excluded.grp,
    state = excluded.state, open = excluded.open, turn = excluded.turn,
    opened_at = excluded.opened_at, received_at = excluded.received_at,
    changed_at = excluded.changed_at, due = excluded.due, due_kind = excluded.due_kind,
    yellow_from = excluded.yellow_from, provisional = excluded.provisional,
    calendar = excluded.calendar, paused = excluded.paused, conflict = excluded.conflict,
    needs_ruling = excluded.needs_ruling, parallel = excluded.parallel,
    duplicate_of = excluded.duplicate_of, reasoned = excluded.reasoned
