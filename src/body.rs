//! The text of a request's body.

use crate::field::FieldError;

/// The body as text: UTF-8, with or without a byte order mark (RFC 8259, section 8.1, lets a reader
/// pass over it).
///
/// ```
/// use countersign::body::text;
///
/// assert_eq!(text(b"\xef\xbb\xbf{}").as_deref(), Ok("{}"));
/// assert_eq!(text(b"{\0}\0").unwrap_err().detail, "The body is UTF-16 or UTF-32; it must be UTF-8.");
/// ```
///
/// # Errors
///
/// A [`FieldError`] if the body is not UTF-8.
pub fn text(body: &[u8]) -> Result<&str, FieldError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // Neither JSON nor a form begins with a NUL, or has one after its first character.
    if matches!(body, [0xfe, 0xff, ..] | [0xff, 0xfe, ..] | [0, ..] | [_, 0, ..]) {
        return Err(FieldError::new("", "The body is UTF-16 or UTF-32; it must be UTF-8."));
    }
    core::str::from_utf8(body).map_err(|_| FieldError::new("", "The body is not UTF-8."))
}
