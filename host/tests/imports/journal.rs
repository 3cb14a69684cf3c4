//! The journal never holds up a request and never loses an event without saying so.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use countersign_host::bindings::journal::Event;
use countersign_host::imports::journal::{Destination, Journal};
use countersign_host::limits::JOURNAL_QUEUE;

/// A sink that accepts nothing until it gets the signal.
struct Gate {
    opened: Receiver<()>,
    open: bool,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Gate {
    fn new() -> (Self, Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (open, opened) = channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        (Self { opened, open: false, written: written.clone() }, open, written)
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.open {
            self.opened.recv().unwrap();
            self.open = true;
        }
        self.written.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An event and its line.
fn event(detail: &str) -> Event {
    Event {
        time: 0,
        name: "test".into(),
        request: None,
        code: None,
        reason: None,
        detail: Some(detail.into()),
        license: None,
        client: None,
        count: None,
        seconds: None,
        stale_seconds: None,
        duration_micros: None,
    }
}

fn line(detail: &str) -> String {
    format!(r#"{{"time":"1970-01-01T00:00:00Z","event":"test","detail":"{detail}"}}"#) + "\n"
}

#[test]
fn events_beyond_the_queue_are_dropped_and_counted() {
    let (gate, open, written) = Gate::new();
    let (journal, writer) = Journal::start_with(gate, None).unwrap();
    // The writer has at most one buffer in its hands while the gate is shut.
    let appended = 3 * JOURNAL_QUEUE;
    for number in 0..appended {
        journal.append(event(&number.to_string()));
    }
    open.send(()).unwrap();
    drop(journal);
    writer.finish();

    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let events = written.lines().filter(|line| line.contains(r#""event":"test""#)).count();
    let dropped: usize = written
        .lines()
        .filter_map(|line| {
            line.strip_prefix(r#"{"event":"journal-dropped","count":"#)?.strip_suffix('}')?.parse::<usize>().ok()
        })
        .sum();
    assert!(events >= JOURNAL_QUEUE && dropped > 0, "{events} written, {dropped} dropped");
    assert_eq!(events + dropped, appended);
}

#[test]
fn a_stop_writes_every_event_that_was_appended() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.jsonl");
    let (journal, writer) = Journal::start(&Destination::File(path.clone()), None).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            let journal = journal.clone();
            scope.spawn(move || (0..100).for_each(|_| journal.append(event(""))));
        }
    });
    drop(journal);
    writer.finish();
    assert_eq!(std::fs::read_to_string(path).unwrap(), line("").repeat(400));
}

#[test]
fn an_event_is_one_line_or_dropped_if_it_is_too_large() {
    let (gate, open, written) = Gate::new();
    let (journal, writer) = Journal::start_with(gate, None).unwrap();
    open.send(()).unwrap();
    journal.append(event("two\nlines"));
    journal.append(event(&"x".repeat(4_093)));
    journal.append(event(&"x".repeat(4_092)));
    drop(journal);
    writer.finish();
    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let dropped = "{\"event\":\"journal-dropped\",\"count\":1}\n";
    assert_eq!(written, line("two\\nlines") + &line(&"x".repeat(4_092)) + dropped);
}
