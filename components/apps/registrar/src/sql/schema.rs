//! The tables: numbered migrations, each made once and whole.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::bindings::countersign::license::sql::{self, Error, Outcome};
use crate::sql::db::{self, statement};
use crate::wire::problem::Problem;

/// The first makes the table `schema`, which has one row: the number of the last that was made.
const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/0001.sql")];

/// Whether this instance has looked.
static IS_READY: AtomicBool = AtomicBool::new(false);

/// Makes what is missing. A schema that is newer than this app knows is left alone, and nothing is answered.
pub(crate) fn ready() -> Result<(), Problem> {
    if IS_READY.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut found = version()?;
    while let Some(migration) = MIGRATIONS.get(found) {
        let failure = migrate(found, migration);
        // Another may have been faster, and then this one failed.
        let now = version()?;
        match failure {
            Err(problem) if now == found => return Err(problem),
            _ => found = now,
        }
    }
    if found > MIGRATIONS.len() {
        return Err(Problem::Unavailable { reason: "newer-schema" });
    }
    IS_READY.store(true, Ordering::Relaxed);
    Ok(())
}

/// Has the next request look again.
pub(crate) fn forget() {
    IS_READY.store(false, Ordering::Relaxed);
}

/// The number of the last migration that was made; 0 where there is no table yet.
fn version() -> Result<usize, Problem> {
    match sql::query(&statement("SELECT version FROM schema", Vec::new(), None)) {
        Ok(rows) => match rows.first().map(Vec::as_slice) {
            Some([sql::Value::Integer(version)]) => usize::try_from(*version).map_err(|_| Problem::CORRUPT),
            _ => Err(Problem::CORRUPT),
        },
        Err(Error::NoSuchTable) => Ok(0),
        Err(error) => Err(db::problem(error)),
    }
}

/// Others that begin at the same time find theirs unmet.
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
        Ok(Outcome::Unmet(_)) => Err(Problem::Unavailable { reason: "contention" }),
        Err(error) => Err(db::problem(error)),
    }
}
