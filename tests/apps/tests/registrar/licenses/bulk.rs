//! Imports and exports: good and bad lines, keys of other systems, and the round trip.

use serde_json::{Value, json};

use super::{code, issue, path, policy, start};
use countersign_app_tests::{Answer, Registrar};

const NDJSON: &str = "application/x-ndjson";
const CSV: &str = "text/csv";

fn import(registrar: &Registrar, query: &str, media_type: &str, body: &str) -> Answer {
    registrar.request("POST", &format!("/api/v1/licenses/import{query}")).body(media_type, body.as_bytes()).send()
}

/// The failed lines: number, code and field of each.
fn errors(report: &Value) -> Vec<String> {
    let error = |error: &Value| {
        format!("{} {} {}", error["line"], error["code"].as_str().unwrap(), error["field"].as_str().unwrap_or("-"))
    };
    report["errors"].as_array().unwrap().iter().map(error).collect()
}

#[test]
fn a_bad_line_changes_nothing_else() {
    let registrar = start();
    issue(&registrar, json!({ "key": "a key that is there already" }));
    let body = r#"{"product":"acme","plan":"pro","key":"an old key of somebody's","owner":"jane","issuedAt":"2020-01-01T00:00:00Z"}
{"product":"acme","plan":"pro","keyHash":"AB00000000000000000000000000000000000000000000000000000000000001","hint":"7QK2","status":"suspended"}

{"product":"acme","plan":"pro"}
{"product":"acme"
{"product":"none","plan":"pro"}
{"product":"acme","plan":"pro","key":"an old key of somebody's"}
{"product":"acme","plan":"pro","key":"a key that is there already"}
{"product":"acme","plan":"pro","key":"x","keyHash":"0000000000000000000000000000000000000000000000000000000000000002"}
{"product":"acme","plan":"pro","id":"lic_0123456789abcdefghjkmnpqrs","generation":7,"createdAt":"2019-01-01T00:00:00Z"}
{"product":"acme","plan":"pro","id":"lic_0123456789abcdefghjkmnpqrs"}
{"product":"acme","plan":"pro","generation":0}
{"product":"acme","plan":"pro","more":1}
{"product":"acme","plan":"pro","plan":"pro"}
{"product":"acme","plan":"pro","domains":["co.uk"]}
[]"#;
    let expected = [
        "14 INVALID_REQUEST -",
        "15 UNPROCESSABLE product",
        "16 KEY_TAKEN -",
        "17 KEY_TAKEN -",
        "18 INVALID_REQUEST keyHash",
        "20 CONFLICT -",
        "21 INVALID_REQUEST generation",
        "22 INVALID_REQUEST more",
        "23 INVALID_REQUEST plan",
        "24 INVALID_REQUEST domains[0]",
        "25 INVALID_REQUEST -",
    ];
    let before = registrar.world().entries.len();
    let dry = import(&registrar, "?dryRun=true&firstLine=10", NDJSON, body).expect(200);
    assert_eq!((&dry["imported"], &dry["failed"], &dry["dryRun"]), (&json!(4), &json!(11), &json!(true)));
    assert_eq!(errors(&dry), expected);
    assert!(dry["results"].as_array().unwrap().iter().all(|result| result.get("key").is_none()));
    assert_eq!(registrar.world().entries.len(), before);

    let report = import(&registrar, "?firstLine=10", NDJSON, body).expect(200);
    assert_eq!((&report["imported"], &report["failed"], &report["dryRun"]), (&json!(4), &json!(11), &json!(false)));
    assert_eq!(report["propagated"], true);
    assert_eq!(errors(&report), expected);
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|result| result["line"].as_i64().unwrap()).collect::<Vec<_>>(), [10, 11, 13, 19]);
    assert!(results[0].get("key").is_none() && results[1].get("key").is_none());
    assert_eq!(code(&registrar, &json!("an old key of somebody's")), "VALID");
    assert_eq!(code(&registrar, &results[2]["key"]), "VALID");
    assert_eq!(registrar.get(&path(&results[0])).expect(200)["issuedAt"], "2020-01-01T00:00:00Z");
    let second = registrar.get(&path(&results[1])).expect(200);
    assert_eq!((&second["hint"], &second["status"]), (&json!("7QK2"), &json!("suspended")));
    let last = registrar.get(&path(&results[3])).expect(200);
    assert_eq!((&last["id"], &last["generation"]), (&json!("lic_0123456789abcdefghjkmnpqrs"), &json!(7)));
    assert_eq!(last["createdAt"], "2019-01-01T00:00:00Z");
    let events = registrar.get("/api/v1/events?action=license.imported").expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 4);

    let again = import(&registrar, "", NDJSON, body).expect(200);
    assert_eq!(again["imported"], 1, "only the line without key and id makes another licence");
}

#[test]
fn a_csv_table_is_imported() {
    let registrar = start();
    let policy = policy(&registrar, json!({ "plan": "pro", "durationSeconds": 60 }));
    let body = "key,policy,owner,domains,features,metadata.order,expiresAt,activation.per,activation.limit\r\n\
        first-key-of-somebody,POLICY,\"Doe, Jane\",example.com;*.example.org,a;b,17,,machine,3\r\n\
        \r\n\
        second-key-of-somebody,POLICY,\"two\r\nlines\",,,,null,,\r\n\
        third-key-of-somebody,POLICY,joe,,,,null,,\r\n\
        too,few\r\n\
        fourth-key-of-somebody,POLICY,null,,,,2030-01-01T00:00:00Z,,many\r\n";
    let report = import(&registrar, "", CSV, &body.replace("POLICY", policy["id"].as_str().unwrap())).expect(200);
    assert_eq!(
        errors(&report),
        ["4 INVALID_REQUEST owner", "7 INVALID_REQUEST -", "8 INVALID_REQUEST activation.limit"]
    );
    let results = report["results"].as_array().unwrap();
    assert_eq!((&results[0]["line"], &results[1]["line"]), (&json!(2), &json!(6)));
    let first = registrar.get(&path(&results[0])).expect(200);
    assert_eq!((&first["owner"], &first["expiresAt"]), (&json!("Doe, Jane"), &json!("2026-11-22T10:01:00Z")));
    assert_eq!((&first["domains"], &first["features"]), (&json!(["example.com", "*.example.org"]), &json!(["a", "b"])));
    assert_eq!((&first["metadata"], &first["activation"]["limit"]), (&json!({ "order": "17" }), &json!(3)));
    assert!(registrar.get(&path(&results[1])).expect(200).get("expiresAt").is_none());
}

#[test]
fn a_malformed_import_is_refused_as_a_whole() {
    let registrar = start();
    import(&registrar, "", "application/json", "{}").problem(415, "UNSUPPORTED_MEDIA_TYPE");
    import(&registrar, "?dryRun=yes", NDJSON, "").problem(400, "INVALID_REQUEST");
    import(&registrar, "?firstLine=-1", NDJSON, "").problem(400, "INVALID_REQUEST");
    import(&registrar, "", NDJSON, &"{}\n".repeat(501)).problem(400, "INVALID_REQUEST");
    import(&registrar, "", CSV, "key,key\n").problem(400, "INVALID_REQUEST");
    assert_eq!(import(&registrar, "", NDJSON, "").expect(200)["imported"], 0);
    assert_eq!(import(&registrar, "", CSV, "").expect(200)["imported"], 0);
}

#[test]
fn a_full_import_is_idempotent() {
    let registrar = start();
    let body: String = (0..500)
        .map(|n| format!("{{\"product\":\"acme\",\"plan\":\"pro\",\"key\":\"key number {n} of many\"}}\n"))
        .collect();
    let asking = registrar
        .request("POST", "/api/v1/licenses/import")
        .body(NDJSON, body.as_bytes())
        .header("idempotency-key", "once");
    let report = asking.send().expect(200);
    assert_eq!((&report["imported"], &report["propagated"]), (&json!(500), &json!(true)));
    let again = asking.send();
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.expect(200), report);
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["licenses"]["active"], 500);
}

/// Licences of every status and two products, with every term among them.
fn varied() -> Registrar {
    let registrar = start();
    registrar.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
    issue(&registrar, json!({}));
    issue(
        &registrar,
        json!({ "owner": "null", "metadata": { "a": "x\n\"y\",;z", "b": "" }, "features": ["a;b", "c d", "[x"], "domains": ["[::1]", "example.com"],
            "notBefore": "2026-01-01T00:00:00Z", "expiresAt": "2027-01-01T00:00:00Z", "graceSeconds": 5, "expiryStrategy": "maintain",
            "versions": { "from": "1.0", "below": "2" }, "requires": ["product", "version"], "maxDomains": 4,
            "activation": { "per": "machine", "limit": 5, "overage": "150%", "match": "most", "leaseSeconds": 60, "reviveSeconds": 9 },
            "allowances": [{ "name": "n", "limit": 1, "period": "month", "overage": "always" }] }),
    );
    let later = json!({ "product": "other", "expiryBasis": "first-activation", "durationSeconds": 60, "activation": { "per": "user", "limit": 1 } });
    issue(&registrar, later);
    let suspended = issue(&registrar, json!({ "key": "another system's key, no. 9" }));
    registrar.post(&format!("{}/suspend", path(&suspended)), &json!({})).expect(200);
    let revoked = issue(&registrar, json!({}));
    registrar.post(&format!("{}/revoke", path(&revoked)), &json!({})).expect(200);
    registrar
}

fn export(registrar: &Registrar, format: &str) -> Vec<String> {
    let mut target = format!("/api/v1/licenses/export?format={format}&limit=2");
    let mut pages = Vec::new();
    loop {
        let page = registrar.get(&target);
        assert_eq!(page.status, 200);
        assert!(page.header("content-type").unwrap().starts_with(if format == "csv" { CSV } else { NDJSON }));
        pages.push(String::from_utf8(page.bytes.clone()).unwrap());
        match page.header("link") {
            Some(link) => target = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned(),
            None => return pages,
        }
    }
}

#[test]
fn an_export_can_be_imported_into_another_registrar_unchanged() {
    let from = varied();
    for (format, media_type) in [("ndjson", NDJSON), ("csv", CSV)] {
        let pages = export(&from, format);
        assert_eq!(pages.len(), 3);
        let to = start();
        to.post("/api/v1/products", &json!({ "code": "other" })).expect(201);
        for page in &pages {
            let report = import(&to, "", media_type, page).expect(200);
            assert_eq!((&report["failed"], &report["propagated"]), (&json!(0), &json!(true)), "{report}");
            assert!(report["results"].as_array().unwrap().iter().all(|result| result.get("key").is_none()));
        }
        let records = |registrar: &Registrar| {
            let world = registrar.world();
            world.licenses().map(|(key, entry)| (key.clone(), entry.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(records(&to), records(&from), "{format}");
        let shown = |registrar: &Registrar| {
            let mut items = registrar.get("/api/v1/licenses").expect(200)["items"].take();
            for item in items.as_array_mut().unwrap() {
                item.as_object_mut().unwrap().retain(|name, _| !["updatedAt", "revision"].contains(&name.as_str()));
            }
            items
        };
        assert_eq!(shown(&to), shown(&from), "{format}");
        let again = export(&to, format).concat();
        assert!(!again.contains("another system's key"));
    }
}

#[test]
fn an_export_does_not_depend_on_its_policy() {
    let registrar = start();
    let policy = policy(&registrar, json!({ "plan": "pro" }));
    let made = registrar.post("/api/v1/licenses", &json!({ "policy": policy["id"] })).expect(201);
    let pages = ["ndjson", "csv"].map(|format| export(&registrar, format).concat());
    let terms = json!({ "features": ["new"], "durationSeconds": 60, "maxDomains": 1, "graceSeconds": 5, "versions": { "below": "2" },
        "activation": { "per": "machine", "limit": 1 }, "allowances": [{ "name": "n", "limit": 1 }], "requires": ["version"] });
    registrar.patch(&format!("/api/v1/policies/{}", policy["id"].as_str().unwrap()), &terms).expect(200);
    for (page, (media_type, key)) in pages.into_iter().zip([(NDJSON, "1"), (CSV, "2")]) {
        // The same line with another id and another key's hash: a copy.
        let id = made["id"].as_str().unwrap();
        let other = format!("{}{key}", &id[..id.len() - 1]);
        let hash = key.repeat(64);
        let page = page.replace(id, &other);
        let mut known = String::new();
        for part in page.split(['"', ',']) {
            if part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                known = part.to_owned();
            }
        }
        let report = import(&registrar, "", media_type, &page.replace(&known, &hash)).expect(200);
        assert_eq!(report["imported"], 1, "{report}");
        let mut copy = registrar.get(&format!("/api/v1/licenses/{other}")).expect(200);
        copy["id"] = made["id"].clone();
        let expected = registrar.get(&path(&made)).expect(200);
        assert_eq!(copy, expected);
    }
}

#[test]
fn an_export_is_filtered_and_for_admins_only() {
    let registrar = varied();
    let lines = |query: &str| {
        let answer = registrar.get(&format!("/api/v1/licenses/export?{query}"));
        assert_eq!(answer.status, 200, "{query}");
        answer.bytes.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!(lines(""), 5);
    assert_eq!(lines("format=csv"), 6);
    assert_eq!(lines("status=revoked"), 1);
    assert_eq!(lines("product=other"), 1);
    registrar.get("/api/v1/licenses/export?format=xml").problem(400, "INVALID_REQUEST");
    let issuer = registrar.token("issuer");
    registrar.anonymous("GET", "/api/v1/licenses/export").token(&issuer).send().problem(403, "FORBIDDEN");
}

#[test]
fn a_generation_stays_within_what_every_reader_of_json_takes() {
    let registrar = start();
    let line = |generation: u64| json!({ "product": "acme", "plan": "pro", "generation": generation }).to_string();
    for refused in [(1 << 52) + 1, (1 << 53) - 1, 1 << 53, u64::MAX] {
        let report = import(&registrar, "", NDJSON, &line(refused)).expect(200);
        assert_eq!(errors(&report), ["1 INVALID_REQUEST generation"], "{refused}");
    }
    let report = import(&registrar, "", NDJSON, &line(1 << 52)).expect(200);
    let imported = report["results"][0].clone();
    registrar.post(&format!("{}/suspend", path(&imported)), &json!({})).expect(200);
    assert_eq!(registrar.get(&path(&imported)).expect(200)["generation"], (1_u64 << 52) + 1);
    // What is exported can be imported, however often it was changed.
    let exported = String::from_utf8(registrar.get("/api/v1/licenses/export").bytes).unwrap();
    let other = start();
    assert_eq!(import(&other, "", NDJSON, &exported).expect(200)["imported"], 1);

    // At its end a change is refused.
    let at_end = "UPDATE licenses SET record = json_set(record, '$.generation', 9007199254740991)";
    other.database().execute(at_end, []).unwrap();
    let at = |verb: &str| other.post(&format!("{}{verb}", path(&imported)), &json!({}));
    for verb in ["/resume", "/revoke", "/rotate-key"] {
        at(verb).problem(409, "CONFLICT");
    }
    other.delete(&path(&imported)).problem(409, "CONFLICT");
    let shown = other.get(&path(&imported)).expect(200);
    assert_eq!((&shown["generation"], &shown["status"]), (&json!(9_007_199_254_740_991_u64), &json!("suspended")));
    // What only the vendor knows is in no record, and can still be changed.
    other.patch(&path(&imported), &json!({ "owner": "jane" })).expect(200);
}
