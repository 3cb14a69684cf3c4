//! The tables: numbered migrations, each applied once, in one transaction.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::bindings::countersign::license::sql::{self, Error, Outcome};
use crate::sql::db::{self, statement};
use crate::wire::problem::{Problem, corrupt};

/// The first creates the table `schema`, whose one row is the number of the last applied migration.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001.sql"),
    include_str!("../../migrations/0002.sql"),
    include_str!("../../migrations/0003.sql"),
    include_str!("../../migrations/0004.sql"),
    include_str!("../../migrations/0005.sql"),
];

/// Whether this instance has found every migration applied.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// Applies the missing migrations.
///
/// # Errors
/// If the schema is newer than this app knows: it is left unchanged, and no request is served.
pub(crate) fn ready() -> Result<(), Problem> {
    if IS_READY.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut found = version()?;
    while let Some(migration) = MIGRATIONS.get(found) {
        let failure = migrate(found, migration);
        // The migration fails if another instance applies it at the same time.
        let now = version()?;
        match failure {
            Err(problem) if now == found => return Err(problem),
            _ => found = now,
        }
    }
    if found > MIGRATIONS.len() {
        return Err(Problem::unavailable("newer-schema"));
    }
    IS_READY.store(true, Ordering::Relaxed);
    Ok(())
}

/// Makes the next request look again.
pub(crate) fn forget() {
    IS_READY.store(false, Ordering::Relaxed);
}

/// The number of the last applied migration; 0 without tables.
fn version() -> Result<usize, Problem> {
    match sql::query(&statement("SELECT version FROM schema", Vec::new(), None)) {
        Ok(rows) => match rows.first().map(Vec::as_slice) {
            Some([sql::Value::Integer(version)]) => usize::try_from(*version).map_err(|_| corrupt()),
            _ => Err(corrupt()),
        },
        Err(Error::NoSuchTable) => Ok(0),
        Err(error) => Err(db::problem(error)),
    }
}

/// Applies the migration after `from`. The first statement fails if another instance has applied
/// it.
fn migrate(from: usize, migration: &str) -> Result<(), Problem> {
    let mut statements = vec![match from {
        0 => statement("SELECT 1 FROM sqlite_schema WHERE name = 'schema'", Vec::new(), Some(0)),
        _ => statement(
            "UPDATE schema SET version = ?1 + 1 WHERE version = ?1 RETURNING version",
            vec![db::integer(from)],
            Some(1),
        ),
    }];
    let parts = migration.split(";\n").filter(|part| !part.trim().is_empty());
    statements.extend(parts.map(|part| statement(part, Vec::new(), None)));
    if from == 0 {
        statements.push(statement("INSERT INTO schema (version) VALUES (1)", Vec::new(), None));
    }
    match sql::batch(&statements) {
        Ok(Outcome::Committed(_)) => Ok(()),
        Ok(Outcome::Unmet(_)) => Err(Problem::unavailable("contention")),
        Err(error) => Err(db::problem(error)),
    }
}
