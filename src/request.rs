//! What a licence holder's program asks: fields as they were sent, and the request once each of them is verified.

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

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// May this run?
    Validate,
    /// Take a seat.
    Activate,
    /// Keep it.
    Heartbeat,
    /// Give it back.
    Deactivate,
    /// Who has one?
    Activations,
    /// Consume or return some of an allowance, or read what is left.
    Usage,
}

impl Verb {
    /// Whether its requests have a field of this name.
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
    /// The machine that it runs on.
    pub fingerprint: Option<Fingerprint>,
    /// Who runs it.
    pub user: Option<Identifier>,
    /// The seat, where its holder's name is not known.
    pub activation: Option<ActivationId>,
    /// What must not be used up.
    pub allowance: Option<Label>,
    /// What becomes of the allowance.
    pub change: Option<Change>,
    /// Whether something of the allowance must be left: for a validation, which consumes nothing.
    pub needs_remaining: bool,
    /// What the answer repeats.
    pub nonce: Option<Nonce>,
}

/// What becomes of an allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// So much more is used.
    Consume(u64),
    /// So much less is used.
    Return(u64),
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
    /// `fingerprint`: one text, or an array of them.
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
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        Fields::from_json(verb, body)?.verify(verb)
    }

    /// Who asks, as seats of that kind know it.
    pub fn holder(&self, per: Per, license: &LicenseId) -> Option<Holder> {
        match per {
            Per::Machine => self.fingerprint.as_ref().map(|fingerprint| fingerprint.holder(license)),
            Per::Domain => self.domain.as_ref().map(|domain| Holder::named(license, domain.as_str())),
            Per::User => self.user.as_ref().map(|user| Holder::named(license, user.as_str())),
        }
    }

    /// What this request is to do once, under an idempotency key; nothing where it changes nothing.
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
    /// Reads the shape: one JSON object, with fields of that verb's requests, of the right types, each once.
    pub fn from_json(verb: Verb, body: &[u8]) -> Result<Self, FieldError> {
        let mut fields = Self::default();
        for (name, value) in Object::parse(body)?.entries {
            // A name that long may be a key or another secret in the wrong place.
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

    /// Verifies each field. Of several that are malformed one is named.
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
