//! Seats and usage, as a vendor manages them without the holder's key.

use serde_json::{Value, json};

use super::{issue, path, start};
use countersign_app_tests::{Fault, Registrar};

/// A licence whose seats count `per`, and which has ten credits.
fn licence(registrar: &Registrar, per: &str, more: Value) -> Value {
    let mut fields = json!({
        "activation": { "per": per, "limit": 3, "leaseSeconds": 3_600 },
        "allowances": [{ "name": "credits", "limit": 10, "period": "month" }],
    });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    issue(registrar, fields)
}

/// Sends a holder's request, and returns the verdict's code.
fn holder(registrar: &Registrar, verb: &str, licence: &Value, more: Value) -> String {
    let mut request = json!({ "key": licence["key"] });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    registrar.holder(verb, &request)["code"].as_str().unwrap_or("none").to_owned()
}

fn state(registrar: &Registrar, licence: &Value) -> Value {
    registrar.get(&format!("{}/activations", path(licence))).expect(200)
}

fn count(registrar: &Registrar, licence: &Value) -> usize {
    state(registrar, licence)["activations"].as_array().unwrap().len()
}

#[test]
fn a_vendor_sees_who_holds_the_seats_and_since_when() {
    let registrar = start();
    let domains = json!({ "domains": ["example.com", "*.example.org"] });
    let licence = licence(&registrar, "domain", domains);
    for domain in ["www.example.com", "example.com", "shop.example.org"] {
        assert_eq!(holder(&registrar, "activate", &licence, json!({ "domain": domain })), "VALID");
        registrar.advance(60);
    }
    assert_eq!(holder(&registrar, "heartbeat", &licence, json!({ "domain": "example.com" })), "VALID");
    let seats = state(&registrar, &licence)["activations"].take();
    let shown = |at: usize| json!([seats[at]["domain"], seats[at]["activatedAt"], seats[at]["lastSeenAt"]]);
    assert_eq!(shown(0), json!(["www.example.com", "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"]));
    assert_eq!(shown(1), json!(["example.com", "2026-11-22T10:01:00Z", "2026-11-22T10:03:00Z"]));
    // A name that the licence does not have is not known: the state has only its hash.
    assert_eq!(shown(2), json!([null, "2026-11-22T10:02:00Z", "2026-11-22T10:02:00Z"]));
}

#[test]
fn a_vendor_releases_one_seat_those_of_a_holder_or_all() {
    let registrar = start();
    let licence = licence(&registrar, "machine", json!({}));
    let machine = |name: &str| json!({ "fingerprint": name });
    for name in ["laptop", "desktop", "server"] {
        assert_eq!(holder(&registrar, "activate", &licence, machine(name)), "VALID");
    }
    assert_eq!(holder(&registrar, "activate", &licence, machine("new")), "TOO_MANY_ACTIVATIONS");
    let id = state(&registrar, &licence)["activations"][0]["id"].as_str().unwrap().to_owned();
    let at = |rest: &str| format!("{}/activations{rest}", path(&licence));

    let released = registrar.delete(&at(&format!("/{id}"))).expect(200);
    assert_eq!((&released["released"][0]["id"], &released["propagated"]), (&json!(id), &json!(true)));
    assert_eq!(holder(&registrar, "validate", &licence, machine("laptop")), "NOT_ACTIVATED");
    assert_eq!(holder(&registrar, "activate", &licence, machine("new")), "VALID");
    // Again is not an error.
    assert_eq!(registrar.delete(&at(&format!("/{id}"))).expect(200)["released"], json!([]));

    let released = registrar.delete(&at("?fingerprint=desktop%20")).expect(200);
    assert_eq!(released["released"].as_array().unwrap().len(), 1);
    assert_eq!(registrar.delete(&at("?user=server")).expect(200)["released"], json!([]), "it counts machines");
    assert_eq!(count(&registrar, &licence), 2);
    assert_eq!(registrar.delete(&at("")).expect(200)["released"].as_array().unwrap().len(), 2);
    assert_eq!(count(&registrar, &licence), 0);

    let events = registrar
        .get(&format!("/api/v1/events?action=license.seats-released&subject={}", licence["id"].as_str().unwrap()));
    let events = events.expect(200)["items"].take();
    assert_eq!(events.as_array().unwrap().len(), 3);
    assert_eq!(events[0]["before"]["activations"][0]["id"], id);
    // The licence itself is as it was, and as its events say.
    assert_eq!(registrar.get(&path(&licence)).expect(200)["revision"], 1);
    for limit in [1, 500] {
        let mut target = format!("/api/v1/audit?limit={limit}");
        loop {
            let step = registrar.get(&target).expect(200);
            assert_eq!(step["faults"], json!([]));
            match step["next"].as_str() {
                Some(next) => target = format!("/api/v1/audit?limit={limit}&cursor={next}"),
                None => break,
            }
        }
    }
    for (target, field) in
        [("/act_1", None), ("?domain=a&user=b", None), ("?domain=https://a", Some("domain")), ("?x=1", Some("x"))]
    {
        let problem = registrar.delete(&at(target)).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"].as_str(), field, "{target}");
    }
}

#[test]
fn a_vendor_moves_a_seat_to_another_holder() {
    let registrar = start();
    let licence = licence(&registrar, "machine", json!({}));
    let machine = |name: &str| json!({ "fingerprint": name });
    for name in ["laptop", "desktop", "server"] {
        assert_eq!(holder(&registrar, "activate", &licence, machine(name)), "VALID");
    }
    let before = state(&registrar, &licence)["activations"].take();
    registrar.advance(60);
    let transfer = |from: Value, to: Value| {
        let target = format!("{}/activations/transfer", path(&licence));
        registrar.post(&target, &json!({ "from": from, "to": to }))
    };
    // The licence is full, and stays so.
    let moved = transfer(json!({ "activation": before[0]["id"] }), machine(" new\n")).expect(200);
    assert_eq!(moved["propagated"], true);
    let seats = state(&registrar, &licence)["activations"].take();
    assert_eq!(seats[0], moved["activation"]);
    assert_ne!(seats[0]["id"], before[0]["id"]);
    assert_eq!(seats[0]["activatedAt"], before[0]["activatedAt"]);
    assert_eq!(seats[0]["leaseEndsAt"], before[0]["leaseEndsAt"]);
    assert_eq!((&seats[1], &seats[2], seats.as_array().unwrap().len()), (&before[1], &before[2], 3));
    assert_eq!(holder(&registrar, "validate", &licence, machine("laptop")), "NOT_ACTIVATED");
    assert_eq!(holder(&registrar, "activate", &licence, machine("laptop")), "TOO_MANY_ACTIVATIONS");
    assert_eq!(holder(&registrar, "heartbeat", &licence, machine("new")), "VALID");

    // The same again, by the id and by the name, changes nothing.
    let again = transfer(json!({ "activation": before[0]["id"] }), machine("new")).expect(200);
    assert_eq!(again["activation"]["id"], seats[0]["id"]);
    transfer(machine("new"), machine("new")).expect(200);
    let events = registrar.get("/api/v1/events?action=license.seat-transferred").expect(200)["items"].take();
    assert_eq!(events.as_array().unwrap().len(), 1);
    let told = [&events[0]["before"]["id"], &events[0]["after"]["id"]];
    assert_eq!(told, [&before[0]["id"], &seats[0]["id"]]);
    assert_eq!(registrar.get("/api/v1/audit").expect(200)["faults"], json!([]));
    assert_eq!(registrar.get(&path(&licence)).expect(200)["revision"], 1);

    // To one of more parts, under whose name it is then found.
    transfer(machine("desktop"), json!({ "fingerprint": ["board", "disk"] })).expect(200);
    assert_eq!(holder(&registrar, "validate", &licence, json!({ "fingerprint": ["disk", "board"] })), "VALID");
    transfer(machine("board"), machine("desktop")).expect(200);

    transfer(machine("desktop"), machine("server")).problem(409, "CONFLICT");
    transfer(machine("nobody"), machine("another")).problem(404, "NOT_FOUND");
    transfer(json!({ "user": "desktop" }), machine("another")).problem(404, "NOT_FOUND");
    let problem = transfer(machine("desktop"), json!({ "user": "jane" })).problem(422, "UNPROCESSABLE");
    assert!(problem["detail"].as_str().unwrap().contains("`fingerprint`"), "{problem}");
    for (from, to, field) in [
        (json!({}), machine("a"), "from"),
        (json!({ "user": "a", "domain": "example.com" }), machine("a"), "from"),
        (json!({ "activation": "act_1" }), machine("a"), "from.activation"),
        (json!({ "name": "a" }), machine("a"), "from"),
        (machine("a"), json!({ "fingerprint": "b", "user": "b" }), "to"),
        (machine("a"), json!({ "fingerprint": [] }), "to.fingerprint"),
        (machine("a"), json!({ "fingerprint": 1 }), "to.fingerprint"),
        (machine("a"), json!({ "fingerprint": "b", "since": 1 }), "to.since"),
    ] {
        let problem = transfer(from, to).problem(400, "INVALID_REQUEST");
        assert_eq!(problem["field"], field, "{problem}");
    }
    let reader = registrar.token("reader");
    let asking = registrar.request("POST", &format!("{}/activations/transfer", path(&licence))).token(&reader);
    asking.json(&json!({ "from": machine("a"), "to": machine("b") })).send().problem(403, "FORBIDDEN");
    registrar.post(&format!("{}/revoke", path(&licence)), &json!({})).expect(200);
    transfer(machine("desktop"), machine("another")).problem(409, "REVOKED");
}

#[test]
fn a_seat_goes_to_no_holder_whom_the_licence_does_not_cover() {
    let registrar = start();
    let moved = |licence: &Value, from: Value, to: Value| {
        let target = format!("{}/activations/transfer", path(licence));
        registrar.post(&target, &json!({ "from": from, "to": to }))
    };
    let shops = json!({ "domains": ["example.com", "example.org"], "uncountedDomains": ["staging.*"] });
    let shops = licence(&registrar, "domain", shops);
    let domain = |name: &str| json!({ "domain": name });
    assert_eq!(holder(&registrar, "activate", &shops, domain("example.com")), "VALID");
    for other in ["example.net", "staging.example.org"] {
        let problem = moved(&shops, domain("example.com"), domain(other)).problem(422, "UNPROCESSABLE");
        assert_eq!(problem["field"], "to.domain", "{other}");
    }
    let answer = moved(&shops, domain("EXAMPLE.com."), domain("Example.ORG")).expect(200);
    assert_eq!(answer["activation"]["domain"], "example.org");

    let team = licence(&registrar, "user", json!({ "users": ["ada", "bob"] }));
    let user = |name: &str| json!({ "user": name });
    assert_eq!(holder(&registrar, "activate", &team, user("ada")), "VALID");
    assert_eq!(moved(&team, user("ada"), user("eve")).problem(422, "UNPROCESSABLE")["field"], "to.user");
    moved(&team, user("ada"), user("bob")).expect(200);
    assert_eq!(holder(&registrar, "validate", &team, user("bob")), "VALID");

    let parts = json!({ "activation": { "per": "machine", "limit": 3, "match": "two" } });
    let parts = issue(&registrar, parts);
    for disk in ["disk-1", "disk-2"] {
        let machine = json!({ "fingerprint": ["board", disk] });
        assert_eq!(holder(&registrar, "activate", &parts, machine), "VALID");
    }
    moved(&parts, json!({ "fingerprint": "board" }), json!({ "fingerprint": "new" })).problem(409, "CONFLICT");
    moved(&issue(&registrar, json!({})), user("a"), user("b")).problem(422, "UNPROCESSABLE");
}

/// The seat moves once, whenever the store answers again, and never makes two of one.
#[test]
fn a_seat_moves_once_however_the_store_fails() {
    let registrar = start();
    let licence = licence(&registrar, "machine", json!({}));
    let machine = |name: &str| json!({ "fingerprint": name });
    for name in ["laptop", "desktop"] {
        holder(&registrar, "activate", &licence, machine(name));
    }
    let transfer = |from: &str, to: &str, key: &str| {
        let target = format!("{}/activations/transfer", path(&licence));
        let request = registrar.request("POST", &target).header("idempotency-key", key);
        request.json(&json!({ "from": machine(from), "to": machine(to) })).send()
    };
    registrar.world().store_faults = [None, Some(Fault::NotMade)].into();
    let first = transfer("laptop", "new", "one").expect(200);
    assert_eq!(first["propagated"], false);
    registrar.world().store_faults.clear();
    // The new holder takes a seat of its own before the wish arrives: it has that one then.
    assert_eq!(holder(&registrar, "activate", &licence, machine("new")), "VALID");
    assert_eq!(count(&registrar, &licence), 3);
    registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(count(&registrar, &licence), 2);
    assert_eq!(holder(&registrar, "validate", &licence, machine("new")), "VALID");
    assert_eq!(holder(&registrar, "validate", &licence, machine("laptop")), "NOT_ACTIVATED");
    // A retry gets its answer, and moves nothing again.
    let again = transfer("laptop", "new", "one").expect(200);
    assert_eq!((&again["activation"], &again["propagated"]), (&first["activation"], &json!(true)));

    // There and back, while a delivery's answer is lost.
    registrar.world().store_faults = [None, None, Some(Fault::AnswerLost)].into();
    assert_eq!(transfer("desktop", "other", "two").expect(200)["propagated"], false);
    registrar.world().store_faults.clear();
    transfer("other", "desktop", "three").expect(200);
    registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(holder(&registrar, "validate", &licence, machine("desktop")), "VALID");
    assert_eq!(count(&registrar, &licence), 2);
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"]["depth"], 0);
}

#[test]
fn a_vendor_sets_and_resets_usage() {
    let registrar = start();
    let licence = licence(&registrar, "user", json!({}));
    let user = |more: Value| {
        let mut request = json!({ "user": "jane", "allowance": "credits" });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    holder(&registrar, "activate", &licence, json!({ "user": "jane" }));
    assert_eq!(holder(&registrar, "usage", &licence, user(json!({ "consume": 10 }))), "VALID");
    assert_eq!(holder(&registrar, "usage", &licence, user(json!({ "consume": 1 }))), "USAGE_EXHAUSTED");
    let set = |fields: Value| registrar.post(&format!("{}/usage", path(&licence)), &fields);
    let answer = set(json!({ "allowance": "credits", "used": 0 })).expect(200);
    assert_eq!((&answer["usage"]["used"], &answer["propagated"]), (&json!(0), &json!(true)));
    assert_eq!(holder(&registrar, "usage", &licence, user(json!({ "consume": 4 }))), "VALID");
    let answer = set(json!({ "allowance": "credits", "used": 9 })).expect(200);
    assert_eq!((&answer["usage"]["used"], &answer["usage"]["remaining"]), (&json!(9), &json!(1)));
    assert_eq!(state(&registrar, &licence)["usage"][0]["used"], 9);
    // The seat stays, and setting it again changes nothing.
    assert_eq!(count(&registrar, &licence), 1);
    set(json!({ "allowance": "credits", "used": 9 })).expect(200);
    let events = registrar.get("/api/v1/events?action=license.usage-set").expect(200)["items"].take();
    let told = |at: usize| json!([events[at]["before"]["used"], events[at]["after"]["used"]]);
    assert_eq!((events.as_array().unwrap().len(), told(0), told(1)), (2, json!([10, 0]), json!([4, 9])));
    set(json!({ "allowance": "other", "used": 0 })).problem(422, "UNPROCESSABLE");
    set(json!({ "allowance": "credits" })).problem(400, "INVALID_REQUEST");
    set(json!({ "allowance": "credits", "used": 1_u64 << 53 })).problem(422, "UNPROCESSABLE");
    let reader = registrar.token("reader");
    let asking = registrar.request("POST", &format!("{}/usage", path(&licence))).token(&reader);
    asking.json(&json!({ "allowance": "credits", "used": 0 })).send().problem(403, "FORBIDDEN");
}

/// The registrar's clock starts on 22 November 2026 at 10:00.
#[test]
fn periods_of_allowances_begin_where_the_vendor_says() {
    let registrar = start();
    let resets = |state: &Value, at: usize| state["usage"][at]["resetsAt"].clone();
    let periods = json!([
        { "name": "calendar", "limit": 1, "period": "month" },
        { "name": "license", "limit": 1, "period": "1mo" },
        { "name": "day", "limit": 1, "period": "month", "begins": 31 },
        { "name": "days", "limit": 1, "period": "P30D" },
    ]);
    let issued = issue(&registrar, json!({ "allowances": periods }));
    assert_eq!(issued["allowances"][1]["period"], "P1M");
    assert_eq!((&issued["allowances"][2]["begins"], &issued["allowances"][0]["begins"]), (&json!(31), &Value::Null));
    let shown = state(&registrar, &issued);
    let ends = ["2026-12-01T00:00:00Z", "2026-12-22T10:00:00Z", "2026-11-30T00:00:00Z", "2026-12-22T10:00:00Z"];
    assert_eq!((0..4).map(|at| resets(&shown, at)).collect::<Vec<_>>(), ends);
    let consume = |name: &str| holder(&registrar, "usage", &issued, json!({ "allowance": name, "consume": 1 }));
    assert_eq!((consume("license"), consume("license")), ("VALID".into(), "USAGE_EXHAUSTED".into()));
    registrar.advance(30 * 86_400);
    assert_eq!(consume("license"), "VALID");
    assert_eq!(resets(&state(&registrar, &issued), 1), "2027-01-22T10:00:00Z");

    // The vendor resets the period that runs, before the time begins and after.
    let terms = json!({
        "expiryBasis": "first-validation", "duration": "1y",
        "allowances": [{ "name": "credits", "limit": 5, "period": "month", "begins": "license" }],
    });
    let late = issue(&registrar, terms);
    let set = |used: u32| {
        let fields = json!({ "allowance": "credits", "used": used });
        registrar.post(&format!("{}/usage", path(&late)), &fields).expect(200)["usage"].take()
    };
    let usage = |used: u32, resets_at: Value| json!({ "name": "credits", "limit": 5, "used": used, "remaining": 5 - used, "resetsAt": resets_at });
    assert_eq!(set(2), usage(2, Value::Null));
    assert_eq!(holder(&registrar, "validate", &late, json!({})), "VALID");
    assert_eq!(state(&registrar, &late)["usage"][0], usage(2, json!("2027-01-22T10:00:00Z")));
    assert_eq!(set(0), usage(0, json!("2027-01-22T10:00:00Z")));
}

#[test]
fn a_wish_that_cannot_be_fulfilled_holds_back_no_revocation() {
    let registrar = start();
    let licence = licence(&registrar, "machine", json!({}));
    holder(&registrar, "activate", &licence, json!({ "fingerprint": "laptop" }));
    registrar.world().store_faults = [None, Some(Fault::NotMade)].into();
    let release = registrar.delete(&format!("{}/activations", path(&licence)));
    assert_eq!(release.expect(200)["propagated"], false);
    registrar.world().store_faults.clear();
    let state_key = format!("state:{}", licence["id"].as_str().unwrap());
    registrar.world().write(&state_key, b"no state".to_vec());
    registrar.post(&format!("{}/revoke", path(&licence)), &json!({})).expect(200);
    assert_eq!(holder(&registrar, "validate", &licence, json!({ "fingerprint": "laptop" })), "REVOKED");
}

/// A wish reaches the state once, whenever the store answers again, and harms nothing that happened
/// meanwhile.
#[test]
fn a_wish_is_fulfilled_once_however_the_store_fails() {
    let registrar = start();
    let licence = licence(&registrar, "machine", json!({}));
    let machine = |name: &str| json!({ "fingerprint": name });
    for name in ["laptop", "desktop"] {
        holder(&registrar, "activate", &licence, machine(name));
    }
    let id = state(&registrar, &licence)["activations"][0]["id"].as_str().unwrap().to_owned();
    let one = format!("{}/activations/{id}", path(&licence));
    // The state cannot be read, so it is not known whether there is a seat to release.
    registrar.world().is_store_down = true;
    registrar.delete(&one).problem(503, "UNAVAILABLE");
    registrar.world().is_store_down = false;
    // It can be read and not be written: the wish waits.
    registrar.world().store_faults = [None, Some(Fault::NotMade)].into();
    assert_eq!(registrar.delete(&one).expect(200)["propagated"], false);
    registrar.world().store_faults.clear();
    assert_eq!(count(&registrar, &licence), 2);
    // The seat is released and taken again before the wish arrives: that one stays.
    registrar.advance(5);
    assert_eq!(
        registrar.holder("deactivate", &json!({ "key": licence["key"], "fingerprint": "laptop" }))["deactivated"],
        true
    );
    assert_eq!(holder(&registrar, "activate", &licence, machine("laptop")), "VALID");
    registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(count(&registrar, &licence), 2);

    // Another writer comes first, and a delivery is repeated as its answer was lost.
    let set = |used: u32| {
        registrar.post(&format!("{}/usage", path(&licence)), &json!({ "allowance": "credits", "used": used }))
    };
    registrar.world().store_faults = [None, None, Some(Fault::Overtaken)].into();
    assert_eq!(set(3).expect(200)["propagated"], true);
    registrar.world().store_faults = [None, None, Some(Fault::AnswerLost)].into();
    assert_eq!(set(5).expect(200)["propagated"], false);
    registrar.world().store_faults.clear();
    let consume = json!({ "fingerprint": "laptop", "allowance": "credits", "consume": 2 });
    assert_eq!(holder(&registrar, "usage", &licence, consume), "VALID");
    registrar.post("/api/v1/outbox/deliveries", &json!({})).expect(200);
    assert_eq!(state(&registrar, &licence)["usage"][0]["used"], 7);
    assert_eq!(registrar.get("/api/v1/stats").expect(200)["outbox"]["depth"], 0);
}
