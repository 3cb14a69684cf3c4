//! A generated key has the same hash however it is typed. A text is one if a space at its end does
//! not change its hash.
#![no_main]
use countersign::key::read;

libfuzzer_sys::fuzz_target!(|given: &str| {
    let hash = read(given);
    if hash.is_ok() && read(&format!("{given} ")) == hash {
        assert_eq!(read(&given.to_ascii_lowercase().replace('-', " ")), hash);
    }
});
