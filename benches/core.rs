//! What a validation costs inside the core: `cargo bench --bench core`.
#![allow(missing_docs, reason = "criterion's macros write public functions")]
#![allow(clippy::expect_used, reason = "a benchmark of nothing must fail")]

use std::hint::black_box;

use countersign::{
    decide::decide,
    domain::{Domain, DomainRule},
    key::{self, Key, Prefix},
    record::License,
    request::{Request, Verb},
    state::State,
    time::Timestamp,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const RULES: [usize; 3] = [1, 10, 1_000];

/// A licence for `rules` domains, of which the last is `example.com`.
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

fn key() -> String {
    let prefix = Prefix::parse("ACME").expect("a prefix");
    Key::generate(&prefix, [7; 16]).to_string()
}

fn body() -> Vec<u8> {
    serde_json::json!({ "key": key(), "domain": "www.example.com" }).to_string().into_bytes()
}

fn keys(criterion: &mut Criterion) {
    let key = key();
    criterion.bench_function("key/read and hash", |bencher| bencher.iter(|| key::read(black_box(&key))));
    let foreign = "0b3c1f7a-4b5e-4c55-9b7e-6f0e6d3f8a11";
    criterion.bench_function("key/hash a foreign one", |bencher| bencher.iter(|| key::read(black_box(foreign))));
}

fn domains(criterion: &mut Criterion) {
    criterion.bench_function("domain/parse", |bencher| bencher.iter(|| Domain::parse(black_box("www.example.com"))));
    criterion.bench_function("domain/parse Unicode", |bencher| {
        bencher.iter(|| Domain::parse(black_box("www.münchen.example")))
    });
    let domain = Domain::parse("www.example.com").expect("a domain");
    let mut group = criterion.benchmark_group("domain/match among rules");
    for rules in RULES {
        let rules: Vec<DomainRule> = License::from_json(&record(rules)).expect("a record").domains;
        group.bench_with_input(BenchmarkId::from_parameter(rules.len()), &rules, |bencher, rules| {
            bencher.iter(|| rules.iter().any(|rule| rule.covers(black_box(&domain))));
        });
    }
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record/parse with domains");
    for rules in RULES {
        let record = record(rules);
        group.bench_with_input(BenchmarkId::from_parameter(rules), &record, |bencher, record| {
            bencher.iter(|| License::from_json(black_box(record)));
        });
    }
}

fn verdicts(criterion: &mut Criterion) {
    let now = Timestamp::from_unix(1_800_000_000);
    let (record, body) = (record(1), body());
    let (license, state) = (License::from_json(&record).expect("a record"), State::default());
    let request = Request::from_json(Verb::Validate, &body).expect("a request");
    criterion.bench_function("request/parse", |bencher| {
        bencher.iter(|| Request::from_json(Verb::Validate, black_box(&body)))
    });
    criterion.bench_function("decide", |bencher| {
        bencher.iter(|| decide(black_box(&license), &state, black_box(&request), black_box(now)).code);
    });
    criterion.bench_function("verdict/write", |bencher| {
        let verdict = decide(&license, &state, &request, now);
        bencher.iter(|| black_box(&verdict).to_json(&request));
    });
    criterion.bench_function("request and record to verdict", |bencher| {
        bencher.iter(|| {
            let request = Request::from_json(Verb::Validate, black_box(&body)).expect("a request");
            let license = License::from_json(black_box(&record)).expect("a record");
            decide(&license, &state, &request, now).to_json(&request)
        });
    });
}

criterion_group!(core, keys, domains, records, verdicts);
criterion_main!(core);
