-- Attached files. What is named stands in the derived table `attachment`; the bytes lie in the
-- folder `blobs` beside this database.
CREATE TABLE blob (
  hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
  size  INTEGER NOT NULL,
  -- When it was whole here.
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Other nodes that said they hold a file.
CREATE TABLE blob_at (
  hash BLOB    NOT NULL,
  node BLOB    NOT NULL CHECK (length(node) = 8),
  at   INTEGER NOT NULL,
  PRIMARY KEY (hash, node)
) STRICT, WITHOUT ROWID;

-- A file that came with a form which was not accepted yet: for the person who brought it.
CREATE TABLE blob_staged (
  token  BLOB    NOT NULL PRIMARY KEY CHECK (length(token) = 16),
  person BLOB    NOT NULL,
  at     INTEGER NOT NULL,
  attach BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
