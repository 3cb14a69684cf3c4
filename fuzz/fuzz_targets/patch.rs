//! A merge patch of terms is read or refused, and applied twice it does what it does once.
#![no_main]

libfuzzer_sys::fuzz_target!(|given: &[u8]| countersign_registrar::fuzzing::patch(given));
