//! The operations that are measured.

use std::hint::black_box;

use countersign::{
    decide::Case,
    domain::Domain,
    holder::Per,
    key::{self, Key, Prefix},
    license::License,
    request::{Request, Verb},
    state::{Seat, State},
    time::Timestamp,
    transitions::activate,
};

/// A call into the core that can be repeated.
pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn()>,
}

/// All operations, in the order of a validation.
pub(crate) fn all() -> Vec<Operation> {
    let key = key();
    let existing = "0b3c1f7a-4b5e-4c55-9b7e-6f0e6d3f8a11";
    let domain = Domain::parse("www.example.com").expect("a domain");
    let body = serde_json::json!({ "key": key, "domain": "www.example.com" }).to_string().into_bytes();
    let record = record(1);
    let request: &Request = Box::leak(Box::new(Request::from_json(Verb::Validate, &body).expect("a request")));
    let license: &License = Box::leak(Box::new(License::from_json(&record).expect("a record")));
    let state: &State = Box::leak(Box::default());
    let now = Timestamp::from_unix(1_800_000_000);
    let verdict = Case::new(license, request).decide(state, now);

    let mut operations = vec![
        operation("key: read and hash", move || key::read(black_box(&key))),
        operation("key: hash an existing one", move || key::read(black_box(existing))),
        operation("domain: parse", || Domain::parse(black_box("www.example.com"))),
        operation("domain: parse Unicode", || Domain::parse(black_box("www.münchen.example"))),
    ];
    for rules in [1, 10, 1_000] {
        let License { domains, .. } = License::from_json(&self::record(rules)).expect("a record");
        let domain = domain.clone();
        let covers = move || domains.iter().any(|rule| rule.covers(black_box(&domain)));
        operations.push(operation(&format!("domain: match, the last of {rules}"), covers));
    }
    for rules in [1, 100, 1_000] {
        let record = self::record(rules);
        let parse = move || License::from_json(black_box(&record));
        operations.push(operation(&format!("record: parse, domains: {rules}"), parse));
    }
    let asked = body.clone();
    operations.extend([
        operation("request: parse", move || Request::from_json(Verb::Validate, black_box(&asked))),
        operation("decide", move || Case::new(black_box(license), black_box(request)).decide(state, black_box(now))),
        operation("verdict: write", move || black_box(&verdict).to_json(Some(license), black_box(request))),
        operation("a whole validation", move || {
            let request = Request::from_json(Verb::Validate, black_box(&body)).expect("a request");
            let license = License::from_json(black_box(&record)).expect("a record");
            Case::new(&license, &request).decide(state, black_box(now)).to_json(Some(&license), &request)
        }),
    ]);
    for seats in [1, 100, 1_000] {
        operations.extend(seats_operations(seats, now));
    }
    operations
}

/// Operations on a licence with `seats` seats. All but the last have a lease, of machines with five
/// components.
fn seats_operations(seats: usize, now: Timestamp) -> [Operation; 3] {
    let key = key();
    let license = serde_json::json!({
        "format": 1, "generation": 1, "id": "lic_00000000000000000000000000", "product": "acme", "status": "active",
        "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
        "activation": { "per": "machine", "limit": seats, "match": "any", "leaseSeconds": 3600 },
    });
    let license: &License = Box::leak(Box::new(License::from_json(license.to_string().as_bytes()).expect("a record")));
    let request = |machine: usize| {
        let components: Vec<_> = (0..5).map(|component| format!("{machine}-{component}")).collect();
        let body = serde_json::json!({ "key": key, "fingerprint": components }).to_string();
        Request::from_json(Verb::Activate, body.as_bytes()).expect("a request")
    };
    let seat = |machine: usize| {
        let holder = request(machine).holder(Per::Machine, &license.id).expect("a holder");
        Seat { holder, since: now, until: Some(now.plus_seconds(3_600)) }
    };
    let state = State { seats: (1..seats).map(seat).collect(), ..State::default() };
    let newcomer = request(seats);
    let mut taken = state.clone();
    let is_taken = activate(&Case::new(license, &newcomer), &mut taken, now).is_valid() && taken.seats.len() == seats;
    assert!(is_taken, "the last seat must be free");
    let (bytes, full) = (taken.to_bytes(), taken);
    [
        operation(&format!("state: parse, seats: {seats}"), move || State::from_bytes(black_box(&bytes))),
        operation(&format!("state: write, seats: {seats}"), move || black_box(&full).to_bytes()),
        operation(&format!("activate: the last of seats: {seats}"), move || {
            let mut state = state.clone();
            activate(&Case::new(license, black_box(&newcomer)), &mut state, now).code()
        }),
    ]
}

fn operation<T>(name: &str, work: impl Fn() -> T + 'static) -> Operation {
    let run = move || {
        black_box(work());
    };
    Operation { name: name.to_owned(), run: Box::new(run) }
}

fn key() -> String {
    let prefix = Prefix::parse("ACME").expect("a prefix");
    Key::generate(&prefix, [7; 16]).to_string()
}

/// A licence with n domain rules, of which only the last covers `www.example.com`.
fn record(rules: usize) -> Vec<u8> {
    let mut domains: Vec<_> = (1..rules).map(|rule| format!("*.customer-{rule}.example.org")).collect();
    domains.push("*.example.com".into());
    serde_json::json!({
        "format": 1, "generation": 1, "id": "lic_00000000000000000000000000", "product": "acme", "status": "active",
        "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": ["export"], "domains": domains, "requires": [],
    })
    .to_string()
    .into_bytes()
}
