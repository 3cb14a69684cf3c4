-- Owners without case, a search by words, and weak keys.

-- The owner without case; NULL in rows from before this column.
ALTER TABLE licenses ADD COLUMN owner_folded TEXT;
-- How the licence's terms of the search were made; NULL for the first way.
ALTER TABLE licenses ADD COLUMN index_version INTEGER;
-- 1 if the key may be guessed.
ALTER TABLE licenses ADD COLUMN weak_key INTEGER NOT NULL DEFAULT 0;

DROP INDEX licenses_by_owner;
CREATE INDEX licenses_by_folded_owner ON licenses (COALESCE(owner_folded, lower(owner))) WHERE owner IS NOT NULL;
CREATE INDEX licenses_to_index ON licenses (number) WHERE index_version IS NULL;
CREATE INDEX licenses_with_weak_key ON licenses (number) WHERE weak_key = 1;
