//! Forms, `application/x-www-form-urlencoded`: in the query of a URL and, from clients that send no
//! JSON, in a body (URL Standard, section 5.1).

use crate::{
    field::FieldError,
    object::{Object, Value},
    request::Field,
};
use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};

/// The names and values of a form, in their order. One is `None` if it is not percent-encoded
/// UTF-8.
pub fn pairs(form: &str) -> impl Iterator<Item = Option<(String, String)>> {
    form.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Some((decode(name)?, decode(value)?))
    })
}

/// Undoes percent-encoding (RFC 3986, section 2.1); `None` if the text is not percent-encoded
/// UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(*high)? * 16 + digit(*low)?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// The entries of a form as those of the JSON object that says the same.
///
/// Each value is a text. A list is a field that is repeated, `features=a&features=b`; its name may
/// end as PHP, Rails and others write it, `features[]` or `features[0]`. A number is its digits.
pub(crate) fn object(form: &str) -> Result<Object, FieldError> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    for pair in pairs(form) {
        let (name, value) = pair.ok_or_else(|| FieldError::new("", "The form must be percent-encoded UTF-8."))?;
        match Field::parse(list_name(&name).unwrap_or(&name)) {
            Ok(field) if field.is_list() => {
                let name = field.as_str();
                match entries.iter_mut().find(|(other, _)| other == name) {
                    Some((_, Value::Texts(texts))) => texts.push(value),
                    _ => entries.push((name.to_owned(), Value::Texts(vec![value]))),
                }
            }
            Ok(Field::Consume | Field::Return) => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let number = value.parse().ok().filter(|_| is_number);
                entries.push((name, number.map_or(Value::Other, Value::Number)));
            }
            Ok(Field::Nonce) => entries.push((name, Value::raw_text(&value))),
            Ok(_) => entries.push((name, Value::Text(value))),
            // Nothing after it matters, and so a form cannot make this search long.
            Err(_) => {
                entries.push((name, Value::Other));
                break;
            }
        }
    }
    Ok(Object { entries })
}

/// `features` of `features[]` and `features[0]`.
fn list_name(name: &str) -> Option<&str> {
    let (list, index) = name.strip_suffix(']')?.split_once('[')?;
    index.bytes().all(|byte| byte.is_ascii_digit()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let read = |form: &str| pairs(form).collect::<Option<Vec<_>>>();
        let expected = [("owner", "jane@example.com"), ("search", "a b+"), ("flag", ""), ("empty", ""), ("a", "1=2")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read("owner=jane%40example.com&&search=a+b%2b&flag&empty=&a=1=2&"), Some(expected.into()));
        for refused in ["a=%", "a=%g0", "a=%f", "a=%ff", "%"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_list_has_brackets_or_none() {
        for (name, list) in [
            ("features[]", Some("features")),
            ("features[0]", Some("features")),
            ("features[12]", Some("features")),
            ("features", None),
            ("features[a]", None),
            ("features[", None),
            ("features[]x", None),
        ] {
            assert_eq!(list_name(name), list, "{name}");
        }
    }
}
