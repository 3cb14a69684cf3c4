//! A database that an earlier version wrote is migrated, and all that is in it works.

use countersign::audit::{BEGINNING, link};
use countersign::hash::sha256;
use countersign::key;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::audit::{events, faults, first_fault};
use countersign_app_tests::Registrar;

const MIGRATIONS: [&str; 5] = [
    include_str!("../../../../components/apps/registrar/migrations/0001.sql"),
    include_str!("../../../../components/apps/registrar/migrations/0002.sql"),
    include_str!("../../../../components/apps/registrar/migrations/0003.sql"),
    include_str!("../../../../components/apps/registrar/migrations/0004.sql"),
    include_str!("../../../../components/apps/registrar/migrations/0005.sql"),
];

const POLICY: &str = "pol_00000000000000000000000001";
const SEATED: &str = "lic_00000000000000000000000001";
const ROTATED: &str = "lic_00000000000000000000000002";
const DELETED: &str = "lic_00000000000000000000000003";
const TOKEN: &str = "cst_00000000000000000000000001_00000000000000000000000000000000";

/// 2026-11-20T10:00:00Z, two days before the tests begin.
const THEN: i64 = 1_795_168_800;
const THEN_TEXT: &str = "2026-11-20T10:00:00Z";

/// The keys of the licences: the one with seats, the rotated one before and after, the deleted one.
const KEYS: [&str; 4] =
    ["the key of a licence with seats", "a key before its rotation", "a key after its rotation", "a key of the past"];

/// The key's hash, as in the table `keys`.
fn hash(key: &str) -> String {
    key::read(key).unwrap().store_key().trim_start_matches("license:").to_owned()
}

/// A licence's record as the first version wrote it, without the members that came later.
fn record(id: &str, generation: u64, status: &str, terms: Value) -> Value {
    let mut record = json!({
        "format": 1, "generation": generation, "id": id, "product": "acme", "status": status, "plan": "pro",
        "issuedAt": THEN_TEXT, "expiryStrategy": "restrict", "graceSeconds": 0, "features": [], "domains": [],
        "requires": [],
    });
    extend(&mut record, terms);
    record
}

/// The licence as events of the first version show it.
fn view(record: &Value, revision: u64, more: Value) -> Value {
    let mut view = record.clone();
    view.as_object_mut().unwrap().remove("format");
    extend(&mut view, json!({ "metadata": {}, "createdAt": THEN_TEXT, "updatedAt": THEN_TEXT, "revision": revision }));
    extend(&mut view, more);
    view
}

fn extend(object: &mut Value, more: Value) {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
}

/// The database under construction, with the end of its chain.
struct Old {
    database: Connection,
    number: i64,
    previous: [u8; 32],
}

impl Old {
    fn run(&self, sql: &str, parameters: impl rusqlite::Params) {
        self.database.execute(sql, parameters).unwrap();
    }

    /// Appends an event, hashed with all that it contains, as before the third migration.
    fn event(&mut self, action: &str, subject: &str, before: &Value, after: &Value) {
        self.number += 1;
        let id = format!("evt_{:026}", self.number);
        let event = json!({
            "number": self.number, "id": id, "at": THEN_TEXT, "actor": "operator", "action": action,
            "subject": subject, "requestId": "req_1", "before": before, "after": after,
        });
        let hash = link(&self.previous, &event);
        let [before, after] = [before, after].map(|state| (!state.is_null()).then(|| state.to_string()));
        self.run(
            "INSERT INTO events (number, id, at, actor, action, subject, request_id, before, after, previous, hash)
             VALUES (?1, ?2, ?3, 'operator', ?4, ?5, 'req_1', ?6, ?7, ?8, ?9)",
            (self.number, &id, THEN, action, subject, before, after, self.previous, hash),
        );
        self.run("UPDATE chain SET number = ?1, hash = ?2", (self.number, hash));
        self.previous = hash;
    }

    /// Inserts a licence as it is now, with the terms by which it is found.
    fn licence(&self, key: &str, record: &Value, view: &Value) {
        let id = record["id"].as_str().unwrap();
        self.run(
            "INSERT INTO licenses (id, key_hash, record, policy, owner, metadata, created_at, updated_at, revision,
                 product, status, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, 'acme', ?9, unixepoch(?10))",
            (
                id,
                hash(key),
                record.to_string(),
                view["policy"].as_str(),
                view["owner"].as_str(),
                view["metadata"].to_string(),
                THEN,
                view["revision"].as_i64(),
                record["status"].as_str(),
                record["expiresAt"].as_str(),
            ),
        );
        self.run("INSERT INTO keys (hash, license) VALUES (?1, ?2)", (hash(key), id));
        let term = "INSERT INTO license_terms SELECT ?1, ?2, number FROM licenses WHERE id = ?3";
        for domain in record["domains"].as_array().unwrap() {
            self.run(term, ("domain", domain.as_str(), id));
        }
        if let Some(owner) = view["owner"].as_str() {
            self.run(term, ("search", owner.to_lowercase(), id));
        }
    }
}

/// A registrar whose database the first `version` migrations made, and the code of their time
/// filled. The store has all records but the last one.
fn written_by(version: i64) -> Registrar {
    let registrar = Registrar::start();
    let database = registrar.database();
    for migration in &MIGRATIONS[..version as usize] {
        database.execute_batch(migration).unwrap();
    }
    database.execute("INSERT INTO schema (version) VALUES (?1)", [version]).unwrap();
    let mut old = Old { database, number: 0, previous: BEGINNING };

    let product = json!({
        "code": "acme", "keyPrefix": "ACME", "metadata": {}, "name": "Acme", "createdAt": THEN_TEXT,
        "updatedAt": THEN_TEXT, "revision": 1,
    });
    old.run("INSERT INTO products VALUES (1, 'acme', 'Acme', 'ACME', '{}', ?1, ?1, 1)", [THEN]);
    old.event("product.created", "acme", &Value::Null, &product);

    let seats = json!({ "per": "machine", "limit": 2, "overage": "none", "match": "all", "reviveSeconds": 0 });
    let allowance = json!([{ "name": "exports", "limit": 10, "period": "total", "overage": "none" }]);
    let terms = json!({
        "plan": "pro", "features": ["export"], "requires": [], "expiryBasis": "issue", "durationSeconds": 86_400_000,
        "expiryStrategy": "restrict", "graceSeconds": 0, "activation": seats, "allowances": allowance,
    });
    let mut policy = terms.clone();
    extend(
        &mut policy,
        json!({
            "id": POLICY, "product": "acme", "name": "a policy", "createdAt": THEN_TEXT, "updatedAt": THEN_TEXT,
            "revision": 1,
        }),
    );
    old.run(
        "INSERT INTO policies VALUES (1, ?1, 'acme', 'a policy', ?2, ?3, ?3, 1)",
        (POLICY, terms.to_string(), THEN),
    );
    old.event("policy.created", POLICY, &Value::Null, &policy);

    let terms = json!({
        "features": ["export"], "domains": ["example.com"], "activation": seats, "allowances": allowance,
        "expiresAt": "2029-08-16T10:00:00Z",
    });
    let personal = json!({ "policy": POLICY, "owner": "Jane Doe", "metadata": { "order": "17" } });
    let first = record(SEATED, 1, "active", json!({ "features": ["export"] }));
    let seated = record(SEATED, 2, "active", terms);
    let [before, after] = [view(&first, 1, json!({ "owner": "Jane Doe" })), view(&seated, 2, personal)];
    old.event("license.created", SEATED, &Value::Null, &before);
    old.licence(KEYS[0], &seated, &after);
    old.event("license.updated", SEATED, &before, &after);

    let [first, second, third] =
        [(1, "active"), (2, "suspended"), (3, "suspended")].map(|(n, status)| record(ROTATED, n, status, json!({})));
    let [created, suspended, rotated] =
        [(&first, 1), (&second, 2), (&third, 3)].map(|(record, revision)| view(record, revision, json!({})));
    old.event("license.created", ROTATED, &Value::Null, &created);
    old.event("license.suspended", ROTATED, &created, &suspended);
    old.licence(KEYS[2], &third, &rotated);
    let retired = record(ROTATED, 3, "revoked", json!({}));
    old.run("INSERT INTO keys VALUES (?1, ?2, ?3)", (hash(KEYS[1]), ROTATED, retired.to_string()));
    old.event("license.key-rotated", ROTATED, &suspended, &rotated);

    let first = record(DELETED, 1, "active", json!({}));
    let created = view(&first, 1, json!({ "owner": "joe" }));
    old.event("license.created", DELETED, &Value::Null, &created);
    let tombstone = record(DELETED, 2, "revoked", json!({}));
    old.run("INSERT INTO keys VALUES (?1, ?2, ?3)", (hash(KEYS[3]), DELETED, tombstone.to_string()));
    old.event("license.deleted", DELETED, &created, &Value::Null);

    let token = json!({
        "id": "tok_00000000000000000000000001", "name": "shop", "role": "admin", "createdAt": THEN_TEXT,
    });
    old.run(
        "INSERT INTO tokens (id, hash, name, role, created_at, revision) VALUES (?1, ?2, 'shop', 'admin', ?3, 1)",
        (token["id"].as_str(), sha256([TOKEN.as_bytes()]), THEN),
    );
    old.event("token.created", token["id"].as_str().unwrap(), &Value::Null, &token);

    old.run("INSERT INTO operations VALUES (x'01', x'02', x'03', NULL, ?1)", [THEN]);
    old.run("INSERT INTO refusals VALUES ('192.0.2.9', 3, ?1)", [THEN]);
    old.run("INSERT INTO validations VALUES ('', ?1 / 86400, 'VALID', 7)", [THEN]);
    old.run("INSERT INTO losses VALUES (?1 / 86400, 2)", [THEN]);
    old.run(
        "INSERT INTO outbox (change, license, key, generation, record, queued_at) VALUES (x'01', ?1, ?2, 3, ?3, ?4)",
        (ROTATED, format!("license:{}", hash(KEYS[2])), third.to_string(), THEN),
    );
    if version == 2 {
        old.run("UPDATE licenses SET owner_folded = lower(owner), index_version = 1", ());
        old.run("INSERT INTO license_terms SELECT 'search', 'doe', number FROM licenses WHERE owner IS NOT NULL", ());
    }
    for (key, record) in KEYS.into_iter().zip([seated, retired, Value::Null, tombstone]) {
        if !record.is_null() {
            let value = record.to_string().into_bytes();
            registrar.world().write(&format!("license:{}", hash(key)), value);
        }
    }
    registrar
}

fn code(registrar: &Registrar, key: &str) -> Value {
    let body = json!({ "key": key, "domain": "example.com", "fingerprint": "m1" });
    registrar.holder("activate", &body)["code"].clone()
}

/// The ids of the licences that a query finds.
fn found(registrar: &Registrar, query: &str) -> Vec<Value> {
    let page = registrar.get(&format!("/api/v1/licenses?{query}")).expect(200);
    page["items"].as_array().unwrap().iter().map(|licence| licence["id"].clone()).collect()
}

#[test]
fn the_audit_verifies_what_an_earlier_version_wrote() {
    for version in [1, 2] {
        let registrar = written_by(version);
        for limit in [500, 2] {
            assert_eq!(faults(&registrar, limit), [], "version {version}");
        }
        assert_eq!(first_fault(&registrar), None, "version {version}");
        let migrated = "SELECT version FROM schema";
        let migrated: i64 = registrar.database().query_row(migrated, [], |row| row.get(0)).unwrap();
        assert_eq!(migrated, MIGRATIONS.len() as i64);
        let licence = registrar.get(&format!("/api/v1/licenses/{SEATED}")).expect(200);
        let last = events(&registrar, 100).0.into_iter().rfind(|event| event["subject"] == SEATED).unwrap();
        assert_eq!(last["after"], licence, "version {version}");
    }
}

#[test]
fn what_an_earlier_version_wrote_is_listed_and_found() {
    for version in [1, 2] {
        let registrar = written_by(version);
        assert_eq!(found(&registrar, ""), [SEATED, ROTATED], "version {version}");
        for query in ["owner=Jane+Doe", "owner=jane+doe", "search=jane", "domain=example.com", "status=active"] {
            assert_eq!(found(&registrar, query), [SEATED], "version {version}: {query}");
        }
        registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
        assert_eq!(found(&registrar, "search=doe"), [SEATED], "version {version}");
        assert_eq!(found(&registrar, "status=suspended"), [ROTATED], "version {version}");
        assert_eq!(registrar.get("/api/v1/policies").expect(200)["items"][0]["plan"], "pro");
        assert_eq!(registrar.get("/api/v1/products").expect(200)["items"][0]["name"], "Acme");
        assert_eq!(registrar.get("/api/v1/tokens").expect(200)["items"][0]["name"], "shop");
        let stats = registrar.get("/api/v1/stats").expect(200);
        assert_eq!(stats["outbox"]["depth"], 0, "version {version}: {stats}");
        let export = registrar.get("/api/v1/licenses/export").bytes;
        assert_eq!(export.iter().filter(|byte| **byte == b'\n').count(), 2, "version {version}");
        // The store has what waited in the outbox.
        assert_eq!(KEYS.map(|key| code(&registrar, key)), ["VALID", "REVOKED", "SUSPENDED", "REVOKED"]);
        assert_eq!(faults(&registrar, 500), [], "version {version}");
    }
}

#[test]
fn what_an_earlier_version_wrote_can_be_changed() {
    for version in [1, 2] {
        let registrar = written_by(version);
        let send = |method: &str, path: &str, body: Value| {
            registrar.request(method, &format!("/api/v1/{path}")).token(TOKEN).json(&body).send()
        };
        let licence = |verb: &str| format!("licenses/{SEATED}{verb}");
        let issued = send("POST", "licenses", json!({ "policy": POLICY, "owner": "Jane Doe" })).expect(201);
        assert_eq!(issued["activation"]["limit"], 2);
        assert_eq!(send("PATCH", &licence(""), json!({ "maxDomains": 3 })).expect(200)["propagated"], true);
        send("POST", &licence("/renew"), json!({ "expiresAt": "2030-01-01T00:00:00Z" })).expect(200);
        assert_eq!(code(&registrar, KEYS[0]), "VALID");
        send("POST", &licence("/suspend"), json!({})).expect(200);
        assert_eq!(code(&registrar, KEYS[0]), "SUSPENDED");
        let resumed = send("POST", &format!("licenses/{ROTATED}/resume"), json!({})).expect(200);
        assert_eq!((&resumed["propagated"], code(&registrar, KEYS[2])), (&json!(true), json!("VALID")));
        registrar.patch(&format!("/api/v1/policies/{POLICY}"), &json!({ "graceSeconds": 7 })).expect(200);
        let taken = json!({ "product": "acme", "plan": "pro", "key": KEYS[3] });
        registrar.post("/api/v1/licenses", &taken).problem(409, "KEY_TAKEN");

        let forgotten = registrar.post("/api/v1/owners/forget", &json!({ "owner": "jane doe" })).expect(200);
        assert_eq!(forgotten["licenses"], 2, "version {version}: {forgotten}");
        for text in ["Jane", "order"] {
            let (all, _) = events(&registrar, 100);
            assert!(!all.iter().any(|event| event["subject"] == SEATED && event.to_string().contains(text)), "{text}");
        }
        registrar.delete(&format!("/api/v1/licenses/{ROTATED}")).expect(204);
        assert_eq!(code(&registrar, KEYS[2]), "REVOKED");
        for limit in [500, 2] {
            assert_eq!(faults(&registrar, limit), [], "version {version}");
        }
        assert_eq!(first_fault(&registrar), None, "version {version}");
    }
}
