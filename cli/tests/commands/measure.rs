//! `measure`, on a server of ours and on servers that fail in many ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::place::{Place, Printed, file, program, run};
use crate::support::{PATIENCE, until};

const KEY: &str = "8f14e45f-ceea-467f-a8b1-1a2b3c4d5e6f";
const VALID: &str = r#"{"valid":true,"code":"VALID"}"#;

/// What a server did.
#[derive(Debug, PartialEq)]
enum Event {
    Accepted(&'static str),
    Asked(&'static str, Instant),
}

type Events = Arc<Mutex<Vec<Event>>>;

/// A server that keeps connections open. It gives the answer to the n-th request that it gets, the
/// one that `measure` begins with included. Nothing closes the connection.
fn serve(
    name: &'static str,
    events: &Events,
    answer: impl Fn(usize) -> Option<String> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (events, answer, count) = (events.clone(), Arc::new(answer), Arc::new(Mutex::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            events.lock().unwrap().push(Event::Accepted(name));
            let (events, answer, count) = (events.clone(), answer.clone(), count.clone());
            thread::spawn(move || {
                let mut stream = stream;
                while request(&mut stream).is_some() {
                    events.lock().unwrap().push(Event::Asked(name, Instant::now()));
                    let number = {
                        let mut count = count.lock().unwrap();
                        *count += 1;
                        *count - 1
                    };
                    let Some(answer) = answer(number) else { return };
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// The body of a request.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()))
}

fn valid() -> Option<String> {
    answer("200 OK", "", VALID)
}

fn unavailable(headers: &str) -> Option<String> {
    let body = r#"{"status":503,"code":"UNAVAILABLE","detail":"The store does not answer.","reason":"store-timeout"}"#;
    answer("503 Service Unavailable", headers, body)
}

/// Runs `measure` on these servers with [`KEY`].
fn measure(words: &[&str]) -> Printed {
    measure_with(KEY, words)
}

fn measure_with(key: &str, words: &[&str]) -> Printed {
    let printed = run(&mut program(&[&["measure", "--key-file", "-"], words].concat()), key);
    assert!(!printed.out.contains(key) && !printed.err.contains(key), "{printed:?}");
    printed
}

/// The figures of each server.
fn figures(printed: &Printed) -> Vec<Value> {
    let report: Value = serde_json::from_str(&printed.out).unwrap_or_else(|_| panic!("{printed:?}"));
    report["servers"].as_array().unwrap().clone()
}

fn asked(events: &Events) -> Vec<(&'static str, Instant)> {
    let events = events.lock().unwrap();
    events
        .iter()
        .filter_map(|event| if let Event::Asked(name, at) = event { Some((*name, *at)) } else { None })
        .collect()
}

fn accepted(events: &Events) -> usize {
    events.lock().unwrap().iter().filter(|event| matches!(event, Event::Accepted(_))).count()
}

#[test]
fn a_server_of_ours_is_measured() {
    let place = Place::server();
    let issued = place.json(&["issue", "--product", "acme", "--plan", "pro", "--domain", "example.com"]);
    let key = issued["key"].as_str().unwrap();
    let Place::Server(server) = &place else { unreachable!() };
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), "key", &format!("{key}\r\nsomething else\n"));
    let of_file = ["measure", &server.url, "--key-file", &path, "--domain", "www.example.com"];

    let printed = run(&mut program(&[&of_file[..], &["--requests", "60", "--json"]].concat()), "");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{printed:?}");
    let figures = figures(&printed);
    assert_eq!((figures.len(), &figures[0]["url"]), (1, &server.url.as_str().into()));
    assert_eq!((&figures[0]["requests"], &figures[0]["failed"]), (&60.into(), &0.into()));
    assert_eq!(figures[0]["codes"], serde_json::json!({"VALID": 60}));
    let times = ["minMicros", "p50Micros", "p95Micros", "p99Micros", "maxMicros"]
        .map(|name| figures[0][name].as_u64().unwrap());
    assert!(times.is_sorted() && times[0] > 0, "{times:?}");

    let elsewhere = format!("{}/", server.url.replace("127.0.0.1", "localhost"));
    let printed = run(&mut program(&[&of_file[..], &[&elsewhere, "--requests", "20"]].concat()), "");
    assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{printed:?}");
    assert!(printed.out.contains("over 20 validations\n  VALID: 20\n"), "{}", printed.out);
    assert!(
        printed.out.starts_with(&server.url) && printed.out.contains(elsewhere.trim_end_matches('/')),
        "{}",
        printed.out
    );
    assert!(printed.out.lines().all(|line| line.chars().count() <= 80), "{}", printed.out);
    assert!(!printed.out.contains(key));
}

#[test]
fn servers_are_asked_in_turns_over_connections_that_stay_open() {
    let events = Events::default();
    let [a, b] = ["a", "b"].map(|name| serve(name, &events, |_| valid()));
    let printed = measure(&[&a, &b, "--requests", "30", "--warm-up", "5", "--json"]);
    assert_eq!((printed.code, figures(&printed).len()), (0, 2), "{printed:?}");
    let asked: String = asked(&events).iter().map(|(name, _)| *name).collect();
    assert_eq!(asked, format!("ab{}{}{}", "a".repeat(5), "b".repeat(5), "ab".repeat(30)));
    assert_eq!(accepted(&events), 2);

    let events = Events::default();
    let [a, b] = ["a", "b"].map(|name| serve(name, &events, |_| valid()));
    let words = ["--requests", "40", "--warm-up", "0", "--connections", "4", "--json"];
    let printed = measure(&[&[a.as_str(), &b][..], &words].concat());
    assert!(figures(&printed).iter().all(|figures| figures["requests"] == 40), "{printed:?}");
    assert!(accepted(&events) <= 8);
}

#[test]
fn without_a_rate_a_server_gets_at_most_200_requests_a_second() {
    let events = Events::default();
    let url = serve("a", &events, |_| valid());
    let words = ["--requests", "41", "--warm-up", "0", "--connections", "3"];
    assert_eq!(measure(&[&[url.as_str()][..], &words].concat()).code, 0);
    let asked = asked(&events);
    assert!(asked[41].1 - asked[1].1 >= Duration::from_millis(195));
}

#[test]
fn a_fault_counts_as_failed_and_never_as_a_verdict() {
    let events = Events::default();
    let url = serve("a", &events, |number| if number % 3 == 2 { unavailable("") } else { valid() });
    let printed = measure(&[&url, "--requests", "30", "--warm-up", "0", "--json"]);
    let of = &figures(&printed)[0];
    assert_eq!((printed.code, printed.err.lines().count()), (1, 1), "{printed:?}");
    assert_eq!((&of["requests"], &of["failed"]), (&30.into(), &10.into()));
    assert_eq!(of["errors"], serde_json::json!({"503 UNAVAILABLE (store-timeout)": 10}));
    assert_eq!(of["codes"], serde_json::json!({"VALID": 20}));

    // Not even if it looks like one.
    for fault in [
        unavailable(""),
        answer("503 Service Unavailable", "", VALID),
        answer("500 Internal Server Error", "content-type: text/html\r\n", "<html>"),
        answer("502 Bad Gateway", "", ""),
    ] {
        let url = serve("a", &events, move |_| fault.clone());
        let printed = measure(&[&url, "--requests", "20", "--json"]);
        let of = &figures(&printed)[0];
        assert_eq!((printed.code, printed.err.lines().count()), (3, 1), "{printed:?}");
        assert_eq!((&of["requests"], &of["failed"], &of["p50Micros"]), (&20.into(), &20.into(), &Value::Null));
    }
    let (good, bad) = (serve("good", &events, |_| valid()), serve("bad", &events, |_| unavailable("")));
    let printed = measure(&[&good, &bad, "--requests", "20"]);
    assert_eq!(printed.code, 3, "{printed:?}");
    assert!(printed.out.contains("over 20 validations") && printed.out.contains("no validation was answered"));
    assert!(printed.err.contains(&format!("{bad}: 20 of 20 validations failed")), "{}", printed.err);
}

#[test]
fn a_server_that_does_not_serve_this_api_gets_one_line() {
    let events = Events::default();
    let good = serve("good", &events, |_| valid());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let echo = format!(r#"{{"status":400,"code":"INVALID_REQUEST","detail":"`key` {KEY} is wrong"}}"#);
    for (what, url, code) in [
        ("nobody listens", format!("http://{nobody}"), 3),
        ("no such host", "https://host.invalid".into(), 3),
        ("closes", serve("a", &events, |_| None), 3),
        ("HTML", serve("a", &events, |_| answer("200 OK", "content-type: text/html\r\n", "<html>")), 3),
        ("a verdict without `valid`", serve("a", &events, |_| answer("200 OK", "", r#"{"valid":"yes"}"#)), 3),
        ("nothing", serve("a", &events, |_| answer("204 No Content", "", "")), 3),
        ("other JSON", serve("a", &events, |_| answer("404 Not Found", "", r#"{"error":"no"}"#)), 3),
        ("10 MB", serve("a", &events, |_| answer("200 OK", "", &" ".repeat(10_000_000))), 3),
        (
            "redirects",
            serve("a", &events, |_| answer("307 Temporary Redirect", "location: https://example.com/\r\n", "")),
            3,
        ),
        (
            "is silent",
            serve("a", &events, |_| {
                loop {
                    thread::park()
                }
            }),
            3,
        ),
        ("refuses the request", serve("a", &events, move |_| answer("400 Bad Request", "", &echo)), 2),
        ("a query", format!("{good}/?key=x"), 2),
        ("plain HTTP elsewhere", "http://licences.example.com".into(), 2),
    ] {
        let printed = measure(&[&good, &url, "--timeout", "1", "--json"]);
        assert_eq!(
            (printed.code, printed.out.as_str(), printed.err.lines().count()),
            (code, "", 1),
            "{what}: {printed:?}"
        );
    }
}

#[test]
fn a_server_that_fails_later_is_measured_until_then() {
    let events = Events::default();
    let closing = serve("a", &events, |number| (number < 15).then(valid).flatten());
    let printed = measure(&[&closing, "--requests", "20", "--warm-up", "4", "--json"]);
    let of = &figures(&printed)[0];
    assert_eq!((printed.code, &of["requests"], &of["failed"]), (1, &20.into(), &10.into()), "{printed:?}");
    assert_eq!(of["errors"], serde_json::json!({"no answer": 10}));

    // A server may close after each answer: it costs a connection each time.
    let before = accepted(&events);
    let url = serve("a", &events, |_| answer("200 OK", "connection: close\r\n", VALID));
    let printed = measure(&[&url, "--requests", "10", "--warm-up", "0", "--json"]);
    assert_eq!((printed.code, &figures(&printed)[0]["failed"]), (0, &0.into()), "{printed:?}");
    assert!(accepted(&events) - before >= 1);
}

#[test]
fn a_server_that_asks_to_wait_is_obeyed() {
    for (headers, seconds) in [("retry-after: 1\r\n", 1), ("", 1), ("retry-after: 2\r\n", 2)] {
        let events = Events::default();
        let limit = move |number| if number == 5 { answer("429 Too Many Requests", headers, "") } else { valid() };
        let url = serve("a", &events, limit);
        let printed = measure(&[&url, "--requests", "10", "--warm-up", "0", "--json"]);
        let of = &figures(&printed)[0];
        assert_eq!((printed.code, &of["failed"], &of["errors"]["429, not a verdict"]), (1, &1.into(), &1.into()));
        let asked = asked(&events);
        assert_eq!(asked.len(), 11);
        assert!(asked[6].1 - asked[5].1 >= Duration::from_secs(seconds), "{headers}");
        // The wait is not the server's time.
        assert!(of["maxMicros"].as_u64().unwrap() < 900_000, "{of}");
    }
}

#[test]
fn a_server_that_asks_for_a_long_wait_is_given_up() {
    let events = Events::default();
    let stop = "retry-after: 18446744073709551615\r\n";
    let url = serve("a", &events, move |number| if number == 5 { unavailable(stop) } else { valid() });
    let other = serve("b", &events, |_| valid());
    let printed = measure(&[&url, &other, "--requests", "30", "--warm-up", "0", "--json"]);
    let figures = figures(&printed);
    assert_eq!(
        (printed.code, &figures[0]["requests"], &figures[0]["givenUp"]),
        (1, &5.into(), &true.into()),
        "{printed:?}"
    );
    assert_eq!((&figures[1]["requests"], &figures[1]["failed"]), (&30.into(), &0.into()));
    assert!(printed.err.contains("not asked again"), "{}", printed.err);
}

#[test]
fn on_a_schedule_a_stall_counts_for_all_requests_that_were_due() {
    let stalling = |number| {
        if number == 10 {
            thread::park_timeout(Duration::from_millis(400));
        }
        valid()
    };
    let events = Events::default();
    let slow = |words: &[&str]| {
        let url = serve("a", &events, stalling);
        let printed = measure(&[&[url.as_str(), "--requests", "100", "--warm-up", "0", "--json"], words].concat());
        figures(&printed)[0]["p95Micros"].as_u64().unwrap()
    };
    assert!(slow(&["--rate", "100"]) > 200_000, "40 of 100 requests were due in the stall");
    assert!(slow(&[]) < 200_000, "one request waited");
}

#[test]
fn ctrl_c_ends_a_measurement_and_prints_what_there_is() {
    let events = Events::default();
    let silent = |number: usize| {
        if number < 200 {
            valid()
        } else {
            loop {
                thread::park()
            }
        }
    };
    let url = serve("a", &events, silent);
    for count in [50, 200] {
        let mut command = program(&["measure", &url, "--key-file", "-", "--requests", "1000000", "--json"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(KEY.as_bytes()).unwrap();
        until("requests were sent", || (asked(&events).len() > count).then_some(()));
        assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
        let output = receiver.recv_timeout(PATIENCE).unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &report["interrupted"]), (Some(0), &true.into()));
        let requests = report["servers"][0]["requests"].as_u64().unwrap();
        assert!((1..200).contains(&requests), "{report}");
    }
}

#[test]
fn a_key_that_cannot_be_measured_gets_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let events = Events::default();
    let url = serve("a", &events, |_| valid());
    for (path, code) in [
        (path("missing", b"") + "-not", 3),
        (directory.path().to_str().unwrap().to_owned(), 3),
        (path("empty", b""), 2),
        (path("blank", b" \n\n"), 2),
        (path("binary", b"\xff\xfe\0k\0"), 2),
        (path("long", &[b'k'; 9_000]), 2),
        (path("mistyped", b"ACME-7K3QP-9D2MN-X8V4C-6B1HT-RZW5F-J2EYG"), 2),
    ] {
        let printed = run(&mut program(&["measure", &url, "--key-file", &path]), "");
        assert_eq!(
            (printed.code, printed.out.as_str(), printed.err.lines().count()),
            (code, "", 1),
            "{path}: {printed:?}"
        );
    }
    assert_eq!(run(&mut program(&["measure", &url]), "").code, 2);
    assert_eq!(run(&mut program(&["measure", "--key-file", "-"]), KEY).code, 2);
    assert!(asked(&events).is_empty());
}

#[test]
fn an_unknown_key_is_measured_with_a_note() {
    let place = Place::server();
    let Place::Server(server) = &place else { unreachable!() };
    let printed = measure(&[&server.url, "--requests", "3", "--warm-up", "0", "--json"]);
    assert_eq!((printed.code, &figures(&printed)[0]["codes"]["NOT_FOUND"]), (0, &3.into()), "{printed:?}");
    assert!(printed.err.starts_with("note: ") && printed.err.lines().count() == 1, "{}", printed.err);
    // The server slows down callers who send many.
    let printed = measure(&[&server.url, "--requests", "200", "--warm-up", "0", "--json"]);
    let of = &figures(&printed)[0];
    assert!(of["failed"].as_u64().unwrap() > 0 && of["requests"].as_u64().unwrap() < 200, "{of}");
}

#[test]
fn activations_are_measured_and_leave_no_seat() {
    let place = Place::server();
    let Place::Server(server) = &place else { unreachable!() };
    let issue = |words: &[&str]| {
        let issued = place.json(&[&["issue", "--product", "acme", "--plan", "pro"], words].concat());
        ["key", "id"].map(|name| issued[name].as_str().unwrap().to_owned())
    };
    let [key, id] = issue(&["--seats", "1", "--per", "machine"]);
    let activations = |words: &[&str]| {
        measure_with(&key, &[&[server.url.as_str(), "--activations", "--requests", "30"], words].concat())
    };
    let printed = activations(&["--json"]);
    let of = &figures(&printed)[0];
    assert_eq!(
        (printed.code, &of["requests"], &of["codes"]),
        (0, &30.into(), &serde_json::json!({"VALID": 30})),
        "{printed:?}"
    );
    assert!(activations(&[]).out.contains("over 30 activations"));
    let seats = || place.json(&["activations", &id])["activations"].as_array().unwrap().len();
    assert_eq!(seats(), 0);

    // A seat that somebody has stays.
    let body = serde_json::json!({"key": key, "fingerprint": "laptop"}).to_string();
    let head = format!("POST /api/v1/activate HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(crate::support::receive(&mut stream).unwrap().0, 200);
    let printed = activations(&["--fingerprint", "laptop"]);
    assert_eq!((printed.code, printed.err.lines().count(), seats()), (2, 1, 1), "{printed:?}");
    let printed = activations(&["--json"]);
    assert_eq!((&figures(&printed)[0]["codes"]["TOO_MANY_ACTIVATIONS"], seats()), (&30.into(), 1), "{printed:?}");

    let [without_seats, _] = issue(&[]);
    let printed = measure_with(&without_seats, &[&server.url, "--activations"]);
    assert_eq!((printed.code, printed.err.lines().count()), (2, 1), "{printed:?}");
}
