-- When the time of a licence began that begins with its first use, as the licence's state says, or
-- NULL until that is known. `expires_at` is then the end that follows.

ALTER TABLE licenses ADD COLUMN begun_at INTEGER;

CREATE INDEX licenses_to_begin ON licenses (id)
  WHERE begun_at IS NULL AND status <> 'revoked' AND json_extract(record, '$.expiryBasis') IS NOT NULL;
