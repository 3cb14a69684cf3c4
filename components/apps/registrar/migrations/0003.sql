-- Personal data of events is kept outside of what is hashed, so that it can be erased. An event is
-- hashed with a commitment to it: the hash of the data and of a random salt. `personal` is JSON,
-- with members of `before` and `after`. Once the data is gone, so is the salt; `erased` is then the
-- number of the event that records this. Events from before these columns have no commitment.

ALTER TABLE events ADD COLUMN commitment BLOB;
ALTER TABLE events ADD COLUMN salt BLOB;
ALTER TABLE events ADD COLUMN personal TEXT;
ALTER TABLE events ADD COLUMN erased INTEGER;

-- The events that have personal data, of this version and of earlier ones.
CREATE INDEX events_with_personal ON events (at) WHERE personal IS NOT NULL;
CREATE INDEX events_with_old_personal ON events (at) WHERE erased IS NULL AND commitment IS NULL
  AND substr(action, 1, 8) = 'license.' AND (instr(before, '"owner":') OR instr(before, '"metadata":{"')
    OR instr(after, '"owner":') OR instr(after, '"metadata":{"'));

-- The licences that a stored answer is about.
CREATE TABLE operation_licenses (
  license TEXT NOT NULL,
  operation BLOB NOT NULL,
  PRIMARY KEY (license, operation)
) STRICT, WITHOUT ROWID;

CREATE INDEX operation_licenses_by_operation ON operation_licenses (operation);
