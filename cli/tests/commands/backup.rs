//! A backup is made beside a server, and restored where nothing is lost by it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::support::place::{Place, Printed};
use crate::support::run;

const STORE: &str = "countersign.db";
const DATABASE: &str = "registrar.db";

/// A data directory with one licence; the licence, with its key.
fn with_licence() -> (Place, Value) {
    let place = Place::data();
    let licence = place.json(&["issue", "--product", "acme", "--plan", "pro", "--owner", "jane"]);
    (place, licence)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

fn back_up(place: &Place, name: &str) -> String {
    let target = place.directory().with_file_name(name).to_str().unwrap().to_owned();
    let (code, _, err) = run(&place.directory(), &["backup", &target]);
    assert_eq!(code, 0, "{err}");
    target
}

fn names(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Runs a command that must fail with this code and these words, on one line.
fn refuse(data: &Path, words: &[&str], code: i32, expected: &str) {
    let (found, _, err) = run(data, words);
    assert_eq!((found, err.lines().count()), (code, 1), "{words:?}: {err}");
    assert!(err.contains(expected), "{words:?}: {err}");
}

#[test]
fn a_backup_is_restored_with_all_that_it_has() {
    let place = Place::server();
    assert_eq!(place.run(&["product", "create", "acme"]).code, 0);
    let licence = place.json(&["issue", "--product", "acme", "--plan", "pro", "--owner", "jane"]);
    let backup = back_up(&place, "monday");
    assert_eq!(place.run(&["suspend", text(&licence, "id")]).code, 0);
    assert_eq!((names(Path::new(&backup)), mode(Path::new(&backup))), (vec![STORE.into(), DATABASE.into()], 0o700));

    let other = place.directory().with_file_name("other");
    let (code, out, err) = run(&other, &["restore", &backup]);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("restored "), "{out}");
    for name in [STORE, DATABASE] {
        assert_eq!(mode(&other.join(name)), 0o600, "{name}");
        assert!(!other.join(format!("{name}-wal")).exists(), "all of it is in the one file");
    }
    assert_eq!(mode(&other), 0o700);
    assert_eq!(run(&other, &["validate", text(&licence, "key")]).0, 0, "as it was on Monday");
    let (_, shown, _) = run(&other, &["show", text(&licence, "id")]);
    assert!(shown.contains("jane"), "{shown}");
    assert_eq!(run(&other, &["audit", "verify"]).0, 0);
    assert_eq!(place.run(&["validate", text(&licence, "key")]).code, 1, "the server goes on");
    assert_eq!(names(other.parent().unwrap()), ["data", "monday", "other"], "no draft is left");
}

#[test]
fn nothing_is_overwritten() {
    let (place, licence) = with_licence();
    let data = place.directory();
    let backup = back_up(&place, "backup");
    refuse(&data, &["backup", &backup], 2, "already exists");
    refuse(&data, &["restore", &backup], 2, "already exists");
    refuse(&data, &["restore", &backup, "--keep-store"], 2, "already exists");
    // The log of a lost database would be read into the restored one.
    fs::remove_file(data.join(DATABASE)).unwrap();
    fs::write(data.join("registrar.db-wal"), "what was written last").unwrap();
    refuse(&data, &["restore", &backup, "--keep-store"], 2, "registrar.db-wal already exists");
    refuse(&data, &["restore", &backup], 2, "already exists");
    assert_eq!(run(&data, &["validate", text(&licence, "key")]).0, 0);
}

#[test]
fn a_directory_without_a_store_is_refused() {
    let (place, _) = with_licence();
    let missing = place.directory().with_file_name("missing");
    refuse(&missing, &["backup", "x"], 3, "has no countersign.db");
    let new = place.directory().with_file_name("new");
    refuse(&new, &["restore", missing.to_str().unwrap()], 3, "has no countersign.db");
    let backup = back_up(&place, "backup");
    refuse(&new, &["restore", &backup, "--keep-store"], 3, "new has no countersign.db");
    refuse(&new, &["backup", "--server", "http://127.0.0.1:1", "x"], 2, "cannot be used with");
    assert_eq!(names(new.parent().unwrap()), ["backup", "data"]);
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_nothing() {
    let (place, _) = with_licence();
    let whole = back_up(&place, "whole");
    let cases: [(&str, Damage, &str); 6] = [
        ("a page is overwritten", |copy| overwrite(&copy.join(DATABASE), 4_096), "is damaged"),
        ("a page of the store is", |copy| overwrite(&copy.join(STORE), 4_096), "is damaged"),
        ("the end is missing", |copy| shorten(&copy.join(DATABASE)), "is damaged"),
        ("a file is empty", |copy| fs::write(copy.join(DATABASE), "").unwrap(), "is not a readable SQLite database"),
        ("the files are exchanged", exchange, "is another database than its name says"),
        (
            "it is from a newer version",
            |copy| execute(&copy.join(DATABASE), "UPDATE schema SET version = 1000"),
            "newer-schema",
        ),
    ];
    for (case, damage, expected) in cases {
        let copy = place.directory().with_file_name("copy");
        fs::create_dir(&copy).unwrap();
        for name in [STORE, DATABASE] {
            fs::copy(Path::new(&whole).join(name), copy.join(name)).unwrap();
        }
        damage(&copy);
        println!("{case}");
        refuse(&place.directory().with_file_name("new"), &["restore", copy.to_str().unwrap()], 3, expected);
        fs::remove_dir_all(&copy).unwrap();
        assert_eq!(names(copy.parent().unwrap()), ["data", "whole"], "{case}");
    }
}

/// Damages the copy of a backup.
type Damage = fn(&Path);

fn overwrite(file: &Path, from: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[from..from + 2_000].fill(0x5a);
    fs::write(file, bytes).unwrap();
}

fn shorten(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn exchange(copy: &Path) {
    fs::rename(copy.join(STORE), copy.join("aside")).unwrap();
    fs::rename(copy.join(DATABASE), copy.join(STORE)).unwrap();
    fs::rename(copy.join("aside"), copy.join(DATABASE)).unwrap();
}

fn execute(file: &Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

/// What the documents say about copies by other means.
#[test]
fn a_copy_of_the_whole_directory_is_restored_and_one_of_the_db_files_lacks_the_newest() {
    let place = Place::server();
    assert_eq!(place.run(&["product", "create", "acme"]).code, 0);
    let licence = place.json(&["issue", "--product", "acme", "--plan", "pro"]);
    let copy = |name: &str, takes: fn(&str) -> bool| {
        let copy = place.directory().with_file_name(name);
        fs::create_dir(&copy).unwrap();
        for file in names(&place.directory()).iter().filter(|file| file.contains(".db") && takes(file)) {
            fs::copy(place.directory().join(file), copy.join(file)).unwrap();
        }
        let restored = place.directory().with_file_name(format!("{name}-restored"));
        let (code, _, err) = run(&restored, &["restore", copy.to_str().unwrap()]);
        assert_eq!(code, 0, "{err}");
        run(&restored, &["show", text(&licence, "id")]).0
    };
    assert_eq!(copy("whole", |_| true), 0);
    assert_eq!(copy("databases", |file| file.ends_with(".db")), 4, "the licence was in the log only");
}

#[test]
fn a_lost_database_is_restored_beside_the_store() {
    let (place, licence) = with_licence();
    let data = place.directory();
    let backup = back_up(&place, "backup");
    assert_eq!(place.run(&["suspend", text(&licence, "id")]).code, 0);
    fs::remove_file(data.join(DATABASE)).unwrap();
    let (code, out, err) = run(&data, &["restore", &backup, "--keep-store"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("countersign reconcile"), "{out}");
    assert_eq!(mode(&data.join(DATABASE)), 0o600);
    let Printed { out, .. } = place.run(&["validate", text(&licence, "key")]);
    assert!(out.starts_with("SUSPENDED"), "{out}");
    assert_eq!(place.json(&["show", text(&licence, "id")])["status"], "active", "the database forgot");
}

#[test]
fn a_server_without_the_vendor_api_is_backed_up_too() {
    let (place, licence) = with_licence();
    fs::remove_file(place.directory().join(DATABASE)).unwrap();
    let backup = back_up(&place, "backup");
    assert_eq!(names(Path::new(&backup)), [STORE]);
    let new = place.directory().with_file_name("new");
    assert_eq!(run(&new, &["restore", &backup]).0, 0);
    assert_eq!(run(&new, &["validate", text(&licence, "key")]).0, 0);
    fs::create_dir(place.directory().with_file_name("empty")).unwrap();
    refuse(&new, &["restore", &backup, "--keep-store"], 3, "has no registrar.db");
}
