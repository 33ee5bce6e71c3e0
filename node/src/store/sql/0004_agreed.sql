-- What a node held together with another one when they last agreed; a hint for the next session.
CREATE TABLE agreed (
  node  BLOB NOT NULL PRIMARY KEY CHECK (length(node) = 8),
  at    INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;
