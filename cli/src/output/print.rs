//! Standard output and standard error.

use std::fmt;
use std::io::{self, ErrorKind, StdoutLock, Write};

use serde_json::Value;

use crate::api::Answer;
use crate::error::{CommandError, ReaderGone};
use crate::output::text::{member, plain};

/// Standard output. If its reader has closed it, as `head` does, the error is a [`ReaderGone`].
pub(crate) struct Out(StdoutLock<'static>);

pub(crate) fn out() -> Out {
    Out(io::stdout().lock())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(of_reader)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(of_reader)
    }
}

fn of_reader(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe { io::Error::new(ErrorKind::BrokenPipe, ReaderGone) } else { error }
}

/// Prints a line on standard error. A command does not fail if it cannot.
pub(crate) fn note(line: fmt::Arguments<'_>) {
    let _: io::Result<()> = writeln!(io::stderr(), "{line}");
}

/// Prints JSON on a line of its own. Prints nothing for no bytes.
pub(crate) fn json(json: &[u8]) -> Result<(), CommandError> {
    if json.is_empty() {
        return Ok(());
    }
    let mut out = out();
    out.write_all(json)?;
    Ok(out.write_all(b"\n")?)
}

/// Prints what was done, for an answer that may be empty.
pub(crate) fn done(answer: &Answer, sentence: &str, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return json(answer.bytes());
    }
    writeln!(out(), "{sentence}")?;
    if !answer.bytes().is_empty() {
        let answer = answer.json()?;
        note_warnings(&answer);
        note_propagation(&answer);
    }
    Ok(())
}

/// Warns if a change has not reached the store yet.
pub(crate) fn note_propagation(answer: &Value) {
    if answer["propagated"] == false {
        note_delay();
    }
}

/// Prints what the vendor may not have meant.
pub(crate) fn note_warnings(answer: &Value) {
    for warning in answer["warnings"].as_array().into_iter().flatten() {
        note(format_args!("note: {}", plain(&member(warning, "detail"))));
    }
}

/// Warns that the store is behind.
pub(crate) fn note_delay() {
    note(format_args!(
        "saved, but not in the store yet; validations use the old record until it is (see `countersign reconcile`)"
    ));
}
