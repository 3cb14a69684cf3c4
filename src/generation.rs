//! The generation of a record, for code that handles records without understanding them.

use serde::Deserialize;

use crate::store_keys::{LICENSE, STATE};

#[derive(Deserialize)]
struct Head {
    generation: u64,
}

/// The generation of the record under this key of the store. It grows with every change, so of two
/// records under one key the one with the lower generation is older. `None` if the record, or
/// another one under such a key, has none.
pub fn of(key: &str, record: &[u8]) -> Option<u64> {
    if key.starts_with(LICENSE) {
        return serde_json::from_slice(record).ok().map(|Head { generation }| generation);
    }
    if key.starts_with(STATE) {
        let (_format, rest) = record.split_first()?;
        return rest.first_chunk().map(|generation| u64::from_be_bytes(*generation));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::state::State;

    #[test]
    fn each_kind_of_record_has_its_generation() {
        let state = State { generation: 7, ..State::default() }.to_bytes();
        assert_eq!(of("state:lic_1", &state), Some(7));
        assert_eq!(of("license:a", br#"{"format":1,"generation":9,"id":"x"}"#), Some(9));
        for (key, record) in [("license:a", &b"no record"[..]), ("state:lic_1", b"1"), ("operation:a", &state)] {
            assert_eq!(of(key, record), None);
        }
    }
}
