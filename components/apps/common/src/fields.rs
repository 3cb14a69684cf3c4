//! A body that is one JSON object. A verb takes each member by its name, and refuses those left
//! over.
//!
//! Reading is strict: a name that occurs twice in one object is an error, at any depth, as parsers
//! disagree on which of the two counts (RFC 8259, section 4). No error repeats a value, which may
//! be a secret.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use countersign::field::FieldError;
use countersign::limits::MAX_FIELD_NAME_BYTES;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::merge::merge;

/// The members of an object that have not been taken yet.
#[derive(Clone)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// If `text` is not one JSON object in UTF-8, or repeats a name.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let text = str::from_utf8(text).map_err(|_| FieldError::new("", "The JSON must be UTF-8."))?;
        let repeated = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Once { within: None, repeated: &repeated }.deserialize(&mut deserializer);
        match read.and_then(|value| deserializer.end().map(|()| value)) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(FieldError::new("", "The JSON must be an object.")),
            Err(error) => Err(match repeated.take() {
                Some(name) => about(&name, "must occur only once, and so must each name in it."),
                // The parser's own message may repeat values.
                None => {
                    let (line, column) = (error.line(), error.column());
                    FieldError::new(
                        "",
                        format_args!("The JSON is not valid: it breaks off at line {line}, column {column}."),
                    )
                }
            }),
        }
    }

    /// An object that was read before.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Applies these members to `current` as a JSON Merge Patch (RFC 7396).
    pub fn merged_into(self, mut current: Map<String, Value>) -> Self {
        merge(&mut current, self.0);
        Self(current)
    }

    /// All members, unchecked.
    pub fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// Takes a member of any type.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// Takes a string.
    ///
    /// # Errors
    /// If the member is not a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FieldError::new(name, "must be a string.")),
        }
    }

    /// Takes a string and parses it.
    ///
    /// # Errors
    /// If the member is not a string, or with the sentence of the parser's error.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let text = self.text(name)?;
        text.map(|text| text.parse()).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
    }

    /// Takes a whole number; `4.0` is one.
    ///
    /// # Errors
    /// If the member is not a whole number of 0 or more.
    pub fn integer(&mut self, name: &str) -> Result<Option<u64>, FieldError> {
        let number = self.take(name).map(|value| value.as_u64().ok_or(value)).transpose();
        number.map_err(|_| FieldError::new(name, "must be a whole number, 0 or more."))
    }

    /// Takes `true` or `false`.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        let truth = self.take(name).map(|value| value.as_bool().ok_or(value)).transpose();
        truth.map_err(|_| FieldError::new(name, "must be true or false."))
    }

    /// Takes an array of strings.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
        let refuse = || FieldError::new(name, "must be an array of strings.");
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(values)) => {
                let text = |value| match value {
                    Value::String(text) => Ok(text),
                    _ => Err(refuse()),
                };
                values.into_iter().map(text).collect::<Result<_, _>>().map(Some)
            }
            Some(_) => Err(refuse()),
        }
    }

    /// Takes a structure of the core.
    ///
    /// # Errors
    /// If the structure refuses the value. Its own message is left out, as it may repeat the value.
    pub fn read<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let read = self.take(name).map(serde_json::from_value).transpose();
        read.map_err(|_| FieldError::new(name, "has a value that is not valid for it; `/openapi.json` says which are."))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If a member is left, whose name the request does not have.
    pub fn finish(self) -> Result<(), FieldError> {
        self.0.keys().next().map_or(Ok(()), |name| Err(about(name, "is not a field of this request.")))
    }
}

/// An error about a name in the request. A long name is not repeated, as it may be a key or another
/// secret in the wrong place.
pub fn about(name: &str, detail: &str) -> FieldError {
    if (1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) {
        FieldError::new(name, detail)
    } else {
        FieldError::new("", format_args!("A name that is empty or too long {detail}"))
    }
}

/// Reads a value in whose objects each name occurs once.
#[derive(Clone, Copy)]
struct Once<'a> {
    /// The member of the outermost object that contains the value.
    within: Option<&'a str>,
    /// Set to that member for the first name that occurs twice.
    repeated: &'a RefCell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let within = self.within.unwrap_or(&name);
            if members.contains_key(&name) {
                self.repeated.replace(Some(within.to_owned()));
                return Err(A::Error::custom("repeated name"));
            }
            let value = map.next_value_seed(Once { within: Some(within), repeated: self.repeated })?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        // Some languages write whole numbers as `4.0`, which JSON Schema allows (2020-12, section
        // 6.1.1).
        let whole = number as i64;
        Ok(if whole as f64 == number { whole.into() } else { number.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::name::Product;

    fn refused(text: &str) -> (String, String) {
        let error = Fields::from_json(text.as_bytes()).err().unwrap();
        (error.field, error.detail)
    }

    #[test]
    fn a_body_is_one_object_in_which_names_occur_once() {
        for (text, field) in [
            ("", ""),
            ("[]", ""),
            ("7", ""),
            ("{", ""),
            ("{}{}", ""),
            (r#"{"a":"secret"#, ""),
            (r#"{"a":1,"a":2}"#, "a"),
            (r#"{"a":{"b":1,"b":2}}"#, "a"),
            (r#"{"a":[{"b":{"c":1,"c":2}}]}"#, "a"),
            (r#"{"a":1,"\u0061":2}"#, "a"),
        ] {
            let (named, detail) = refused(text);
            assert_eq!(named, field, "{text}");
            assert!(!detail.contains("secret"));
        }
        let (field, detail) = refused(&format!(r#"{{"{0}":1,"{0}":2}}"#, "k".repeat(32)));
        assert!(field.is_empty() && !detail.contains("kk"));
        assert!(Fields::from_json(b"\xff").is_err());
        assert!(Fields::from_json(format!("{}{}", "[".repeat(1_000), "]".repeat(1_000)).as_bytes()).is_err());
    }

    #[test]
    fn members_are_taken_by_name_and_type() {
        let fields = || {
            let text = br#"{"text":"secret","number":7,"float":7.0,"half":0.5,"below":-7,"list":["a","secret"],"mixed":["a",1],"null":null,"flag":true}"#;
            Fields::from_json(text).unwrap()
        };
        assert_eq!(fields().text("text").unwrap().as_deref(), Some("secret"));
        assert_eq!(fields().text("absent").unwrap(), None);
        assert_eq!(fields().integer("number").unwrap(), Some(7));
        assert_eq!(fields().integer("float").unwrap(), Some(7));
        assert_eq!(fields().boolean("flag").unwrap(), Some(true));
        assert_eq!(fields().texts("list").unwrap().unwrap(), ["a", "secret"]);
        assert_eq!(fields().read::<Vec<String>>("list").unwrap().unwrap().len(), 2);
        let errors = [
            fields().text("number").err().unwrap(),
            fields().text("null").err().unwrap(),
            fields().parse::<Product>("list").err().unwrap(),
            fields().integer("text").err().unwrap(),
            fields().integer("below").err().unwrap(),
            fields().integer("half").err().unwrap(),
            fields().boolean("text").err().unwrap(),
            fields().texts("mixed").err().unwrap(),
            fields().texts("text").err().unwrap(),
            fields().read::<u8>("text").err().unwrap(),
            fields().finish().err().unwrap(),
        ];
        for error in errors {
            assert!(!error.field.is_empty() && !error.detail.contains("secret"), "{error:?}");
        }
        let mut all = fields();
        for name in ["text", "number", "float", "half", "below", "list", "mixed", "null", "flag"] {
            assert!(all.take(name).is_some());
        }
        assert!(all.finish().is_ok());
    }
}
