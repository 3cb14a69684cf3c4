//! The problems that only the registrar has.
//!
//! A request that gets a problem has changed nothing. The exception is [`unavailable`] from a
//! write: whether it was committed is unknown, and a retry with the same idempotency key finds out.
//!
//! [`unavailable`]: Problem::unavailable

use std::borrow::Cow;
use std::fmt;

use countersign::field::FieldError;

pub(crate) use countersign_app_common::problem::Problem;

/// The resource does not exist, or belongs to a product that the caller may not see.
pub(crate) const NOT_FOUND: Problem =
    Problem::new(404, "NOT_FOUND", "This resource does not exist, or this token may not see it.");

pub(crate) const KEY_TAKEN: Problem =
    Problem::new(409, "KEY_TAKEN", "Another licence has or had this key; keys are never reused.");

/// A token that is bound to products names a key or an id that it cannot use. The words are the
/// same for all reasons, as one of them is that another product has it.
pub(crate) const UNUSABLE: Problem =
    Problem::new(409, "UNUSABLE", "This key or id cannot be used; choose another one.");

/// The reason of a 503 where a licence's state cannot be read.
pub(crate) const CORRUPT_STATE: &str = "corrupt-state";

pub(crate) const REVOKED: Problem =
    Problem::new(409, "REVOKED", "This licence is revoked, which is final; issue a new licence instead.");

pub(crate) const PRECONDITION_FAILED: Problem = Problem::new(
    412,
    "PRECONDITION_FAILED",
    "`If-Match` does not name the current revision; read the resource again and send its `ETag`.",
);

/// The request names the current revision by a weak tag. Proxies that compress turn tags weak.
pub(crate) const WEAK_PRECONDITION: Problem = Problem::new(
    412,
    "PRECONDITION_FAILED",
    "`If-Match` has this revision as a weak tag (`W/`), which never matches; send it without `W/`.",
);

/// The request has no valid token (RFC 6750, section 3).
pub(crate) fn unauthenticated() -> Problem {
    Problem::new(401, "UNAUTHENTICATED", "A valid bearer token is required.").with_header("www-authenticate", "Bearer")
}

/// The address has sent too many wrong tokens, and must wait.
pub(crate) fn too_many_failures(seconds: u32) -> Problem {
    let detail = "Too many requests from this address had no valid token; wait as long as `Retry-After` says.";
    Problem::new(429, "TOO_MANY_FAILURES", detail).retry_after(seconds)
}

/// The token has named too many keys or ids that it cannot use, and must wait.
pub(crate) fn too_many_guesses(seconds: u32) -> Problem {
    let detail = "This token named too many keys or ids that cannot be used; wait as long as `Retry-After` says.";
    Problem::new(429, "TOO_MANY_FAILURES", detail).retry_after(seconds)
}

/// The caller may not do this. `detail` is a sentence.
pub(crate) fn forbidden(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::with_detail(403, "FORBIDDEN", detail)
}

/// The caller's token is bound to products other than the one in the request.
pub(crate) fn other_product() -> Problem {
    forbidden("This token is bound to other products than this one.")
}

/// Refuses because of an existing resource. `detail` is a sentence.
pub(crate) const fn conflict(detail: &'static str) -> Problem {
    Problem::new(409, "CONFLICT", detail)
}

/// The body has none of these media types.
pub(crate) fn unsupported_media_type(allowed: &[&str]) -> Problem {
    let detail = format!("`Content-Type` must be {}.", allowed.join(" or "));
    Problem::with_detail(415, "UNSUPPORTED_MEDIA_TYPE", detail)
}

/// The request is well formed, and a rule refuses the value of a field.
pub(crate) fn unprocessable(field: &str, detail: impl fmt::Display) -> Problem {
    refused(FieldError::new(field, detail))
}

/// As [`unprocessable`].
pub(crate) fn refused(error: FieldError) -> Problem {
    Problem::with_field(422, "UNPROCESSABLE", error)
}

/// The request would have the database write more than one may.
pub(crate) fn change_too_large(bytes: usize, most: usize) -> Problem {
    let detail = format!(
        "This request would write {bytes} bytes, and one request may write {most}; ask for fewer licences, or shorter \
         ones, at a time."
    );
    Problem::with_detail(422, "CHANGE_TOO_LARGE", detail)
}

/// The database's content is not what this app writes.
pub(crate) fn corrupt() -> Problem {
    Problem::unavailable("sql-corrupt")
}

/// A field that the request must have.
pub(crate) fn missing(field: &str) -> FieldError {
    FieldError::new(field, "is missing.")
}
