//! How the values of this crate are written as text: one form each, the same in JSON, on the command line and in
//! `Display`.

/// Gives a type that has `parse(&str) -> Result<Self, impl Error>` and `Display` the same form in serde and `FromStr`.
///
/// The error of `parse` says what is wrong without the text itself, so no value ends up in a message. A type that knows its text as a
/// `&str` says how to get it: JSON is written without the machinery of `core::fmt` then, which takes several times as long.
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

/// An enum of stable words: `as_str` gives the word, `parse` reads it, `ALL` holds each in the order written.
macro_rules! words {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stable word for it, as it stands in JSON.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The one that the word stands for.
            pub fn parse(word: &str) -> Result<Self, $crate::name::UnknownWord> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word).ok_or($crate::name::UnknownWord)
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        text_form!($name, $crate::name::UnknownWord, |word| word.as_str());
    };
}

/// Writes one of this crate's own structures as JSON.
pub(crate) fn to_json(value: &impl serde::Serialize) -> alloc::string::String {
    // Writing to memory does not fail, and texts, numbers and lists have a JSON form.
    serde_json::to_string(value).unwrap_or_else(|_| unreachable!("plain structures have a JSON form"))
}

/// Reads a field that may be left out: where it stands it has a value, and `null` is none.
pub(crate) fn present<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
