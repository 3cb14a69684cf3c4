//! What these tests share: the program, servers, and a client that sends exactly the given bytes.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod place;
pub(crate) mod vendors;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The components from `cargo xtask compose`.
pub(crate) fn components() -> PathBuf {
    std::env::var_os("COUNTERSIGN_COMPONENTS")
        .expect("COUNTERSIGN_COMPONENTS is not set: run `cargo xtask test`")
        .into()
}

/// The program with these arguments, on a data directory.
pub(crate) fn countersign(data: &Path, arguments: &[&str]) -> Command {
    let mut command = place::program(arguments);
    command.arg("--data").arg(data);
    command
}

/// Runs the program. Returns its exit code, standard output and standard error.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = countersign(data, arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Issues a licence in this directory's `data`. Returns its key, and `serve` with both apps and
/// this token of an administrator. It logs to the directory's `log`.
pub(crate) fn serve_licence(directory: &Path, token: &str, arguments: &[&str]) -> (String, Command) {
    let data = directory.join("data");
    let registrar = components().join("countersign-registrar-native.wasm");
    let registrar = ["--registrar", registrar.to_str().unwrap()];
    let issue = [&["issue", "--json", "--product", "acme", "--plan", "pro"], &registrar[..]].concat();
    let (code, issued, error) = run(&data, &issue);
    assert_eq!(code, 0, "{error}");
    let issued: serde_json::Value = serde_json::from_str(&issued).unwrap();
    let mut serve = countersign(&data, &[&["serve", "--listen", "127.0.0.1:0"], &registrar[..], arguments].concat());
    serve
        .arg("--component")
        .arg(components().join("countersign-native.wasm"))
        .arg("--journal")
        .arg(directory.join("journal"))
        .env("COUNTERSIGN_ADMIN_TOKEN", token)
        .stdout(Stdio::piped())
        .stderr(File::create(directory.join("log")).unwrap());
    (issued["key"].as_str().unwrap().to_owned(), serve)
}

/// A running `countersign serve`, killed on drop. Its guest, `guest.wat`, does what the path says.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) directory: TempDir,
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = countersign(&directory.path().join("data"), &["serve", "--listen", "127.0.0.1:0"])
            .arg("--component")
            .arg(components().join("tests/misbehaving.wasm"))
            .arg("--no-registrar")
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = first_line(child.stdout.take().unwrap());
        let address = address.strip_prefix("listening on http://").unwrap().to_owned();
        Self { child, address, directory }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends these bytes on a new connection and returns the status and body of the answer.
    pub(crate) fn send(&self, request: &[u8]) -> (u16, String) {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        receive(&mut stream).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes())
    }

    /// Sends the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the process to end and returns its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        until("the server has stopped", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls until there is an answer, within [`PATIENCE`].
pub(crate) fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(answer) = is_so() {
            return answer;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("not in time: {what}");
}

/// Reads a response: its head, and as much body as that announces.
pub(crate) fn receive(stream: &mut TcpStream) -> io::Result<(u16, String)> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((status, String::from_utf8(body).unwrap()))
}

/// The first line, within [`PATIENCE`].
pub(crate) fn first_line(output: impl Read + Send + 'static) -> String {
    lines(output).recv_timeout(PATIENCE).expect("the server prints its address")
}

/// Lines as they are written. A thread reads them, so that the process never waits for a reader.
pub(crate) fn lines(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
