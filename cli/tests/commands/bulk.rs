//! Imports and exports of many licences.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::place::{Place, Printed, file, run};
use countersign::license::License;
use countersign_host::imports::store::{Reader, ReaderError};
use serde_json::{Value, json};

/// Lines of NDJSON, each with a key of its own.
fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| line(&json!({ "key": key(number), "owner": format!("owner {number}") }))).collect()
}

fn line(fields: &Value) -> String {
    let mut line = json!({ "product": "acme", "plan": "pro" });
    line.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    format!("{line}\n")
}

fn key(number: u32) -> String {
    format!("from-elsewhere-{number:06}")
}

/// A place with the product `acme`.
fn acme(place: Place) -> Place {
    assert_eq!(place.run(&["product", "create", "acme"]).code, 0);
    place
}

fn both() -> [Place; 2] {
    [acme(Place::data()), acme(Place::server())]
}

#[test]
fn invalid_lines_are_reported_and_change_nothing_else() {
    for place in both() {
        let mut given: Vec<String> = lines(0..1_200).lines().map(str::to_owned).collect();
        given[3] = "{\"key\":".into();
        given[700] = line(&json!({ "key": key(700), "colour": "red" })).trim_end().into();
        // In the same request: of two requests either may be first.
        given[1_100] = line(&json!({ "key": key(1_050) })).trim_end().into();
        given[1_150] = format!("{{\"key\":\"{}\"}}", "x".repeat(70_000));
        let path = file(&place.directory(), "licences.ndjson", &given.join("\n"));

        let Printed { code, out, err } = place.run(&["import", &path, "--dry-run"]);
        assert_eq!((code, out.as_str()), (1, "1196 lines can be imported, 4 failed\n"), "{err}");
        assert_eq!(place.json(&["stats"])["licenses"]["active"], 0);

        let Printed { code, out, err } = place.run(&["import", &path]);
        assert_eq!((code, out.as_str()), (1, "1196 lines imported, 4 failed\n"), "{err}");
        let reported: BTreeSet<&str> = err.lines().map(|line| line.split_once(':').unwrap().0).collect();
        assert_eq!(reported, BTreeSet::from(["line 4", "line 701", "line 1101", "line 1151"]), "{err}");
        assert!(err.contains("colour") && !err.contains(&key(1_050)), "{err}");
        assert_eq!(place.json(&["stats"])["licenses"]["active"], 1_196);
        assert_eq!(place.run(&["validate", &key(1_199)]).code, 0);

        let Printed { code, out, .. } = place.run(&["import", &path, "--json"]);
        assert_eq!(code, 1, "each exists by now");
        let sums: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(sums, json!({ "imported": 0, "failed": 1_200, "dryRun": false, "propagated": true }));
    }
}

#[test]
fn generated_keys_go_to_a_file_that_only_its_owner_can_read() {
    for place in both() {
        let text = lines(0..2) + &line(&json!({ "owner": "ünïcode" }));
        let path = file(&place.directory(), "licences.ndjson", &text);
        let Printed { code, err, .. } = place.run(&["import", &path]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("line 3 has no key") && err.contains("--keys"), "{err}");
        assert_eq!(place.run(&["import", &path, "--dry-run"]).code, 0, "a dry run generates none");

        let keys = place.directory().join("keys.ndjson");
        let Printed { code, out, err } = place.run(&["import", &path, "--keys", keys.to_str().unwrap()]);
        assert_eq!((code, err.as_str()), (0, ""), "{err}");
        assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
        let made = fs::read_to_string(&keys).unwrap();
        let made: Vec<Value> = made.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((made.len(), &made[0]["line"]), (1, &json!(3)));
        let key = made[0]["key"].as_str().unwrap();
        assert!(!out.contains(key));
        assert_eq!(place.json(&["show", key])["owner"], "ünïcode");
        assert_eq!(place.run(&["import", &path, "--keys", keys.to_str().unwrap()]).code, 3, "it exists");
    }
}

#[test]
fn exports_can_be_imported() {
    for place in both() {
        let policy = ["policy", "create", "Pro", "--product", "acme", "--plan", "pro", "--seats", "3", "--lease", "1h"];
        let policy = place.json(&policy);
        let policy = policy["id"].as_str().unwrap();
        let issued =
            place.json(&["issue", "--policy", policy, "--domain", "*.example.com", "--allowance", "a,b=3/month"]);
        let key = issued["key"].as_str().unwrap().to_owned();
        for words in [
            &["issue", "--product", "acme", "--plan", "a;b", "--owner", "O'Brien, \"Jane\"", "--metadata", "note=a\nb"]
                [..],
            &[
                "issue",
                "--product",
                "acme",
                "--plan",
                "pro",
                "--expires",
                "2130-01-01",
                "--grace",
                "7d",
                "--feature",
                "x",
            ],
            &["suspend", &key],
        ] {
            assert_eq!(place.run(words).code, 0, "{words:?}");
        }
        let path = file(&place.directory(), "more.ndjson", &lines(0..600));
        assert_eq!(place.run(&["import", &path]).code, 0);

        for format in ["ndjson", "csv"] {
            let path = place.directory().join(format!("exported.{format}"));
            let path = path.to_str().unwrap();
            let Printed { code, out, err } = place.run(&["export", "--format", format, "--output", path]);
            assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
            let exported = fs::read_to_string(path).unwrap();
            assert!(!exported.contains(&key));

            let other = acme(Place::data());
            let Printed { code, out, err } = other.run(&["import", path]);
            assert_eq!((code, out.as_str()), (1, "602 lines imported, 1 failed\n"), "{err}");
            assert!(err.contains("policy"), "which does not exist there yet: {err}");
            assert_eq!(other.run(&["validate", &key]).out.split(':').next(), Some("NOT_FOUND"));
            let again = other.run(&["export", "--format", format]).out;
            // Concurrent requests arrive in any order.
            let given = |text: &str| -> BTreeSet<String> {
                text.lines().filter(|line| !line.contains(policy)).map(timeless).collect()
            };
            assert!(given(&again) == given(&exported), "{format}");
        }
        let Printed { out, .. } = place.run(&["export", "--status", "suspended"]);
        assert_eq!(out.lines().count(), 1);
    }
}

#[test]
fn a_vendor_moves_with_policies_and_licences() {
    let from = Place::data();
    let run = |place: &Place, words: &[&str]| assert_eq!(place.run(words).code, 0, "{words:?}");
    let product = ["product", "create", "acme", "--prefix", "AC", "--name", "Acme"];
    let seats = ["--plan", "pro", "--duration", "365d", "--seats", "3", "--lease", "1h", "--allowance", "a=3/month"];
    let policy = [&["policy", "create", "Pro", "--product", "acme"], &seats[..]].concat();
    let trial = ["policy", "create", "Trial", "--product", "acme", "--starts", "first-validation", "--duration", "14d"];
    run(&from, &product);
    let pro = from.json(&policy)["id"].as_str().unwrap().to_owned();
    let trial_id = from.json(&trial)["id"].as_str().unwrap().to_owned();
    run(&from, &["issue", "--policy", &pro, "--domain", "example.com", "--owner", "jane"]);
    let suspended = from.json(&["issue", "--policy", &pro, "--seats", "9"])["key"].as_str().unwrap().to_owned();
    run(&from, &["suspend", &suspended]);
    let tried = from.json(&["issue", "--policy", &trial_id, "--plan", "trial"])["key"].as_str().unwrap().to_owned();
    run(&from, &["issue", "--product", "acme", "--plan", "free"]);
    // Licences keep the terms that they were issued with.
    run(&from, &["policy", "update", &pro, "--feature", "new", "--grace", "7d"]);

    let to = Place::data();
    run(&to, &product);
    let moved = ["--feature", "new", "--grace", "7d", "--id", &pro];
    run(&to, &[&policy[..], &moved].concat());
    run(&to, &[&trial[..], &["--id", &trial_id]].concat());
    let path = from.directory().join("licences.ndjson");
    let path = path.to_str().unwrap();
    run(&from, &["export", "--output", path]);
    let Printed { code, out, err } = to.run(&["import", path]);
    assert_eq!((code, out.as_str()), (0, "4 lines imported, 0 failed\n"), "{err}");

    let records = |place: &Place| {
        let mut records: Vec<(String, License)> = Vec::new();
        let reader = Reader::open(&place.directory()).unwrap();
        let keep = |key: &str, record| -> Result<(), ReaderError> {
            records.push((key.to_owned(), record));
            Ok(())
        };
        reader.for_each(keep).unwrap();
        records
    };
    assert_eq!(records(&to), records(&from));
    let lines = |place: &Place, words: &[&str]| {
        let shown = place.json(words)["items"].take();
        shown.as_array().unwrap().iter().map(|item| timeless(&item.to_string())).collect::<BTreeSet<_>>()
    };
    assert_eq!(lines(&to, &["list"]), lines(&from, &["list"]));
    // `createdAt` is when a policy was created there.
    let policies = |place: &Place| {
        let mut shown = place.json(&["policy", "list"])["items"].take();
        shown.as_array_mut().unwrap().iter_mut().for_each(|policy| policy["createdAt"] = Value::Null);
        shown.as_array().unwrap().iter().map(|policy| timeless(&policy.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(policies(&to), policies(&from));
    assert_eq!(to.run(&["validate", &tried]).code, 0);
    assert_eq!(to.run(&["validate", &suspended]).out.split(':').next(), Some("SUSPENDED"));
    let again = to.run(&[&trial[..], &["--id", &trial_id]].concat());
    assert_eq!((again.code, again.out.as_str()), (5, ""), "{}", again.err);
    assert_eq!(to.run(&[&trial[..], &["--id", "pol_1"]].concat()).code, 2);
}

/// A line without the fields that an import sets anew.
fn timeless(line: &str) -> String {
    match serde_json::from_str::<Value>(line) {
        Ok(mut fields) => {
            let fields = fields.as_object_mut().unwrap();
            fields.retain(|name, _| name != "updatedAt" && name != "revision");
            json!(fields).to_string()
        }
        Err(_) => line.split(',').map(str::to_owned).rev().skip(2).collect(),
    }
}

#[test]
fn csv_of_a_spreadsheet_is_imported() {
    let place = acme(Place::data());
    let header = "\u{feff}product,plan,key,owner,features,activation.per,activation.limit,metadata.order\r\n";
    let good = "acme,pro,from-a-spreadsheet-1,\"Doe, Jane\",a;b,machine,5,17\r\n";
    let bad = "acme,pro,from-a-spreadsheet-2,,,machine,many,18\r\n";
    let path = file(&place.directory(), "licences.csv", &[header, good, bad].concat());
    let Printed { code, out, err } = place.run(&["import", &path]);
    assert_eq!((code, out.as_str()), (1, "1 lines imported, 1 failed\n"), "{err}");
    assert!(err.starts_with("line 3:") && err.lines().count() == 1, "{err}");
    let license = place.json(&["show", "from-a-spreadsheet-1"]);
    assert_eq!(license["owner"], "Doe, Jane");
    assert_eq!((&license["features"], &license["activation"]["limit"]), (&json!(["a", "b"]), &json!(5)));
    assert_eq!(license["metadata"], json!({ "order": "17" }));
    let wrong = run(&mut place.command(&["import", "-", "--format", "csv"]), "key,key\na,b\n");
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{}", wrong.err);
}

#[test]
fn an_empty_file_imports_nothing() {
    let place = acme(Place::data());
    for format in ["ndjson", "csv"] {
        let Printed { code, out, err } = run(&mut place.command(&["import", "-", "--format", format]), "");
        assert_eq!((code, out.as_str(), err.as_str()), (0, "0 lines imported, 0 failed\n", ""));
    }
    assert_eq!(place.run(&["import", "/nowhere"]).code, 3);
}
