//! Who asks: the holder of a bearer token (RFC 6750, section 2.1), and what they may do.

use crate::limits::{
    FAILURES_FORGOTTEN_SECONDS, FREE_FAILURES, MAX_FAILURE_WAIT_SECONDS, MAX_TOKEN_BYTES, MIN_SET_TOKEN_BYTES,
    TOKEN_USE_SECONDS,
};
use countersign::name::UnknownWord;
use countersign::time::Timestamp;
use subtle::ConstantTimeEq;

use crate::ask::header;
use crate::bindings::countersign::license::settings;
use crate::bindings::exports::countersign::license::service::Request;
use crate::db::{self, Row, moment, optional, text};
use crate::problem::Problem;
use crate::tokens;

/// What a token lets its holder do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Reads.
    Reader,
    /// Helps holders: suspends, resumes, changes domains and owners.
    Support,
    /// Issues and changes licences.
    Issuer,
    /// Does everything.
    Admin,
}

impl Role {
    const ALL: [Self; 4] = [Self::Reader, Self::Support, Self::Issuer, Self::Admin];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Support => "support",
            Self::Issuer => "issuer",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(UnknownWord)
    }
}

/// Somebody whose token is known and not over. Has the token in it: there is no `Debug`.
pub(crate) struct Caller {
    /// What events call them: a token's id, or `operator` or `host`.
    pub(crate) id: String,
    pub(crate) role: Role,
    /// The products that the token is bound to; all if there are none.
    products: Option<Vec<String>>,
    /// The token itself, to seal with.
    pub(super) secret: String,
}

impl Caller {
    /// Whether the caller may see, and do, what belongs to this product.
    pub(crate) fn has_product(&self, product: &str) -> bool {
        self.products.as_ref().is_none_or(|products| products.iter().any(|each| each == product))
    }

    /// As [`has_product`](Self::has_product): what belongs to another's product is not there.
    pub(crate) fn check_product(&self, product: &str) -> Result<(), Problem> {
        if self.has_product(product) { Ok(()) } else { Err(Problem::NotFound) }
    }

    /// The products that the token is bound to; none if the caller has all products.
    pub(crate) fn products(&self) -> Option<&[String]> {
        self.products.as_deref()
    }

    /// The products as a parameter of a list, a JSON array for `json_each`; none if the caller has all products.
    pub(crate) fn scope(&self) -> Option<db::Value> {
        self.products.as_ref().map(|products| text(serde_json::json!(products).to_string()))
    }

    /// Refuses a caller who sees some products only, where what is asked for is about all of them.
    pub(crate) fn check_unscoped(&self) -> Result<(), Problem> {
        match self.products {
            None => Ok(()),
            Some(_) => Err(Problem::Forbidden("A token that is bound to products may not do this.")),
        }
    }

    pub(crate) fn check_role(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role { Ok(()) } else { Err(Problem::Forbidden("This takes a token of a higher role.")) }
    }
}

/// Settings that hold a token of their own, with what their holders are called.
const SET_TOKENS: [(&str, &str); 2] = [("admin_token", "operator"), ("host_token", "host")];

/// The row of a token, and what is known of the address that it came from, where either is known.
const LOOK_UP: &str = "
    SELECT token.id, token.hash, token.role, token.products, token.expires_at, token.revoked_at, token.last_used_at,
           refusal.failures, refusal.at
    FROM (SELECT 1)
    LEFT JOIN tokens AS token ON token.id = ?1
    LEFT JOIN refusals AS refusal ON refusal.client = ?2";

/// Finds who asks.
///
/// An address from which wrong tokens came waits before it is told of another, and before it is compared with one that somebody chose. A
/// token of the database has 160 random bits, which nobody guesses at any speed: whoever has one is let in, so that nobody who shares
/// their address, as behind a proxy, can shut them out.
pub(crate) fn find(http: &Request, now: Timestamp) -> Result<Caller, Problem> {
    let Some(token) = bearer(http)? else { return Err(Problem::Unauthenticated) };
    let id = tokens::id_of(token);
    let client = http.client.as_deref().map(network);
    let row = db::query_one(LOOK_UP, vec![optional(id, text), optional(client.as_deref(), text)])?;
    let row = row.ok_or(Problem::CORRUPT)?;
    if let Some(caller) = kept_token(&row, token, now)? {
        return Ok(caller);
    }
    check_wait(&row, now)?;
    if let Some(id) = set_token(token)? {
        return Ok(Caller { id: id.into(), role: Role::Admin, products: None, secret: token.into() });
    }
    if let Some(client) = client {
        note_failure(&client, now)?;
    }
    Err(Problem::Unauthenticated)
}

/// The token that a request carries, if it carries one.
fn bearer(http: &Request) -> Result<Option<&str>, Problem> {
    let Some(credentials) = header(&http.headers, "authorization")? else { return Ok(None) };
    let Some((scheme, token)) = credentials.split_once(' ') else { return Ok(None) };
    let is_token = |token: &&str| (1..=MAX_TOKEN_BYTES).contains(&token.len());
    Ok(Some(token.trim_ascii()).filter(|_| scheme.eq_ignore_ascii_case("bearer")).filter(is_token))
}

/// Whether the token is one that the operator or the host set, and whose.
fn set_token(token: &str) -> Result<Option<&'static str>, Problem> {
    for (setting, id) in SET_TOKENS {
        let value = settings::get(setting).map_err(|_| Problem::Unavailable { reason: "settings" })?;
        let value = value.filter(|value| value.len() >= MIN_SET_TOKEN_BYTES);
        if value.is_some_and(|value| is_same(&tokens::hash(&value), token)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Whether the token is the one of this row, and may be used.
fn kept_token(row: &Row, token: &str, now: Timestamp) -> Result<Option<Caller>, Problem> {
    let Some(id) = row.optional_text(0)? else { return Ok(None) };
    let is_over = row.optional_integer(5)?.is_some() || row.optional_moment(4)?.is_some_and(|end| now >= end);
    if !is_same(&row.hash(1)?, token) || is_over {
        return Ok(None);
    }
    let used_before = now.minus_seconds(TOKEN_USE_SECONDS);
    if row.optional_moment(6)?.is_none_or(|used| used <= used_before) {
        // A database that takes no write now is no reason to refuse a read.
        let _ = db::execute("UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", vec![text(id), moment(now)]);
    }
    let products = row.optional_text(3)?.map(serde_json::from_str).transpose().map_err(|_| Problem::CORRUPT)?;
    let role = row.text(2)?.parse().map_err(|_| Problem::CORRUPT)?;
    Ok(Some(Caller { id: id.into(), role, products, secret: token.into() }))
}

/// Compares hashes, and those in constant time: how long it takes says nothing about either token, nor about their lengths.
fn is_same(hash: &[u8; 32], token: &str) -> bool {
    hash.ct_eq(&tokens::hash(token)).into()
}

fn check_wait(row: &Row, now: Timestamp) -> Result<(), Problem> {
    let (Some(failures), Some(at)) = (row.optional_integer(7)?, row.optional_moment(8)?) else { return Ok(()) };
    let wait = wait_after(failures.try_into().unwrap_or(u32::MAX));
    // A clock that went back makes nobody wait for longer.
    let passed = now.unix().abs_diff(at.unix()).try_into().unwrap_or(u32::MAX);
    match wait.saturating_sub(passed) {
        0 => Ok(()),
        seconds => Err(Problem::TooManyFailures { seconds }),
    }
}

/// How many seconds an address waits after so many wrong tokens.
fn wait_after(failures: u32) -> u32 {
    match failures.checked_sub(FREE_FAILURES) {
        None => 0,
        Some(more) => 1u32.checked_shl(more).unwrap_or(u32::MAX).min(MAX_FAILURE_WAIT_SECONDS),
    }
}

fn note_failure(client: &str, now: Timestamp) -> Result<(), Problem> {
    let forgotten = moment(now.minus_seconds(FAILURES_FORGOTTEN_SECONDS));
    let note = "
        INSERT INTO refusals (client, failures, at) VALUES (?1, 1, ?2)
        ON CONFLICT (client) DO UPDATE SET failures = CASE WHEN at <= ?3 THEN 1 ELSE failures + 1 END, at = ?2";
    db::execute(note, vec![text(client), moment(now), forgotten.clone()])?;
    let forget = "DELETE FROM refusals WHERE client IN (SELECT client FROM refusals WHERE at <= ?1 LIMIT 4)";
    db::execute(forget, vec![forgotten]).map(drop)
}

/// What counts as one address: of IPv6 the first 64 bits, all of which one customer of a provider has.
fn network(client: &str) -> String {
    match client.parse() {
        Ok(std::net::IpAddr::V6(address)) if address.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => client.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let waits = [0, 9, 10, 11, 12, 15, 16, 17, 50, u32::MAX].map(wait_after);
        assert_eq!(waits, [0, 0, 1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn an_address_is_a_network_of_one_customer() {
        for (client, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2::", "2001:db8:1:2::"),
            ("a name", "a name"),
        ] {
            assert_eq!(network(client), expected);
        }
    }

    #[test]
    fn roles_have_an_order_and_a_word() {
        assert!(Role::ALL.is_sorted());
        assert!(Role::ALL.into_iter().all(|role| role.as_str().parse() == Ok(role)));
        assert!("Admin".parse::<Role>().is_err());
    }
}
