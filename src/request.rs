//! A request from a licence holder's program: its fields as they were sent, and verified.

use crate::{
    domain::Domain,
    field::FieldError,
    hash::{first_64_bits, sha256},
    holder::{Fingerprint, Holder, Per},
    id::{ActivationId, LicenseId},
    key::{self, KeyHash, ReadError},
    limits::{MAX_AMOUNT, MAX_FEATURES, MAX_FIELD_NAME_BYTES},
    name::{IdempotencyKey, Identifier, Label, Nonce, Product},
    object::{Object, not_an_amount},
    state::Operation,
    time::Timestamp,
    version::Version,
};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// May this run?
    Validate,
    /// Take a seat.
    Activate,
    /// Keep the seat.
    Heartbeat,
    /// Release the seat.
    Deactivate,
    /// List the taken seats.
    Activations,
    /// Consume or return some of an allowance, or read what is left.
    Usage,
}

impl Verb {
    /// Whether requests of this verb may have a field of this name.
    fn takes(self, field: &str) -> bool {
        match field {
            "key" | "nonce" => true,
            "domain" | "fingerprint" | "user" => self != Self::Activations,
            "product" | "version" | "releasedAt" | "features" => !matches!(self, Self::Deactivate | Self::Activations),
            "allowance" => matches!(self, Self::Validate | Self::Usage),
            "consume" | "return" => self == Self::Usage,
            "activation" => self == Self::Deactivate,
            _ => false,
        }
    }
}

/// A well-formed request. It has the key's hash and no longer the key itself.
///
/// [`Fields::verify`] is the only way to get one, so every request was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    key: Option<KeyHash>,
    product: Option<Product>,
    domain: Option<Domain>,
    version: Option<Version>,
    released_at: Option<Timestamp>,
    features: Vec<Label>,
    fingerprint: Option<Fingerprint>,
    user: Option<Identifier>,
    activation: Option<ActivationId>,
    allowance: Option<Label>,
    change: Option<Change>,
    needs_remaining: bool,
    nonce: Option<Nonce>,
}

/// A change of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Adds this amount to what is used.
    Consume(u64),
    /// Subtracts this amount from what is used.
    Return(u64),
}

/// The fields of a request as they were sent, without any verification.
#[derive(Default)]
pub struct Fields {
    /// `key`, the only field that is always required
    pub key: Option<String>,
    /// `product`
    pub product: Option<String>,
    /// `domain`
    pub domain: Option<String>,
    /// `version`
    pub version: Option<String>,
    /// `releasedAt`, an RFC 3339 date, or date and time
    pub released_at: Option<String>,
    /// `features`
    pub features: Option<Vec<String>>,
    /// `fingerprint`, a string or an array of strings
    pub fingerprint: Option<Vec<String>>,
    /// `user`
    pub user: Option<String>,
    /// `activation`
    pub activation: Option<String>,
    /// `allowance`
    pub allowance: Option<String>,
    /// `consume`
    pub consume: Option<u64>,
    /// `return`
    pub give_back: Option<u64>,
    /// `nonce`
    pub nonce: Option<String>,
}

impl Request {
    /// Reads a request from the JSON of a body.
    ///
    /// ```
    /// use countersign::{holder::Per, request::{Request, Verb}};
    ///
    /// let body = br#"{"key":"ACME-000G4-0R40M-30E20-9185G-R38E1-WY4Q3","domain":"www.Example.com.",
    ///     "version":"2.1","releasedAt":"2026-05-01","features":["export"],"fingerprint":["board","disk"]}"#;
    /// let request = Request::from_json(Verb::Activate, body)?;
    /// assert_eq!(request.domain().map(|domain| domain.as_str()), Some("www.example.com"));
    ///
    /// let error = Request::from_json(Verb::Activate, br#"{"key":"k","version":"latest"}"#).unwrap_err();
    /// assert_eq!(error.field, "version");
    /// assert_eq!(error.detail, "`version` must be a semantic version, such as 2.1.0 or 2.1.0-rc.1.");
    /// # Ok::<(), countersign::field::FieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Fields::from_json`] and [`Fields::verify`].
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Fields::from_json(verb, body)?.verify(verb)
    }

    /// The hash by which to look up the licence. `None` if the key's checksum is wrong: such a
    /// request is answered without a look-up.
    pub const fn key(&self) -> Option<&KeyHash> {
        self.key.as_ref()
    }

    /// The product that the program is.
    pub const fn product(&self) -> Option<&Product> {
        self.product.as_ref()
    }

    /// The domain that the program runs on.
    pub const fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// The program's version.
    pub const fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// When that version was released.
    pub const fn released_at(&self) -> Option<Timestamp> {
        self.released_at
    }

    /// The features that the licence must have, all of them.
    pub fn features(&self) -> &[Label] {
        &self.features
    }

    /// The machine that the program runs on.
    pub const fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// The user who runs the program.
    pub const fn user(&self) -> Option<&Identifier> {
        self.user.as_ref()
    }

    /// The seat to release, for a caller that does not know the holder's name.
    pub const fn activation(&self) -> Option<ActivationId> {
        self.activation
    }

    /// The allowance to check, consume or return.
    pub const fn allowance(&self) -> Option<&Label> {
        self.allowance.as_ref()
    }

    /// How to change the allowance.
    pub const fn change(&self) -> Option<Change> {
        self.change
    }

    /// Whether something of the allowance must be left. A validation needs that and consumes
    /// nothing.
    pub const fn needs_remaining(&self) -> bool {
        self.needs_remaining
    }

    /// A text that the answer repeats.
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The holder that the request names for seats of this kind, if it does.
    pub fn holder(&self, per: Per, license: &LicenseId) -> Option<Holder> {
        match per {
            Per::Machine => self.fingerprint.as_ref().map(|fingerprint| fingerprint.holder(license)),
            Per::Domain => self.domain.as_ref().map(|domain| Holder::named(license, domain.as_str())),
            Per::User => self.user.as_ref().map(|user| Holder::named(license, user.as_str())),
        }
    }

    /// The operation that this request is under an idempotency key; `None` if it changes nothing.
    pub fn operation(&self, key: &IdempotencyKey, license: &LicenseId) -> Option<Operation> {
        let (allowance, change) = (self.allowance.as_ref()?, self.change?);
        let (kind, amount) = match change {
            Change::Consume(amount) => (b'+', amount),
            Change::Return(amount) => (b'-', amount),
        };
        let id = sha256([b"operation", license.as_str().as_bytes(), key.as_str().as_bytes()]);
        let asked = sha256([&[kind], &amount.to_be_bytes(), allowance.as_str().as_bytes()]);
        let mut operation = Operation { id: [0; 16], asked: first_64_bits(&asked) };
        operation.id.copy_from_slice(&id[..16]);
        Some(operation)
    }
}

impl Fields {
    /// Reads one JSON object, without verifying its fields' values.
    ///
    /// # Errors
    ///
    /// A [`FieldError`] if the body is not one JSON object in UTF-8, or has a field that requests
    /// of this verb do not have, that has the wrong type, or that is given twice.
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        let mut fields = Self::default();
        for (name, value) in Object::parse(body)?.entries {
            // A longer name may be a key or another secret in the wrong place.
            if !(1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) {
                return Err(FieldError::new(
                    "",
                    format_args!(
                        "The body has a field whose name is empty or longer than {MAX_FIELD_NAME_BYTES} bytes."
                    ),
                ));
            }
            if !verb.takes(&name) {
                return Err(FieldError::new(&name, NO_FIELD));
            }
            match name.as_str() {
                "key" => set(&mut fields.key, &name, value.text(&name)?)?,
                "product" => set(&mut fields.product, &name, value.text(&name)?)?,
                "domain" => set(&mut fields.domain, &name, value.text(&name)?)?,
                "version" => set(&mut fields.version, &name, value.text(&name)?)?,
                "releasedAt" => set(&mut fields.released_at, &name, value.text(&name)?)?,
                "features" => set(&mut fields.features, &name, value.texts(&name)?)?,
                "fingerprint" => set(&mut fields.fingerprint, &name, value.one_or_more(&name)?)?,
                "user" => set(&mut fields.user, &name, value.text(&name)?)?,
                "activation" => set(&mut fields.activation, &name, value.text(&name)?)?,
                "allowance" => set(&mut fields.allowance, &name, value.text(&name)?)?,
                "consume" => set(&mut fields.consume, &name, value.amount(&name)?)?,
                "return" => set(&mut fields.give_back, &name, value.amount(&name)?)?,
                _ => set(&mut fields.nonce, &name, value.text(&name)?)?,
            }
        }
        Ok(fields)
    }

    /// Verifies the fields and their combination.
    ///
    /// # Errors
    ///
    /// A [`FieldError`] for one of the fields that are missing, malformed, or cannot be combined. A
    /// key with a wrong checksum is not an error: see [`Request::key()`].
    pub fn verify(self, verb: Verb) -> Result<Request, FieldError> {
        let given = self.key.ok_or_else(|| FieldError::new("key", "is missing."))?;
        let key = match key::read(&given) {
            Ok(hash) => Some(hash),
            Err(ReadError::Malformed) => None,
            Err(error) => return Err(FieldError::new("key", format_args!("{error}."))),
        };
        let features = self.features.unwrap_or_default();
        if features.len() > MAX_FEATURES {
            return Err(FieldError::new("features", format_args!("may contain at most {MAX_FEATURES} names.")));
        }
        let change = match (self.consume, self.give_back) {
            (None, None) => None,
            (Some(amount), None) => Some(Change::Consume(in_bounds("consume", amount)?)),
            (None, Some(amount)) => Some(Change::Return(in_bounds("return", amount)?)),
            (Some(_), Some(_)) => return Err(FieldError::new("return", "cannot be combined with `consume`.")),
        };
        let names_a_holder = self.fingerprint.is_some() || self.user.is_some() || self.domain.is_some();
        match verb {
            Verb::Deactivate if names_a_holder && self.activation.is_some() => {
                return Err(FieldError::new(
                    "activation",
                    "cannot be combined with `fingerprint`, `user` or `domain`.",
                ));
            }
            Verb::Deactivate if !names_a_holder && self.activation.is_none() => {
                return Err(FieldError::new(
                    "activation",
                    "is missing. Send it, or a `fingerprint`, `user` or `domain`.",
                ));
            }
            Verb::Usage if self.allowance.is_none() => return Err(FieldError::new("allowance", "is missing.")),
            Verb::Activate | Verb::Heartbeat if self.allowance.is_some() => {
                return Err(FieldError::new("allowance", NO_FIELD));
            }
            _ => {}
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
                .map_err(|error| FieldError::new("features", format_args!("contains an invalid name: it {error}.")))?,
            fingerprint: self
                .fingerprint
                .map(|components| Fingerprint::parse(&components))
                .transpose()
                .map_err(|error| FieldError::new("fingerprint", format_args!("{error}.")))?,
            user: verified("user", self.user, Identifier::parse)?,
            activation: verified("activation", self.activation, ActivationId::parse)?,
            allowance: verified("allowance", self.allowance, Label::parse)?,
            change,
            needs_remaining: verb == Verb::Validate,
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

fn in_bounds(name: &str, amount: u64) -> Result<u64, FieldError> {
    if (1..=MAX_AMOUNT).contains(&amount) { Ok(amount) } else { Err(not_an_amount(name)) }
}

const NO_FIELD: &str = "is not a field of this request.";

fn verified<T, E: fmt::Display>(
    name: &str,
    text: Option<String>,
    parse: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, FieldError> {
    text.map(|text| parse(&text)).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
}
