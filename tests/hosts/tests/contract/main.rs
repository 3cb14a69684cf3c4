//! The promises of `wit/store.wit`, tested with every adapter on its real host:
//! `spin-sqlite::a-stale-version-conflicts`.
//!
//! An adapter is held to the capabilities that it reports: a read-only one must refuse to write,
//! and only an atomic compare-and-swap is raced.

mod claims;
mod expiry;
mod races;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Result, anyhow, bail, ensure};
use countersign_host_tests::artifacts;
use countersign_host_tests::hosts::{App, Fault, Host, Running, Setup};
use countersign_host_tests::store::{Answered, Capabilities, Expect, Outcome, Store};
use libtest_mimic::{Arguments, Failed, Trial};

/// One host for each adapter.
const HOSTS: [Host; 5] = [Host::Native, Host::Wasmtime, Host::Viceroy, Host::Spin, Host::SpinSqlite];
/// The keys of a read-only store.
const PRESET: [&str; 5] = ["listed:a", "listed:b", "listed:c", "listed:d", "listed:e"];

/// A claim of the contract, and the adapters that it applies to.
struct Claim {
    name: &'static str,
    of: fn(&Capabilities) -> bool,
    holds: fn(Store) -> Result<()>,
}

fn main() -> Result<ExitCode> {
    artifacts::check()?;
    let served: Vec<_> = HOSTS.iter().map(|host| Served::new(*host, None)).collect();
    // Claim by claim, not host by host, so that several hosts run at the same time.
    let mut trials: Vec<_> =
        served.iter().map(|served| served.trial("its-capabilities-are-reported", reports_capabilities)).collect();
    for claim in claims::CLAIMS.into_iter().chain(races::CLAIMS) {
        let concerned = served.iter().filter(|served| (claim.of)(&served.host.capabilities()));
        trials.extend(concerned.map(|served| served.trial(claim.name, move |_, store| (claim.holds)(store))));
    }
    for host in HOSTS {
        for (fault, error) in host.faults() {
            trials.push(
                Served::new(host, Some(*fault))
                    .trial("every-call-has-its-error", |host, store| every_call_fails(host, store, error)),
            );
        }
    }
    drop(served);
    let expires = || expiry::expired_entries_are_deleted_a_few_at_a_time().map_err(|error| format!("{error:#}").into());
    trials.push(
        Trial::test("spin-sqlite::expired-entries-are-deleted-a-few-at-a-time", expires)
            .with_ignored_flag(!Host::SpinSqlite.is_there()),
    );
    Ok(libtest_mimic::run(&Arguments::from_args(), trials).exit_code())
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

    fn store(&self) -> Result<Store> {
        let start = || {
            let preset = |key: &&str| ((*key).to_owned(), "preset".to_owned());
            let entries = if self.host == Host::Wasmtime { PRESET.iter().map(preset).collect() } else { Vec::new() };
            self.host.start(&Setup { app: App::Contract, fault: self.fault, entries, ..Setup::default() })
        };
        let running = self.running.get_or_init(start).as_ref().map_err(|error| anyhow!("{error:#}"))?;
        Ok(Store { address: running.address() })
    }

    fn trial(self: &Arc<Self>, name: &str, holds: impl FnOnce(Host, Store) -> Result<()> + Send + 'static) -> Trial {
        let fault = self.fault.map(|fault| format!("store-{}::", format!("{fault:?}").to_lowercase()));
        let name = format!("{}::{}{name}", self.host.capabilities().name, fault.unwrap_or_default());
        let served = Arc::clone(self);
        let run =
            move || served.store().and_then(|store| holds(served.host, store)).map_err(|error| served.failed(&error));
        Trial::test(name, run).with_ignored_flag(!self.host.is_there())
    }

    fn failed(&self, error: &anyhow::Error) -> Failed {
        let log = self.running.get().and_then(|running| running.as_ref().ok()).map(|running| running.process.log());
        format!("{error:#}\nthe host wrote\n{}", log.unwrap_or_default()).into()
    }
}

fn reports_capabilities(host: Host, store: Store) -> Result<()> {
    let found = ok(store.capabilities()?)?;
    ensure!(found == host.capabilities(), "{found:?}");
    Ok(())
}

fn every_call_fails(host: Host, store: Store, error: &str) -> Result<()> {
    reports_capabilities(host, store)?;
    let fails = |call: &str, found: Option<String>| {
        ensure!(found.as_deref() == Some(error), "{call} gives {found:?} and must give {error}");
        Ok(())
    };
    fails("get", kind(store.get("a")?))?;
    fails("list", kind(store.list("", None, 10)?))?;
    if claims::writes(&host.capabilities()) {
        fails("put", kind(store.put("a", "1", Expect::Any)?))?;
        fails("put if absent", kind(store.put("a", "1", Expect::Absent)?))?;
        fails("put if unchanged", kind(store.put("a", "1", Expect::Matches("1"))?))?;
        fails("delete", kind(store.delete("a")?))?;
    }
    Ok(())
}

fn ok<T>(answered: Answered<T>) -> Result<T> {
    answered.map_err(|error| anyhow!("the store answered {error:?}"))
}

fn stored(answered: Answered<Outcome>) -> Result<Option<String>> {
    match ok(answered)? {
        Outcome::Stored(version) => Ok(version),
        Outcome::Conflict(there) => bail!("the write conflicts with {there:?}"),
    }
}

fn kind<T>(answered: Answered<T>) -> Option<String> {
    answered.err().map(|error| error.kind)
}
