//! Stored answers, for requests that are retried with their idempotency key.
//!
//! An answer may contain a licence's key or a token, which the database otherwise has only as
//! hashes. So it is sealed under a key made of the caller's token and the idempotency key. Neither
//! is stored: the database alone does not open an answer.

use std::borrow::Cow;

use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use countersign::routes::canonical;
use countersign::time::Timestamp;
use countersign_app_common::answer::{add, encode};
use countersign_app_common::fields::Fields;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::ask::Ask;
use crate::bindings::countersign::license::sql::Statement;
use crate::host::random::random;
use crate::host::settings::kept;
use crate::limits::{FORGET_ANSWERS, KEEP_ANSWER_HOURS};
use crate::sql::db::{self, blob, integer, moment, optional, statement, text};
use crate::wire::answer::Answer;
use crate::wire::problem::{Problem, corrupt};
use crate::wire::{Body, Response};
use crate::write::change::Change;
use crate::write::outbox;

const NONCE_BYTES: usize = 12;

/// Only an expired answer is overwritten.
const STORE: &str = "
    INSERT INTO operations (id, asked, answer, change, at) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET asked = ?2, answer = ?3, change = ?4, at = ?5 WHERE at <= ?6
    RETURNING at";
// Both choose the same rows.
const FORGET_LICENSES: &str = "DELETE FROM operation_licenses \
    WHERE operation IN (SELECT id FROM operations WHERE at <= ?1 ORDER BY at LIMIT ?2)";
const FORGET: &str =
    "DELETE FROM operations WHERE id IN (SELECT id FROM operations WHERE at <= ?1 ORDER BY at LIMIT ?2)";
const ABOUT: &str = "INSERT OR IGNORE INTO operation_licenses (license, operation) SELECT value, ?2 FROM json_each(?1)";
const COUNT: &str = "SELECT COUNT(DISTINCT operation) FROM operation_licenses \
    WHERE license IN (SELECT value FROM json_each(?1))";
const ERASE: &str = "UPDATE operations SET answer = x'' WHERE id IN \
    (SELECT operation FROM operation_licenses WHERE license IN (SELECT value FROM json_each(?1)))";
const ERASE_LICENSES: &str = "DELETE FROM operation_licenses WHERE license IN (SELECT value FROM json_each(?1))";

/// The request was done, and must not be done again; its answer was erased.
const ANSWER_ERASED: Problem = Problem::new(
    422,
    "IDEMPOTENCY_KEY_REUSED",
    "The request with this idempotency key was done, and its answer was erased with personal data.",
);

/// A request that must be done only once.
pub(crate) struct Operation {
    id: [u8; 32],
    /// The hash of all that the request asks for, where equal JSON values are the same.
    asked: [u8; 32],
    /// The hash of the request's bytes, which earlier versions stored.
    sent: [u8; 32],
    seal: [u8; 32],
    /// Answers of this moment and earlier are no longer stored.
    forgotten: Timestamp,
}

impl Operation {
    /// The operation that a request is; `None` without an idempotency key.
    pub(crate) fn of(ask: &Ask<'_>) -> Result<Option<Self>, Problem> {
        let Some(key) = &ask.idempotency_key else { return Ok(None) };
        let body: &[u8] = match &ask.http.body {
            Body::Complete(body) => body,
            Body::TooLarge | Body::Incomplete => b"",
        };
        let (method, query) = (ask.http.method.as_bytes(), ask.http.query.as_deref().unwrap_or_default().as_bytes());
        let secret = ask.caller.secret.as_bytes();
        let path = canonical(&ask.http.path);
        Ok(Some(Self {
            id: hash(&[b"countersign operation", secret, key.as_str().as_bytes()]),
            asked: hash(&[method, path.as_bytes(), query, &value(body)]),
            sent: hash(&[method, ask.http.path.as_bytes(), query, body]),
            seal: hash(&[b"countersign answer", secret, key.as_str().as_bytes()]),
            forgotten: answers_until(ask.now)?,
        }))
    }

    /// The stored answer of this operation.
    pub(crate) fn find(&self) -> Result<Option<Response>, Problem> {
        let parameters = vec![blob(self.id), moment(self.forgotten)];
        let row = db::query_one("SELECT asked, answer, change FROM operations WHERE id = ?1 AND at > ?2", parameters)?;
        let Some(row) = row else { return Ok(None) };
        if ![self.asked, self.sent].contains(&row.hash(0)?) {
            return Err(Problem::IDEMPOTENCY_KEY_REUSED);
        }
        if row.blob(1)?.is_empty() {
            return Err(ANSWER_ERASED);
        }
        let mut answer = open(&self.seal, &self.id, row.blob(1)?).ok_or_else(corrupt)?;
        if let Some(change) = row.optional_blob(2)? {
            // As of now: the retry may precede the first delivery, or follow one that failed.
            answer = answer.with_propagated(outbox::deliver_after(change));
        }
        let mut response = Response::from(answer);
        add(&mut response, "idempotency-replayed", "true");
        Ok(Some(response))
    }

    /// The statements that store an answer about these licences, on condition that none is stored.
    /// Only requests that were done have their answer stored; problems do not.
    pub(crate) fn store(
        &self,
        answer: &Answer,
        change: Option<[u8; 16]>,
        licenses: &[&str],
        now: Timestamp,
    ) -> Vec<Statement> {
        let expired = moment(self.forgotten);
        let sealed = seal(&self.seal, &self.id, random(), answer);
        let parameters =
            vec![blob(self.id), blob(self.asked), blob(sealed), optional(change, blob), moment(now), expired];
        let mut statements = vec![statement(STORE, parameters, Some(1))];
        if !licenses.is_empty() {
            statements.push(statement(ABOUT, vec![text(json!(licenses).to_string()), blob(self.id)], None));
        }
        statements.extend(forget(self.forgotten, FORGET_ANSWERS));
        statements
    }
}

/// A body that is one JSON object in a form that equal values share: names sorted, no white space,
/// numbers and escapes written in one way. Any other body as it is.
fn value(body: &[u8]) -> Cow<'_, [u8]> {
    match Fields::from_json(body) {
        Ok(fields) => Cow::Owned(encode(&fields.into_members())),
        Err(_) => Cow::Borrowed(body),
    }
}

/// The last moment whose answers are no longer stored.
pub(crate) fn answers_until(now: Timestamp) -> Result<Timestamp, Problem> {
    let hours = kept("keep_answer_hours")?.unwrap_or(KEEP_ANSWER_HOURS);
    Ok(now.minus_seconds(hours.saturating_mul(3_600)))
}

/// The statements that delete answers of this moment and earlier, `most` of them at most.
pub(crate) fn forget(until: Timestamp, most: u32) -> [Statement; 2] {
    [FORGET_LICENSES, FORGET].map(|sql| statement(sql, vec![moment(until), integer(most)], None))
}

/// Erases the stored answers about these licences. Returns their number. Their requests are still
/// not done again.
pub(crate) fn erase(licenses: &[String], change: &mut Change) -> Result<u64, Problem> {
    let licenses = text(json!(licenses).to_string());
    let count = db::query_one(COUNT, vec![licenses.clone()])?.ok_or_else(corrupt)?.count(0)?;
    for sql in [ERASE, ERASE_LICENSES] {
        change.run(sql, vec![licenses.clone()]);
    }
    Ok(count)
}

/// The hash of parts. Each is preceded by its length, so that different lists have different
/// hashes.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let add = |hash: Sha256, part: &&[u8]| hash.chain_update((part.len() as u64).to_be_bytes()).chain_update(part);
    parts.iter().fold(Sha256::new(), add).finalize().into()
}

/// Encrypts an answer and binds it to its operation (RFC 8439, section 2.8): the ciphertext, its
/// tag, and the nonce. A random nonce is enough, as a key seals again only once its answer has
/// expired.
fn seal(key: &[u8; 32], id: &[u8; 32], nonce: [u8; NONCE_BYTES], answer: &Answer) -> Vec<u8> {
    // In place, as an answer may have some megabytes.
    let mut sealed = encode(answer);
    // This fails only above 256 GiB. The answer must not be stored in the clear even then.
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

    #[test]
    fn an_answer_opens_with_its_own_key_only() {
        let (key, id) = ([7; 32], [9; 32]);
        let answer = Answer::created("/api/v1/licenses/a".into(), json!({ "key": "ACME-SECRET" }), 3);
        let sealed = seal(&key, &id, [1; 12], &answer);
        assert!(!sealed.windows(6).any(|window| window == b"SECRET"));
        assert_ne!(sealed, seal(&key, &id, [2; 12], &answer));
        let opened = open(&key, &id, &sealed).unwrap();
        assert_eq!(encode(&opened), encode(&answer));
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
    fn equal_json_values_are_the_same_request() {
        let value = |body: &str| value(body.as_bytes()).into_owned();
        let first = value(r#"{"a":1,"b":{"c":"é","d":[1,2]}}"#);
        for same in [
            "{ \"b\" : {\"d\":[1, 2.0],\n\"c\":\"\\u00e9\"}, \"a\": 1.0 }",
            "\u{feff}{\"a\":1,\"b\":{\"c\":\"é\",\"d\":[1,2]}}\r\n",
        ] {
            assert_eq!(value(same), first, "{same}");
        }
        for other in [
            r#"{"a":1,"b":{"c":"é","d":[2,1]}}"#,
            r#"{"a":"1","b":{"c":"é","d":[1,2]}}"#,
            r#"{"a":1,"b":{"c":"é","d":[1,2],"e":null}}"#,
        ] {
            assert_ne!(value(other), first, "{other}");
        }
        // Not one JSON object: the bytes count.
        assert_eq!(value("product,plan\nacme,pro\n"), b"product,plan\nacme,pro\n");
        assert_eq!(value("{}\n{}"), b"{}\n{}");
    }

    #[test]
    fn lists_of_parts_have_different_hashes() {
        assert_ne!(hash(&[b"a", b"bc"]), hash(&[b"ab", b"c"]));
        assert_ne!(hash(&[b"a", b""]), hash(&[b"a"]));
    }
}
