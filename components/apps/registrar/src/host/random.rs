//! Randomness, from the host.

use countersign::crockford;
use wasi::random::random::get_random_bytes;

/// Bytes from a cryptographically secure source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // WASI promises the full length. The copy panics on any other, rather than leave zeros.
    bytes.copy_from_slice(&get_random_bytes(N as u64));
    bytes
}

/// A new id: the prefix, and 26 symbols for 128 random bits.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}{}", crockford::encode(&random::<16>()))
}
