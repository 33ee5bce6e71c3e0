CREATE TABLE agreed (
  node  BLOB NOT NULL PRIMARY KEY CHECK (length(node) = 8),
  at    INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;
CREATE TABLE audit (
  seq     INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  person  BLOB,
  action  TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  chain   BLOB    NOT NULL CHECK (length(chain) = 32)
) STRICT;
CREATE TABLE blob (
  hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  size  INTEGER NOT NULL,
  -- When it was whole here.
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_at (
  hash BLOB    NOT NULL,
  node BLOB    NOT NULL CHECK (length(node) = 8),
  at   INTEGER NOT NULL,
  PRIMARY KEY (hash, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE blob_staged (
  token  BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 16),
  person BLOB    NOT NULL,
  at     INTEGER NOT NULL,
  attach BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE control (
  kind    INTEGER NOT NULL,
  site    INTEGER NOT NULL,
  version INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  body    BLOB    NOT NULL,
  PRIMARY KEY (kind, site, version)
) STRICT;
CREATE TABLE document (
  id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
  kind       INTEGER NOT NULL,
  site       INTEGER NOT NULL,
  heads      BLOB    NOT NULL,
  digest     INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  snapshot   BLOB    NOT NULL
) STRICT;
CREATE INDEX document_by_scope ON document (kind, site, id);
CREATE TABLE draft (
  person   BLOB    NOT NULL,
  form     TEXT    NOT NULL,
  saved_at INTEGER NOT NULL,
  body     TEXT    NOT NULL,
  PRIMARY KEY (person, form)
) STRICT;
CREATE TABLE "entry" (
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
CREATE INDEX entry_by_doc ON entry (doc, log, seq);
CREATE INDEX entry_by_hash ON entry (hash);
CREATE INDEX entry_waiting ON entry (doc) WHERE state = 3;
CREATE TABLE exchange (
  id         INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  node       BLOB    NOT NULL,
  sent       INTEGER NOT NULL,
  received   INTEGER NOT NULL,
  bytes_up   INTEGER NOT NULL,
  bytes_down INTEGER NOT NULL,
  repaired   INTEGER NOT NULL,
  result     TEXT    NOT NULL
) STRICT;
CREATE TABLE given (
  hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  doc   BLOB    NOT NULL CHECK (length(doc) = 16),
  node  BLOB    NOT NULL CHECK (length(node) = 8),
  epoch INTEGER NOT NULL,
  -- Position among the writer's changes of the document.
  seq   INTEGER NOT NULL,
  body  BLOB    NOT NULL
) STRICT;
CREATE INDEX given_by_doc ON given (doc, node, epoch, seq);
CREATE TABLE lockout (
  login    TEXT    NOT NULL PRIMARY KEY,
  failures INTEGER NOT NULL,
  until    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
  id    INTEGER PRIMARY KEY,
  kind  INTEGER NOT NULL,
  site  INTEGER NOT NULL,
  node  BLOB    NOT NULL CHECK (length(node) = 8),
  epoch INTEGER NOT NULL,
  seq   INTEGER NOT NULL,
  chain BLOB    NOT NULL CHECK (length(chain) = 32),
  UNIQUE (kind, site, node, epoch)
) STRICT;
CREATE INDEX log_by_node ON log (node);
CREATE TABLE meta (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE once (
  key    BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 16),
  at     INTEGER NOT NULL,
  answer BLOB    NOT NULL
) STRICT;
CREATE INDEX once_by_age ON once (at);
CREATE TABLE orphan (
  log   INTEGER NOT NULL REFERENCES log (id),
  seq   INTEGER NOT NULL,
  doc   BLOB    NOT NULL,
  hash  BLOB    NOT NULL UNIQUE,
  until INTEGER NOT NULL,
  body  BLOB    NOT NULL,
  PRIMARY KEY (log, seq, hash)
) STRICT;
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
CREATE TABLE quarantine (
  id     INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  kind   INTEGER NOT NULL,
  site   INTEGER NOT NULL,
  node   BLOB    NOT NULL,
  epoch  INTEGER NOT NULL,
  seq    INTEGER NOT NULL,
  doc    BLOB,
  hash   BLOB    NOT NULL,
  rule   TEXT    NOT NULL,
  reason TEXT    NOT NULL,
  whole  INTEGER NOT NULL,
  body   BLOB,
  UNIQUE (hash, rule)
) STRICT;
CREATE TABLE receipt (
  id     INTEGER PRIMARY KEY,
  holder BLOB    NOT NULL CHECK (length(holder) = 8),
  at     INTEGER NOT NULL,
  body   BLOB    NOT NULL
) STRICT;
CREATE TABLE receipt_line (
  holder  BLOB    NOT NULL,
  log     INTEGER NOT NULL REFERENCES log (id),
  seq     INTEGER NOT NULL,
  chain   BLOB    NOT NULL,
  at      INTEGER NOT NULL,
  receipt INTEGER NOT NULL REFERENCES receipt (id),
  PRIMARY KEY (holder, log)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_line_by_log ON receipt_line (log);
CREATE INDEX receipt_line_by_receipt ON receipt_line (receipt);
CREATE TABLE rejection (
  id      INTEGER PRIMARY KEY,
  at      INTEGER NOT NULL,
  made    INTEGER NOT NULL,
  applied INTEGER NOT NULL,
  log     INTEGER NOT NULL REFERENCES log (id),
  seq     INTEGER NOT NULL,
  doc     BLOB    NOT NULL,
  hash    BLOB    NOT NULL,
  rule    TEXT    NOT NULL,
  reason  TEXT    NOT NULL,
  by_node BLOB    NOT NULL,
  seen_at INTEGER,
  UNIQUE (log, seq, hash, by_node)
) STRICT;
CREATE INDEX rejection_by_doc ON rejection (doc);
CREATE INDEX rejection_unseen ON rejection (at) WHERE seen_at IS NULL;
CREATE TABLE scope (
  kind      INTEGER NOT NULL,
  site      INTEGER NOT NULL,
  digest    INTEGER NOT NULL,
  documents INTEGER NOT NULL,
  PRIMARY KEY (kind, site)
) STRICT, WITHOUT ROWID;
CREATE TABLE seal (
  log       INTEGER NOT NULL REFERENCES log (id),
  seq       INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  signature BLOB    NOT NULL CHECK (length(signature) = 64),
  PRIMARY KEY (log, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE secret (
  name  TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE serial (
  prefix TEXT    NOT NULL PRIMARY KEY,
  epoch  INTEGER NOT NULL,
  last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX serial_by_epoch ON serial (epoch);
CREATE TABLE session (
  token     BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 32),
  person    BLOB    NOT NULL,
  login     TEXT    NOT NULL,
  version   INTEGER NOT NULL,
  opened_at INTEGER NOT NULL,
  seen_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
