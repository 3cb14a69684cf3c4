//! `journal` to standard output, one event a line.

use countersign::borrow_event;
use wasi::cli::stdout::get_stdout;

use crate::Adapter;
use crate::bindings::adapter::exports::countersign::license::journal::{Event, Guest};

/// Bytes that one blocking write accepts (`wasi:io/streams`).
const MAX_WRITE_BYTES: usize = 4_096;

impl Guest for Adapter {
    fn append(event: Event) {
        let Some(mut line) = borrow_event!(event).to_line() else { return };
        line.push('\n');
        // An event is never a reason to fail a request.
        let stdout = get_stdout();
        let _ = line.as_bytes().chunks(MAX_WRITE_BYTES).try_for_each(|part| stdout.blocking_write_and_flush(part));
    }
}
