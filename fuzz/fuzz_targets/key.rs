//! A key of ours reads alike however it is typed; it is told from others by the space that does not matter at its end.
#![no_main]
use countersign::key::read;

libfuzzer_sys::fuzz_target!(|given: &str| {
    let hash = read(given);
    if hash.is_ok() && read(&format!("{given} ")) == hash {
        assert_eq!(read(&given.to_ascii_lowercase().replace('-', " ")), hash);
    }
});
