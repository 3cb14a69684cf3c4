//! The licence as it is stored, under [`crate::key::KeyHash::store_key`]: JSON, format 1.
//!
//! ```json
//! {"format": 1, "generation": 1, "id": "lic_0123456789abcdefghjkmnpqrs", "product": "acme-editor",
//!  "status": "active", "hint": "7QK2", "plan": "pro",
//!  "issuedAt": "2026-01-01T00:00:00Z", "notBefore": "2026-01-01T00:00:00Z", "expiresAt": "2027-01-01T00:00:00Z",
//!  "expiryStrategy": "restrict", "graceSeconds": 0,
//!  "features": ["export"], "domains": ["example.com", "*.example.org"],
//!  "versions": {"from": "1.0.0", "below": "3.0.0"}, "requires": ["product", "domain", "version"],
//!  "activation": {"per": "machine", "limit": 5, "overage": "none", "match": "all", "leaseSeconds": 3600, "reviveSeconds": 0},
//!  "allowances": [{"name": "credits", "limit": 1000, "period": "month", "overage": "150%"}]}
//! ```
//!
//! A licence whose time begins with its first validation or activation has `"expiryBasis": "first-validation"` (or
//! `"first-activation"`) and `"durationSeconds": 2592000` in place of `expiresAt`.
//!
//! `hint`, `notBefore`, `expiresAt`, `versions`, `activation` and `leaseSeconds` are left out where there is nothing to say;
//! `expiryBasis` (`issue`), `expiryStrategy`, `graceSeconds`, `match`, `reviveSeconds`, `period` (`total`), each `overage` (`none`) and
//! `allowances` (none) have defaults. Every other field must stand, so that a record that lost its `domains` is a
//! fault and no licence for all domains. Fields that format 1 does not know, fields twice, `null` and unknown formats
//! are faults too: a reader that does not understand a record has no verdict to give.

use crate::{
    domain::DomainRule,
    id::LicenseId,
    key::Hint,
    limits::{MAX_ALLOWANCES, MAX_DOMAINS, MAX_FEATURES},
    name::{Label, Product},
    number::Grouped,
    terms::{Allowance, SeatPolicy},
    text::{present, to_json},
    time::Timestamp,
    version::VersionRange,
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A licence. Written by whoever issues, read by whoever validates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct License {
    /// The shape of the record.
    pub format: Format,
    /// Grows with every change of the record, and never goes back: a copy with a lower one is older.
    pub generation: u64,
    /// What the licence is called where its key must not stand.
    pub id: LicenseId,
    /// What is licensed.
    pub product: Product,
    /// Whether the vendor lets it be used.
    pub status: Status,
    /// The last characters of the key.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// The plan that was sold.
    pub plan: Label,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The first second of its validity; always valid until expiry if absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The first second after its validity; never expires if absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What `expires_at` is counted from.
    #[serde(default, skip_serializing_if = "ExpiryBasis::is_issue")]
    pub expiry_basis: ExpiryBasis,
    /// How long it is valid once its time has begun, in seconds from 1 on; with any basis but issue, and only then.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// What expiry means, once the grace period is over.
    #[serde(default)]
    pub expiry_strategy: ExpiryStrategy,
    /// How many seconds after `expires_at` it is still valid, and says so.
    #[serde(default)]
    pub grace_seconds: u32,
    /// What the holder may use; 64 at most.
    pub features: Vec<Label>,
    /// Where it may be used; anywhere if empty, 1,000 at most. With any, a request must name its domain.
    pub domains: Vec<DomainRule>,
    /// Which versions of the program it covers; all if absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionRange>,
    /// What a request must say of itself, beside its domain where there are `domains`.
    pub requires: Vec<Requirement>,
    /// How many may run it at once; any number if absent.
    #[serde(rename = "activation", default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seat_policy: Option<SeatPolicy>,
    /// What is used up; 8 at most, each with a name of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowances: Vec<Allowance>,
}

words! {
    /// What a licence's time is counted from.
    pub enum ExpiryBasis {
        /// It is fixed when the licence is issued.
        Issue = "issue",
        /// From the first answer that it is valid.
        FirstValidation = "first-validation",
        /// From the first seat that is taken.
        FirstActivation = "first-activation",
    }
}

words! {
    /// Whether the vendor lets a licence be used.
    pub enum Status {
        /// Yes.
        Active = "active",
        /// Not for now.
        Suspended = "suspended",
        /// Never again.
        Revoked = "revoked",
    }
}

words! {
    /// What expiry means, once the grace period is over.
    pub enum ExpiryStrategy {
        /// The licence is invalid.
        Restrict = "restrict",
        /// It stays valid for versions that were released before expiry.
        Maintain = "maintain",
        /// It stays valid, with a warning.
        Allow = "allow",
    }
}

words! {
    /// A field that a request must send.
    pub enum Requirement {
        /// `product`
        Product = "product",
        /// `domain`
        Domain = "domain",
        /// `version`
        Version = "version",
    }
}

/// Why bytes from the store are no licence. A fault of the store's content: it says nothing about the licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is a record of a format that this reader does not know.
    #[error("the record's format is not {}, the only one that this version reads", Format::NUMBER)]
    UnknownFormat,
    /// It is no record of format 1; the reader stopped in that column (from 1 on) of that line.
    #[error("the record is corrupt at line {line}, column {column}")]
    Corrupt {
        /// The line, from 1 on.
        line: usize,
        /// The column in bytes, from 1 on; 0 at the very beginning of a line.
        column: usize,
    },
    /// It has more than 64 features, 1,000 domains or 8 allowances.
    #[error("the record has more than {MAX_FEATURES} features, {} domains or {MAX_ALLOWANCES} allowances", Grouped(MAX_DOMAINS as u64))]
    TooMany,
    /// What it says of its expiry contradicts itself: a time that begins later needs a duration and no date, one that is fixed needs no
    /// duration; and only what can be activated begins with an activation.
    #[error("the record's `expiryBasis`, `expiresAt`, `durationSeconds` and `activation` contradict each other")]
    Expiry,
    /// A number of its seats or allowances is out of bounds, or two allowances have one name.
    #[error("the record's seats or allowances are out of bounds, or two allowances have one name")]
    Bounds,
}

impl License {
    /// An active licence without limits: it covers every domain and version, and never expires.
    pub fn new(id: LicenseId, product: Product, plan: Label, issued_at: Timestamp) -> Self {
        Self {
            format: Format,
            generation: 1,
            id,
            product,
            status: Status::Active,
            hint: None,
            plan,
            issued_at,
            not_before: None,
            expires_at: None,
            expiry_basis: ExpiryBasis::default(),
            duration_seconds: None,
            expiry_strategy: ExpiryStrategy::default(),
            grace_seconds: 0,
            features: Vec::new(),
            domains: Vec::new(),
            versions: None,
            requires: Vec::new(),
            seat_policy: None,
            allowances: Vec::new(),
        }
    }

    /// The record that a deleted licence leaves under its key, and a licence under a key that it no
    /// longer has: revoked, and without terms.
    pub fn retired(&self) -> Self {
        // Without `..`, so that the compiler asks whether a tombstone needs a new member.
        let Self {
            format,
            generation,
            id,
            product,
            status: _,
            hint,
            plan,
            issued_at,
            not_before,
            expires_at,
            expiry_basis: _,
            duration_seconds: _,
            expiry_strategy,
            grace_seconds,
            features: _,
            domains: _,
            versions: _,
            requires: _,
            seat_policy: _,
            allowances: _,
        } = self.clone();
        Self {
            format,
            generation,
            status: Status::Revoked,
            hint,
            not_before,
            expires_at,
            expiry_strategy,
            grace_seconds,
            ..Self::new(id, product, plan, issued_at)
        }
    }

    /// Reads a record.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        // As text, like a request: the two share the code of one parser then.
        let text = core::str::from_utf8(bytes).map_err(|error| {
            let lines = bytes[..error.valid_up_to()].rsplit(|byte| *byte == b'\n');
            RecordError::Corrupt { line: lines.clone().count(), column: lines.map(<[u8]>::len).next().unwrap_or(0) + 1 }
        })?;
        let license: Self = serde_json::from_str(text).map_err(|error| match serde_json::from_str(text) {
            Ok(AnyFormat { format }) if format != Format::NUMBER => RecordError::UnknownFormat,
            _ => RecordError::Corrupt { line: error.line(), column: error.column() },
        })?;
        license.check()?;
        Ok(license)
    }

    /// Writes a record, which [`License::from_json`] reads if [`License::check`] finds nothing.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// What the types of the fields do not say already.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.features.len() > MAX_FEATURES
            || self.domains.len() > MAX_DOMAINS
            || self.allowances.len() > MAX_ALLOWANCES
        {
            return Err(RecordError::TooMany);
        }
        let is_consistent = match self.expiry_basis {
            ExpiryBasis::Issue => self.duration_seconds.is_none(),
            basis => {
                self.expires_at.is_none()
                    && self.duration_seconds.is_some_and(|seconds| seconds > 0)
                    && (basis != ExpiryBasis::FirstActivation || self.seat_policy.is_some())
            }
        };
        if !is_consistent {
            return Err(RecordError::Expiry);
        }
        let is_named_twice = |(at, allowance): (usize, &Allowance)| {
            self.allowances[..at].iter().any(|other| other.name == allowance.name)
        };
        if !self.seat_policy.is_none_or(|policy| policy.is_sound())
            || !self.allowances.iter().all(Allowance::is_sound)
            || self.allowances.iter().enumerate().any(is_named_twice)
        {
            return Err(RecordError::Bounds);
        }
        Ok(())
    }

    /// The first second after its validity, given when its time began; none while it has no end.
    pub fn ends_at(&self, begun_at: Option<Timestamp>) -> Option<Timestamp> {
        match self.duration_seconds {
            None => self.expires_at,
            Some(seconds) => begun_at.map(|begun_at| begun_at.plus_seconds(seconds)),
        }
    }
}

/// The number that each record begins with, so that a later reader knows what it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format;

impl Format {
    /// The one format there is.
    pub const NUMBER: u64 = 1;
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::NUMBER)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            Self::NUMBER => Ok(Self),
            _ => Err(serde::de::Error::custom("a format that is not known here")),
        }
    }
}

/// What every format of a record has.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

impl ExpiryBasis {
    fn is_issue(&self) -> bool {
        *self == Self::Issue
    }
}

impl Default for ExpiryBasis {
    /// The one that needs nothing written.
    fn default() -> Self {
        Self::Issue
    }
}

impl Default for ExpiryStrategy {
    /// The strict one.
    fn default() -> Self {
        Self::Restrict
    }
}

#[cfg(test)]
mod tests {
    use super::{License, MAX_DOMAINS, RecordError};
    use std::{format, vec};

    /// A list too long for a table of vectors.
    #[test]
    fn a_record_has_a_thousand_domains_and_no_more() {
        let record = |domains: usize| {
            let domains = vec![r#""example.com""#; domains].join(",");
            format!(
                r#"{{"format":1,"generation":1,"id":"lic_0123456789abcdefghjkmnpqrs","product":"p","status":"active","plan":"p",
                    "issuedAt":"2026-01-01T00:00:00Z","features":[],"domains":[{domains}],"requires":[]}}"#
            )
        };
        assert_eq!(License::from_json(record(MAX_DOMAINS).as_bytes()).map(|license| license.domains.len()), Ok(1_000));
        assert_eq!(License::from_json(record(MAX_DOMAINS + 1).as_bytes()), Err(RecordError::TooMany));
    }

    /// Vectors are text.
    #[test]
    fn a_record_that_is_no_text_is_corrupt_where_it_ceases_to_be() {
        assert_eq!(License::from_json(b"\xff"), Err(RecordError::Corrupt { line: 1, column: 1 }));
        assert_eq!(License::from_json(b"{\n\"id\":\"\xff\"}"), Err(RecordError::Corrupt { line: 2, column: 7 }));
    }
}
