//! A body that is one JSON object. A verb takes each member by its name, and refuses those left
//! over.
//!
//! Reading is strict: a name that occurs twice in one object is an error, at any depth, as parsers
//! disagree on which of the two counts (RFC 8259, section 4). `null` is the same as a member that
//! is not sent, except where a verb gives it a meaning of its own. An error names the member by its
//! path, such as `activation.per` or `allowances[0].limit`. It repeats no value, which may be a
//! secret.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use countersign::body;
use countersign::field::FieldError;
use countersign::limits::MAX_FIELD_NAME_BYTES;
use countersign::number::Grouped;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::merge::merge;

/// The members of an object that have not been taken yet.
#[derive(Clone)]
pub struct Fields {
    members: Map<String, Value>,
    /// The path to a nested object, and a dot.
    within: String,
}

impl Fields {
    /// Reads one JSON object.
    ///
    /// # Errors
    /// If `text` is not one JSON object in UTF-8, or repeats a name.
    pub fn from_json(text: &[u8]) -> Result<Self, FieldError> {
        let text = body::text(text)?;
        let repeated = RefCell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = Once { within: None, repeated: &repeated }.deserialize(&mut deserializer);
        match read.and_then(|value| deserializer.end().map(|()| value)) {
            Ok(Value::Object(members)) => Ok(Self::new(members)),
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
    pub const fn new(members: Map<String, Value>) -> Self {
        Self { members, within: String::new() }
    }

    /// Applies these members to `current` as a JSON Merge Patch (RFC 7396).
    pub fn merged_into(self, mut current: Map<String, Value>) -> Self {
        merge(&mut current, self.members);
        Self { members: current, within: self.within }
    }

    /// All members, unchecked.
    pub fn into_members(self) -> Map<String, Value> {
        self.members
    }

    /// Whether there is such a member, and it is not null.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a member of any type, also `null`.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    /// An error about a member. `detail` ends the sentence that begins with its path.
    pub fn error(&self, name: &str, detail: impl fmt::Display) -> FieldError {
        FieldError::new(&self.path(name), detail)
    }

    /// The error about a member that must be there.
    pub fn missing(&self, name: &str) -> FieldError {
        self.error(name, "is missing.")
    }

    /// Takes a string.
    ///
    /// # Errors
    /// If the member is not a string.
    pub fn text(&mut self, name: &str) -> Result<Option<String>, FieldError> {
        match self.take_some(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(name, "must be a string.")),
        }
    }

    /// Takes a string and parses it.
    ///
    /// # Errors
    /// If the member is not a string, or with the sentence of the parser's error.
    pub fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>, FieldError> {
        let text = self.text(name)?;
        text.map(|text| text.parse()).transpose().map_err(|error| self.error(name, format_args!("{error}.")))
    }

    /// Takes a whole number; `4.0` is one.
    ///
    /// # Errors
    /// If the member is not a whole number of 0 or more.
    pub fn integer(&mut self, name: &str) -> Result<Option<u64>, FieldError> {
        let number = self.take_some(name).map(|value| value.as_u64().ok_or(value)).transpose();
        number.map_err(|_| self.error(name, "must be a whole number, 0 or more."))
    }

    /// Takes a whole number within bounds.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn integer_within(&mut self, name: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, FieldError> {
        let Some(value) = self.take_some(name) else { return Ok(None) };
        value.as_u64().filter(|number| bounds.contains(number)).map(Some).ok_or_else(|| {
            let [least, most] = [*bounds.start(), *bounds.end()].map(Grouped);
            self.error(name, format_args!("must be a whole number from {least} to {most}."))
        })
    }

    /// Takes `true` or `false`.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn boolean(&mut self, name: &str) -> Result<Option<bool>, FieldError> {
        let truth = self.take_some(name).map(|value| value.as_bool().ok_or(value)).transpose();
        truth.map_err(|_| self.error(name, "must be true or false."))
    }

    /// Takes an array of strings.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
        let texts = self.array(name, "must be an array of strings.")?.map(|values| {
            let text = |(at, value)| match value {
                Value::String(text) => Ok(text),
                _ => Err(FieldError::in_list(&self.path(name), at, "must be a string.")),
            };
            values.into_iter().enumerate().map(text).collect()
        });
        texts.transpose()
    }

    /// Takes an array of strings and parses each.
    ///
    /// # Errors
    /// If the member is something else, or with the sentence of the parser's error.
    pub fn parse_all<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<Vec<T>>, FieldError> {
        let parsed = self.texts(name)?.map(|texts| {
            let parse = |(at, text): (usize, String)| {
                text.parse().map_err(|error| FieldError::in_list(&self.path(name), at, format_args!("{error}.")))
            };
            texts.into_iter().enumerate().map(parse).collect()
        });
        parsed.transpose()
    }

    /// Takes an object. Each of its members is then taken by its name.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn object(&mut self, name: &str) -> Result<Option<Self>, FieldError> {
        match self.take_some(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self { members, within: self.path(name) + "." })),
            Some(_) => Err(self.error(name, "must be an object.")),
        }
    }

    /// Takes an array of objects.
    ///
    /// # Errors
    /// If the member is something else.
    pub fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>, FieldError> {
        let objects = self.array(name, "must be an array of objects.")?.map(|values| {
            let object = |(at, value)| match value {
                Value::Object(members) => Ok(Self { members, within: format!("{}[{at}].", self.path(name)) }),
                _ => Err(FieldError::in_list(&self.path(name), at, "must be an object.")),
            };
            values.into_iter().enumerate().map(object).collect()
        });
        objects.transpose()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If a member is left, whose name the request does not have.
    pub fn finish(self) -> Result<(), FieldError> {
        let Some(name) = self.members.keys().next() else { return Ok(()) };
        Err(if is_shown(name) { self.error(name, UNKNOWN) } else { about(name, UNKNOWN) })
    }

    /// Takes a member of any type but `null`.
    pub fn take_some(&mut self, name: &str) -> Option<Value> {
        self.take(name).filter(|value| !value.is_null())
    }

    fn array(&mut self, name: &str, detail: &str) -> Result<Option<Vec<Value>>, FieldError> {
        match self.take_some(name) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(self.error(name, detail)),
        }
    }

    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }
}

const UNKNOWN: &str = "is not a field of this request.";

/// A long name is not repeated, as it may be a key or another secret in the wrong place.
fn is_shown(name: &str) -> bool {
    (1..=MAX_FIELD_NAME_BYTES).contains(&name.len())
}

/// An error about a name in the request, which is repeated only if it is short.
pub fn about(name: &str, detail: &str) -> FieldError {
    if is_shown(name) {
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
            (r#"{"a":null,"a":2}"#, "a"),
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
        assert_eq!(fields().parse_all::<String>("list").unwrap().unwrap().len(), 2);
        assert_eq!(fields().integer_within("number", 7..=7).unwrap(), Some(7));
        let errors = [
            fields().text("number").err().unwrap(),
            fields().parse::<Product>("list").err().unwrap(),
            fields().integer("text").err().unwrap(),
            fields().integer("below").err().unwrap(),
            fields().integer("half").err().unwrap(),
            fields().boolean("text").err().unwrap(),
            fields().texts("mixed").err().unwrap(),
            fields().texts("text").err().unwrap(),
            fields().integer_within("number", 8..=9).err().unwrap(),
            fields().object("text").err().unwrap(),
            fields().objects("list").err().unwrap(),
            fields().parse_all::<u8>("list").err().unwrap(),
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

    #[test]
    fn null_is_the_same_as_a_member_that_is_not_sent() {
        let mut fields = Fields::from_json(br#"{"a":null}"#).unwrap();
        assert_eq!(fields.text("a"), Ok(None));
        assert!(fields.finish().is_ok());
        let fields = || Fields::from_json(br#"{"a":null}"#).unwrap();
        assert_eq!(fields().parse::<Product>("a"), Ok(None));
        assert_eq!(fields().integer("a"), Ok(None));
        assert_eq!(fields().integer_within("a", 1..=2), Ok(None));
        assert_eq!(fields().boolean("a"), Ok(None));
        assert_eq!(fields().texts("a"), Ok(None));
        assert!(matches!((fields().object("a"), fields().objects("a")), (Ok(None), Ok(None))));
        // But a name that no request has is refused.
        assert_eq!(fields().finish().err().unwrap().field, "a");
    }

    #[test]
    fn an_error_names_a_nested_member_by_its_path() {
        let body = br#"{"a":{"b":{"c":1},"d":[{"e":"x"},7]},"f":["g",1]}"#;
        let fields = || Fields::from_json(body).unwrap();
        let mut a = fields().object("a").unwrap().unwrap();
        let mut b = a.object("b").unwrap().unwrap();
        assert_eq!(b.text("c").err().unwrap().detail, "`a.b.c` must be a string.");
        assert_eq!(b.missing("x").field, "a.b.x");
        assert_eq!(a.clone().objects("d").err().unwrap().detail, "`a.d[1]` must be an object.");
        assert_eq!(a.finish().err().unwrap().field, "a.d");
        assert_eq!(fields().texts("f").err().unwrap().field, "f[1]");
        assert_eq!(fields().parse_all::<Product>("f").err().unwrap().field, "f[1]");
        let mut list = Fields::from_json(br#"{"l":[{"ok":1},{"no":1}]}"#).unwrap();
        assert_eq!(list.objects("l").unwrap().unwrap().pop().unwrap().finish().err().unwrap().field, "l[1].no");
    }

    #[test]
    fn a_byte_order_mark_before_the_object_is_passed_over() {
        assert!(Fields::from_json("\u{feff}{}".as_bytes()).is_ok());
        assert!(Fields::from_json("{}\u{feff}".as_bytes()).is_err());
        assert!(Fields::from_json(b"\xff\xfe{\0}\0").err().unwrap().detail.contains("UTF-16"));
    }
}
