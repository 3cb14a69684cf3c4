//! Servers in an origin's place.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// What such a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Html,
    Redirect,
    /// Ten megabytes.
    Endless,
    /// Closes the connection.
    Nothing,
    /// Accepts the request, and never answers.
    Silence,
    /// JSON of another form.
    OtherJson,
    /// The form of an answer, with a value that is not base64.
    NotBase64,
}

pub(crate) const ALL: [Kind; 7] =
    [Kind::Html, Kind::Redirect, Kind::Endless, Kind::Nothing, Kind::Silence, Kind::OtherJson, Kind::NotBase64];

/// A server on a port of its own, for as long as the test runs.
pub(crate) struct Impostor {
    port: u16,
}

impl Impostor {
    pub(crate) fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || answer(stream, kind));
            }
        });
        Self { port }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Answers one request. A client may go away.
fn answer(mut stream: TcpStream, kind: Kind) -> Option<()> {
    let asked = read(&stream)?;
    let (status, media_type, body) = match kind {
        Kind::Html => ("200 OK", "text/html", "<!doctype html><title>Welcome</title>".into()),
        Kind::Redirect => ("302 Found\r\nlocation: http://127.0.0.1:1/", "text/html", String::new()),
        Kind::Endless => ("200 OK", "application/json", " ".repeat(10 * 1024 * 1024)),
        Kind::Nothing => return None,
        Kind::Silence => {
            let _ = stream.read(&mut [0]);
            return None;
        }
        Kind::OtherJson => ("200 OK", "application/json", r#"{"items":[]}"#.into()),
        Kind::NotBase64 => {
            let key = asked.split('"').find(|part| part.starts_with("license:")).unwrap_or_default().to_owned();
            let store = r#"{"name":"x","atomic":true,"ttl":true,"stalenessSeconds":0}"#;
            let entry = format!(r#"{{"key":"{key}","value":"?","version":"1"}}"#);
            ("200 OK", "application/json", format!(r#"{{"store":{store},"entries":[{entry}]}}"#))
        }
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()
}

/// The body of the request.
fn read(stream: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(given) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = given.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}
