//! An event has the same hash however it is written.
#![no_main]
use countersign::audit::{BEGINNING, link, link_canonical};
use serde_json::Value;

/// Events have no other numbers.
fn has_integers_only(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(items) => items.iter().all(has_integers_only),
        Value::Object(members) => members.values().all(has_integers_only),
        _ => true,
    }
}

libfuzzer_sys::fuzz_target!(|given: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Value>(given) else { return };
    if !has_integers_only(&event) {
        return;
    }
    let hash = link(&BEGINNING, &event);
    let canonical = event.to_string();
    assert_eq!(link_canonical(&BEGINNING, canonical.as_bytes()), hash);
    let again = serde_json::from_str(&canonical).expect("what was written");
    assert_eq!(link(&BEGINNING, &again), hash);
    assert_ne!(link(&hash, &event), hash);
});
