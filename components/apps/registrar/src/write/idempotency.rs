//! Requests that come again with their idempotency key get the answer that they got.
//!
//! An answer may hold a licence's key or a token, of which the database otherwise knows hashes alone. So it is sealed under a key that is
//! made of the caller's token and the idempotency key, neither of which is kept: who has the database has no answer.

use crate::limits::{FORGET_ANSWERS, KEEP_ANSWER_SECONDS};
use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use countersign::field::FieldError;
use countersign::name::IdempotencyKey;
use countersign::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::ask::Ask;
use crate::bindings::countersign::license::sql::Statement;
use crate::host::random::random;
use crate::sql::db::{self, blob, integer, moment, optional, statement};
use crate::wire::answer::{self, Answer};
use crate::wire::problem::Problem;
use crate::wire::{Body, Response};
use crate::write::outbox;

const NONCE_BYTES: usize = 12;

/// A request that is to be done once.
pub(crate) struct Operation {
    id: [u8; 32],
    /// A hash of all that the request asks for.
    asked: [u8; 32],
    seal: [u8; 32],
}

impl Operation {
    /// The one that a request is; none where it has no idempotency key.
    pub(crate) fn of(ask: &Ask<'_>) -> Result<Option<Self>, Problem> {
        if ask.http.method != "POST" {
            return Ok(None);
        }
        let Some(key) = key(ask)? else { return Ok(None) };
        let body: &[u8] = match &ask.http.body {
            Body::Complete(body) => body,
            Body::TooLarge | Body::Incomplete => b"",
        };
        let query = ask.http.query.as_deref().unwrap_or_default();
        let secret = ask.caller.secret.as_bytes();
        Ok(Some(Self {
            id: hash(&[b"countersign operation", secret, key.as_str().as_bytes()]),
            asked: hash(&[ask.http.method.as_bytes(), ask.http.path.as_bytes(), query.as_bytes(), body]),
            seal: hash(&[b"countersign answer", secret, key.as_str().as_bytes()]),
        }))
    }

    /// The answer that the request got, if it got one.
    pub(crate) fn find(&self, now: Timestamp) -> Result<Option<Response>, Problem> {
        let parameters = vec![blob(self.id), moment(now.minus_seconds(KEEP_ANSWER_SECONDS))];
        let kept = db::query_one("SELECT asked, answer, change FROM operations WHERE id = ?1 AND at > ?2", parameters)?;
        let Some(kept) = kept else { return Ok(None) };
        if kept.hash(0)? != self.asked {
            return Err(Problem::IdempotencyKeyReused);
        }
        // As of now: whoever asks again may be before the first answer's delivery, or long after its failure.
        let propagated = kept.optional_blob(2)?.map(outbox::deliver_after);
        let mut response = open(&self.seal, &self.id, kept.blob(1)?).ok_or(Problem::CORRUPT)?.into_response(propagated);
        answer::add(&mut response, "idempotency-replayed", "true");
        Ok(Some(response))
    }

    /// The statements that keep an answer, unless one is kept already. Only such as say that something was done are.
    pub(crate) fn keep(&self, answer: &Answer, change: Option<[u8; 16]>, now: Timestamp) -> [Statement; 2] {
        let over = moment(now.minus_seconds(KEEP_ANSWER_SECONDS));
        let sealed = seal(&self.seal, &self.id, random(), answer);
        let keep = "
            INSERT INTO operations (id, asked, answer, change, at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (id) DO UPDATE SET asked = ?2, answer = ?3, change = ?4, at = ?5 WHERE at <= ?6
            RETURNING at";
        let parameters =
            vec![blob(self.id), blob(self.asked), blob(sealed), optional(change, blob), moment(now), over.clone()];
        let forget = "DELETE FROM operations WHERE id IN (SELECT id FROM operations WHERE at <= ?1 LIMIT ?2)";
        [statement(keep, parameters, Some(1)), statement(forget, vec![over, integer(FORGET_ANSWERS)], None)]
    }
}

/// The header of draft-ietf-httpapi-idempotency-key-header, section 2.1, which is a string in quotes (RFC 9651, section 3.3.3); without
/// quotes, as most send it, it is taken as it stands.
pub(crate) fn key(ask: &Ask<'_>) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(text) = ask.header("idempotency-key")? else { return Ok(None) };
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let key = IdempotencyKey::parse(text);
    Ok(Some(key.map_err(|error| FieldError::new("Idempotency-Key", format_args!("{error}.")))?))
}

/// Of the parts, each with its length before it, so that no two lists of parts are alike.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let add = |hash: Sha256, part: &&[u8]| hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part);
    parts.iter().fold(Sha256::new(), add).finalize().into()
}

/// RFC 8439, section 2.8: the answer encrypted and bound to the operation, its tag, and the nonce. A key seals again only after a day.
fn seal(key: &[u8; 32], id: &[u8; 32], nonce: [u8; NONCE_BYTES], answer: &Answer) -> Vec<u8> {
    // In place, as it may have some megabytes.
    let mut sealed = answer::encode(answer);
    // It fails for what is longer than 256 GiB alone; nothing readable is kept then either.
    if ChaCha20Poly1305::new(key.into()).encrypt_in_place(&Nonce::from(nonce), id, &mut sealed).is_err() {
        sealed.clear();
    }
    sealed.extend(nonce);
    sealed
}

fn open(key: &[u8; 32], id: &[u8; 32], sealed: &[u8]) -> Option<Answer> {
    let (sealed, nonce) = sealed.split_last_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: id };
    let answer = ChaCha20Poly1305::new(key.into()).decrypt(&Nonce::from(*nonce), payload).ok()?;
    serde_json::from_slice(&answer).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_opens_with_its_own_key_alone() {
        let (key, id) = ([7; 32], [9; 32]);
        let answer = Answer::created("/api/v1/licenses/a".into(), json!({ "key": "ACME-SECRET" }), 3);
        let sealed = seal(&key, &id, [1; 12], &answer);
        assert!(!sealed.windows(6).any(|window| window == b"SECRET"));
        assert_ne!(sealed, seal(&key, &id, [2; 12], &answer));
        let opened = open(&key, &id, &sealed).unwrap();
        assert_eq!(answer::encode(&opened), answer::encode(&answer));
        assert!(open(&[8; 32], &id, &sealed).is_none());
        assert!(open(&key, &[8; 32], &sealed).is_none());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key, &id, &changed).is_none());
            assert!(open(&key, &id, &sealed[..at]).is_none());
        }
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(hash(&[b"a", b"bc"]), hash(&[b"ab", b"c"]));
        assert_ne!(hash(&[b"a", b""]), hash(&[b"a"]));
    }
}
