//! Randomness, from the host.

use countersign::crockford;
use wasi::random::random::get_random_bytes;

/// Bytes of a cryptographic source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // A host gives as many as it is asked for; one that gave fewer breaks its promise, and the copy ends the request.
    bytes.copy_from_slice(&get_random_bytes(N as u64));
    bytes
}

/// A new id: the prefix and 26 symbols for 128 random bits.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}{}", crockford::encode(&random::<16>()))
}
