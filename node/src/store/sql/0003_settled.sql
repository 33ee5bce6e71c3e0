-- What became of own work that came back: done again as another record, or dropped with a reason.
CREATE TABLE settled (
  hash   BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  doc    BLOB    NOT NULL CHECK (length(doc) = 16),
  at     INTEGER NOT NULL,
  person BLOB    NOT NULL,
  redone BLOB,
  reason TEXT,
  CHECK ((redone IS NULL) <> (reason IS NULL))
) STRICT;
CREATE INDEX settled_by_doc ON settled (doc) WHERE redone IS NOT NULL;
