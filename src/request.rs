//! A request from a licence holder's program: its fields as they were sent, and verified.

use crate::{
    body,
    domain::Domain,
    field::FieldError,
    form,
    hash::{first_64_bits, sha256},
    holder::{Fingerprint, FingerprintError, Holder, Per},
    id::{ActivationId, LicenseId},
    key::{KeyHash, ReadError, Reading},
    limits::{MAX_AMOUNT, MAX_FEATURES, MAX_FIELD_NAME_BYTES},
    name::{IdempotencyKey, Identifier, Label, Product},
    nonce::Nonce,
    object::{Object, Value, not_an_amount},
    state::Operation,
    time::Timestamp,
    typed::trim,
    version::Version,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;
use serde_json::value::RawValue;

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

words! {
    /// A field of a request, by its name in JSON and in forms.
    pub enum Field {
        /// The licence's key, the only field that is always required.
        Key = "key",
        /// The product that the program is.
        Product = "product",
        /// The domain that it runs on.
        Domain = "domain",
        /// Its version.
        Version = "version",
        /// When that version was released.
        ReleasedAt = "releasedAt",
        /// Features that the licence must have.
        Features = "features",
        /// The machine that it runs on.
        Fingerprint = "fingerprint",
        /// The user who runs it.
        User = "user",
        /// The seat to release.
        Activation = "activation",
        /// The allowance to check, consume or return.
        Allowance = "allowance",
        /// How much of it to consume.
        Consume = "consume",
        /// How much of it to return.
        Return = "return",
        /// What the answer repeats.
        Nonce = "nonce",
    }
}

impl Field {
    /// Whether its value can be a list.
    pub(crate) const fn is_list(self) -> bool {
        matches!(self, Self::Features | Self::Fingerprint)
    }
}

impl Verb {
    /// Whether requests of this verb may have this field.
    fn takes(self, field: Field) -> bool {
        match field {
            Field::Key | Field::Nonce | Field::Domain | Field::Fingerprint | Field::User => true,
            Field::Product | Field::Version | Field::ReleasedAt | Field::Features => {
                !matches!(self, Self::Deactivate | Self::Activations)
            }
            Field::Allowance => matches!(self, Self::Validate | Self::Usage),
            Field::Consume | Field::Return => self == Self::Usage,
            Field::Activation => self == Self::Deactivate,
        }
    }
}

/// A well-formed request. It has the key's hash and no longer the key itself.
///
/// [`Fields::verify`] is the only way to get one, so every request was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `None` if the key's checksum is wrong.
    key: Option<Reading>,
    product: Option<Product>,
    domain: Option<Domain>,
    version: Option<Version>,
    released_at: Option<Timestamp>,
    features: Vec<Label>,
    fingerprint: Option<Fingerprint>,
    user: Option<Identifier>,
    /// With the white space at its ends, if there was any. Earlier versions stored seats under it.
    untrimmed: (Option<Fingerprint>, Option<Identifier>),
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
    /// `nonce`, a string or a number in JSON
    pub nonce: Option<Box<RawValue>>,
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
    /// assert!(error.detail.starts_with("`version` must be numbers with dots between them, such as 2.1.0"));
    /// # Ok::<(), countersign::field::FieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Fields::from_json`] and [`Fields::verify`].
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Fields::from_json(verb, body)?.verify(verb)
    }

    /// Reads a request from a body that is a form. A list is a field that is repeated.
    ///
    /// ```
    /// use countersign::request::{Request, Verb};
    ///
    /// let form = b"key=ACME-000G4-0R40M-30E20-9185G-R38E1-WY4Q3&features=export&features=sync&version=2.1";
    /// let request = Request::from_form(Verb::Validate, form)?;
    /// assert_eq!(request.features().len(), 2);
    /// # Ok::<(), countersign::field::FieldError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Fields::from_form`] and [`Fields::verify`].
    pub fn from_form(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Fields::from_form(verb, body)?.verify(verb)
    }

    /// The hashes under which to look up the licence, in this order: mostly one, and none if the
    /// key's checksum is wrong.
    pub fn keys(&self) -> impl Iterator<Item = &KeyHash> {
        self.key.iter().flat_map(Reading::hashes)
    }

    /// Whether a key that no licence has is mistyped, as far as that can be told.
    pub fn has_mistyped_key(&self) -> bool {
        self.key.is_none_or(|key| key.looks_mistyped())
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

    /// What the answer repeats.
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

    /// The same holder by the name with the white space that was sent around it, if there was any.
    /// It may have a seat from a time when that mattered.
    pub fn untrimmed_holder(&self, per: Per, license: &LicenseId) -> Option<Holder> {
        let (fingerprint, user) = &self.untrimmed;
        match per {
            Per::Machine => fingerprint.as_ref().map(|fingerprint| fingerprint.holder(license)),
            Per::Domain => None,
            Per::User => user.as_ref().map(|user| Holder::named(license, user.as_str())),
        }
    }

    /// The operation that this request is under an idempotency key; `None` if it changes nothing.
    /// The holder is part of it, so equal keys of two holders are two operations.
    pub fn operation(&self, key: &IdempotencyKey, license: &LicenseId) -> Option<Operation> {
        let (allowance, change) = (self.allowance.as_ref()?, self.change?);
        let (kind, amount) = match change {
            Change::Consume(amount) => (b'+', amount),
            Change::Return(amount) => (b'-', amount),
        };
        let id = sha256([b"operation", license.as_str().as_bytes(), key.as_str().as_bytes(), &self.who()]);
        let asked = sha256([&[kind], &amount.to_be_bytes(), allowance.as_str().as_bytes()]);
        let mut operation = Operation { id: [0; 16], asked: first_64_bits(&asked) };
        operation.id.copy_from_slice(&id[..16]);
        Some(operation)
    }

    /// A zero, which no idempotency key has, and a hash of each name of the holder, sorted, so that
    /// their order does not matter. Nothing if the request names no holder.
    fn who(&self) -> Vec<u8> {
        let machine = self.fingerprint.iter().flat_map(Fingerprint::components).map(|name| ("machine", name.as_str()));
        let domain = self.domain.iter().map(|domain| ("domain", domain.as_str()));
        let user = self.user.iter().map(|user| ("user", user.as_str()));
        let names = machine.chain(domain).chain(user);
        let mut hashes: Vec<_> = names.map(|(kind, name)| sha256([kind.as_bytes(), name.as_bytes()])).collect();
        hashes.sort_unstable();
        let zero = (!hashes.is_empty()).then_some(0);
        zero.into_iter().chain(hashes.into_iter().flatten()).collect()
    }
}

impl Fields {
    /// Reads one JSON object, without verifying its fields' values. A field that is `null` is the
    /// same as one that is not sent.
    ///
    /// # Errors
    ///
    /// A [`FieldError`] if the body is not one JSON object in UTF-8, or has a field that requests
    /// of this verb do not have, that has the wrong type, or that is given twice.
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Self::from_object(verb, Object::parse(body)?)
    }

    /// Reads a form, without verifying its fields' values.
    ///
    /// # Errors
    ///
    /// A [`FieldError`] if the body is not a form in UTF-8, or has a field that requests of this
    /// verb do not have, or that is given twice and is not a list.
    pub fn from_form(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Self::from_object(verb, form::object(body::text(body)?)?)
    }

    fn from_object(verb: Verb, object: Object) -> Result<Self, FieldError> {
        let (mut fields, mut given) = (Self::default(), 0_u16);
        for (name, value) in object.entries {
            // A longer name may be a key or another secret in the wrong place.
            if !(1..=MAX_FIELD_NAME_BYTES).contains(&name.len()) {
                return Err(FieldError::new(
                    "",
                    format_args!(
                        "The body has a field whose name is empty or longer than {MAX_FIELD_NAME_BYTES} bytes."
                    ),
                ));
            }
            let field = Field::parse(&name).map_err(|_| FieldError::new(&name, NO_FIELD))?;
            // Parsers disagree on which of two counts, even if one is null.
            if given & (1 << field as u16) != 0 {
                return Err(FieldError::new(&name, "is given more than once."));
            }
            given |= 1 << field as u16;
            // Programs with one structure for all verbs write null for the fields of others.
            if matches!(value, Value::Null) {
                continue;
            }
            if !verb.takes(field) {
                return Err(FieldError::new(&name, NO_FIELD));
            }
            match field {
                Field::Key => fields.key = Some(value.text(&name)?),
                Field::Product => fields.product = Some(value.text(&name)?),
                Field::Domain => fields.domain = Some(value.text(&name)?),
                Field::Version => fields.version = Some(value.text(&name)?),
                Field::ReleasedAt => fields.released_at = Some(value.text(&name)?),
                Field::Features => fields.features = Some(value.texts(&name)?),
                Field::Fingerprint => fields.fingerprint = Some(value.one_or_more(&name)?),
                Field::User => fields.user = Some(value.text(&name)?),
                Field::Activation => fields.activation = Some(value.text(&name)?),
                Field::Allowance => fields.allowance = Some(value.text(&name)?),
                Field::Consume => fields.consume = Some(value.amount(&name)?),
                Field::Return => fields.give_back = Some(value.amount(&name)?),
                Field::Nonce => fields.nonce = Some(value.raw(&name)?),
            }
        }
        Ok(fields)
    }

    /// Verifies the fields and their combination.
    ///
    /// # Errors
    ///
    /// A [`FieldError`] for one of the fields that are missing, malformed, or cannot be combined. A
    /// key with a wrong checksum is not an error: see [`Request::keys`].
    pub fn verify(self, verb: Verb) -> Result<Request, FieldError> {
        let given = self.key.ok_or_else(|| FieldError::new("key", "is missing."))?;
        let key = match Reading::of(&given) {
            Ok(key) => Some(key),
            Err(ReadError::Malformed) => None,
            Err(error) => return Err(FieldError::new("key", format_args!("{error}."))),
        };
        if self.features.as_ref().is_some_and(Vec::is_empty) {
            return Err(FieldError::new("features", "must have at least one name. Leave it out to require none."));
        }
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
        let has_ends = |text: &String| trim(text).len() < text.len();
        let components = self.fingerprint.as_deref().filter(|components| components.iter().any(has_ends));
        let user = self.user.as_ref().filter(|user| has_ends(user));
        let untrimmed = (
            components.and_then(|components| Fingerprint::parse(components).ok()),
            user.and_then(|user| Identifier::parse(user).ok()),
        );
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
            product: verified("product", self.product, |text| Product::parse(trim(text)))?,
            domain: verified("domain", self.domain, |text| Domain::parse(trim(text)))?,
            version: verified("version", self.version, |text| Version::parse(trim(text)))?,
            released_at: verified("releasedAt", self.released_at, |text| Timestamp::parse_start(trim(text)))?,
            features: (features.iter().enumerate())
                .map(|(at, name)| Label::parse(name).map_err(|error| in_list("features", at, error)))
                .collect::<Result<_, _>>()?,
            fingerprint: self
                .fingerprint
                .map(|components| Fingerprint::parse_trimmed(&components))
                .transpose()
                .map_err(|error| match error {
                    FingerprintError::Component(at, error) => in_list("fingerprint", at, error),
                    error => FieldError::new("fingerprint", format_args!("{error}.")),
                })?,
            user: verified("user", self.user, Identifier::parse_trimmed)?,
            untrimmed,
            activation: verified("activation", self.activation, ActivationId::parse)?,
            allowance: verified("allowance", self.allowance, Label::parse)?,
            change,
            needs_remaining: verb == Verb::Validate,
            nonce: (self.nonce.map(Nonce::parse).transpose())
                .map_err(|error| FieldError::new("nonce", format_args!("{error}.")))?,
        })
    }
}

fn in_bounds(name: &str, amount: u64) -> Result<u64, FieldError> {
    if (1..=MAX_AMOUNT).contains(&amount) { Ok(amount) } else { Err(not_an_amount(name)) }
}

fn in_list(list: &str, at: usize, error: impl fmt::Display) -> FieldError {
    FieldError::in_list(list, at, format_args!("{error}."))
}

const NO_FIELD: &str = "is not a field of this request.";

fn verified<T, E: fmt::Display>(
    name: &str,
    text: Option<String>,
    parse: fn(&str) -> Result<T, E>,
) -> Result<Option<T>, FieldError> {
    text.map(|text| parse(&text)).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
}
