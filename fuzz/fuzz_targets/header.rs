//! A token, an entity tag and an idempotency key are read or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|given: &str| countersign_registrar::fuzzing::header(given));
