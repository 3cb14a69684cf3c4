//! `edge.apply`.

use wasi::clocks::wall_clock;

use crate::Tiered;
use crate::bindings::exports::countersign::license::edge::{Change, Guest};
use crate::bindings::exports::countersign::license::store::Entry;
use crate::memory::{self, Memory};
use crate::notes;

impl Guest for Tiered {
    fn apply(changes: Vec<Change>) -> Result<(), String> {
        let now = wall_clock::now().seconds;
        let mut failed = None;
        for Change { key, value, version, confirmed_at } in changes {
            if !crate::is_of_origin(&key) {
                failed = Some("the origin tells of an entry that no edge has".into());
                continue;
            }
            let memory = Memory { confirmed_at: confirmed_at.min(now), entry: Some(Entry { value, version }) };
            if let Err(error) = memory::keep(&key, memory, memory::recall(&key), None) {
                failed.get_or_insert_with(|| format!("near cannot keep an entry: {error}"));
                notes::near_failed(now, &error);
            }
        }
        failed.map_or(Ok(()), Err)
    }
}
