-- What was heard of other nodes; nothing is lost by forgetting it.
DROP TABLE peer;

-- What is known of other nodes besides the roster: what each said of itself when it was seen last,
-- and which node passed that on. `written`: entries in the logs it writes.
CREATE TABLE peer (
  node            BLOB    NOT NULL PRIMARY KEY CHECK (length(node) = 8),
  last_seen       INTEGER NOT NULL,
  clock_offset_ms INTEGER,
  product         TEXT    NOT NULL,
  epoch           INTEGER NOT NULL,
  written         INTEGER NOT NULL,
  waiting_since   INTEGER,
  via             BLOB
) STRICT, WITHOUT ROWID;
