//! The command line on a data directory and on a server, with names in place of generated ids and
//! keys in its output.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use countersign::time::Timestamp;
use tempfile::TempDir;

use super::{PATIENCE, components, lines};

/// The admin token that the server is started with.
pub(crate) const ADMIN_TOKEN: &str = "an-administrator-of-these-tests-alone";

/// The exit code and the output of a command.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Where commands work.
pub(crate) enum Place {
    Data(TempDir),
    Server(Server),
}

/// `countersign serve` with both components, killed on drop.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    directory: TempDir,
}

impl Place {
    pub(crate) fn data() -> Self {
        Self::Data(tempfile::tempdir().unwrap())
    }

    pub(crate) fn server() -> Self {
        Self::Server(Server::start())
    }

    /// The data directory, of a server too.
    pub(crate) fn directory(&self) -> PathBuf {
        match self {
            Self::Data(directory) => directory.path().join("data"),
            Self::Server(server) => server.data(),
        }
    }

    /// The program with these arguments, on this place.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = program(words);
        match self {
            Self::Data(directory) => command.arg("--data").arg(directory.path().join("data")),
            Self::Server(server) => command.args(["--server", &server.url]).env("COUNTERSIGN_TOKEN", ADMIN_TOKEN),
        };
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Printed {
        run(&mut self.command(words), "")
    }

    /// Runs a command that must succeed and returns the JSON that it prints.
    pub(crate) fn json(&self, words: &[&str]) -> serde_json::Value {
        let Printed { code, out, err } = self.run(&[words, &["--json"]].concat());
        assert_eq!(code, 0, "{words:?}: {err}");
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("{words:?} printed {out}"))
    }
}

impl Server {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = program(&["serve", "--listen", "127.0.0.1:0", "--journal", "none", "--data"])
            .arg(directory.path().join("data"))
            .env("COUNTERSIGN_ADMIN_TOKEN", ADMIN_TOKEN)
            .env("COUNTERSIGN_COMPONENT", components().join("countersign-native.wasm"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let url = lines.recv_timeout(PATIENCE).unwrap().strip_prefix("listening on ").unwrap().to_owned();
        // By then the first token exists, so tests see a fixed number of events.
        assert!(lines.recv_timeout(PATIENCE).unwrap().starts_with("admin token"));
        Self { child, url, directory }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program without this process' variables, and with a cache that all tests share, as compiling
/// takes a second.
pub(crate) fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for name in [
        "COUNTERSIGN_DATA",
        "COUNTERSIGN_TOKEN",
        "COUNTERSIGN_PROFILE",
        "COUNTERSIGN_COMPONENT",
        "COUNTERSIGN_ADMIN_TOKEN",
    ] {
        command.env_remove(name);
    }
    command
        .args(words)
        .env("COUNTERSIGN_REGISTRAR", components().join("countersign-registrar-native.wasm"))
        .env("COUNTERSIGN_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .stdin(Stdio::null());
    command
}

/// Runs a command with `input` on standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Printed {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that ends without reading its input breaks the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Printed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Names for generated text: `lic#1` is the first licence's id that is printed, `key#1` the first
/// key.
#[derive(Default)]
pub(crate) struct Names {
    names: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    /// The text with names in place of generated text, and `<time>` in place of times.
    pub(crate) fn give(&mut self, text: &str) -> String {
        // Twice, as the end of a key may be printed before the key.
        self.give_once(text);
        self.give_once(text)
    }

    fn give_once(&mut self, text: &str) -> String {
        let mut given = String::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let is_time = |text: &str| Timestamp::parse(text).is_ok() && !text.starts_with("21");
            if rest.get(..20).is_some_and(is_time) {
                given.push_str("<time>");
                rest = &rest[20..];
                continue;
            }
            let end = rest.find(|other: char| !(other.is_ascii_alphanumeric() || "_-".contains(other)));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()).max(first.len_utf8()));
            given.push_str(&self.name(word));
            rest = after;
        }
        let lines = given.lines().map(|line| line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim_start));
        lines.map(|cells| cells.collect::<Vec<_>>().join("  ") + "\n").collect()
    }

    /// The text with generated text in place of names.
    pub(crate) fn take(&self, text: &str) -> String {
        // The longest first, as key#10 begins with key#1.
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        names.into_iter().fold(text.to_owned(), |text, (word, name)| text.replace(name.as_str(), word))
    }

    fn name(&mut self, word: &str) -> String {
        let is_id = word.len() == 30 && word.as_bytes()[3] == b'_';
        let kind = match word.split(['_', '-']).next().unwrap_or_default() {
            kind @ ("lic" | "pol" | "tok" | "evt" | "req" | "act") if is_id => {
                ["lic", "pol", "tok", "evt", "req", "act"].into_iter().find(|known| *known == kind).unwrap()
            }
            "cst" if word.len() == 63 => "token",
            _ if word.len() > 30 && word.contains('-') && !word.contains(|c: char| c.is_ascii_lowercase()) => "key",
            _ if word.len() == 64 => "hash",
            _ => return self.names.get(word).filter(|_| word.len() == 4).map_or(word, String::as_str).to_owned(),
        };
        if !self.names.contains_key(word) {
            let next = self.counts.entry(kind).or_default();
            *next += 1;
            self.names.insert(word.to_owned(), format!("{kind}#{next}"));
            if kind == "key" {
                // Licences show the end of their key.
                self.names.insert(word[word.len() - 4..].to_owned(), format!("end#{next}"));
            }
        }
        self.names[word].clone()
    }
}

/// Writes a file to the directory and returns its path.
pub(crate) fn file(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}
