//! A path and a query are read or refused. A line end divides them.
#![no_main]

libfuzzer_sys::fuzz_target!(|given: &str| {
    let (path, query) = given.split_once('\n').unwrap_or((given, given));
    countersign_registrar::fuzzing::target(path, query);
});
