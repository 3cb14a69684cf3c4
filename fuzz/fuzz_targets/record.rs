//! A record that is read is the same when it is written and read again.
#![no_main]
use countersign::license::License;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(license) = License::from_json(bytes) {
        assert_eq!(License::from_json(license.to_json().as_bytes()), Ok(license));
    }
});
