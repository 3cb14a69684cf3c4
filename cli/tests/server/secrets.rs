//! What must be secret stays so: on the command line, in output, and in files.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

use crate::support::place::run;
use crate::support::{PATIENCE, components, countersign, lines, until};

const SECRET: &str = "0123456789abcdef-0123456789abcdef";

/// `countersign serve` with both components, killed on drop.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(directory: &TempDir) -> Command {
    let mut command = countersign(&directory.path().join("data"), &["serve", "--listen", "127.0.0.1:0"]);
    command
        .arg("--component")
        .arg(components().join("countersign-native.wasm"))
        .arg("--registrar")
        .arg(components().join("countersign-registrar-native.wasm"))
        .env("COUNTERSIGN_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn get(address: &str, path: &str, token: &str) -> u16 {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    crate::support::receive(&mut stream).unwrap().0
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn without_a_terminal_the_first_token_is_in_a_file_and_in_no_output() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = serve(&directory).spawn().unwrap();
    let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
    let mut serving = Serving(child);
    let first = out.recv_timeout(PATIENCE).unwrap();
    let address = first.strip_prefix("listening on http://").unwrap();
    let mut printed = vec![first.clone()];
    let told = until("the path of the file is printed", || {
        printed.push(out.recv_timeout(PATIENCE).unwrap());
        printed.last().filter(|line| line.starts_with("admin token  ")).cloned()
    });
    let file = directory.path().join("data/admin-token");
    assert!(told.contains(file.to_str().unwrap()), "{told}");
    assert_eq!(mode(&file), 0o600);
    let token = fs::read_to_string(&file).unwrap();
    let token = token.trim_end();
    assert_eq!(get(address, "/api/v1/tokens", token), 200);
    serving.0.kill().unwrap();
    serving.0.wait().unwrap();
    printed.extend(out.iter().chain(err.iter()));
    assert!(printed.iter().any(|line| line.contains(r#""event":"request""#)), "the journal was on standard output");
    assert!(!printed.iter().any(|line| line.contains(&token[30..])), "{printed:?}");
}

#[test]
fn on_a_terminal_the_first_token_is_shown_there_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let other_end = ptsname(&terminal, Vec::new()).unwrap();
    let other_end = fs::OpenOptions::new().read(true).write(true).open(other_end.to_str().unwrap()).unwrap();
    let mut child = serve(&directory).stderr(other_end).spawn().unwrap();
    let out = lines(child.stdout.take().unwrap());
    let _serving = Serving(child);
    let address = out.recv_timeout(PATIENCE).unwrap();
    let shown = lines(fs::File::from(terminal));
    let token = until("the token is shown", || {
        let line = shown.recv_timeout(PATIENCE).unwrap();
        line.strip_prefix("admin token  ").map(|rest| rest.split(' ').next().unwrap().to_owned())
    });
    assert_eq!(get(address.strip_prefix("listening on http://").unwrap(), "/api/v1/tokens", &token), 200);
    assert!(!directory.path().join("data/admin-token").exists());
    assert!(out.recv_timeout(PATIENCE).unwrap().contains(r#""event":"request""#), "no other line came before");
}

#[test]
fn a_secret_is_not_taken_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["admin_token", "host_token", "token"] {
        let printed = run(serve(&directory).arg("--setting").arg(format!("{name}={SECRET}")), "");
        assert_eq!((printed.code, printed.err.lines().count()), (2, 1), "{}", printed.err);
        let variable = format!("$COUNTERSIGN_{}", name.to_uppercase());
        assert!(printed.err.contains(&variable) && !printed.err.contains(SECRET), "{}", printed.err);
    }
}

#[test]
fn a_secret_is_read_from_a_file_or_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let by_file = |command: &mut Command| {
        command.arg("--setting-file").arg(format!("admin_token={}", file.display()));
    };
    let by_environment = |command: &mut Command| {
        command.env("COUNTERSIGN_ADMIN_TOKEN", SECRET);
    };
    for set in [&by_file as &dyn Fn(&mut Command), &by_environment] {
        let mut command = serve(&directory);
        set(&mut command);
        let mut child = command.spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let _serving = Serving(child);
        let address = out.recv_timeout(PATIENCE).unwrap();
        assert_eq!(get(address.strip_prefix("listening on http://").unwrap(), "/api/v1/tokens", SECRET), 200);
    }
    let missing = run(serve(&directory).args(["--setting-file", "admin_token=/does/not/exist"]), "");
    assert!(missing.code != 0 && missing.err.contains("/does/not/exist"), "{}", missing.err);
}

#[test]
fn a_file_of_a_secret_that_others_can_read_is_warned_of() {
    for (mode, is_warned) in [(0o644, true), (0o640, true), (0o600, false)] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        fs::write(&file, SECRET).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let setting = format!("admin_token={}", file.display());
        let mut child = serve(&directory).args(["--setting-file", &setting]).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let serving = Serving(child);
        // By then a warning is written.
        out.recv_timeout(PATIENCE).unwrap();
        drop(serving);
        let warned = err.iter().any(|line| line.contains(&format!("chmod go-r {}", file.display())));
        assert_eq!(warned, is_warned, "{mode:o}");
    }
}

#[test]
fn a_weak_secret_is_named_at_the_start_and_not_taken() {
    for (weak, why) in [
        ("short", "at least 32 bytes"),
        ("31-bytes-which-is-one-too-few..", "at least 32 bytes"),
        ("                                ", "white space"),
        ("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "repeats"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut child = serve(&directory).env("COUNTERSIGN_ADMIN_TOKEN", weak).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let _serving = Serving(child);
        let address = out.recv_timeout(PATIENCE).unwrap();
        let warned = err.recv_timeout(PATIENCE).unwrap();
        assert!(warned.contains("COUNTERSIGN_ADMIN_TOKEN") && warned.contains(why), "{warned}");
        assert!(!warned.contains(weak.trim()) || weak.trim().is_empty(), "{warned}");
        assert_eq!(get(address.strip_prefix("listening on http://").unwrap(), "/api/v1/tokens", weak), 401);
    }
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    for (address, is_warned) in [("0.0.0.0:0", true), ("[::]:0", true), ("127.0.0.1:0", false)] {
        let mut command =
            countersign(&directory.path().join("data"), &["serve", "--no-registrar", "--listen", address]);
        command.arg("--component").arg(components().join("countersign-native.wasm"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let mut err = child.stderr.take().unwrap();
        let mut serving = Serving(child);
        // A machine may have no IPv6.
        let is_listening = out.recv_timeout(PATIENCE).is_ok();
        serving.0.kill().unwrap();
        let mut warned = String::new();
        err.read_to_string(&mut warned).unwrap();
        if is_listening {
            assert_eq!(warned.contains("in the clear") && warned.contains("TLS"), is_warned, "{address}: {warned}");
        }
    }
}

#[test]
fn all_files_are_the_owners_alone_whatever_the_umask() {
    for umask in ["000", "002", "077"] {
        let directory = tempfile::tempdir().unwrap();
        let (data, journal) = (directory.path().join("data"), directory.path().join("journal"));
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_countersign")])
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .arg("--journal")
            .arg(&journal)
            .arg("--component")
            .arg(components().join("countersign-native.wasm"))
            .arg("--registrar")
            .arg(components().join("countersign-registrar-native.wasm"))
            .env_remove("COUNTERSIGN_CACHE")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let out = lines(child.stdout.take().unwrap());
        let _serving = Serving(child);
        out.recv_timeout(PATIENCE).unwrap();
        out.recv_timeout(PATIENCE).unwrap();
        for name in ["countersign.db", "countersign.db-wal", "registrar.db", "registrar.db-wal", "admin-token"] {
            assert_eq!(mode(&data.join(name)), 0o600, "{name}, umask {umask}");
        }
        assert_eq!((mode(&data), mode(&data.join("cache")), mode(&journal)), (0o700, 0o700, 0o600), "umask {umask}");
    }
}

#[test]
fn a_directory_that_others_may_write_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let (data, cache) = (directory.path().join("data"), directory.path().join("cache"));
    for path in [&data, &cache] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        let printed = run(serve(&directory).arg("--cache").arg(&cache), "");
        let hint = format!("chmod go-w {}", path.display());
        assert!(printed.code != 0 && printed.err.contains(&hint), "{}", printed.err);
        assert_eq!(printed.err.lines().count(), 1, "{}", printed.err);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn a_database_that_others_may_write_is_refused_with_what_to_do() {
    for name in ["countersign.db", "registrar.db"] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
        let file = data.join(name);
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        let printed = run(&mut serve(&directory), "");
        let hint = format!("chmod go-w {}", file.display());
        assert!(printed.code != 0 && printed.err.contains(&hint), "{}", printed.err);
    }
}
