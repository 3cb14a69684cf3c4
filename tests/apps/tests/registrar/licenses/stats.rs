//! Statistics: licences by status and expiry, validations by licence, day and code.

use serde_json::{Value, json};

use super::{issue, path, start};

#[test]
fn licences_are_counted_by_status_and_expiry() {
    let registrar = start();
    for end in ["2026-11-22T09:59:59Z", "2026-11-22T10:00:00Z", "2026-12-22T09:59:59Z", "2026-12-22T10:00:00Z"] {
        issue(&registrar, json!({ "expiresAt": end }));
    }
    let suspended = issue(&registrar, json!({ "expiresAt": "2026-01-01T00:00:00Z" }));
    registrar.post(&format!("{}/suspend", path(&suspended)), &json!({})).expect(200);
    let revoked = issue(&registrar, json!({}));
    registrar.world().is_store_down = true;
    registrar.post(&format!("{}/revoke", path(&revoked)), &json!({})).expect(200);
    registrar.advance(0);
    let stats = registrar.get("/api/v1/stats").expect(200);
    let expected = json!({ "active": 4, "suspended": 1, "revoked": 1, "expired": 2, "expiringIn30Days": 1, "notBegun": 0, "weakKeys": 0 });
    assert_eq!(stats["licenses"], expected);
    assert_eq!((&stats["products"], &stats["policies"]), (&json!(1), &json!(0)));
    assert_eq!(stats["outbox"], json!({ "depth": 1, "oldestSeconds": 0 }));
    registrar.advance(90);
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"]["oldestSeconds"], 90);
}

#[test]
fn validations_are_counted_by_licence_day_and_code() {
    let registrar = start();
    let (a, b) = ("lic_0123456789abcdefghjkmnpqrs", "lic_0123456789abcdefghjkmnpqrt");
    let count = |license: &str, day: &str, code: &str, count: u64| json!({ "license": license, "day": day, "code": code, "count": count });
    let add = |counts: Value, lost: u64| {
        registrar.post("/api/v1/stats/validations", &json!({ "counts": counts, "lost": lost }))
    };
    add(
        json!([
            count(a, "2026-11-21", "VALID", 3),
            count(a, "2026-11-22", "VALID", 2),
            count(a, "2026-11-22", "EXPIRED", 1)
        ]),
        4,
    )
    .expect(204);
    add(
        json!([
            count(a, "2026-11-22", "VALID", 5),
            count(b, "2026-11-22", "VALID", 7),
            count(b, "2026-11-22", "VALID", 1)
        ]),
        1,
    )
    .expect(204);
    let days = |query: &str| registrar.get(&format!("/api/v1/stats?{query}")).expect(200)["validations"].take();
    let all = json!({ "lost": 5, "days": [
        { "day": "2026-11-21", "codes": { "VALID": 3 } }, { "day": "2026-11-22", "codes": { "EXPIRED": 1, "VALID": 15 } }] });
    assert_eq!(days(""), all);
    let of_b = json!([{ "day": "2026-11-22", "codes": { "VALID": 8 } }]);
    assert_eq!(days(&format!("license={b}"))["days"], of_b);
    assert_eq!(days("until=2026-11-21")["days"].as_array().unwrap().len(), 1);
    assert_eq!(days("since=2026-11-22")["days"][0]["codes"]["VALID"], 15);
    assert_eq!(days("since=2026-11-23&until=2026-12-01"), json!({ "lost": 0, "days": [] }));

    // A retried report counts once.
    let asking = registrar.request("POST", "/api/v1/stats/validations").header("idempotency-key", "1");
    let asking = asking.json(&json!({ "counts": [count(a, "2026-11-22", "VALID", 100)] }));
    asking.send().expect(204);
    asking.send().expect(204);
    assert_eq!(days("since=2026-11-22")["days"][0]["codes"]["VALID"], 115);

    // Counts are deleted after 400 days.
    registrar.advance(400 * 86_400);
    add(json!([]), 0).expect(204);
    assert_eq!(days("since=2026-11-01&until=2026-12-01")["days"].as_array().unwrap().len(), 1);

    let right = count(a, "2026-11-22", "VALID", 1);
    for (wrong, field) in [
        (json!([count("lic_1", "2026-11-22", "VALID", 1)]), "counts[0].license"),
        (json!([right, count(a, "2026-11-22T00:00:00Z", "VALID", 1)]), "counts[1].day"),
        (json!([count(a, "2026-02-30", "VALID", 1)]), "counts[0].day"),
        (json!([count(a, "2026-11-22", "valid", 1)]), "counts[0].code"),
        (json!([count(a, "2026-11-22", "VALID", 0)]), "counts[0].count"),
        (json!([{ "license": a, "day": "2026-11-22", "code": "VALID" }]), "counts[0].count"),
        (json!([{ "license": a, "day": "2026-11-22", "code": "VALID", "count": 1, "more": 1 }]), "counts[0].more"),
        (json!(["VALID"]), "counts[0]"),
        (json!(vec![count(a, "2026-11-22", "VALID", 1); 501]), "counts"),
        (json!({}), "counts"),
    ] {
        assert_eq!(add(wrong, 0).problem(400, "INVALID_REQUEST")["field"], field);
    }
    assert_eq!(registrar.get("/api/v1/stats?since=yesterday").problem(400, "INVALID_REQUEST")["field"], "since");
}
