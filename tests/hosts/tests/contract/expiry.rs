//! How Spin over SQLite deletes what has expired. For the native host `host/tests/imports/store.rs`
//! tests it.

use anyhow::{Result, anyhow, ensure};
use countersign_host_tests::hosts::{App, Host, Setup};
use countersign_host_tests::sql::{Sql, integer};
use countersign_host_tests::store::{Expect, Store};

use crate::{ok, stored};

/// The table as earlier versions created it: without an index on `expires`.
const TABLE: &str = "CREATE TABLE countersign_store \
    (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER)";

/// Entries that have expired, one a second.
const FILL: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
    INSERT INTO countersign_store (key, value, version, expires) SELECT 'operation:' || i, x'00', i, i FROM n";

/// The number of entries, and when the oldest one expired.
const COUNT: &str = "SELECT count(*), min(expires) FROM countersign_store";

/// Entries that one write may delete.
const AT_ONCE: i64 = 32;

/// Writes, of which some must delete. That 300 do not happens once in 10^17.
const WRITES: usize = 300;

/// However many have expired, a write deletes no more than a few, the oldest first.
pub(crate) fn expired_entries_are_deleted_a_few_at_a_time() -> Result<()> {
    let arguments = ["--sqlite", TABLE, "--sqlite", FILL].map(str::to_owned).to_vec();
    let running = Host::SpinSqlite.start(&Setup { app: App::Contract, arguments, ..Setup::default() })?;
    // A second process, which runs statements on the same database.
    let beside = Host::Spin.start_beside(&running, &Setup { app: App::SqlContract, ..Setup::default() })?;
    let (store, sql) = (Store { address: running.address() }, Sql { address: beside.address() });
    let deleted = |deleted: i64| -> Result<bool> {
        let found = sql.query(COUNT, &[])?.map_err(|error| anyhow!("the database answered {error:?}"))?;
        Ok(found == [[integer(1_000 + 2 - deleted), integer(deleted + 1)]])
    };
    stored(store.put("lasting", "1", Expect::Any)?)?;
    let mut writes = (0..WRITES).map(|number| stored(store.put_for("written", &number.to_string(), 1_000)?));
    for portion in 1..=3 {
        loop {
            writes.next().ok_or_else(|| anyhow!("{WRITES} writes have deleted {} portions", portion - 1))??;
            if deleted(portion * AT_ONCE)? {
                break;
            }
            ensure!(deleted((portion - 1) * AT_ONCE)?, "a write deleted more or other entries than the oldest few");
        }
    }
    for (key, is_there) in [("lasting", true), ("written", true), ("operation:1000", false)] {
        ensure!(ok(store.get(key)?)?.is_some() == is_there, "{key} must be there: {is_there}");
    }
    Ok(())
}
