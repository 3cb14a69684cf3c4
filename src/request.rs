//! What a licence holder's program asks: fields as they were sent, and the request once each of them is verified.

use crate::{
    domain::Domain,
    key::{self, KeyHash, ReadError},
    limits::{MAX_FEATURES, MAX_FIELD_NAME_BYTES},
    name::{Label, Nonce, Product},
    time::Timestamp,
    version::Version,
};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A well-formed request. The key itself is not in it any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The hash to look the licence up by; `None` if the key fails its own checksum, which is answered without a
    /// look-up.
    pub key: Option<KeyHash>,
    /// The product that asks.
    pub product: Option<Product>,
    /// Where the program runs.
    pub domain: Option<Domain>,
    /// The program's version.
    pub version: Option<Version>,
    /// When that version was released.
    pub released_at: Option<Timestamp>,
    /// What must be held, all of it.
    pub features: Vec<Label>,
    /// What the answer repeats.
    pub nonce: Option<Nonce>,
}

/// The fields of a request as they were sent, nothing verified.
#[derive(Default)]
pub struct Fields {
    /// `key`: the one that must be sent.
    pub key: Option<String>,
    /// `product`
    pub product: Option<String>,
    /// `domain`
    pub domain: Option<String>,
    /// `version`
    pub version: Option<String>,
    /// `releasedAt`: RFC 3339 date, or date and time.
    pub released_at: Option<String>,
    /// `features`
    pub features: Option<Vec<String>>,
    /// `nonce`
    pub nonce: Option<String>,
}

/// Why a request is not well formed. Repeats no value that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct FieldError {
    /// The field's name in JSON, or empty where the request as a whole is meant.
    pub field: String,
    /// A sentence for people.
    pub detail: String,
}

impl FieldError {
    fn new(field: &str, detail: impl fmt::Display) -> Self {
        let detail = if field.is_empty() { detail.to_string() } else { format!("`{field}` {detail}") };
        Self { field: field.to_owned(), detail }
    }
}

impl Request {
    /// Reads a request from the JSON of a body.
    pub fn from_json(body: &[u8]) -> Result<Self, FieldError> {
        Fields::from_json(body)?.verify()
    }
}

impl Fields {
    /// Reads the shape: one JSON object, with known fields of the right types, each once.
    pub fn from_json(body: &[u8]) -> Result<Self, FieldError> {
        let body = core::str::from_utf8(body).map_err(|_| FieldError::new("", "The body is not UTF-8."))?;
        let Object(entries) = serde_json::from_str(body).map_err(|error| FieldError::new("", shape_error(&error)))?;
        let mut fields = Self::default();
        for (name, value) in entries {
            match name.as_str() {
                "key" => set(&mut fields.key, &name, value.text(&name)?)?,
                "product" => set(&mut fields.product, &name, value.text(&name)?)?,
                "domain" => set(&mut fields.domain, &name, value.text(&name)?)?,
                "version" => set(&mut fields.version, &name, value.text(&name)?)?,
                "releasedAt" => set(&mut fields.released_at, &name, value.text(&name)?)?,
                "features" => set(&mut fields.features, &name, value.texts(&name)?)?,
                "nonce" => set(&mut fields.nonce, &name, value.text(&name)?)?,
                _ if (1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) => {
                    return Err(FieldError::new(&name, "is no field of a request."));
                }
                // A name that long may be a key or another secret in the wrong place.
                _ => {
                    return Err(FieldError::new(
                        "",
                        "A field that has no name, or a long one, is no field of a request.",
                    ));
                }
            }
        }
        Ok(fields)
    }

    /// Verifies each field, in the order of their declaration.
    pub fn verify(self) -> Result<Request, FieldError> {
        let given = self.key.ok_or_else(|| FieldError::new("key", "is missing."))?;
        let key = match key::read(&given) {
            Ok(hash) => Some(hash),
            Err(ReadError::Malformed) => None,
            Err(error) => return Err(FieldError::new("key", format_args!("{error}."))),
        };
        let features = self.features.unwrap_or_default();
        if features.len() > MAX_FEATURES {
            return Err(FieldError::new("features", "has more than 64 names."));
        }
        Ok(Request {
            key,
            product: verified("product", self.product, Product::parse)?,
            domain: verified("domain", self.domain, Domain::parse)?,
            version: verified("version", self.version, Version::parse)?,
            released_at: verified("releasedAt", self.released_at, Timestamp::parse_date_or_time)?,
            features: features
                .iter()
                .map(|feature| Label::parse(feature))
                .collect::<Result<_, _>>()
                .map_err(|error| FieldError::new("features", format_args!("holds a name that {error}.")))?,
            nonce: verified("nonce", self.nonce, Nonce::parse)?,
        })
    }
}

fn set<T>(field: &mut Option<T>, name: &str, value: T) -> Result<(), FieldError> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(FieldError::new(name, "is given more than once.")),
    }
}

fn verified<T, E: fmt::Display>(
    name: &str,
    text: Option<String>,
    parse: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, FieldError> {
    text.map(|text| parse(&text)).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
}

/// Where the JSON breaks off, without the words of the parser, which may repeat values.
fn shape_error(error: &serde_json::Error) -> String {
    if error.is_data() {
        return "The body is not a JSON object.".to_owned();
    }
    format!("The body is not valid JSON: it breaks off at line {}, column {}.", error.line(), error.column())
}

/// A JSON object's entries in their order, names that come twice included.
struct Object(Vec<(String, Value)>);

/// A JSON value, as far as a request has use for it.
enum Value {
    Text(String),
    Texts(Vec<String>),
    Other,
}

impl Value {
    fn text(self, name: &str) -> Result<String, FieldError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(FieldError::new(name, "must be a string.")),
        }
    }

    fn texts(self, name: &str) -> Result<Vec<String>, FieldError> {
        match self {
            Self::Texts(texts) => Ok(texts),
            _ => Err(FieldError::new(name, "must be an array of strings.")),
        }
    }
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
                Ok(Object(entries))
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

            fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
                Ok(Value::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other)
            }
        }

        deserializer.deserialize_any(AnyValue)
    }
}
