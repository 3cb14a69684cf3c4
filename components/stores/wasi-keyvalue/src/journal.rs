//! `journal` to standard output, one write a line.

use std::io::{Write, stdout};

use crate::Adapter;
use crate::bindings::adapter::exports::countersign::license::journal::Guest;

impl Guest for Adapter {
    fn append(mut event: String) {
        event.push('\n');
        // An event is never a reason to fail a request, and a host that closed standard output wants none.
        let _ = stdout().write_all(event.as_bytes());
    }
}
