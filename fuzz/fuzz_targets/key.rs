//! A generated key has the same hash however it is typed. A text is one if a hyphen at its end does
//! not change its hash. White space around any key does not.
#![no_main]
use countersign::key::read;

libfuzzer_sys::fuzz_target!(|given: &str| {
    let hash = read(given);
    assert_eq!(read(&format!("\u{feff} {given}\u{200b}\r\n")), hash);
    if hash.is_ok() && read(&format!("{given}-")) == hash {
        assert_eq!(read(&given.to_ascii_lowercase().replace('-', " ")), hash);
    }
});
