//! `countersign audit verify` finds events that were changed in the database.

use crate::support::place::{Place, Printed};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Six events: a product is created and changed five times.
fn place() -> Place {
    let place = Place::data();
    assert_eq!(place.run(&["product", "create", "acme"]).code, 0);
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(place.run(&["product", "update", "acme", "--name", name]).code, 0);
    }
    place
}

fn tamper(place: &Place, statements: &str) {
    Connection::open(place.directory().join("registrar.db")).unwrap().execute_batch(statements).unwrap();
}

/// The broken event and what is wrong with it, from the JSON and the exit code.
fn verify(place: &Place, known: &[&str]) -> Option<(u64, String)> {
    let Printed { code, out, err } = place.run(&[&["audit", "verify", "--json"], known].concat());
    let verdict: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((code, verdict["verified"] == true), if code == 0 { (0, true) } else { (1, false) });
    let wrong = verdict["wrong"].as_object()?;
    Some((wrong["number"].as_u64().unwrap(), wrong["detail"].as_str().unwrap().to_owned()))
}

fn finds(statements: &str, number: u64, detail: &str) {
    let place = place();
    assert_eq!(verify(&place, &[]), None);
    tamper(&place, statements);
    assert_eq!(verify(&place, &[]), Some((number, detail.to_owned())));
    let Printed { code, out, err } = place.run(&["audit", "verify"]);
    assert_eq!((code, out.lines().next(), err.as_str()), (1, Some(format!("event {number} {detail}").as_str()), ""));
}

#[test]
fn a_changed_event_is_found() {
    finds("UPDATE events SET actor = 'nobody' WHERE number = 3", 3, "was changed");
    finds("UPDATE events SET after = replace(after, '\"c\"', '\"z\"') WHERE number = 4", 4, "was changed");
    finds("UPDATE events SET at = at - 1 WHERE number = 6", 6, "was changed");
}

#[test]
fn a_removed_event_is_found() {
    finds("DELETE FROM events WHERE number = 1", 1, "is missing or out of place");
    finds("DELETE FROM events WHERE number = 3", 3, "is missing or out of place");
    finds("DELETE FROM events WHERE number = 6", 6, "is missing");
    finds("DELETE FROM events", 1, "is missing");
    let close_the_gap = "DELETE FROM events WHERE number = 3; UPDATE events SET number = number - 1 WHERE number > 3";
    finds(close_the_gap, 3, "does not follow the event before it");
}

#[test]
fn reordered_events_are_found() {
    let swap = "UPDATE events SET number = 100 WHERE number = 3; UPDATE events SET number = 3 WHERE number = 4;
        UPDATE events SET number = 4 WHERE number = 100";
    finds(swap, 3, "does not follow the event before it");
}

#[test]
fn a_removed_end_is_found_by_a_known_hash() {
    let place = place();
    let Printed { out, .. } = place.run(&["audit", "verify"]);
    let known = out.lines().last().unwrap().to_owned();
    assert!(known.starts_with("6:"), "{known}");
    assert_eq!(place.run(&["product", "update", "acme", "--name", "f"]).code, 0);
    assert_eq!(verify(&place, &["--known", &known]), None, "more has come since");

    tamper(
        &place,
        "DELETE FROM events WHERE number > 5;
         UPDATE chain SET number = 5, hash = (SELECT hash FROM events WHERE number = 5)",
    );
    // The chain itself is whole, but the store remembers its end, and the product has another name.
    let verdict: Value = serde_json::from_str(&place.run(&["audit", "verify", "--json"]).out).unwrap();
    let codes = [&verdict["faults"][0]["code"], &verdict["faults"][1]["code"]];
    assert_eq!(
        (&verdict["verified"], &verdict["wrong"], codes),
        (&json!(false), &json!(null), [&json!("CHAIN"), &json!("DIFFERS")])
    );
    assert_eq!(verify(&place, &["--known", &known]), Some((6, "is missing".to_owned())));
    assert_eq!(place.run(&["product", "update", "acme", "--name", "g"]).code, 0);
    assert_eq!(verify(&place, &["--known", &known]), Some((6, "is not the event that it was".to_owned())));
    assert_eq!(place.run(&["audit", "verify", "--known", "6:00"]).code, 2);
}

#[test]
fn data_that_is_not_as_the_events_say_is_found() {
    let place = place();
    tamper(
        &place,
        "INSERT INTO tokens (id, hash, name, role, created_at, revision)
         VALUES ('tok_00000000000000000000000000', zeroblob(32), 'x', 'admin', 1, 1)",
    );
    let Printed { code, out, err } = place.run(&["audit", "verify"]);
    assert_eq!((code, out.as_str(), err.as_str()), (1, "tok_00000000000000000000000000 has no event.\n", ""));
    // An end that is gone on purpose is accepted; a forged row is not.
    assert_eq!(place.run(&["audit", "accept"]).out, "accepted up to event 6\n");
    assert_eq!(place.run(&["audit", "verify"]).code, 1);
    tamper(&place, "DELETE FROM tokens");
    assert_eq!(place.run(&["audit", "verify"]).code, 0);
}

#[test]
fn reconcile_names_a_licence_that_is_not_as_its_events_say() {
    let place = place();
    let id = place.json(&["issue", "--product", "acme", "--plan", "pro"])["id"].as_str().unwrap().to_owned();
    tamper(&place, "UPDATE licenses SET record = json_set(record, '$.plan', 'max')");
    let Printed { code, out, err } = place.run(&["reconcile"]);
    assert_eq!((code, out.as_str()), (1, "2 checked, 0 repaired\n"));
    assert_eq!(err, format!("{id} is not as its events say: left unchanged; see `countersign audit verify`\n"));
}

#[test]
fn events_are_verified_across_pages() {
    let place = place();
    for round in 0..12 {
        let lines: String = (0..10)
            .map(|line| {
                format!("{{\"key\":\"key-from-elsewhere-{round}-{line}\",\"product\":\"acme\",\"plan\":\"pro\"}}\n")
            })
            .collect();
        let imported = crate::support::place::run(&mut place.command(&["import", "-"]), &lines);
        assert_eq!(imported.code, 0, "{}", imported.err);
    }
    assert_eq!(verify(&place, &[]), None);
    assert_eq!(place.json(&["audit", "verify"])["head"]["number"], json!(126));
    tamper(&place, "UPDATE events SET subject = 'x' WHERE number = 111");
    assert_eq!(verify(&place, &[]), Some((111, "was changed".to_owned())));
}

#[test]
fn erasures_are_counted_and_must_be_recorded() {
    let place = place();
    for owner in ["jane", "sam"] {
        assert_eq!(place.run(&["issue", "--product", "acme", "--plan", "pro", "--owner", owner]).code, 0);
    }
    let forget = |owner: &str| place.run(&["forget", owner]);
    let printed = forget("Jane").out;
    assert!(printed.starts_with("1 licence without owner and metadata\n1 event without personal data\n"), "{printed}");
    let Printed { code, out, .. } = place.run(&["audit", "verify"]);
    assert_eq!((code, out.lines().next().unwrap()), (0, "1 event without personal data, as recorded"));
    assert_eq!(place.json(&["audit", "verify"])["erased"], 1);
    tamper(&place, "UPDATE events SET personal = NULL, salt = NULL, erased = 11 WHERE number = 8");
    assert_eq!(verify(&place, &[]), Some((8, "was changed".to_owned())));
    // An owner is read from standard input, where other users of the machine do not see it.
    let printed = crate::support::place::run(&mut place.command(&["forget", "-", "--json"]), "sam\n");
    assert_eq!(printed.out, "{\"answers\":1,\"events\":0,\"licenses\":1}\n", "{}", printed.err);
}
