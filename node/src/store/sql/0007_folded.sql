-- The change of an accepted entry may lie in its document alone, and is made again from there byte for
-- byte: `body` is NULL then.
CREATE TABLE entry_new (
  log         INTEGER NOT NULL REFERENCES log (id),
  seq         INTEGER NOT NULL,
  doc         BLOB    NOT NULL CHECK (length(doc) = 16),
  hash        BLOB    NOT NULL CHECK (length(hash) = 32),
  chain       BLOB    NOT NULL CHECK (length(chain) = 32),
  state       INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
  received_at INTEGER NOT NULL,
  body        BLOB,
  CHECK (state = 0 OR (body IS NULL) = (state IN (1, 2))),
  PRIMARY KEY (log, seq)
) STRICT;
INSERT INTO entry_new (rowid, log, seq, doc, hash, chain, state, received_at, body)
  SELECT rowid, log, seq, doc, hash, chain, state, received_at, body FROM entry;
DROP TABLE entry;
ALTER TABLE entry_new RENAME TO entry;
CREATE INDEX entry_by_doc ON entry (doc, log, seq);
CREATE INDEX entry_by_hash ON entry (hash);
CREATE INDEX entry_waiting ON entry (doc) WHERE state = 3;
