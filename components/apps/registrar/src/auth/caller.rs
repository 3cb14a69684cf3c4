//! Who asks: the holder of a bearer token (RFC 6750, section 2.1), and what they may do.

use crate::limits::{MAX_TOKEN_BYTES, MIN_SET_TOKEN_BYTES, TOKEN_USE_SECONDS};
use countersign::time::Timestamp;
use subtle::ConstantTimeEq;

use crate::auth::throttle::{check_wait, network, note_failure};
use crate::auth::token;
use crate::bindings::countersign::license::settings;
use crate::sql::db::{self, Row, moment, optional, text};
use crate::wire::Request;
use crate::wire::headers::header;
use crate::wire::problem::Problem;
use countersign::role::Role;

/// Somebody whose token is known and not over. Has the token in it: there is no `Debug`.
pub(crate) struct Caller {
    /// What events call them: a token's id, or `operator` or `host`.
    pub(crate) id: String,
    pub(crate) role: Role,
    /// The products that the token is bound to; all if there are none.
    products: Option<Vec<String>>,
    /// The token itself, to seal with.
    pub(crate) secret: String,
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
    let id = token::id_of(token);
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
        if value.is_some_and(|value| is_same(&token::hash(&value), token)) {
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
    hash.ct_eq(&token::hash(token)).into()
}
