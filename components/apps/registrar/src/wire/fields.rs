//! The JSON object that a request's body is: every member is taken by its name, once, and what is left over is refused.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

use countersign::field::FieldError;
use countersign::limits::MAX_FIELD_NAME_BYTES;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::wire::merge::merge;

/// The members that no one has taken yet.
#[derive(Clone)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads one JSON object. Names that come twice, at any depth, are refused.
    pub(crate) fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let text = str::from_utf8(text).map_err(|_| FieldError::new("", "What was sent is not UTF-8."))?;
        let repeated = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Once { within: None, repeated: &repeated }.deserialize(&mut deserializer);
        match read.and_then(|value| deserializer.end().map(|()| value)) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(FieldError::new("", "What was sent is not a JSON object.")),
            Err(error) => Err(match repeated.take() {
                Some(name) => about(&name, "stands or has a member more than once."),
                // Without the words of the parser, which may repeat values.
                None => {
                    let (line, column) = (error.line(), error.column());
                    FieldError::new("", format_args!("The JSON breaks off at line {line}, column {column}."))
                }
            }),
        }
    }

    /// Members that were read already.
    pub(crate) fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// What becomes of `current` by these as a JSON Merge Patch (RFC 7396).
    pub(crate) fn merged_into(self, mut current: Map<String, Value>) -> Self {
        merge(&mut current, self.0);
        Self(current)
    }

    /// All of them, as they stand.
    pub(crate) fn into_members(self) -> Map<String, Value> {
        self.0
    }

    /// The member, whatever it is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    /// A string.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FieldError::new(name, "must be a string.")),
        }
    }

    /// A string of some form, whose error says what is wrong without repeating it.
    pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let text = self.text(name)?;
        text.map(|text| text.parse()).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
    }

    /// A whole number from 0 on.
    pub(crate) fn integer(&mut self, name: &str) -> Result<Option<u64>, FieldError> {
        let number = self.take(name).map(|value| value.as_u64().ok_or(value)).transpose();
        number.map_err(|_| FieldError::new(name, "must be a whole number from 0 on."))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        let truth = self.take(name).map(|value| value.as_bool().ok_or(value)).transpose();
        truth.map_err(|_| FieldError::new(name, "must be true or false."))
    }

    /// An array of strings.
    pub(crate) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
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

    /// A structure of the core's. Its own words are not repeated: they may have values in them.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let read = self.take(name).map(serde_json::from_value).transpose();
        read.map_err(|_| FieldError::new(name, "does not have the form, or the bounds, of this field."))
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), FieldError> {
        self.0.keys().next().map_or(Ok(()), |name| Err(about(name, "is no field of this request.")))
    }
}

/// An error about a name that was sent. One that is long may be a key or another secret in the wrong place, and is not repeated.
pub(crate) fn about(name: &str, detail: &str) -> FieldError {
    if (1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) {
        FieldError::new(name, detail)
    } else {
        FieldError::new("", format_args!("A name that is empty or long {detail}"))
    }
}

/// Reads a value whose objects have each name once.
#[derive(Clone, Copy)]
struct Once<'a> {
    /// The member of the outermost object that the value is in.
    within: Option<&'a str>,
    /// The same for the first name that came twice, or that name if it is the outermost object's.
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
                return Err(A::Error::custom("a name twice"));
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
        // `4.0` is a whole number, in JSON as in JSON Schema (2020-12, section 6.1.1): some languages write it so.
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
    fn a_body_is_one_object_whose_names_come_once() {
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
