-- The first schema. A semicolon at the end of a line ends a statement, in comments too.
-- Moments are seconds since 1970-01-01T00:00:00Z. `number` is the order in which rows were created.
-- `revision` grows with every change. There are no foreign keys, as only some hosts enforce them.

CREATE TABLE schema (version INTEGER NOT NULL) STRICT;

CREATE TABLE products (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  code TEXT NOT NULL UNIQUE,
  name TEXT,
  key_prefix TEXT NOT NULL,
  metadata TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;

CREATE TABLE policies (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  product TEXT NOT NULL,
  name TEXT NOT NULL,
  terms TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;

CREATE INDEX policies_by_product ON policies (product);

CREATE TABLE licenses (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  key_hash TEXT NOT NULL UNIQUE, -- 64 hexadecimal digits, as in `keys`
  record TEXT NOT NULL, -- JSON, as delivered to the store
  policy TEXT,
  max_domains INTEGER,
  owner TEXT,
  metadata TEXT NOT NULL, -- JSON
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  -- Copies of members of the record, for the indexes below.
  product TEXT NOT NULL,
  status TEXT NOT NULL,
  expires_at INTEGER
) STRICT;

-- Each is also in the order of `number`, which SQLite appends to every index.
CREATE INDEX licenses_by_product ON licenses (product);
CREATE INDEX licenses_by_policy ON licenses (policy) WHERE policy IS NOT NULL;
CREATE INDEX licenses_by_status ON licenses (status);
CREATE INDEX licenses_by_owner ON licenses (owner) WHERE owner IS NOT NULL;
CREATE INDEX licenses_by_end ON licenses (expires_at) WHERE expires_at IS NOT NULL;
-- Counts the licences that have expired or expire soon without reading the table.
CREATE INDEX licenses_active_by_end ON licenses (expires_at) WHERE status = 'active';

-- Every key that a licence has or had, so that no key is used twice.
CREATE TABLE keys (
  hash TEXT PRIMARY KEY, -- 64 hexadecimal digits
  license TEXT NOT NULL,
  retired TEXT -- JSON: the record in the store, once the licence no longer has the key
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_license ON keys (license);

-- Terms by which licences are found. `kind` is `domain` for an entry that must match wholly, or
-- `search` for a text that is found by a prefix.
CREATE TABLE license_terms (
  kind TEXT NOT NULL,
  term TEXT NOT NULL,
  license INTEGER NOT NULL,
  PRIMARY KEY (kind, term, license)
) STRICT, WITHOUT ROWID;

CREATE INDEX license_terms_by_license ON license_terms (license);

-- Records that the store does not have yet.
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  change BLOB NOT NULL, -- identifies the change that the row belongs to
  license TEXT NOT NULL,
  key TEXT NOT NULL, -- the key in the store
  generation INTEGER NOT NULL,
  record TEXT NOT NULL,
  queued_at INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_by_change ON outbox (change);
CREATE INDEX outbox_by_license ON outbox (license);

CREATE TABLE events (
  number INTEGER PRIMARY KEY, -- without gaps
  id TEXT NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  request_id TEXT NOT NULL,
  before TEXT, -- JSON
  after TEXT, -- JSON
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE INDEX events_by_subject ON events (subject);
CREATE INDEX events_by_actor ON events (actor);
CREATE INDEX events_by_action ON events (action);
CREATE INDEX events_by_time ON events (at);

-- The last event's number and hash: one row.
CREATE TABLE chain (number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;

INSERT INTO chain (number, hash) VALUES (0, zeroblob(32));

CREATE TABLE tokens (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  hash BLOB NOT NULL, -- SHA-256 of the token
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  products TEXT, -- a JSON array, or NULL for all products
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER,
  revision INTEGER NOT NULL
) STRICT;

-- Stored answers, for requests that are retried with their idempotency key.
CREATE TABLE operations (
  id BLOB PRIMARY KEY,
  asked BLOB NOT NULL, -- the hash of the request
  answer BLOB NOT NULL, -- sealed
  change BLOB, -- the change whose rows of the outbox show whether the store has it
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX operations_by_time ON operations (at);

-- Addresses that sent wrong tokens.
CREATE TABLE refusals (
  client TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX refusals_by_time ON refusals (at);

-- How often validations of a licence had each code, by day since 1970-01-01. The rows with an empty
-- `license` have the sums over all licences.
CREATE TABLE validations (
  license TEXT NOT NULL,
  day INTEGER NOT NULL,
  code TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (license, day, code)
) STRICT, WITHOUT ROWID;

CREATE INDEX validations_by_day ON validations (day);

-- Validations that were not counted, by the day on which that was reported.
CREATE TABLE losses (
  day INTEGER PRIMARY KEY,
  count INTEGER NOT NULL
) STRICT;
