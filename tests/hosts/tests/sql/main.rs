//! The promises of `wit/sql.wit`, tested with every adapter on its real host:
//! `native::a-batch-is-all-or-nothing`.

mod claims;
mod faults;
mod races;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow};
use countersign_host_tests::artifacts;
use countersign_host_tests::hosts::{App, Fault, Host, Running, Setup};
use countersign_host_tests::sql::{Answered, Outcome, Rows, Sql};
use libtest_mimic::{Arguments, Failed, Trial};

/// The hosts with a database.
const HOSTS: [Host; 2] = [Host::Native, Host::Spin];

/// A claim of the contract. Each creates its own tables.
struct Claim {
    name: &'static str,
    holds: fn(Sql) -> Result<()>,
}

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let served: Vec<_> = HOSTS.iter().map(|host| Served::new(*host, None)).collect();
    let mut trials = Vec::new();
    for claim in claims::CLAIMS.into_iter().chain(races::CLAIMS) {
        trials.extend(served.iter().map(|served| served.trial(claim.name, move |sql| (claim.holds)(sql))));
    }
    for host in HOSTS {
        trials.push(trial(host, "a-locked-database-is-busy", move || faults::busy(host)));
        for (fault, error) in faults::of(host) {
            trials.push(
                Served::new(host, Some(*fault))
                    .trial("every-call-has-its-error", |sql| faults::every_call_fails(sql, error)),
            );
        }
    }
    trials.push(trial(Host::Native, "statements-reach-only-the-database", faults::reaches_nothing_else));
    trials.push(trial(Host::Native, "a-file-that-returns-is-reopened", faults::reopens));
    trials.push(trial(Host::Native, "an-endless-statement-is-ended", faults::ends_endless_statements));
    drop(served);
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
}

fn trial(host: Host, name: &str, holds: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    let run = move || holds().map_err(|error| format!("{error:#}").into());
    Trial::test(format!("{}::{name}", host.name()), run).with_ignored_flag(!host.is_there())
}

/// A host with the contract guest. The first of its trials starts it, and the last ends it.
struct Served {
    host: Host,
    fault: Option<Fault>,
    running: OnceLock<Result<Running>>,
}

impl Served {
    fn new(host: Host, fault: Option<Fault>) -> Arc<Self> {
        Arc::new(Self { host, fault, running: OnceLock::new() })
    }

    fn sql(&self) -> Result<Sql> {
        let running = self.running.get_or_init(|| start(self.host, self.fault)).as_ref();
        Ok(Sql { address: running.map_err(|error| anyhow!("{error:#}"))?.address() })
    }

    fn trial(self: &Arc<Self>, name: &str, holds: impl FnOnce(Sql) -> Result<()> + Send + 'static) -> Trial {
        let fault = self.fault.map(|fault| format!("database-{}::", format!("{fault:?}").to_lowercase()));
        let name = format!("{}::{}{name}", self.host.name(), fault.unwrap_or_default());
        let served = Arc::clone(self);
        let run = move || served.sql().and_then(holds).map_err(|error| served.failed(&error));
        Trial::test(name, run).with_ignored_flag(!self.host.is_there())
    }

    fn failed(&self, error: &anyhow::Error) -> Failed {
        let log = self.running.get().and_then(|running| running.as_ref().ok()).map(|running| running.process.log());
        format!("{error:#}\nthe host wrote\n{}", log.unwrap_or_default()).into()
    }
}

fn start(host: Host, fault: Option<Fault>) -> Result<Running> {
    host.start(&Setup { app: App::SqlContract, fault, ..Setup::default() })
}

fn ok<T>(answered: Answered<T>) -> Result<T> {
    answered.map_err(|error| anyhow!("the database answered {error:?}"))
}

fn committed(answered: Answered<Outcome>) -> Result<Vec<Rows>> {
    match ok(answered)? {
        Outcome::Committed(rows) => Ok(rows),
        Outcome::Unmet(index) => Err(anyhow!("statement {index} returned another number of rows than expected")),
    }
}

fn kind<T>(answered: Answered<T>) -> Option<String> {
    answered.err().map(|error| error.kind)
}
