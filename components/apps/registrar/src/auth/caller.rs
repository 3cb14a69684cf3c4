//! The caller: the holder of a bearer token (RFC 6750, section 2.1), and what they may do.

use countersign::secret;
use countersign::time::Timestamp;
use countersign_app_common::request::header;
use countersign_app_common::settings;
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::auth::throttle;
use crate::auth::token;
use crate::host::journal;
use crate::limits::{MAX_TOKEN_BYTES, TOKEN_USE_SECONDS};
use crate::sql::db::{self, Row, moment, optional, text};
use crate::wire::Request;
use crate::wire::problem::{self, NOT_FOUND, Problem};
use countersign::role::Role;

/// The holder of a valid token. No `Debug`, as it contains the token.
pub(crate) struct Caller {
    /// The actor in events: a token's id, or `operator` or `host`.
    pub(crate) id: String,
    role: Role,
    /// The products that the token is bound to; `None` for all.
    products: Option<Vec<String>>,
    /// The token itself: stored answers are sealed with it.
    pub(crate) secret: String,
}

impl Caller {
    /// Whether the token is for this product.
    pub(crate) fn has_product(&self, product: &str) -> bool {
        self.products.as_ref().is_none_or(|products| products.iter().any(|each| each == product))
    }

    /// Refuses a resource of another product as if it did not exist.
    pub(crate) fn check_product(&self, product: &str) -> Result<(), Problem> {
        if self.has_product(product) { Ok(()) } else { Err(NOT_FOUND) }
    }

    /// The products that the token is bound to; `None` for all.
    pub(crate) fn products(&self) -> Option<&[String]> {
        self.products.as_deref()
    }

    /// The same as the parameter of a list: a JSON array for `json_each`.
    pub(crate) fn scope(&self) -> Option<db::Value> {
        self.products.as_ref().map(|products| text(json!(products).to_string()))
    }

    /// Whether the token is bound to products.
    pub(crate) fn is_scoped(&self) -> bool {
        self.products.is_some()
    }

    /// Refuses a token that is bound to products.
    pub(crate) fn check_unscoped(&self) -> Result<(), Problem> {
        match self.products {
            None => Ok(()),
            Some(_) => Err(problem::forbidden(
                "This token is bound to certain products; this request needs a token for all products.",
            )),
        }
    }

    /// Whether the token has this role, or another one that includes it.
    pub(crate) fn has_role(&self, role: Role) -> bool {
        self.role.includes(role)
    }

    /// Refuses a token of a lower role.
    pub(crate) fn check_role(&self, role: Role) -> Result<(), Problem> {
        if self.has_role(role) {
            return Ok(());
        }
        let (has, needs) = (self.role.as_str(), role.as_str());
        let or_higher = if role == Role::Edge { "" } else { " or a higher role" };
        Err(problem::forbidden(format!("This token has the role `{has}`; this request needs `{needs}`{or_higher}.")))
    }
}

/// Settings that hold a token of their own, each with its actor in events.
const SET_TOKENS: [(&str, &str); 2] = [("admin_token", "operator"), ("host_token", "host")];

/// The row of a token and the failures of the address, either of which may be absent.
const LOOK_UP: &str = "
    SELECT token.id, token.hash, token.role, token.products, token.expires_at, token.revoked_at, token.last_used_at,
           refusal.failures, refusal.at
    FROM (SELECT 1)
    LEFT JOIN tokens AS token ON token.id = ?1
    LEFT JOIN refusals AS refusal ON refusal.client = ?2";

/// Finds the caller by their token.
///
/// A right token is let in at once, whatever else its address sends: behind a proxy or a NAT many
/// callers share one, and none of them may lock out the others. So tokens must be long enough that
/// nobody guesses one at any speed: ours have 160 random bits, and one from the settings is checked
/// by [`secret::check`]. An address that has sent wrong tokens waits before its next wrong one
/// is even counted.
///
/// `address` is the client's address as it is counted.
pub(crate) fn find(http: &Request, address: Option<&str>, now: Timestamp) -> Result<Caller, Problem> {
    let Some(token) = bearer(http)? else { return Err(problem::unauthenticated()) };
    let parameters = vec![optional(token::id_of(token), text), optional(address, text)];
    let row = db::query_one(LOOK_UP, parameters)?.ok_or_else(problem::corrupt)?;
    if let Some(caller) = holder_of_row(&row, token, now)? {
        return Ok(caller);
    }
    if let Some(actor) = holder_of_setting(token)? {
        return Ok(Caller { id: actor.into(), role: Role::Admin, products: None, secret: token.into() });
    }
    if let (Some(count), Some(last)) = (row.optional_integer(7)?, row.optional_moment(8)?) {
        throttle::check(count, last, now)?;
    }
    if let Some(address) = address {
        throttle::add_failures(address, 1, now)?;
    }
    Err(problem::unauthenticated())
}

/// The token that the request carries.
fn bearer(http: &Request) -> Result<Option<&str>, Problem> {
    let Some(credentials) = header(&http.headers, "Authorization")? else { return Ok(None) };
    let Some((scheme, token)) = credentials.split_once(' ') else { return Ok(None) };
    let is_token = |token: &&str| (1..=MAX_TOKEN_BYTES).contains(&token.len());
    Ok(Some(token.trim_ascii()).filter(|_| scheme.eq_ignore_ascii_case("bearer")).filter(is_token))
}

/// The actor whose token is in the settings. A weak one is not taken, and the journal says why.
fn holder_of_setting(token: &str) -> Result<Option<&'static str>, Problem> {
    for (setting, actor) in SET_TOKENS {
        let value = settings::get(setting).map_err(|_| Problem::unavailable("settings"))?;
        let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
        match secret::check(&value) {
            Ok(()) if is_same(&token::hash(&value), token) => return Ok(Some(actor)),
            Ok(()) => {}
            Err(weakness) => journal::note_weak_setting(setting, weakness),
        }
    }
    Ok(None)
}

/// The caller, if the token is the one of this row and is valid.
fn holder_of_row(row: &Row, token: &str, now: Timestamp) -> Result<Option<Caller>, Problem> {
    let Some(id) = row.optional_text(0)? else { return Ok(None) };
    let has_ended = row.optional_integer(5)?.is_some() || row.optional_moment(4)?.is_some_and(|end| now >= end);
    if !is_same(&row.hash(1)?, token) || has_ended {
        return Ok(None);
    }
    let used_before = now.minus_seconds(TOKEN_USE_SECONDS);
    if row.optional_moment(6)?.is_none_or(|used| used <= used_before) {
        // A database that cannot write now must not prevent reads.
        let _ = db::execute("UPDATE tokens SET last_used_at = ?2 WHERE id = ?1", vec![text(id), moment(now)]);
    }
    let products = row.optional_text(3)?.map(serde_json::from_str).transpose().map_err(|_| problem::corrupt())?;
    let role = row.text(2)?.parse().map_err(|_| problem::corrupt())?;
    Ok(Some(Caller { id: id.into(), role, products, secret: token.into() }))
}

/// Compares hashes, and these in constant time: the time says nothing about a token or its length.
fn is_same(hash: &[u8; 32], token: &str) -> bool {
    hash.ct_eq(&token::hash(token)).into()
}
