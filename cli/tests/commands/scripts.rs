//! What scripts rely on: arguments, JSON and exit codes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::{countersign, run};
use serde_json::{Value, json};

/// Issues a licence with further options and returns its JSON.
fn issue(data: &Path, options: &[&str]) -> Value {
    let arguments = [&["issue", "--json", "--product", "acme-editor", "--plan", "pro"], options].concat();
    let (code, stdout, stderr) = run(data, &arguments);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// The verdict's code and the exit code.
fn validate(data: &Path, key: &str, options: &[&str]) -> (String, i32) {
    let (code, stdout, stderr) = run(data, &[&["validate", "--json", key], options].concat());
    let verdict: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
    assert_eq!(verdict["valid"], json!(code == 0));
    (text(&verdict, "code").to_owned(), code)
}

#[test]
fn a_licence_is_issued_suspended_resumed_and_revoked() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let issued = issue(data, &["--domain", "example.com", "--feature", "a", "--expires", "2130-01-01T00:00:00Z"]);
    let (key, id) = (text(&issued, "key"), text(&issued, "id"));
    assert_eq!(issued["expiresAt"], "2130-01-01T00:00:00Z");
    assert_eq!(issued["generation"], 1);

    assert_eq!(validate(data, key, &["--domain", "app.example.com", "--feature", "a"]), ("VALID".into(), 0));
    assert_eq!(validate(data, key, &["--domain", "notexample.com"]), ("DOMAIN_MISMATCH".into(), 1));

    for (command, name, status, generation) in [
        ("suspend", id, "suspended", 2),
        ("suspend", key, "suspended", 2),
        ("resume", key, "active", 3),
        ("revoke", id, "revoked", 4),
        ("revoke", key, "revoked", 4),
    ] {
        let (code, stdout, _) = run(data, &[command, "--json", name]);
        let license: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((code, text(&license, "status")), (0, status), "{command}");
        assert_eq!(license["generation"], generation, "{command}");
    }
    assert_eq!(validate(data, key, &["--domain", "example.com"]), ("REVOKED".into(), 1));
    for command in ["resume", "suspend"] {
        let (code, _, stderr) = run(data, &[command, id]);
        assert_eq!((code, stderr.lines().count()), (5, 1), "{stderr}");
    }
}

#[test]
fn every_option_of_issue_is_in_the_record() {
    let data = tempfile::tempdir().unwrap();
    let mut issued = issue(
        data.path(),
        &[
            &["--domain", "*.Example.org", "--domain", "example.com", "--feature", "a", "--feature", "b"][..],
            &["--not-before", "2026-01-01", "--expires", "2030-06-01T12:00:00+02:00", "--grace", "7d"],
            &["--expiry-strategy", "maintain", "--version-from", "1.0.0", "--version-below", "3"],
            &["--require", "product", "--require", "version", "--prefix", "ACME"],
            &["--owner", "Jane Doe", "--metadata", "order=17", "--max-domains", "2"],
        ]
        .concat(),
    );
    let license = issued.as_object_mut().unwrap();
    let key = license.remove("key").unwrap();
    assert!(key.as_str().unwrap().starts_with("ACME-"));
    assert!(key.as_str().unwrap().ends_with(license.remove("hint").unwrap().as_str().unwrap()));
    for name in ["id", "issuedAt", "createdAt", "updatedAt"] {
        license.remove(name).unwrap();
    }
    assert_eq!(
        issued,
        json!({
            "generation": 1, "revision": 1, "propagated": true, "metadata": { "order": "17" }, "owner": "Jane Doe", "maxDomains": 2,
            "product": "acme-editor", "status": "active", "plan": "pro",
            "notBefore": "2026-01-01T00:00:00Z", "expiresAt": "2030-06-01T10:00:00Z", "expiryStrategy": "maintain",
            "graceSeconds": 604_800, "features": ["a", "b"], "domains": ["*.example.org", "example.com"],
            "versions": { "from": "1.0.0", "below": "3" }, "requires": ["product", "version"],
        })
    );
}

#[test]
fn every_option_on_limits_is_in_the_record() {
    let data = tempfile::tempdir().unwrap();
    let issued = issue(
        data.path(),
        &[
            &["--seats", "5", "--per", "machine", "--match", "most", "--overage", "150%"][..],
            &["--lease", "2h", "--revive", "1d"],
            &["--allowance", "credits=1000", "--allowance", "a, b=3/month,always", "--allowance", "c=1/day"],
            &["--allowance", "d=2/12mo,begins=31,150%", "--allowance", "e=2/week,begins=license"],
            &["--starts", "first-activation", "--duration", "30d"],
        ]
        .concat(),
    );
    assert_eq!(
        issued["activation"],
        json!({
            "per": "machine", "limit": 5, "match": "most", "overage": "150%", "leaseSeconds": 7_200, "reviveSeconds": 86_400,
            "manage": "own",
        })
    );
    assert_eq!(
        issued["allowances"],
        json!([
            { "name": "credits", "limit": 1_000, "period": "total", "overage": "none", "returns": "vendor" },
            { "name": "a, b", "limit": 3, "period": "month", "overage": "always", "returns": "vendor" },
            { "name": "c", "limit": 1, "period": "day", "overage": "none", "returns": "vendor" },
            { "name": "d", "limit": 2, "period": "P1Y", "begins": 31, "overage": "150%", "returns": "vendor" },
            { "name": "e", "limit": 2, "period": "week", "begins": "license", "overage": "none", "returns": "vendor" },
        ])
    );
    assert_eq!((&issued["expiryBasis"], &issued["durationSeconds"]), (&json!("first-activation"), &json!(2_592_000)));
    assert_eq!(issued.get("expiresAt"), None);

    let plain = issue(data.path(), &[]);
    for name in ["activation", "allowances", "expiryBasis", "durationSeconds"] {
        assert_eq!(plain.get(name), None, "{name}");
    }
}

#[test]
fn seats_and_allowances_are_shown() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let options = ["--seats", "2", "--lease", "1h", "--allowance", "credits=10/month", "--starts", "first-activation"];
    for wrong in ["a=1/week,begins=1", "a=1,begins=license", "a=1/month,begins=32", "a=1/1mo1d", "a=1/month,begin=1"] {
        assert_eq!(run(data, &["issue", "--product", "acme", "--plan", "pro", "--allowance", wrong]).0, 2, "{wrong}");
    }
    let issued = issue(data, &[&options[..], &["--duration", "1d"]].concat());
    let (id, key) = (text(&issued, "id"), text(&issued, "key"));

    let (code, shown, _) = run(data, &["show", id]);
    assert_eq!(code, 0);
    for row in ["0 of 2 taken, one per machine", "1h", "0 of 10 used this month", "1d after first activation"] {
        assert!(shown.contains(row), "no {row:?} in {shown}");
    }
    assert_eq!(run(data, &["activations", id]).0, 0);
    let (code, listed, _) = run(data, &["activations", "--json", key]);
    assert_eq!(code, 0);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["activations"], &listed["usage"][0]["limit"]), (&json!([]), &json!(10)));
    assert_eq!(run(data, &["activations", "lic_00000000000000000000000000"]).0, 4);

    assert_eq!(validate(data, key, &[]), ("FINGERPRINT_REQUIRED".into(), 1));
    let machine = ["--fingerprint", "board", "--fingerprint", "disk", "--user", "ada", "--allowance", "credits"];
    assert_eq!(validate(data, key, &machine), ("NOT_ACTIVATED".into(), 1));
    for malformed in [["--fingerprint", ""], ["--user", ""], ["--allowance", ""]] {
        let (code, _, stderr) = run(data, &[&["validate", key], &malformed[..]].concat());
        assert_eq!((code, stderr.lines().count()), (2, 1), "{stderr}");
    }
}

#[test]
fn wrong_values_are_refused_and_nothing_is_issued() {
    let data = tempfile::tempdir().unwrap();
    for options in [
        ["--domain", "co.uk"],
        ["--domain", "https://example.com/"],
        ["--expires", "tomorrow"],
        ["--grace", "7w"],
        ["--grace", "99999999d"],
        ["--require", "nonce"],
        ["--prefix", "acme"],
        ["--version-from", "1.x"],
    ] {
        let (code, _, stderr) =
            run(data.path(), &[&["issue", "--product", "p", "--plan", "pro"], &options[..]].concat());
        assert_eq!((code, stderr.lines().count()), (2, 1), "{options:?}: {stderr}");
    }
    assert_eq!(run(data.path(), &["list"]).0, 3, "there is no store yet");
    assert_eq!(run(data.path(), &["product", "create", "p"]).0, 0);
    for options in [["--owner", ""], ["--metadata", "a b=c"], ["--max-domains", "0"]] {
        let (code, _, stderr) =
            run(data.path(), &[&["issue", "--product", "p", "--plan", "pro"], &options[..]].concat());
        assert_eq!((code, stderr.lines().count()), (2, 1), "{options:?}: {stderr}");
    }
    assert_eq!(run(data.path(), &["list"]).1.lines().count(), 1);
}

#[test]
fn limits_out_of_bounds_are_refused_and_nothing_is_issued() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(run(data.path(), &["product", "create", "p"]).0, 0);
    let refuse = |options: &[&str]| {
        let (code, _, stderr) = run(data.path(), &[&["issue", "--product", "p", "--plan", "pro"], options].concat());
        assert_eq!((code, stderr.lines().count()), (2, 1), "{options:?}: {stderr}");
    };
    for options in [
        &["--seats", "many"][..],
        &["--seats", "-1"],
        &["--seats", "1", "--per", "planet"],
        &["--seats", "1", "--overage", "100%"],
        &["--seats", "1", "--overage", "1001%"],
        &["--seats", "1", "--match", "some"],
        &["--seats", "1", "--lease", "1w"],
        &["--allowance", "credits"],
        &["--allowance", "=5"],
        &["--allowance", "credits=many"],
        &["--allowance", "credits=5/decade"],
        &["--allowance", "credits=5,50%"],
        &["--starts", "yesterday", "--duration", "1d"],
        &["--starts", "first-validation", "--duration", "1d", "--expires", "2130-01-01"],
    ] {
        refuse(options);
    }
    let nine = ["a=1", "b=1", "c=1", "d=1", "e=1", "f=1", "g=1", "h=1", "i=1"].map(|text| ["--allowance", text]);
    for options in [
        &["--seats", "0"][..],
        &["--per", "user"],
        &["--lease", "1h"],
        &["--seats", "1", "--revive", "1h"],
        &["--seats", "1001"],
        &["--seats", "1", "--lease", "0"],
        &["--allowance", "credits=0"],
        &["--allowance", "credits=1000000000001"],
        &["--allowance", "credits=1", "--allowance", "credits=2/day"],
        &["--starts", "first-activation", "--duration", "1d"],
        &["--starts", "first-validation", "--duration", "0"],
        &["--starts", "first-validation"],
        &["--duration", "0"],
        &nine.concat(),
    ] {
        refuse(options);
    }
    assert_eq!(run(data.path(), &["list"]).1.lines().count(), 1);
}

#[test]
fn an_existing_key_is_accepted_once() {
    let data = tempfile::tempdir().unwrap();
    let key = "8f14e45f-ceea-467f-a8b1-1a2b3c4d5e6f";
    assert_eq!(issue(data.path(), &["--key", key]).get("key"), None, "the caller has it already");
    assert_eq!(validate(data.path(), key, &[]), ("VALID".into(), 0));
    assert_eq!(run(data.path(), &["issue", "--product", "p", "--plan", "pro", "--key", key]).0, 5);
}

#[test]
fn a_key_is_read_from_standard_input() {
    let data = tempfile::tempdir().unwrap();
    let issued = issue(data.path(), &[]);
    for command in ["validate", "show", "revoke"] {
        let mut child =
            countersign(data.path(), &[command, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", text(&issued, "key").to_lowercase()).unwrap();
        assert!(child.wait().unwrap().success(), "{command}");
    }
    assert_eq!(validate(data.path(), text(&issued, "key"), &[]), ("REVOKED".into(), 1));
}

#[test]
fn each_kind_of_error_has_its_exit_code() {
    let data = tempfile::tempdir().unwrap();
    let missing = data.path().join("missing");
    for command in [&["list"][..], &["show", "lic_00000000000000000000000000"], &["validate", "a-key-from-elsewhere"]] {
        let (code, _, stderr) = run(&missing, command);
        assert_eq!(code, 3, "{command:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!missing.exists(), "only commands that write create a data directory");

    let issued = issue(data.path(), &[]);
    let key = text(&issued, "key");
    let mistyped = format!("{}{}", &key[..key.len() - 1], if key.ends_with('2') { '3' } else { '2' });
    assert_eq!(run(data.path(), &["show", "lic_00000000000000000000000000"]).0, 4);
    assert_eq!(run(data.path(), &["revoke", "a-key-from-elsewhere"]).0, 4);
    assert_eq!(run(data.path(), &["revoke", &mistyped]).0, 2);
    assert_eq!(validate(data.path(), &mistyped, &[]), ("MALFORMED_KEY".into(), 1));
    assert_eq!(validate(data.path(), "a-key-from-elsewhere", &[]), ("NOT_FOUND".into(), 1));
    assert_eq!(run(data.path(), &["validate", key, "--domain", "a..b"]).0, 2);
    assert_eq!(run(data.path(), &["frobnicate"]).0, 2);
}

#[test]
fn no_output_but_that_of_issue_holds_the_key() {
    let data = tempfile::tempdir().unwrap();
    let issued = issue(data.path(), &["--expires", "2020-01-01"]);
    let key = text(&issued, "key");
    for command in [
        &["list"][..],
        &["list", "--json"],
        &["show", key],
        &["show", "--json", key],
        &["validate", key],
        &["validate", "--json", key],
        &["suspend", key],
        &["revoke", "--json", key],
        &["export", "--format", "spin"],
    ] {
        let (_, stdout, stderr) = run(data.path(), command);
        assert!(!stdout.is_empty() && !stdout.contains(key) && !stderr.contains(key), "{command:?}");
    }
    for entry in fs::read_dir(data.path()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
}

#[test]
fn lists_are_for_people_and_for_scripts() {
    let data = tempfile::tempdir().unwrap();
    let issued: Vec<Value> = (0..3).map(|_| issue(data.path(), &["--domain", "example.com"])).collect();
    let (_, table, _) = run(data.path(), &["list"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let (_, list, _) = run(data.path(), &["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let list = list["items"].as_array().unwrap();
    for license in &issued {
        assert!(table.contains(text(license, "id")));
        assert!(list.iter().any(|listed| listed["id"] == license["id"]));
    }
}

#[test]
fn exports_have_each_record_in_the_form_of_the_host() {
    let data = tempfile::tempdir().unwrap();
    issue(data.path(), &["--domain", "example.com", "--feature", "a,b=c %"]);
    issue(data.path(), &["--feature", "ünïcode"]);
    let (_, list, _) = run(data.path(), &["list", "--json"]);
    let list: Value = serde_json::from_str(&list).unwrap();
    let is_listed = |key: &str, record: &str| {
        let record: Value = serde_json::from_str(record).unwrap();
        let fields = record.as_object().unwrap().iter().filter(|(name, _)| *name != "format");
        let fields: Vec<_> = fields.collect();
        let is_it = |listed: &Value| fields.iter().all(|(name, value)| listed.get(name) == Some(value));
        key.starts_with("license:") && list["items"].as_array().unwrap().iter().any(is_it)
    };

    let file = data.path().join("licenses.json");
    assert_eq!(run(data.path(), &["export", "--format", "fastly", "--output", file.to_str().unwrap()]).0, 0);
    let fastly: serde_json::Map<String, Value> = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(fastly.len(), 2);
    assert!(fastly.iter().all(|(key, record)| is_listed(key, record.as_str().unwrap())));

    let (_, spin, _) = run(data.path(), &["export", "--format", "spin"]);
    assert_eq!(spin.lines().count(), 2);
    for line in spin.lines() {
        let (key, record) = line.strip_prefix("--key-value=").unwrap().split_once('=').unwrap();
        assert!(is_listed(key, record));
    }

    let (_, wasmtime, _) = run(data.path(), &["export", "--format", "wasmtime"]);
    assert_eq!(wasmtime.lines().count(), 2);
    for line in wasmtime.lines() {
        let (key, record) = line.strip_prefix("-Skeyvalue-in-memory-data=").unwrap().split_once('=').unwrap();
        assert!(key.starts_with("license:") && !record.contains([',', '=', ' ', '"']), "{record}");
    }
}

#[test]
fn a_store_is_exported_whole_and_from_a_data_directory() {
    let data = tempfile::tempdir().unwrap();
    issue(data.path(), &[]);
    assert_eq!(run(data.path(), &["export", "--format", "spin", "--status", "active"]).0, 2);
    let served = ["export", "--format", "spin", "--server", "http://127.0.0.1:1"];
    assert_eq!(crate::support::place::run(&mut crate::support::place::program(&served), "").code, 2);
}

#[test]
fn an_invalid_command_line_gets_one_line_that_names_the_help() {
    for (words, line) in [
        (&["issue", "--colour"][..], "unexpected argument '--colour' found; see countersign issue --help"),
        (
            &["token", "create", "--colour=red"],
            "unexpected argument '--colour' found; see countersign token create --help",
        ),
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'; see countersign --help"),
        (&[], "a command is missing; see countersign --help"),
        (&["token"], "a command is missing; see countersign token --help"),
        (&["validate"], "the following required arguments were not provided: <KEY>; see countersign validate --help"),
        (
            &["list", "--data", "a", "--server", "b"],
            "the argument '--data <DIR>' cannot be used with '--server <URL>'; see countersign list --help",
        ),
        (
            &["completions", "tcsh"],
            "invalid value '…' for '<SHELL>' [possible values: bash, elvish, fish, powershell, zsh]; \
             see countersign completions --help",
        ),
    ] {
        let printed = crate::support::place::run(&mut crate::support::place::program(words), "");
        assert_eq!((printed.code, printed.out.as_str()), (2, ""), "{words:?}");
        assert_eq!(printed.err, format!("countersign: {line}\n"));
    }
}

#[test]
fn errors_on_the_command_line_quote_no_secret() {
    const SECRET: &str = "cst_0123456789";
    for words in [
        &["SECRET"][..],
        &["validate", "key", "SECRET"],
        &["suspend", "key", "--", "SECRET"],
        &["list", "SECRET"],
        &["list", "--SECRET"],
        &["list", "--token", "SECRET"],
        &["list", "--token=SECRET"],
        &["list", "--json=SECRET"],
        &["list", "--limit", "SECRET"],
        &["list", "-SECRET"],
        &["issue", "--expires", "SECRET"],
        &["export", "--format", "SECRET"],
        &["serve", "--data", "data", "--setting", "SECRET"],
        &["serve", "--data", "data", "--setting", "ADMIN=SECRET"],
    ] {
        let words: Vec<String> = words.iter().map(|word| word.replace("SECRET", SECRET)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = crate::support::place::run(&mut crate::support::place::program(&words), "");
        assert_eq!((printed.code, printed.out.as_str(), printed.err.lines().count()), (2, "", 1), "{words:?}");
        assert!(!printed.err.contains(&SECRET[4..]), "{}", printed.err);
    }
}

#[test]
fn a_command_without_a_reader_ends_quietly() {
    let data = tempfile::tempdir().unwrap();
    let issued = issue(data.path(), &[]);
    let (key, id) = (text(&issued, "key"), text(&issued, "id"));
    assert_eq!(run(data.path(), &["suspend", id]).0, 0);
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for words in [
        &["export"][..],
        &["export", "--format", "spin-sqlite"],
        &["list"],
        &["list", "--json"],
        &["show", id],
        &["product", "list"],
        &["events"],
        &["stats"],
        &["reconcile"],
        &["audit", "verify"],
        &["resume", id],
        &["suspend", id],
        // Not 0, which means that the licence is valid.
        &["validate", key],
        &["validate", "--json", key],
    ] {
        let mut command = countersign(data.path(), words);
        let output = command.stdout(closed()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(141), &b""[..]), "{words:?}");
    }
    let completions = crate::support::place::program(&["completions", "bash"]).stdout(closed()).status().unwrap();
    assert_eq!(completions.code(), Some(141));

    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let output = countersign(data.path(), &["export"]).stdout(full()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr.split(|byte| *byte == b'\n').count()), (Some(3), 2));
    // A note that cannot be printed does not change the exit code.
    let status = countersign(data.path(), &["validate", "no such key"]).stdout(Stdio::null()).stderr(closed()).status();
    assert_eq!(status.unwrap().code(), Some(1));
    let status = countersign(data.path(), &["show", "lic_nobody"]).stderr(closed()).status();
    assert_eq!(status.unwrap().code(), Some(4));
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let printed = crate::support::place::run(&mut crate::support::place::program(&["completions", shell]), "");
        assert_eq!((printed.code, printed.err.as_str()), (0, ""));
        for word in ["rotate-key", "product", "no-registrar"] {
            assert!(printed.out.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn every_command_says_what_it_does() {
    let help = |words: &[&str]| {
        crate::support::place::run(&mut crate::support::place::program(&[words, &["--help"]].concat()), "")
    };
    let names = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
        names.filter(|name| *name != "help").map(str::to_owned).collect()
    };
    let top = help(&[]);
    assert!(top.out.contains("Exit codes:"));
    let commands = names(&mut top.out.lines().take_while(|line| *line != "Options:"));
    assert!(commands.len() > 25, "{commands:?}");
    for name in commands {
        let printed = help(&[&name]);
        assert!(printed.code == 0 && !printed.out.starts_with("Usage"), "{name} has no sentence");
        let mut verbs = printed.out.lines().skip_while(|line| *line != "Commands:").take_while(|line| !line.is_empty());
        for verb in names(&mut verbs) {
            let printed = help(&[&name, &verb]);
            assert!(printed.code == 0 && !printed.out.starts_with("Usage"), "{name} {verb} has no sentence");
        }
    }
}

#[test]
fn licences_of_a_lost_database_are_adopted() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let [first, second] = [&["--feature", "a"][..], &["--domain", "example.com"]].map(|options| issue(data, options));
    let deleted = issue(data, &[]);
    assert_eq!(run(data, &["delete", text(&deleted, "id")]).0, 0);
    for file in fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("registrar.db") {
            fs::remove_file(file).unwrap();
        }
    }
    assert_eq!(run(data, &["show", text(&first, "id")]).0, 4);
    let reconcile = |options: &[&str]| run(data, &[&["reconcile"], options].concat());
    let left = "1 tombstone of a deleted licence (left unchanged)\n";
    // In the order of their keys' hashes.
    let items_line = "a licence\n";
    let items = items_line.repeat(2);
    for (options, expected) in [
        (
            &[][..],
            format!(
                "3 checked, 0 repaired\n{items}2 differences left (--adopt takes the store's side, --drop this one)\n{left}"
            ),
        ),
        (
            &["--adopt", "--dry-run"],
            format!(
                "3 checked, 0 would be repaired\n{items}2 differences would be adopted\n{left}would create product acme-editor\n"
            ),
        ),
        (
            &["--adopt"],
            format!("3 checked, 0 repaired\n{items}2 differences adopted\n{left}created product acme-editor\n"),
        ),
        (&["--adopt"], format!("5 checked, 0 repaired\n{left}")),
    ] {
        let (code, mut printed, error) = reconcile(options);
        for licence in [&first, &second] {
            let line = format!("{} only in the store: acme-editor, pro, active\n", text(licence, "id"));
            printed = printed.replace(&line, items_line);
        }
        assert_eq!((code, printed, error), (0, expected, String::new()), "{options:?}");
    }
    let sums: Value = serde_json::from_str(&reconcile(&["--adopt", "--json"]).1).unwrap();
    let expected = json!({
        "checked": 5, "repaired": 0, "later": 0, "unknown": 1, "adopted": 0, "dropped": 0, "retired": 1, "unreadable": 0,
        "conflicting": 0, "products": [], "items": [], "begun": 0,
    });
    assert_eq!(sums, expected);
    for licence in [&first, &second] {
        let (code, shown, _) = run(data, &["show", text(licence, "id"), "--json"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!((code, &shown["features"], &shown["domains"]), (0, &licence["features"], &licence["domains"]));
        assert_eq!((&shown["generation"], &shown["issuedAt"]), (&licence["generation"], &licence["issuedAt"]));
    }
    assert_eq!(run(data, &["revoke", text(&first, "id")]).0, 0);
    assert_eq!(validate(data, text(&first, "key"), &[]), ("REVOKED".into(), 1));
}
