//! The JSON object in a request's body, as it was sent.

use crate::{field::FieldError, limits::MAX_AMOUNT, number::Grouped};
use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use core::fmt;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// An object's entries in their order, including repeated names.
pub(crate) struct Object {
    pub(crate) entries: Vec<(String, Value)>,
}

impl Object {
    /// Reads a body that is one JSON object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, FieldError> {
        let body = core::str::from_utf8(body).map_err(|_| FieldError::new("", "The body is not UTF-8."))?;
        serde_json::from_str(body).map_err(|error| FieldError::new("", shape_error(&error)))
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
    Number(u64),
    Other,
}

impl Value {
    pub(crate) fn text(self, name: &str) -> Result<String, FieldError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(FieldError::new(name, "must be a string.")),
        }
    }

    pub(crate) fn texts(self, name: &str) -> Result<Vec<String>, FieldError> {
        match self {
            Self::Texts(texts) => Ok(texts),
            _ => Err(FieldError::new(name, "must be an array of strings.")),
        }
    }

    pub(crate) fn one_or_more(self, name: &str) -> Result<Vec<String>, FieldError> {
        match self {
            Self::Text(text) => Ok(vec![text]),
            Self::Texts(texts) => Ok(texts),
            _ => Err(FieldError::new(name, "must be a string or an array of strings.")),
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
fn shape_error(error: &serde_json::Error) -> String {
    if error.is_data() {
        return "The body is not a JSON object.".to_owned();
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
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Object { entries })
            }
        }

        deserializer.deserialize_map(Entries)
    }
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
                let (mut texts, mut others) = (Vec::new(), false);
                while let Some(value) = list.next_element()? {
                    match value {
                        Value::Text(text) => texts.push(text),
                        _ => others = true,
                    }
                }
                Ok(if others { Value::Other } else { Value::Texts(texts) })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Other)
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
