CREATE TABLE IF NOT EXISTS countersign_store (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER);
CREATE INDEX IF NOT EXISTS countersign_store_expires ON countersign_store (expires) WHERE expires IS NOT NULL;
