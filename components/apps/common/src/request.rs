//! Headers and bodies of requests.

use countersign::field::FieldError;
use countersign::limits::MAX_BODY_BYTES;
use countersign::name::IdempotencyKey;

use crate::problem::Problem;
use crate::service::{Body, Header, Request};

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
