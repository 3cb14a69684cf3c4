-- How far each edge has followed the changes of licences. An edge is a token of the role `edge`.

CREATE TABLE edges (
  token TEXT PRIMARY KEY,
  followed INTEGER NOT NULL, -- the number of the last event that it knows
  contacted_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
