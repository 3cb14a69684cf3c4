//! The cases: requests, each with the answer that it must get for its figure to count.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};
use countersign::key::{self, Key, Prefix};
use countersign_host_tests::{artifacts, client};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::servers::Server;

/// Licences in each persistent store.
pub(crate) const LICENSES: u64 = 10_000;

/// One kind of request.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    /// A file of bodies, one a line, of which each request has one. A case without one is a `GET`.
    pub(crate) bodies: Option<PathBuf>,
    /// The first body.
    body: String,
    pub(crate) status: u16,
    code: &'static str,
}

/// The floor of each host: its server, its shell and its composition, without a verdict.
pub(crate) const FLOOR: &str = "no-op";
/// The same key in every request.
pub(crate) const HOT: &str = "hot row";
/// Every licence in turn.
pub(crate) const MANY: &str = "10,000 rows";
/// A licence with a hundred domains.
pub(crate) const DOMAINS_100: &str = "100 domains";
/// A licence with a thousand domains.
pub(crate) const DOMAINS_1000: &str = "1,000 domains";
/// Renewals of leases. Each compare-and-swap is on the disk before its answer.
pub(crate) const ACTIVATIONS: &str = "activation, 1,000 rows";
/// Validations that end early or late with a refusal.
pub(crate) const OTHERS: [&str; 3] = ["unknown key", "mistyped key", "wrong domain"];

/// Licences of [`ACTIVATIONS`].
const LEASED: u64 = 1_000;
/// The number of the first of them, beyond the licences of any store.
const FIRST_LEASED: u64 = 1 << 40;

/// Writes the bodies of all cases.
pub(crate) fn write(directory: &Path) -> Result<Vec<Case>> {
    let hot = key(0)?;
    let last = if hot.ends_with('7') { '8' } else { '7' };
    let mistyped = format!("{}{last}", &hot[..hot.len() - 1]);
    let [unknown_key, mistyped_key, wrong_domain] = OTHERS;
    let one = |name, key: &str, domain, expected| Case::write(directory, name, &[ask(key, domain)], expected);
    Ok(vec![
        Case { name: FLOOR, path: "/healthz", bodies: None, body: String::new(), status: 200, code: "" },
        one(HOT, &hot, "example.com", (200, "VALID"))?,
        Case::over(directory, 0..LICENSES)?,
        one(unknown_key, &key(u64::MAX)?, "example.com", (404, "NOT_FOUND"))?,
        one(mistyped_key, &mistyped, "example.com", (404, "MALFORMED_KEY"))?,
        one(wrong_domain, &hot, "notexample.com", (200, "DOMAIN_MISMATCH"))?,
        one(DOMAINS_100, &key(LICENSES)?, "example.com", (200, "VALID"))?,
        one(DOMAINS_1000, &key(LICENSES + 1)?, "example.com", (200, "VALID"))?,
        Case { path: "/api/v1/activate", ..Case::write(directory, ACTIVATIONS, &activations()?, (200, "VALID"))? },
    ])
}

/// The bodies of activations, each of one machine for another licence.
fn activations() -> Result<Vec<String>> {
    let licenses = FIRST_LEASED..FIRST_LEASED + LEASED;
    licenses.map(|number| Ok(json!({ "key": key(number)?, "fingerprint": "machine" }).to_string())).collect()
}

/// A status and a code.
type Expected = (u16, &'static str);

pub(crate) fn ask(key: &str, domain: &str) -> String {
    json!({ "key": key, "domain": domain }).to_string()
}

impl Case {
    /// Validations of these licences in turn.
    pub(crate) fn over(directory: &Path, numbers: impl Iterator<Item = u64>) -> Result<Self> {
        let numbers: Vec<_> = numbers.map(|number| Ok(ask(&key(number)?, "example.com"))).collect::<Result<_>>()?;
        Self::write(directory, MANY, &numbers, (200, "VALID"))
    }

    fn write(directory: &Path, name: &'static str, bodies: &[String], (status, code): Expected) -> Result<Self> {
        let file = directory.join(name.replace([' ', ','], "-"));
        fs::write(&file, bodies.join("\n"))?;
        let body = bodies.first().cloned().unwrap_or_default();
        Ok(Self { name, path: "/api/v1/validate", bodies: Some(file), body, status, code })
    }

    /// Sends one request and checks its whole answer. Under load only the status is checked.
    pub(crate) fn check(&self, server: &Server) -> Result<()> {
        let method = if self.bodies.is_some() { "POST" } else { "GET" };
        let json = [("content-type", "application/json")];
        let answer = client::send(server.address(), method, self.path, &json, self.body.as_bytes())?;
        let code = answer.json()?["code"].as_str().unwrap_or_default().to_owned();
        ensure!(
            answer.status == self.status && code == self.code,
            "{}, {}: {} {}",
            server.name,
            self.name,
            answer.status,
            answer.text()
        );
        Ok(())
    }
}

/// The key of licence `number`, the same in every run.
pub(crate) fn key(number: u64) -> Result<String> {
    // An odd factor makes keys unique, and those of neighbours far apart.
    let random = u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Ok(Key::generate(&Prefix::parse("ACME")?, random.to_be_bytes()).to_string())
}

/// The record of licence `number`, for `domains` domains of which the last is `example.com`.
pub(crate) fn record(number: u64, domains: u64) -> Value {
    let mut covered: Vec<_> = (1..domains).map(|domain| format!("customer-{domain}.example.org")).collect();
    covered.push("example.com".into());
    json!({
        "format": 1, "generation": 1, "id": format!("lic_{number:026}"), "product": "acme", "status": "active",
        "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": ["export"], "domains": covered, "requires": [],
    })
}

/// The store's entry for licence `number`: key and value.
pub(crate) fn entry(number: u64, domains: u64) -> Result<(String, String)> {
    let hash = key::read(&key(number)?)?;
    Ok((hash.store_key(), record(number, domains).to_string()))
}

/// The record of licence `number`, with leased seats.
fn leased(number: u64) -> Value {
    let mut record = record(number, 0);
    record["domains"] = json!([]);
    record["activation"] = json!({ "per": "machine", "limit": 5, "leaseSeconds": 3_600 });
    record
}

/// Creates a data directory of the native host with `licenses` licences, two with many domains, and
/// those with leased seats. Returns the path of its store.
///
/// The host's command creates the store; one transaction fills it, as the command needs one for
/// each licence.
pub(crate) fn fill(directory: &Path, licenses: u64) -> Result<PathBuf> {
    let file = directory.join(DATABASE);
    if file.exists() {
        return Ok(file);
    }
    let mut issue = Command::new(artifacts::countersign()?);
    issue.env("COUNTERSIGN_REGISTRAR", artifacts::component("countersign-registrar-native.wasm")?);
    issue.args(["issue", "--product", "acme", "--plan", "pro", "--data"]).arg(directory).stdout(Stdio::null());
    issue.arg("--registrar").arg(artifacts::component("countersign-registrar-native.wasm")?);
    ensure!(issue.status()?.success(), "`countersign issue` failed");

    let mut connection = Connection::open(&file)?;
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare("INSERT INTO entries (key, value) VALUES (?1, ?2)")?;
    for (number, domains) in (0..licenses).map(|number| (number, 1)).chain([(licenses, 100), (licenses + 1, 1_000)]) {
        let (key, value) = entry(number, domains)?;
        insert.execute((key, value.into_bytes()))?;
    }
    for number in FIRST_LEASED..FIRST_LEASED + LEASED {
        insert.execute((key::read(&key(number)?)?.store_key(), leased(number).to_string().into_bytes()))?;
    }
    drop(insert);
    transaction.commit()?;
    Ok(file)
}

/// The native host's store, in its data directory.
const DATABASE: &str = "countersign.db";
