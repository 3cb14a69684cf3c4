//! SHA-256 (FIPS 180-4), the only hash in this crate.

use sha2::{Digest, Sha256};

/// The hash of the concatenated parts.
pub fn sha256<const N: usize>(parts: [&[u8]; N]) -> [u8; 32] {
    parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part)).finalize().into()
}

/// The first 64 bits of a hash, where a collision has little effect.
pub fn first_64_bits(hash: &[u8; 32]) -> u64 {
    let (first, _) = hash.split_first_chunk().unwrap_or((&[0; 8], &[]));
    u64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hash_as_one_text() {
        // FIPS 180-4's example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for parts in [["abc", "", ""], ["a", "bc", ""], ["a", "b", "c"]] {
            assert_eq!(crate::hex::encode(&sha256(parts.map(str::as_bytes))), expected);
        }
        assert_eq!(first_64_bits(&sha256([b"abc"])), 0xba78_16bf_8f01_cfea);
    }
}
