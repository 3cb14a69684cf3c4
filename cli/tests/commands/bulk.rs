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

/// The terms of the policy make more of a short line than one request may write.
#[test]
fn lines_that_together_write_too_much_are_sent_in_smaller_pieces() {
    let place = acme(Place::server());
    let features: Vec<String> = (0..64).map(|number| format!("feature-{number}-{}", "x".repeat(50))).collect();
    let options = features.iter().flat_map(|feature| ["--feature", feature]);
    let create: Vec<&str> =
        ["policy", "create", "Pro", "--product", "acme", "--plan", "pro"].into_iter().chain(options).collect();
    let policy = place.json(&create)["id"].as_str().unwrap().to_owned();
    let line = |number: u32| format!("{},{policy}\n", key(number));
    let mut rows: Vec<String> = (0..500).map(line).collect();
    rows[450] = line(3);
    rows[460] = format!("{},none\n", key(460));
    let path = file(&place.directory(), "licences.csv", &format!("key,policy\n{}", rows.concat()));
    let Printed { code, out, err } = place.run(&["import", &path]);
    assert_eq!((code, out.as_str()), (1, "501 lines: 498 imported, 2 failed, 1 header\n"), "{err}");
    let reported: Vec<&str> = err.lines().map(|line| line.split_once(':').unwrap().0).collect();
    assert_eq!(reported, ["line 452", "line 462"]);
    assert_eq!(place.json(&["stats"])["licenses"]["active"], 498);
}

#[test]
fn invalid_lines_are_reported_and_change_nothing_else() {
    for place in both() {
        let mut given: Vec<String> = lines(0..1_200).lines().map(str::to_owned).collect();
        given[3] = "{\"key\":".into();
        given[700] = line(&json!({ "key": key(700), "colour": "red" })).trim_end().into();
        // In another request than the line whose key it has.
        given[1_100] = line(&json!({ "key": key(50) })).trim_end().into();
        given[1_150] = format!("{{\"key\":\"{}\"}}", "x".repeat(70_000));
        let path = file(&place.directory(), "licences.ndjson", &given.join("\n"));

        let Printed { code, out, err: dry_err } = place.run(&["import", &path, "--dry-run"]);
        assert_eq!((code, out.as_str()), (1, "1200 lines: 1196 can be imported, 4 failed\n"), "{dry_err}");
        assert_eq!(place.json(&["stats"])["licenses"]["active"], 0);

        let Printed { code, out, err } = place.run(&["import", &path]);
        assert_eq!((code, out.as_str()), (1, "1200 lines: 1196 imported, 4 failed\n"), "{err}");
        let reported: Vec<&str> = err.lines().map(|line| line.split_once(':').unwrap().0).collect();
        assert_eq!(reported, ["line 4", "line 701", "line 1101", "line 1151"]);
        assert_eq!(err, dry_err, "a dry run says what the run says");
        assert!(err.contains("colour") && !err.contains(&key(50)), "{err}");
        assert_eq!(place.json(&["stats"])["licenses"]["active"], 1_196);
        assert_eq!(place.run(&["validate", &key(1_199)]).code, 0);

        let Printed { code, out, .. } = place.run(&["import", &path, "--json"]);
        assert_eq!(code, 1, "each exists by now");
        let sums: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(
            sums,
            json!({ "lines": 1_200, "imported": 0, "failed": 1_200, "blank": 0, "header": 0, "continued": 0,
                "dryRun": false, "propagated": true })
        );
    }
}

#[test]
fn generated_keys_go_to_a_file_that_only_its_owner_can_read() {
    for place in both() {
        let text = lines(0..2) + &line(&json!({ "owner": "ünïcode" }));
        let path = file(&place.directory(), "licences.ndjson", &text);
        for words in [&["import", &path, "--dry-run"][..], &["import", &path]] {
            let Printed { code, out, err } = place.run(words);
            let imported = if words.len() == 2 { "imported" } else { "can be imported" };
            assert_eq!((code, out), (1, format!("3 lines: 2 {imported}, 1 failed\n")), "{err}");
            assert!(err.starts_with("line 3: ") && err.contains("no key") && err.contains("--keys FILE"), "{err}");
        }

        let keys = place.directory().join("keys.ndjson");
        let lines: Vec<&str> = text.lines().collect();
        let path = file(&place.directory(), "new.ndjson", &["", "", lines[2]].join("\n"));
        let import = ["import", &path, "--keys", keys.to_str().unwrap()];
        assert_eq!(place.run(&[&import[..], &["--dry-run"]].concat()).code, 0);
        assert!(!keys.exists(), "a dry run generates none");
        let Printed { code, out, err } = place.run(&import);
        assert_eq!((code, out.as_str(), err.as_str()), (0, "3 lines: 1 imported, 0 failed, 2 blank\n", ""));
        assert_eq!(fs::metadata(&keys).unwrap().permissions().mode() & 0o777, 0o600);
        let made = fs::read_to_string(&keys).unwrap();
        let made: Vec<Value> = made.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((made.len(), &made[0]["line"]), (1, &json!(3)));
        let key = made[0]["key"].as_str().unwrap();
        assert!(!out.contains(key));
        assert_eq!(place.json(&["show", key])["owner"], "ünïcode");
        for words in [&import[..], &[&import[..], &["--dry-run"]].concat()] {
            assert_eq!(place.run(words).code, 3, "the file exists");
        }
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
            // CSV has column names.
            let (lines, more) = if format == "csv" { (604, ", 1 header") } else { (603, "") };
            assert_eq!((code, out), (1, format!("{lines} lines: 602 imported, 1 failed{more}\n")), "{err}");
            assert!(err.contains("policy"), "which does not exist there yet: {err}");
            assert_eq!(other.run(&["validate", &key]).out.split(':').next(), Some("NOT_FOUND"));
            let again = other.run(&["export", "--format", format]).out;
            let given = |text: &str| -> Vec<String> {
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
    assert_eq!((code, out.as_str()), (0, "4 lines: 4 imported, 0 failed\n"), "{err}");

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
    assert_eq!((code, out.as_str()), (1, "3 lines: 1 imported, 1 failed, 1 header\n"), "{err}");
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
        assert_eq!((code, out.as_str(), err.as_str()), (0, "0 lines: 0 imported, 0 failed\n", ""));
    }
    assert_eq!(place.run(&["import", "/nowhere"]).code, 3);
}

/// Runs an import of a file with these bytes.
fn import(place: &Place, name: &str, bytes: impl AsRef<[u8]>, more: &[&str]) -> Printed {
    let path = place.directory().join(name);
    fs::write(&path, bytes).unwrap();
    place.run(&[&["import", path.to_str().unwrap()], more].concat())
}

#[test]
fn a_quote_harms_no_line_but_its_own() {
    for place in both() {
        let good = |from: u32, to: u32| -> String {
            (from..to).map(|n| format!("SL-{n:05}-AAAA-0001,acme,pro,{}\n", "x".repeat(60))).collect()
        };
        let header = "key,product,plan,metadata.note\n";
        let inch = format!("{header}SL-INCH-AAAA-0001,acme,pro,24\" screen\n{}", good(0, 1_000));
        let Printed { code, out, err } = import(&place, "inch.csv", inch, &[]);
        assert_eq!((code, out.as_str()), (0, "1002 lines: 1001 imported, 0 failed, 1 header\n"), "{err}");
        assert_eq!(place.json(&["show", "SL-INCH-AAAA-0001"])["metadata"]["note"], "24\" screen");
        for (at, wrong) in [(2_000, "\"24\" screen\""), (4_000, "\"24 screen")] {
            let (first, rest) = (good(at, at + 300), good(at + 300, at + 1_400));
            let file = format!("{header}{first}SL-WRONG-AAAA-0001,acme,pro,{wrong}\n{rest}");
            for more in [&["--dry-run"][..], &[]] {
                let Printed { code, out, err } = import(&place, "quotes.csv", &file, more);
                assert!(out.starts_with("1402 lines: 1400 ") && out.ends_with(", 1 failed, 1 header\n"), "{out}{err}");
                assert!(code == 1 && err.starts_with("line 302: Cell 4 ") && err.lines().count() == 1, "{err}");
            }
        }
    }
}

#[test]
fn each_line_of_a_file_is_accounted_for() {
    let place = acme(Place::data());
    let file = "\n\u{feff}key;product;plan;owner;\r\nAC-0001-AAAA-0001;acme;pro;\"two\r\nlines\";\r\n;;;;\r\n\r\n\
        AC-0002-AAAA-0001;acme;pro;jane;\r\nAC-0003-AAAA-0001;acme\r\nAC-0004-AAAA-0001;none;pro;;\r\n";
    let file = file.replace("\n\u{feff}", "\u{feff}\n");
    let Printed { code, out, err } = import(&place, "all.csv", &file, &[]);
    assert_eq!(out, "9 lines: 1 imported, 3 failed, 3 blank, 1 header, 1 continued\n", "{err}");
    let reported: Vec<&str> = err.lines().map(|line| line.split_once(':').unwrap().0).collect();
    assert_eq!((code, reported), (1, vec!["lines 3 to 4", "line 8", "line 9"]), "{err}");
    assert!(err.contains("`owner`") && err.contains("2 cells") && err.contains("`product`"), "{err}");
    let sums: Value = serde_json::from_str(&import(&place, "all.csv", &file, &["--json"]).out).unwrap();
    assert_eq!((&sums["lines"], &sums["blank"], &sums["continued"]), (&json!(9), &json!(3), &json!(1)));
}

#[test]
fn files_of_other_programs_are_imported() {
    let place = acme(Place::data());
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (name, bytes) in [
        ("mac.csv", b"key,product,plan\rCR-0001-AAAA-0001,acme,pro\rCR-0002-AAAA-0002,acme,pro\r".to_vec()),
        ("excel.csv", b"License Key;Product;Plan;E-Mail\r\nSC-0001-AAAA-0001;acme;pro;a\r\nSC-0002-AAAA-0001;acme;pro;\r\n".to_vec()),
        ("unicode.txt", utf16("\u{feff}key\tproduct\tplan\r\nUT-0001-AAAA-0001\tacme\tpro\r\nUT-0002-AAAA-0001\tacme\tpro\r\n")),
        ("padded.csv", b"key,product,plan,\nBL-0001-AAAA-0001,acme,pro\n,,\n,,\nBL-0002-AAAA-0002 ,acme,pro,\n".to_vec()),
        ("no-name", b"{\"key\":\"JS-0001-AAAA-0001\",\"product\":\"acme\",\"plan\":\"pro\"}\r{\"license_key\":\"JS-0002-AAAA-0001\",\"product\":\"acme\",\"plan\":\"pro\"}".to_vec()),
    ] {
        let Printed { code, out, err } = import(&place, name, bytes, &[]);
        assert!(code == 0 && out.contains(": 2 imported, 0 failed"), "{name}: {out}{err}");
    }
    assert_eq!(place.run(&["validate", "BL-0002-AAAA-0002"]).code, 0, "no key ends with a space");
}

#[test]
fn a_file_that_cannot_be_imported_is_named_and_nothing_is_imported() {
    for place in both() {
        for (bytes, cause) in [
            ("PK\u{3}\u{4}..[Content_Types].xml..", "This is an Excel workbook (.xlsx)"),
            ("key;colour\na;b\n", "Line 1 has the column names. Column 2, `colour`, is not known"),
            ("\n\n\nkey,license_key\na,b\n", "Line 4 has the column names. Columns 1 and 2 are both `key`"),
            ("colour,size\n", "Line 1 has the column names. None of them is known"),
        ] {
            for more in [&["--dry-run"][..], &[]] {
                let Printed { code, out, err } = import(&place, "wrong.csv", bytes, more);
                assert_eq!((code, out.as_str()), (2, ""), "{err}");
                assert!(err.contains(cause) && err.lines().count() == 1, "{err}");
            }
        }
    }
    let Printed { code, err, .. } = acme(Place::data()).run(&["import", "/nowhere"]);
    assert!(code == 3 && err.contains("/nowhere"), "{err}");
}

#[test]
fn a_spreadsheet_computes_nothing_of_an_export() {
    let place = acme(Place::data());
    for owner in ["=HYPERLINK(\"http://x\")", "@SUM(1)", "-2+3"] {
        let owner = format!("--owner={owner}");
        assert_eq!(place.run(&["issue", "--product", "acme", "--plan", "=cmd", &owner]).code, 0);
    }
    let path = place.directory().join("out.csv");
    let export = ["export", "--format", "csv", "--bom", "--state", "--output", path.to_str().unwrap()];
    assert_eq!(place.run(&export).code, 0);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("\u{feff}id,") && text.contains(",state\r\n"));
    assert!(text.contains(",'=cmd,") && !text.contains(",=") && !text.contains(",@") && !text.contains(",-"), "{text}");
    let other = acme(Place::data());
    let Printed { code, out, err } = other.run(&["import", path.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (0, "4 lines: 3 imported, 0 failed, 1 header\n"), "{err}");
    let owners = |place: &Place| {
        let items = place.json(&["list"])["items"].take();
        items.as_array().unwrap().iter().map(|item| item["owner"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(owners(&other), owners(&place));
    for words in [&["export", "--bom"][..], &["export", "--format", "fastly", "--state"]] {
        assert_eq!(place.run(words).code, 2);
    }
}
