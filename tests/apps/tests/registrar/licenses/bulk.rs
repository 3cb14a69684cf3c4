//! Imports and exports: good and bad lines, keys of other systems, and the round trip.

use proptest::prelude::*;
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
    let blank = import(&registrar, "", NDJSON, &"\n".repeat(501)).expect(200);
    assert_eq!((&blank["blank"], &blank["imported"]), (&json!(501), &json!(0)));
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

#[test]
fn a_line_with_wrong_quotes_harms_no_other() {
    let registrar = start();
    let good = |from: u32, to: u32| -> String { (from..to).map(|n| format!("QU-{n:05}-AAAA,acme,pro,x\n")).collect() };
    let body = |wrong: &str| format!("key,product,plan,metadata.note\n{}{wrong}\n{}", good(0, 30), good(30, 130));
    let wrong = body("QU-WRONG-AAAA,acme,pro,\"24\" screen\"");
    let report = import(&registrar, "", CSV, &wrong).expect(200);
    assert_eq!((&report["imported"], errors(&report)), (&json!(130), vec!["32 INVALID_REQUEST -".to_owned()]));
    assert!(report["errors"][0]["detail"].as_str().unwrap().contains("Cell 4"), "{report}");
    let open = body("QU-WRONG-AAAA,acme,pro,\"24 screen");
    let report = import(&registrar, "?dryRun=true", CSV, &open).expect(200);
    assert_eq!((&report["failed"], &report["errors"][30]["line"]), (&json!(131), &json!(32)), "each is there by now");
    let report = import(&registrar, "", CSV, &body("QU-INCH1-AAAA,acme,pro,24\" screen")).expect(200);
    assert_eq!((&report["imported"], &report["failed"]), (&json!(1), &json!(130)));
    let id = report["results"][0]["id"].as_str().unwrap();
    let inch = registrar.get(&format!("/api/v1/licenses/{id}")).expect(200);
    assert_eq!(inch["metadata"]["note"], "24\" screen");
}

#[test]
fn files_of_other_programs_are_imported() {
    let registrar = start();
    let mut number = 0;
    let mut imported = |media_type: &str, body: Vec<u8>| {
        number += 1;
        let query = "/api/v1/licenses/import?requireKeys=true";
        let report = registrar.request("POST", query).body(media_type, &body).send().expect(200);
        assert_eq!((&report["imported"], &report["failed"]), (&json!(1), &json!(0)), "file {number}: {report}");
        registrar.get(&path(&report["results"][0])).expect(200)
    };
    let texts = [
        "key,product,plan\rMAC-0001-AAAA,acme,pro\r",
        "key;product;plan\nSEMI-0001-AAAA;acme;pro\n",
        "key\tproduct\tplan\nTAB-0001-AAAA\tacme\tpro\n",
        "Key,Product,Plan\nCASE-0001-AAAA,acme,pro\n",
        "license_key,product,plan\nNAME-0001-AAAA,acme,pro\n",
        "sep=;\r\nLicense Key;Product;Plan\r\nSEP-0001-AAAA;acme;pro\r\n",
        "\nkey,product,plan,,\n,,,,\nPAD-0001-AAAA,acme,pro,,\n,,\n",
        "\u{feff}key, product, plan\nSPACE-0001-AAAA , acme, \"pro\"\n",
    ];
    for text in texts {
        assert_eq!(imported(CSV, text.into())["plan"], "pro");
    }
    let text = "\u{feff}licenseKey;Product Code;edition;E-Mail;expires_at;Seats;activation.per\r\n\
        UTF-0016-AAAA;acme;pro;Jürgen@example.com;2030-01-31T00:00:00Z;5;machine\r\n";
    let license = imported(CSV, text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    assert_eq!((&license["owner"], &license["activation"]["limit"]), (&json!("Jürgen@example.com"), &json!(5)));
    assert_eq!(license["expiresAt"], "2030-01-31T00:00:00Z");
    let license = imported(
        NDJSON,
        b"\r\n{\"license_key\":\"JSON-0001-AAAA\",\"product\":\"acme\",\"plan\":\"pro\",\"email\":\"jane\"}\r\n"
            .to_vec(),
    );
    assert_eq!(license["owner"], "jane");
    assert_eq!(code(&registrar, &json!("SPACE-0001-AAAA")), "VALID", "no key ends with a space");
}

#[test]
fn a_column_that_means_something_else_is_refused_and_not_passed_over() {
    let registrar = start();
    let body = "key,product,plan,state\nSTATE-0001-AAAA,acme,pro,suspended\nSTATE-0002-AAAA,acme,pro,CA\n\
        STATE-0003-AAAA,acme,pro,\nSTATE-0004-AAAA,acme,pro,NULL\n";
    let report = import(&registrar, "", CSV, body).expect(200);
    assert_eq!(errors(&report), ["2 INVALID_REQUEST state", "3 INVALID_REQUEST state"]);
    assert_eq!(code(&registrar, &json!("STATE-0001-AAAA")), "NOT_FOUND");
    let body = "key,product,plan,features\nCOMMA-0001-AAAA,acme,pro,\"export, sync\"\n";
    assert_eq!(errors(&import(&registrar, "", CSV, body).expect(200)), ["2 INVALID_REQUEST features"]);
}

#[test]
fn a_table_that_other_programs_saved_again_is_imported() {
    let registrar = start();
    let body = "Licence No.,Product,Edition,Status,Purchase Date,End Date,Domains,activation.per,maxMachines,activation.strict\n\
        SAVED-0001-AAAA,acme,pro,SUSPENDED,2026-01-02,NULL,NULL,machine,5.0,FALSE\n";
    let report = import(&registrar, "", CSV, body).expect(200);
    assert_eq!(report["imported"], 1, "{report}");
    let license = registrar.get(&path(&report["results"][0])).expect(200);
    assert_eq!((&license["status"], &license["issuedAt"]), (&json!("suspended"), &json!("2026-01-02T00:00:00Z")));
    assert_eq!((license.get("expiresAt"), &license["domains"]), (None, &json!([])));
    let seats = &license["activation"];
    assert_eq!((&seats["limit"], &seats["strict"]), (&json!(5), &json!(false)));
    let body = "key|product|plan\n=\"SAVED-0003-AAAA\"|acme|pro\n\"=\"\"SAVED-0004-AAAA\"\"\"|acme|pro\n";
    let report = import(&registrar, "", CSV, body).expect(200);
    assert_eq!(report["imported"], 2, "{report}");
    for key in ["SAVED-0003-AAAA", "SAVED-0004-AAAA"] {
        assert_eq!(code(&registrar, &json!(key)), "VALID");
    }
    let serial = "key,product,plan,expires\nSAVED-0002-AAAA,acme,pro,46053\n";
    let report = import(&registrar, "", CSV, serial).expect(200);
    let error = &report["errors"][0];
    assert_eq!((&error["field"], error["detail"].as_str().unwrap().contains("RFC 3339")), (&json!("expiresAt"), true));
}

#[test]
fn what_is_wrong_with_a_whole_file_is_named() {
    let registrar = start();
    for (body, detail) in [
        ("PK\u{3}\u{4}....[Content_Types].xml", "This is an Excel workbook (.xlsx); save it as CSV in UTF-8."),
        ("key,colour,plan\na,b,c\n", "Line 11 has the column names. Column 2, `colour`, is not known;"),
        ("\n\nkey,product,license_key\na,b,c\n", "Line 13 has the column names. Columns 1 and 3 are both `key`;"),
        ("SECRET-1,acme,pro\n", "Line 11 has the column names. None of them is known;"),
        ("key,\"plan\n", "Line 11 has the column names, and cannot be read. Cell 2 begins with a quote"),
    ] {
        let body = body.as_bytes();
        let problem = registrar.request("POST", "/api/v1/licenses/import?firstLine=11").body(CSV, body).send();
        let problem = problem.problem(400, "INVALID_REQUEST");
        let found = problem["detail"].as_str().unwrap();
        assert!(found.starts_with(detail) && !found.contains("SECRET"), "{found}");
    }
    import(&registrar, "", NDJSON, "[{}]").problem(400, "INVALID_REQUEST");
    let twice = r#"{"key":"a","license_key":"b","product":"acme","plan":"pro"}"#;
    assert_eq!(errors(&import(&registrar, "", NDJSON, twice).expect(200)), ["1 INVALID_REQUEST key"]);
}

#[test]
fn keys_are_generated_only_if_the_request_allows_it() {
    let registrar = start();
    let body = "key,product,plan\nREQ-0001-AAAA,acme,pro\n,acme,pro\n";
    let report = import(&registrar, "?requireKeys=true&dryRun=true", CSV, body).expect(200);
    assert_eq!((errors(&report), &report["imported"]), (vec!["3 KEY_REQUIRED -".to_owned()], &json!(1)));
    assert!(report["results"][0]["keyHash"].is_string());
    let report = import(&registrar, "?requireKeys=true", CSV, body).expect(200);
    assert_eq!((errors(&report), &report["imported"]), (vec!["3 KEY_REQUIRED -".to_owned()], &json!(1)));
    let report = import(&registrar, "", CSV, body).expect(200);
    assert_eq!(errors(&report), ["2 KEY_TAKEN -"]);
    assert!(report["results"][0]["key"].is_string());
}

#[test]
fn an_exported_state_is_passed_over_by_an_import() {
    let from = start();
    let seats = json!({ "activation": { "per": "machine", "limit": 3 }, "allowances": [{ "name": "n", "limit": 9 }] });
    let issued = issue(&from, seats);
    let holder = json!({ "key": issued["key"], "fingerprint": "a machine" });
    assert_eq!(from.holder("activate", &holder)["valid"], true);
    let usage = json!({ "key": issued["key"], "fingerprint": "a machine", "allowance": "n", "consume": 4 });
    assert_eq!(from.holder("usage", &usage)["valid"], true);
    for (format, media_type) in [("ndjson", NDJSON), ("csv", CSV)] {
        let plain = from.get(&format!("/api/v1/licenses/export?format={format}"));
        let with_state = from.get(&format!("/api/v1/licenses/export?format={format}&state=true"));
        let [plain, with_state] = [plain, with_state].map(|page| String::from_utf8(page.bytes).unwrap());
        assert!(!plain.contains("activations") && with_state.contains("activations"), "{with_state}");
        if format == "ndjson" {
            let line: Value = serde_json::from_str(&with_state).unwrap();
            assert_eq!(line["state"], from.get(&format!("{}/activations", path(&issued))).expect(200));
            assert_eq!(line["state"]["usage"][0]["used"], 4);
        }
        let to = start();
        let report = import(&to, "", media_type, &with_state).expect(200);
        assert_eq!(report["imported"], 1, "{report}");
        let state = to.get(&format!("{}/activations", path(&report["results"][0]))).expect(200);
        assert_eq!(state["activations"], json!([]), "seats begin anew");
    }
}

#[test]
fn no_cell_of_an_export_is_a_formula() {
    let from = start();
    let formulas = ["=HYPERLINK(\"http://x\")", "@SUM(1)", "-2+3", "+1+1", "=cmd", "'=x", " =1", "\u{ff1d}1"];
    for formula in formulas {
        issue(&from, json!({ "owner": formula, "plan": formula, "metadata": { "a": formula }, "features": [formula] }));
    }
    let page = String::from_utf8(from.get("/api/v1/licenses/export?format=csv").bytes).unwrap();
    for line in page.lines().skip(1) {
        for cell in line.split(',') {
            let text = cell.trim_start_matches(['"', ' ']);
            assert!(!text.starts_with(['=', '+', '-', '@', '\u{ff1d}']), "{cell}");
        }
    }
    let to = start();
    assert_eq!(import(&to, "", CSV, &page).expect(200)["imported"], formulas.len());
    let names = |registrar: &Registrar| {
        let items = registrar.get("/api/v1/licenses?limit=100").expect(200)["items"].take();
        let shown = |item: &Value| json!([item["owner"], item["plan"], item["metadata"], item["features"]]);
        items.as_array().unwrap().iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(names(&to), names(&from));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_licence_says_is_imported_as_it_was_exported(
        licenses in prop::collection::vec((text(30), text(20), prop::collection::vec(text(12), 0..4), any_text(40)), 1..20),
    ) {
        let from = start();
        for (owner, plan, features, note) in licenses {
            let fields = json!({ "owner": owner, "plan": plan, "features": features, "metadata": { "note": note } });
            issue(&from, fields);
        }
        let plain = |registrar: &Registrar| -> Vec<Value> {
            let lines = registrar.get("/api/v1/licenses/export").bytes;
            let line = |line: &str| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                line["updatedAt"] = Value::Null;
                line
            };
            String::from_utf8(lines).unwrap().lines().map(line).collect()
        };
        for (format, media_type) in [("ndjson", NDJSON), ("csv", CSV)] {
            let to = start();
            for page in export(&from, format) {
                let report = import(&to, "", media_type, &page).expect(200);
                prop_assert_eq!(&report["failed"], &json!(0), "{}", report);
            }
            prop_assert_eq!(plain(&to), plain(&from));
        }
    }
}

/// Text without control characters, with much of what is special in CSV.
fn text(most: usize) -> impl Strategy<Value = String> {
    let special =
        proptest::sample::select(vec!['"', ',', ';', ' ', '\'', '=', '-', '+', '@', '[', '{', 'n', '\u{a0}', 'ü']);
    let character = prop_oneof![3 => special, 1 => prop::char::range('!', '~')];
    prop::collection::vec(character, 1..most).prop_map(String::from_iter)
}

/// Text of any kind.
fn any_text(most: usize) -> impl Strategy<Value = String> {
    prop_oneof![text(most), "[a\",\r\n\t=]{0,20}", "\\PC{0,20}"]
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

#[test]
fn a_key_that_is_easy_to_guess_is_refused_unless_it_is_asked_for() {
    let registrar = start();
    let weak = ["1", "0000", "123456", "abc-def", "000000000000000000", "123456789012345"];
    let never = [" ", "\u{0}", "ab\u{0}cdefghijkl", "----", "\u{202e}"];
    let strong = ["CR-0001-AAAA-0001", "1234567890123456", "OLD-key-0815-xyz"];
    let issue = |key: &str, more: bool| {
        let mut body = json!({ "product": "acme", "plan": "pro", "key": key });
        if more {
            body["allowWeakKeys"] = true.into();
        }
        registrar.post("/api/v1/licenses", &body)
    };
    let own = super::issue(&registrar, json!({}));
    for key in weak {
        assert_eq!(issue(key, false).problem(422, "WEAK_KEY")["field"], "key", "{key:?}");
        registrar.post(&format!("{}/rotate-key", path(&own)), &json!({ "key": key })).problem(422, "WEAK_KEY");
        let line = json!({ "product": "acme", "plan": "pro", "key": key }).to_string();
        assert_eq!(errors(&import(&registrar, "", NDJSON, &line).expect(200)), ["1 WEAK_KEY key"]);
        assert_eq!(code(&registrar, &json!(key)), "NOT_FOUND");
    }
    for key in never {
        for more in [false, true] {
            assert_eq!(issue(key, more).problem(400, "INVALID_REQUEST")["field"], "key", "{key:?}");
        }
    }
    for key in strong {
        assert!(issue(key, false).expect(201).get("weakKey").is_none(), "{key:?}");
    }
    let counted = || registrar.get("/api/v1/stats").expect(200)["licenses"]["weakKeys"].clone();
    assert_eq!(counted(), 0);
    assert_eq!(issue(weak[0], true).expect(201)["weakKey"], true);
    let lines: String =
        weak[1..4].iter().map(|key| format!("{}\n", json!({ "product": "acme", "plan": "pro", "key": key }))).collect();
    for (query, imported) in [("?allowWeakKeys=true&dryRun=true", 3), ("?allowWeakKeys=true", 3)] {
        let report = import(&registrar, query, NDJSON, &lines).expect(200);
        assert_eq!((&report["imported"], &report["weakKeys"]), (&json!(imported), &json!(3)));
    }
    assert_eq!((counted(), code(&registrar, &json!("123456"))), (json!(4), json!("VALID")));

    // The mark stays with the licence, also where only the hash is known, until the key is rotated.
    for format in ["ndjson", "csv"] {
        let exported =
            String::from_utf8(registrar.get(&format!("/api/v1/licenses/export?format={format}")).bytes).unwrap();
        let other = start();
        let media_type = if format == "csv" { CSV } else { NDJSON };
        let report = import(&other, "", media_type, &exported).expect(200);
        assert_eq!((&report["imported"], &report["failed"]), (&json!(4), &json!(4)), "{format}");
        let report = import(&other, "?allowWeakKeys=true", media_type, &exported).expect(200);
        assert_eq!((&report["imported"], &report["weakKeys"]), (&json!(4), &json!(4)), "{format}");
        assert_eq!(code(&other, &json!("123456")), "VALID");
    }
    let lookup = registrar.post("/api/v1/licenses/lookup", &json!({ "key": "123456" })).expect(200);
    registrar.post(&format!("{}/rotate-key", path(&lookup)), &json!({})).expect(200);
    assert_eq!(counted(), 3);
}
