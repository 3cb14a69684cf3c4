//! The form of a token: `cst_`, the 26 symbols of its id, `_`, and 32 symbols for 160 random bits.
//!
//! Nobody can guess 160 bits, so a fast hash without salt protects a token as well as a slow one.

use countersign::crockford;
use sha2::{Digest, Sha256};

use crate::host::random::{id, random};

const PREFIX: &str = "cst_";
pub(crate) const ID_PREFIX: &str = "tok_";
const ID_SYMBOLS: usize = 26;
const SECRET_SYMBOLS: usize = 32;

/// A new token, and its id.
pub(crate) fn generate() -> (String, String) {
    let id = id(ID_PREFIX);
    let token = format!("{PREFIX}{}_{}", &id[ID_PREFIX.len()..], crockford::encode(&random::<20>()));
    (token, id)
}

/// What the database stores of a token.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// The id in a token; `None` if the text does not have a token's form.
pub(crate) fn id_of(token: &str) -> Option<String> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_token = id.len() == ID_SYMBOLS && secret.len() == SECRET_SYMBOLS && id.is_ascii();
    is_token.then(|| format!("{ID_PREFIX}{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_contains_its_id() {
        let (id, secret) = ("0".repeat(26), "1".repeat(32));
        assert_eq!(id_of(&format!("cst_{id}_{secret}")), Some(format!("tok_{id}")));
        for refused in ["", "cst_", &format!("cst_{id}"), &format!("cst_{id}_{secret}1"), &format!("tok_{id}_{secret}")]
        {
            assert_eq!(id_of(refused), None, "{refused}");
        }
    }
}
