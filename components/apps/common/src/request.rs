//! Headers and bodies of requests.

use countersign::field::FieldError;
use countersign::limits::MAX_BODY_BYTES;
use countersign::name::IdempotencyKey;

use crate::problem::Problem;
use crate::service::{Body, Header, Request};

/// The method whose answer this one gets. A HEAD is answered as a GET (RFC 9110, section 9.3.2);
/// the host leaves the body out, and knows its length.
pub fn get_for_head(method: &str) -> &str {
    if method == "HEAD" { "GET" } else { method }
}

/// The whole body, at most 65,536 bytes.
///
/// # Errors
/// [`Problem::BODY_TOO_LARGE`] and [`Problem::INCOMPLETE_BODY`].
pub fn body(request: &Request) -> Result<&[u8], Problem> {
    match &request.body {
        Body::Complete(body) if body.len() <= MAX_BODY_BYTES => Ok(body),
        Body::Complete(_) | Body::TooLarge => Err(Problem::BODY_TOO_LARGE),
        Body::Incomplete => Err(Problem::INCOMPLETE_BODY),
    }
}

/// The value of a header that may be sent once, without spaces around it. Case of `name` does not
/// matter; an error names the header as `name` does.
///
/// # Errors
/// If the header is sent more than once, or its value is not UTF-8.
pub fn header<'a>(headers: &'a [Header], name: &str) -> Result<Option<&'a str>, FieldError> {
    let mut found = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    let Some(header) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(FieldError::new(name, "must be sent only once."));
    }
    let value = str::from_utf8(&header.value).map_err(|_| FieldError::new(name, "must be UTF-8."))?;
    Ok(Some(value.trim_ascii()))
}

/// The header `Idempotency-Key`: draft-ietf-httpapi-idempotency-key-header, section 2.1, a string
/// in quotes (RFC 9651, section 3.3.3). Most clients leave the quotes out, which is accepted.
///
/// # Errors
/// As [`header`], or if the key is not 1 to 255 visible ASCII characters.
pub fn idempotency_key(headers: &[Header]) -> Result<Option<IdempotencyKey>, FieldError> {
    const NAME: &str = "Idempotency-Key";
    let Some(text) = header(headers, NAME)? else { return Ok(None) };
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    IdempotencyKey::parse(text).map(Some).map_err(|error| FieldError::new(NAME, format_args!("{error}.")))
}

/// The media type of the body (RFC 9110, section 8.3.1), as it was sent; empty if none was.
///
/// # Errors
/// If the header is not valid, or names a charset that is not UTF-8 or a part of it.
pub fn media_type(headers: &[Header]) -> Result<&str, Problem> {
    const NAME: &str = "Content-Type";
    const CHARSETS: [&str; 5] = ["", "utf-8", "utf8", "us-ascii", "ascii"];
    let given = header(headers, NAME)?.unwrap_or_default();
    let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
    for (name, value) in parameters.split(';').filter_map(|parameter| parameter.split_once('=')) {
        let charset = value.trim_ascii().trim_matches('"');
        let is_utf8 = CHARSETS.iter().any(|utf8| charset.eq_ignore_ascii_case(utf8));
        if name.trim_ascii().eq_ignore_ascii_case("charset") && !is_utf8 {
            let error = FieldError::new(NAME, "must have no `charset` but utf-8; the body must be UTF-8.");
            return Err(Problem::with_field(415, "UNSUPPORTED_MEDIA_TYPE", error));
        }
    }
    Ok(essence.trim_ascii())
}

/// Whether the body is a form. A body that begins with a brace is JSON, whatever its media type:
/// curl sends JSON with the type of a form by default.
pub fn is_form(media_type: &str, body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") && !text.trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<Header> {
        pairs.iter().map(|(name, value)| Header { name: (*name).into(), value: (*value).into() }).collect()
    }

    #[test]
    fn quotes_around_an_idempotency_key_may_be_left_out() {
        for value in ["k-1", "\"k-1\"", " k-1\t"] {
            let key = idempotency_key(&headers(&[("idempotency-key", value)])).unwrap();
            assert_eq!(key.unwrap().as_str(), "k-1", "{value}");
        }
        assert!(idempotency_key(&[]).unwrap().is_none());
    }

    #[test]
    fn an_idempotency_key_that_is_malformed_or_sent_twice_is_refused_by_name() {
        let long = "k".repeat(256);
        for pairs in [
            &[("idempotency-key", "")][..],
            &[("idempotency-key", "\"\"")],
            &[("idempotency-key", "k 1")],
            &[("idempotency-key", "ké")],
            &[("idempotency-key", &long)],
            &[("idempotency-key", "k-1"), ("idempotency-key", "k-1")],
        ] {
            assert_eq!(idempotency_key(&headers(pairs)).unwrap_err().field, "Idempotency-Key", "{pairs:?}");
        }
        let header = Header { name: "idempotency-key".into(), value: vec![0xFF] };
        assert!(idempotency_key(&[header]).is_err());
    }

    #[test]
    fn a_charset_other_than_utf_8_is_refused_by_name() {
        let of = |value: &str| {
            let headers = headers(&[("content-type", value)]);
            media_type(&headers).map(str::to_owned).map_err(|problem| (problem.status, problem.field))
        };
        for value in [
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json ; version=1; Charset = utf8",
            "application/json; charset=us-ascii",
            "application/json; charset=",
            "application/json;",
        ] {
            assert_eq!(of(value).as_deref(), Ok("application/json"), "{value}");
        }
        assert_eq!(media_type(&[]).unwrap(), "");
        for value in
            ["application/json; charset=utf-16", "text/plain;CHARSET=\"iso-8859-1\"", "a/b; c=d; charset=cp1252"]
        {
            assert_eq!(of(value), Err((415, Some("Content-Type".into()))), "{value}");
        }
    }

    #[test]
    fn a_form_is_known_by_its_type_and_its_beginning() {
        let form = "Application/X-WWW-Form-Urlencoded";
        for body in ["key=abc", "", "%7B=1", "[1]"] {
            assert!(is_form(form, body.as_bytes()) && !is_form("application/json", body.as_bytes()), "{body}");
        }
        for body in ["{}", " \r\n{\"key\":\"abc\"}", "\u{feff}{}"] {
            assert!(!is_form(form, body.as_bytes()), "{body}");
        }
    }

    #[test]
    fn a_body_has_a_bound() {
        let request = |body| Request {
            method: "POST".into(),
            path: "/".into(),
            query: None,
            authority: None,
            client: None,
            headers: Vec::new(),
            body,
        };
        assert_eq!(body(&request(Body::Complete(vec![0; 65_536]))).unwrap().len(), 65_536);
        assert_eq!(body(&request(Body::Complete(vec![0; 65_537]))).unwrap_err().code, "BODY_TOO_LARGE");
        assert_eq!(body(&request(Body::TooLarge)).unwrap_err().code, "BODY_TOO_LARGE");
        assert_eq!(body(&request(Body::Incomplete)).unwrap_err().code, "INCOMPLETE_BODY");
    }
}
