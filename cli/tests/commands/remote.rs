//! Where a command works: data directories, servers, tokens and profiles.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::place::{ADMIN_TOKEN, Place, Printed, Server, file, program, run};

/// Runs a command with this token.
fn with_token(token: &str, words: &[&str]) -> Printed {
    run(program(words).env("COUNTERSIGN_TOKEN", token), "")
}

#[test]
fn a_token_allows_what_its_role_does() {
    let server = Server::start();
    let url = server.url.as_str();
    let made = with_token(ADMIN_TOKEN, &["token", "create", "desk", "--role", "support", "--server", url]);
    let token = made.out.lines().next().unwrap().to_owned();
    assert_eq!(with_token(&token, &["list", "--server", url]).code, 0);

    let wrong = format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
    for (token, words) in [
        (token.as_str(), &["product", "create", "acme"][..]),
        (&token, &["issue", "--product", "acme", "--plan", "pro"]),
        (&token, &["token", "list"]),
        (&wrong, &["list"]),
        ("nobody", &["list"]),
    ] {
        let Printed { code, out, err } = with_token(token, &[words, &["--server", url]].concat());
        assert_eq!((code, out.as_str(), err.lines().count()), (6, "", 1), "{words:?}: {err}");
        assert!(!err.contains(token), "{err}");
    }
    let id = format!("tok_{}", &token[4..30]);
    assert_eq!(with_token(ADMIN_TOKEN, &["token", "revoke", &id, "--server", url]).code, 0);
    assert_eq!(with_token(&token, &["list", "--server", url]).code, 6);
    for empty in ["", " ", "two words"] {
        assert_eq!(with_token(empty, &["list", "--server", url]).code, 2);
    }
    let Printed { code, err, .. } = run(&mut program(&["list", "--server", url]), "");
    assert_eq!(code, 6, "{err}");
    assert_eq!(
        run(&mut program(&["list", "--server", url, "--token", ADMIN_TOKEN]), "").code,
        2,
        "a token is never an option"
    );
}

#[test]
fn a_token_may_be_in_a_file() {
    let server = Server::start();
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "token", &format!("{ADMIN_TOKEN}\n"));
    let list = |path: &str| run(&mut program(&["list", "--server", &server.url, "--token-file", path]), "").code;
    assert_eq!(list(&path), 0);
    assert_eq!(list(&file(directory.path(), "empty", "")), 2);
    assert_eq!(list("/nowhere"), 3);
    assert_eq!(run(&mut program(&["list", "--data", "x", "--token-file", &path]), "").code, 2);
}

#[test]
fn a_profile_is_a_server_and_its_token() {
    let server = Server::start();
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("countersign")).unwrap();
    let text = format!(
        "[here]\nserver = \"{}\"\ntoken = \"{ADMIN_TOKEN}\"\n\n[empty]\nserver = \"{0}\"\ntoken = \"\"\n",
        server.url
    );
    let path = file(home.path(), "countersign/profiles.toml", &text);
    let list = |words: &[&str], variable: &str| {
        let words = [&["list", "--json"], words].concat();
        let mut command = program(&words);
        command.env("XDG_CONFIG_HOME", home.path());
        if !variable.is_empty() {
            command.env("COUNTERSIGN_PROFILE", variable);
        }
        run(&mut command, "")
    };
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let Printed { code, out, err } = list(&["--profile", "here"], "");
        assert_eq!((code, out.as_str()), (2, ""), "{mode:o}");
        assert!(err.contains("chmod 600") && !err.contains(ADMIN_TOKEN), "{err}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(list(&["--profile", "here"], "").code, 0);
    assert_eq!(list(&[], "here").code, 0);
    assert_eq!(list(&["--profile", "here"], "other").code, 0);
    assert_eq!(list(&["--profile", "there"], "").code, 2);
    assert_eq!(list(&["--profile", "empty"], "").code, 2);
    assert_eq!(list(&["--profile", "here", "--server", &server.url], "").code, 2);

    fs::write(&path, format!("[here]\nserver = \"{}\"\ntoken = {ADMIN_TOKEN}\n", server.url)).unwrap();
    let Printed { code, err, .. } = list(&["--profile", "here"], "");
    assert_eq!((code, err.contains("line 3"), err.contains(ADMIN_TOKEN)), (2, true, false), "{err}");
    fs::remove_file(&path).unwrap();
    assert_eq!(list(&["--profile", "here"], "").code, 3);
}

#[test]
fn an_option_wins_over_both_variables() {
    let server = Server::start();
    let [home, here, there] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    fs::create_dir(home.path().join("countersign")).unwrap();
    let text = format!("[served]\nserver = \"{}\"\ntoken = \"{ADMIN_TOKEN}\"\n", server.url);
    let path = file(home.path(), "countersign/profiles.toml", &text);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let [here, there] = [&here, &there].map(|directory| directory.path().to_str().unwrap());
    let products = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = program(&[&["product", "list", "--json"], words].concat());
        command.env("XDG_CONFIG_HOME", home.path()).env("COUNTERSIGN_TOKEN", ADMIN_TOKEN);
        let Printed { code, out, err } = run(command.envs(variables.iter().copied()), "");
        let items: Value = serde_json::from_str(&out).map_err(|_| (code, err))?;
        Ok::<_, (i32, String)>(items["items"][0]["code"].as_str().unwrap_or_default().to_owned())
    };
    for (product, words) in
        [("here", ["--data", here]), ("there", ["--data", there]), ("served", ["--server", &server.url])]
    {
        let create = [&["product", "create", product], &words[..]].concat();
        assert_eq!(with_token(ADMIN_TOKEN, &create).code, 0, "{product}");
    }
    let (data, profile) = (("COUNTERSIGN_DATA", here), ("COUNTERSIGN_PROFILE", "served"));
    let found = |product: &str| Ok(product.to_owned());
    assert_eq!(products(&[], &[data]), found("here"));
    assert_eq!(products(&[], &[profile]), found("served"));
    assert_eq!(products(&["--data", there], &[data]), found("there"));
    assert_eq!(products(&["--data", there], &[profile]), found("there"));
    assert_eq!(products(&["--data", there], &[data, profile]), found("there"));
    assert_eq!(products(&["--server", &server.url], &[data]), found("served"));
    assert_eq!(products(&["--server", &server.url], &[data, profile]), found("served"));
    assert_eq!(products(&["--profile", "served"], &[data]), found("served"));
    assert_eq!(products(&["--profile", "served"], &[data, profile]), found("served"));
    // An empty variable counts as unset.
    assert_eq!(products(&[], &[("COUNTERSIGN_DATA", ""), profile]), found("served"));

    let (code, err) = products(&[], &[data, profile]).unwrap_err();
    assert_eq!((code, err.contains("COUNTERSIGN_DATA") && err.contains("COUNTERSIGN_PROFILE")), (2, true), "{err}");
    let both = ["--data", here, "--server", &server.url];
    assert_eq!(products(&both, &[data]).unwrap_err().0, 2);
}

#[test]
fn serve_takes_its_data_directory_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut command = program(&["serve", "--listen", "127.0.0.1:1", "--no-registrar", "--component", "/dev/null"]);
    let Printed { code, err, .. } = run(command.env("COUNTERSIGN_DATA", &data), "");
    assert_eq!((code, data.exists()), (3, true), "{err}");
    assert_eq!(run(&mut program(&["serve"]), "").code, 2);
}

#[test]
fn a_command_needs_exactly_one_valid_place() {
    for words in [
        &["list"][..],
        &["list", "--data", "a", "--server", "http://127.0.0.1:1"],
        &["list", "--server", "example.com"],
        &["list", "--server", "http://example.com"],
        &["list", "--server", "https://user:secret@example.com"],
    ] {
        let Printed { code, out, err } = with_token(ADMIN_TOKEN, words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
        assert!(!err.contains("secret"), "{err}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_a_fault() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    for words in [&["list"][..], &["validate", "some-key-of-somebody"], &["product", "create", "acme"]] {
        let url = format!("http://{address}");
        let Printed { code, out, err } = with_token(ADMIN_TOKEN, &[words, &["--server", &url]].concat());
        assert_eq!((code, out.as_str(), err.lines().count()), (3, "", 1), "{words:?}: {err}");
        assert!(err.contains(&url) && !err.contains(ADMIN_TOKEN), "{err}");
    }
    let Printed { code, err, .. } = with_token(ADMIN_TOKEN, &["list", "--server", "https://host.invalid"]);
    assert_eq!((code, err.lines().count()), (3, 1), "{err}");
}

/// A server that gives these answers, one a connection, and the requests that it got.
fn answering(answers: Vec<String>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for (answer, stream) in answers.into_iter().zip(listener.incoming()) {
            let mut stream = stream.unwrap();
            sender.send(request(&mut stream)).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, requests)
}

fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + std::str::from_utf8(&body).unwrap()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

#[test]
fn a_request_without_an_answer_is_retried_unchanged() {
    let made = answer("201 Created", "content-type: application/json\r\n", "{\"code\":\"acme\"}");
    let (url, requests) = answering(vec![String::new(), String::new(), made]);
    let Printed { code, out, err } =
        with_token(ADMIN_TOKEN, &["product", "create", "acme", "--json", "--server", &url]);
    assert_eq!((code, out.as_str()), (0, "{\"code\":\"acme\"}\n"), "{err}");
    let sent: Vec<String> = requests.try_iter().collect();
    assert_eq!(sent.len(), 3);
    assert!(sent[0].contains("\r\nidempotency-key: ") && sent[0].ends_with("{\"code\":\"acme\"}"), "{}", sent[0]);
    assert!(sent.iter().all(|request| *request == sent[0]));
}

#[test]
fn a_request_without_an_answer_is_sent_four_times() {
    let (url, requests) = answering(vec![String::new(); 9]);
    let before = Instant::now();
    assert_eq!(with_token(ADMIN_TOKEN, &["product", "create", "acme", "--server", &url]).code, 3);
    assert_eq!(requests.try_iter().count(), 4);
    assert!(before.elapsed() < Duration::from_secs(10));

    let (url, requests) = answering(vec![String::new(); 9]);
    assert_eq!(with_token(ADMIN_TOKEN, &["product", "delete", "acme", "--server", &url]).code, 3);
    assert_eq!(requests.try_iter().count(), 1, "a second DELETE would report that nothing is there");
}

#[test]
fn a_token_does_not_follow_a_redirect() {
    let (elsewhere, seen) = answering(vec![answer("200 OK", "", "{\"items\":[]}")]);
    let moved = answer("307 Temporary Redirect", &format!("location: {elsewhere}/api/v1/licenses\r\n"), "");
    let (url, _requests) = answering(vec![moved]);
    let Printed { code, err, .. } = with_token(ADMIN_TOKEN, &["list", "--server", &url]);
    assert_eq!((code, err.contains(&elsewhere)), (3, true), "{err}");
    assert!(seen.try_recv().is_err());
}

#[test]
fn an_answer_of_another_program_is_a_fault() {
    for body in [
        "",
        "<html>",
        "[]",
        "{\"items\":7}",
        "{\"status\":404,\"code\":\"NO_SUCH_PATH\",\"detail\":\"\\u001b[31mred\\nx\"}",
    ] {
        for status in ["200 OK", "404 Not Found", "500 Internal Server Error"] {
            let (url, _requests) = answering(vec![answer(status, "", body)]);
            let Printed { code, out, err } = with_token(ADMIN_TOKEN, &["list", "--server", &url]);
            assert_eq!((code, out.as_str(), err.lines().count()), (3, "", 1), "{status} {body}: {err}");
            assert!(!err.contains('\u{1b}'));
        }
    }
}

#[test]
fn secrets_are_in_no_argument_and_no_output() {
    let place = Place::server();
    let issued = place.json(&["issue", "--product", "acme", "--plan", "pro"]);
    let key = issued["key"].as_str().unwrap();
    let id = issued["id"].as_str().unwrap();
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["show", id],
        &["show", "--json", id],
        &["events", "--json"],
        &["export"],
        &["export", "--format", "csv"],
        &["token", "list", "--json"],
        &["stats", "--json"],
        &["suspend", "-"],
        &["show", "-"],
    ] {
        let Printed { code, out, err } = run(&mut place.command(words), key);
        assert_eq!(code, 0, "{words:?}: {err}");
        for secret in [key, ADMIN_TOKEN] {
            assert!(!out.contains(secret) && !err.contains(secret), "{words:?}");
        }
    }
    for entry in fs::read_dir(place.directory()).unwrap() {
        let path = entry.unwrap().path();
        for secret in [key, ADMIN_TOKEN] {
            let is_in =
                fs::read(&path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|it| it == secret.as_bytes()));
            assert!(!is_in, "{}", path.display());
        }
    }
}
