//! How this crate's values are written as text: in one form, which JSON, the command line and
//! `Display` share.

/// Implements serde and `FromStr` for a type with `parse(&str) -> Result<Self, impl Error>` and
/// `Display`, in the same form.
///
/// Errors of `parse` must not repeat the text, which may be a secret. For a type that has its text
/// as a `&str`, a third argument returns it: `core::fmt` would take several times as long.
macro_rules! text_form {
    ($type:ty, $error:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        text_form!(read $type, $error);
    };
    ($type:ty, $error:ty, |$value:ident| $text:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                serializer.serialize_str($text)
            }
        }

        text_form!(read $type, $error);
    };
    (read $type:ty, $error:ty) => {
        impl core::str::FromStr for $type {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;

                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        <$type>::parse(text).map_err(E::custom)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

/// Writes one of this crate's structures as JSON.
pub(crate) fn to_json(value: &impl serde::Serialize) -> alloc::string::String {
    // Writing to memory does not fail, and these structures have only texts, numbers, lists and
    // maps with text keys.
    serde_json::to_string(value).unwrap_or_else(|_| unreachable!("plain structures have a JSON form"))
}

/// Reads an optional field that must have a value if it is there: `null` is an error.
pub(crate) fn present<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
