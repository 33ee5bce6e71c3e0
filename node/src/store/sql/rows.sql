-- Rows are read off documents and can be thrown away: `verify` rebuilds them to equality.
-- They hold personal data and never leave this database.

CREATE TABLE case_row (
    -- Moment of the first act (ms) and some bits of the id: newest first is `rid DESC`.
    rid          INTEGER PRIMARY KEY,
    case_id      BLOB    NOT NULL UNIQUE,
    site         INTEGER NOT NULL,
    number       TEXT,
    item         TEXT    NOT NULL,
    item_version INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    id_no        TEXT    NOT NULL,
    phone        TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    grp          TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    open         INTEGER NOT NULL,
    -- Whose move it is: 0 nobody's, 1 the receiving site's, 2 the township's, 3 the county's.
    turn         INTEGER NOT NULL,
    opened_at    INTEGER NOT NULL,
    received_at  INTEGER,
    changed_at   INTEGER NOT NULL,
    -- The next deadline; '9999-12-31' where no clock runs, so that it sorts last.
    due          TEXT    NOT NULL,
    due_kind     TEXT    NOT NULL,
    -- First day its light is yellow.
    yellow_from  TEXT    NOT NULL,
    provisional  INTEGER NOT NULL,
    calendar     INTEGER NOT NULL,
    -- Open, received, and no clock runs.
    paused       INTEGER NOT NULL,
    conflict     INTEGER NOT NULL,
    needs_ruling INTEGER NOT NULL,
    parallel     INTEGER NOT NULL,
    duplicate_of BLOB,
    -- The desk said why it went on though it knew of another case.
    reasoned     INTEGER NOT NULL,
    -- Looks like another case typed twice, and nobody has said anything about it yet.
    twin         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX case_row_state ON case_row (state, rid);
CREATE INDEX case_row_site_state ON case_row (site, state, rid);
CREATE INDEX case_row_wait ON case_row (state, due, rid) WHERE state IN ('correcting', 'closed');
CREATE INDEX case_row_turn ON case_row (turn, due, rid) WHERE turn > 0;
CREATE INDEX case_row_site_turn ON case_row (site, turn, due, rid) WHERE turn > 0;
CREATE INDEX case_row_due ON case_row (due, rid, yellow_from) WHERE due < '9999';
CREATE INDEX case_row_pending ON case_row (rid)
    WHERE conflict + needs_ruling + twin > 0;
CREATE INDEX case_row_person ON case_row (id_no, item) WHERE id_no <> '';
CREATE INDEX case_row_received ON case_row (received_at, site);
CREATE INDEX case_row_number ON case_row (number) WHERE number IS NOT NULL;

-- How many cases of a site are in each state: counts of a county must not walk its cases.
CREATE TABLE case_tally (
    site  INTEGER NOT NULL,
    state TEXT    NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (site, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER case_row_added AFTER INSERT ON case_row BEGIN
    INSERT INTO case_tally (site, state, n) VALUES (new.site, new.state, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER case_row_gone AFTER DELETE ON case_row BEGIN
    UPDATE case_tally SET n = n - 1 WHERE site = old.site AND state = old.state;
    DELETE FROM case_tally WHERE site = old.site AND state = old.state AND n = 0;
END;
CREATE TRIGGER case_row_moved AFTER UPDATE OF state ON case_row WHEN old.state <> new.state BEGIN
    UPDATE case_tally SET n = n - 1 WHERE site = old.site AND state = old.state;
    DELETE FROM case_tally WHERE site = old.site AND state = old.state AND n = 0;
    INSERT INTO case_tally (site, state, n) VALUES (new.site, new.state, 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- Search. `name`: characters of the name, one token each, asked as a phrase. `latin`: syllables,
-- the whole spelling and the initials, every surname reading. `tail`: ID number, case number
-- and phone written backwards, so that a tail is a prefix. `site`: one token, to keep an answer
-- within one site. The ascii tokenizer takes every other character as a letter, also those that
-- came to Unicode after SQLite's tables.
CREATE VIRTUAL TABLE case_search USING fts5 (
    name, latin, tail, site,
    content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2 3'
);

-- What the search tables hold, for comparing.
CREATE VIRTUAL TABLE case_term USING fts5vocab ('case_search', 'instance');

CREATE TABLE notice_row (
    doc          BLOB    PRIMARY KEY,
    publisher    INTEGER NOT NULL,
    title        TEXT    NOT NULL,
    -- Empty once withdrawn.
    body         TEXT    NOT NULL,
    category     TEXT    NOT NULL,
    from_day     TEXT    NOT NULL,
    until_day    TEXT,
    published_at INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    correction   TEXT    NOT NULL,
    withdrawn_at INTEGER,
    withdrawn    TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_row_published ON notice_row (published_at);

CREATE TABLE notice_place (
    site INTEGER NOT NULL,
    doc  BLOB    NOT NULL REFERENCES notice_row (doc) ON DELETE CASCADE,
    PRIMARY KEY (site, doc)
) STRICT, WITHOUT ROWID;

CREATE INDEX notice_place_doc ON notice_place (doc);

-- The files that documents name and that count: part 0 is a thumbnail, 1 the file.
CREATE TABLE attachment (
    doc  BLOB    NOT NULL,
    act  BLOB    NOT NULL,
    part INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    site INTEGER NOT NULL,
    hash BLOB    NOT NULL,
    size INTEGER NOT NULL,
    at   INTEGER NOT NULL,
    PRIMARY KEY (doc, act, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_hash ON attachment (hash, size);
CREATE INDEX attachment_order ON attachment (kind, site, part, size, at DESC);
