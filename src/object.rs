//! The JSON object in a request's body, as it was sent.

use crate::{body, field::FieldError, limits::MAX_AMOUNT, number::Grouped, request::Field};
use alloc::{borrow::ToOwned, boxed::Box, format, string::String, vec, vec::Vec};
use core::fmt;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::{RawValue, to_raw_value};

/// An object's entries in their order, including repeated names.
pub(crate) struct Object {
    pub(crate) entries: Vec<(String, Value)>,
}

impl Object {
    /// Reads a body that is one JSON object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FieldError> {
        let text = body::text(body)?;
        serde_json::from_str(text).map_err(|error| FieldError::new("", shape_error(text, &error)))
    }
}

/// The error about a field that is not a valid amount.
pub(crate) fn not_an_amount(name: &str) -> FieldError {
    FieldError::new(name, format_args!("must be a whole number from 1 to {}.", Grouped(MAX_AMOUNT)))
}

/// A JSON value, in the detail that requests need.
pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
    /// A list whose item at this place, and maybe others, is not a text.
    Mixed(usize),
    Number(u64),
    /// JSON as it was sent: the value of [`Field::Nonce`], which an answer repeats.
    Raw(Box<RawValue>),
    /// The same as a field that is not sent.
    Null,
    Other,
}

impl Value {
    /// A text as raw JSON.
    pub(crate) fn raw_text(text: &str) -> Self {
        to_raw_value(text).map_or(Self::Other, Self::Raw)
    }

    pub(crate) fn text(self, name: &str) -> Result<String, FieldError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(FieldError::new(name, "must be a string.")),
        }
    }

    pub(crate) fn texts(self, name: &str) -> Result<Vec<String>, FieldError> {
        match self {
            Self::Texts(texts) => Ok(texts),
            Self::Mixed(at) => Err(FieldError::in_list(name, at, "must be a string.")),
            _ => Err(FieldError::new(name, "must be an array of strings.")),
        }
    }

    pub(crate) fn one_or_more(self, name: &str) -> Result<Vec<String>, FieldError> {
        match self {
            Self::Text(text) => Ok(vec![text]),
            Self::Texts(texts) => Ok(texts),
            Self::Mixed(at) => Err(FieldError::in_list(name, at, "must be a string.")),
            _ => Err(FieldError::new(name, "must be a string or an array of strings.")),
        }
    }

    pub(crate) fn raw(self, name: &str) -> Result<Box<RawValue>, FieldError> {
        match self {
            Self::Raw(json) => Ok(json),
            _ => Err(FieldError::new(name, "must be a string or a number.")),
        }
    }

    pub(crate) fn amount(self, name: &str) -> Result<u64, FieldError> {
        match self {
            Self::Number(number) => Ok(number),
            _ => Err(not_an_amount(name)),
        }
    }
}

/// Says where parsing stopped. The parser's own words may repeat values.
fn shape_error(text: &str, error: &serde_json::Error) -> String {
    if error.is_data() {
        return "The body is not a JSON object.".to_owned();
    }
    if !text.trim_start().starts_with(['{', '[', '"']) {
        return "The body must be a JSON object, or a form with the `Content-Type` application/x-www-form-urlencoded."
            .to_owned();
    }
    format!("The body is not valid JSON: parsing stopped at line {}, column {}.", error.line(), error.column())
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = if name == Field::Nonce.as_str() { raw(map.next_value()?) } else { map.next_value()? };
                    entries.push((name, value));
                }
                Ok(Object { entries })
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

fn raw(json: Box<RawValue>) -> Value {
    if json.get() == "null" { Value::Null } else { Value::Raw(json) }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let (mut texts, mut other) = (Vec::new(), None);
                while let Some(value) = list.next_element()? {
                    match value {
                        Value::Text(text) => texts.push(text),
                        _ => _ = other.get_or_insert(texts.len()),
                    }
                }
                Ok(other.map_or(Value::Texts(texts), Value::Mixed))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
                Ok(Value::Number(number))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
                // `4.0` is a whole number in JSON Schema (2020-12, section 6.1.1), and some
                // languages write it so.
                let whole = number as u64;
                Ok(if whole as f64 == number { Value::Number(whole) } else { Value::Other })
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}
