-- Changes that came with their documents, ahead of the entries they are of. A row goes when its
-- entry comes, under the seal of its writer.
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
