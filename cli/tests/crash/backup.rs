//! Backups of a server that writes: each is of one moment, whoever is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::vendors::{Server, Worker};
use crate::support::{countersign, run, until};

const WORKERS: usize = 4;
const BACKUPS: usize = 5;

/// Names in a directory.
fn names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A server with licences, whose number it returns.
fn serve(data: &Path) -> (Server, usize) {
    let server = Server::start(data);
    assert_eq!(server.ask("POST", "/api/v1/products", None, &json!({ "code": "acme" })).unwrap().0, 201);
    for _ in 0..5 {
        let batch = json!({ "product": "acme", "plan": "pro", "count": 100 });
        assert_eq!(server.ask("POST", "/api/v1/licenses/batch", None, &batch).unwrap().0, 201);
    }
    (server, 500)
}

/// Checks that a backup agrees with itself: its store has what its database says, but for what the
/// copied outbox has, and nothing else.
fn check(backup: &Path, at_least: usize) {
    let (code, printed, err) = run(backup, &["reconcile", "--json"]);
    assert_eq!(code, 0, "{err}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    for count in ["repaired", "unknown", "later"] {
        assert_eq!(report[count].as_u64().unwrap_or(0), 0, "{report}");
    }
    assert!(report["checked"].as_u64().unwrap() as usize >= at_least, "{report}");
    let (code, printed, _) = run(backup, &["audit", "verify"]);
    assert_eq!(code, 0, "{printed}");
}

fn start(data: &Path, words: &[&str]) -> Child {
    countersign(data, words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn each_backup_of_a_writing_server_is_of_one_moment() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (server, issued) = serve(&data);
    let is_over = AtomicBool::new(false);
    let backup = |number: usize| directory.path().join(format!("backup{number}"));
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                let mut worker = Worker::default();
                while !is_over.load(Ordering::Relaxed) {
                    let asked = worker.next(&format!("worker{number}"));
                    worker.ask(server, &asked);
                }
            });
        }
        for number in 0..BACKUPS {
            let answers = server.answers.load(Ordering::Relaxed) + 50;
            until("the storm is on", || (server.answers.load(Ordering::Relaxed) >= answers).then_some(()));
            let (code, _, err) = run(&data, &["backup", backup(number).to_str().unwrap()]);
            assert_eq!(code, 0, "{err}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    for number in 0..BACKUPS {
        check(&backup(number), issued);
    }
}

/// Kills a command once its draft has this many files; returns whether the command had ended.
fn kill_at(child: &mut Child, directory: &Path, files: usize) -> bool {
    let ended = until("a draft", || {
        let draft = names(directory).into_iter().find(|name| name.ends_with(".draft"));
        let found = draft.map_or(0, |draft| fs::read_dir(directory.join(draft)).map_or(0, Iterator::count) + 1);
        if child.try_wait().unwrap().is_some() { Some(true) } else { (found > files).then_some(false) }
    });
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

#[test]
fn a_killed_backup_or_restoration_leaves_all_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (server, issued) = serve(&data);
    let path = |name: String| -> PathBuf { directory.path().join(name) };
    for files in 0..5 {
        let backup = path(format!("backup{files}"));
        let mut child = start(&data, &["backup", backup.to_str().unwrap()]);
        kill_at(&mut child, directory.path(), files);
        if backup.exists() {
            check(&backup, issued);
        }
        remove_drafts(directory.path());
        assert_eq!(server.send("GET", "/api/v1/stats", None, &Value::Null).unwrap().0, 200);
    }
    let backup = path("last".into());
    assert_eq!(run(&data, &["backup", backup.to_str().unwrap()]).0, 0);
    for files in 0..5 {
        let restored = path(format!("restored{files}"));
        let mut child = start(&restored, &["restore", backup.to_str().unwrap()]);
        kill_at(&mut child, directory.path(), files);
        if restored.exists() {
            check(&restored, issued);
        }
        remove_drafts(directory.path());
    }
    assert_eq!(run(&path("again".into()), &["restore", backup.to_str().unwrap()]).0, 0);
    check(&path("again".into()), issued);
}

#[test]
fn a_backup_outlives_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (mut server, issued) = serve(&data);
    for round in 0..3 {
        let backup = directory.path().join(format!("backup{round}"));
        let mut child = start(&data, &["backup", backup.to_str().unwrap()]);
        until("a draft", || {
            let has_begun = names(directory.path()).iter().any(|name| name.ends_with(".draft"));
            (has_begun || child.try_wait().unwrap().is_some()).then_some(())
        });
        server.child.kill().unwrap();
        assert!(child.wait().unwrap().success());
        check(&backup, issued);
        server = Server::start(&data);
    }
}

fn remove_drafts(directory: &Path) {
    for name in names(directory).iter().filter(|name| name.ends_with(".draft")) {
        fs::remove_dir_all(directory.join(name)).unwrap();
    }
}
