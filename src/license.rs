//! The licence as it is stored under [`KeyHash::store_key`](crate::key::KeyHash::store_key): JSON,
//! format 1.
//!
//! ```json
//! {"format": 1, "generation": 1, "id": "lic_0123456789abcdefghjkmnpqrs", "product": "acme-editor",
//!  "status": "active", "hint": "7QK2", "plan": "pro",
//!  "issuedAt": "2026-01-01T00:00:00Z", "notBefore": "2026-01-01T00:00:00Z", "expiresAt": "2027-01-01T00:00:00Z",
//!  "expiryStrategy": "restrict", "graceSeconds": 0,
//!  "features": ["export"], "domains": ["example.com", "*.example.org"],
//!  "versions": {"from": "1.0.0", "below": "3.0.0"}, "requires": ["product", "domain", "version"],
//!  "activation": {"per": "machine", "limit": 5, "overage": "none", "match": "all", "leaseSeconds": 3600, "reviveSeconds": 0,
//!                 "manage": "own"},
//!  "allowances": [{"name": "credits", "limit": 1000, "period": "month", "overage": "150%", "returns": "vendor"}]}
//! ```
//!
//! A licence whose time begins with its first validation or activation has, in place of
//! `expiresAt`, `"expiryBasis": "first-validation"` (or `"first-activation"`) and
//! `"durationSeconds": 2592000`, or `"duration": "P1M"` for a duration on the calendar. A licence
//! that ends on the last day of a month, and is to be renewed by months from a later one, has
//! `"renewalDay": 31`. An allowance can have a `period` such as `"P3M"`, and `"begins": "license"`
//! or a day of the month, such as `"begins": 15`.
//!
//! Optional fields are `hint`, `notBefore`, `expiresAt`, `versions`, `activation`, `leaseSeconds`,
//! `manage`, `begins` and `returns`. Fields with defaults are `expiryBasis` (`issue`),
//! `expiryStrategy` (`restrict`), `graceSeconds` (0), `match` (`all`), `reviveSeconds` (0),
//! `strict` (true), `ignoreWww` (false), `period` (`total`), each `overage` (`none`), and
//! `allowances`, `users` and `uncountedDomains` (empty). All others are required, so that a record
//! that lost its `domains` is an error and not a licence for every domain. Unknown fields, repeated
//! fields, `null` and unknown formats are errors too: there must be no verdict on a record that was
//! not understood.

use crate::{
    domain::{DomainRule, UncountedName},
    id::LicenseId,
    key::Hint,
    limits::{MAX_ALLOWANCES, MAX_DOMAINS, MAX_FEATURES, MAX_UNCOUNTED, MAX_USERS},
    name::{Identifier, Label, Product},
    number::Grouped,
    span::Span,
    terms::{Allowance, SeatPolicy},
    text::{present, to_json},
    time::Timestamp,
    version::VersionRange,
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A licence. The registrar writes it; the validator reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct License {
    /// The record's format.
    pub format: Format,
    /// Grows with every change of the record: a copy with a lower generation is older.
    pub generation: u64,
    /// The licence's name wherever its key must not be shown.
    pub id: LicenseId,
    /// The licensed product.
    pub product: Product,
    /// Whether the vendor allows its use.
    pub status: Status,
    /// The last characters of the key, for display.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// The plan that was sold.
    pub plan: Label,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// The first second of its validity; if absent, it is valid at once.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The first second after its validity; if absent, it does not expire.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What starts its time.
    #[serde(default, skip_serializing_if = "ExpiryBasis::is_issue")]
    pub expiry_basis: ExpiryBasis,
    /// For how many seconds it is valid once its time has begun, at least 1. Unless the basis is
    /// `issue`, either this or `duration` is required; if it is, neither is allowed.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// In place of `duration_seconds`, a duration on the calendar.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// The day of the month on which months added to `expires_at` end, if its month does not have
    /// that day.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub renewal_day: Option<u8>,
    /// What expiry means after the grace period.
    #[serde(default)]
    pub expiry_strategy: ExpiryStrategy,
    /// The grace period: for how many seconds after expiry it is still valid.
    #[serde(default)]
    pub grace_seconds: u32,
    /// Features that the holder may use; 64 at most.
    pub features: Vec<Label>,
    /// Domains on which it may be used, 1,000 at most; any if empty. If not, requests must name
    /// their domain.
    pub domains: Vec<DomainRule>,
    /// Users who may use it, 1,000 at most; any if empty. If not, requests must name their user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Identifier>,
    /// Domains that take no seat, 32 at most, where seats are counted per domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncounted_domains: Vec<UncountedName>,
    /// Versions of the program that it covers; all if absent.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionRange>,
    /// Fields that a request must send, beside `domain` if there are `domains`.
    pub requires: Vec<Requirement>,
    /// How many may run it at once; any number if absent.
    #[serde(rename = "activation", default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub seat_policy: Option<SeatPolicy>,
    /// What it allows to be consumed; 8 at most, with distinct names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowances: Vec<Allowance>,
}

words! {
    /// What starts a licence's time.
    pub enum ExpiryBasis {
        /// Its issue: the date of expiry is fixed then.
        Issue = "issue",
        /// The first answer that it is valid.
        FirstValidation = "first-validation",
        /// The first seat that is taken.
        FirstActivation = "first-activation",
    }
}

words! {
    /// Whether the vendor allows a licence's use.
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
    /// What expiry means after the grace period.
    pub enum ExpiryStrategy {
        /// The licence is invalid.
        Restrict = "restrict",
        /// It stays valid for versions released before expiry.
        Maintain = "maintain",
        /// It stays valid for versions released before expiry, and for what is installed if the
        /// request does not say when that was released.
        MaintainUndated = "maintain-undated",
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

/// Why a stored record is not a valid licence. The record is at fault; nothing follows about the
/// licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Its format is not known to this version.
    #[error("the record's format is not {}, the only one that this version reads", Format::NUMBER)]
    UnknownFormat,
    /// It is not a record of format 1. Reading stopped at this place.
    #[error("the record is corrupt at line {line}, column {column}")]
    Corrupt {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1; 0 before the first byte of a line.
        column: usize,
    },
    /// It has more than 64 features, 1,000 domains or users, 32 uncounted domains or 8 allowances.
    #[error(
        "the record has more than {MAX_FEATURES} features, {} domains or users, {MAX_UNCOUNTED} uncounted domains or \
         {MAX_ALLOWANCES} allowances",
        Grouped(MAX_DOMAINS as u64)
    )]
    TooMany,
    /// Its expiry is contradictory. With the basis `issue` it must not have a duration. With
    /// another basis it must have a duration and no date, and for `first-activation` also seats.
    #[error("the record's `expiryBasis`, `expiresAt`, duration and `activation` contradict each other")]
    Expiry,
    /// A number of its seats or allowances, or its renewal day, is out of bounds, or two allowances
    /// have the same name.
    #[error("the record's seats, allowances or renewal day are out of bounds, or two allowances have the same name")]
    Bounds,
}

impl License {
    /// An active licence without limits: it covers every domain and version, and does not expire.
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
            duration: None,
            renewal_day: None,
            expiry_strategy: ExpiryStrategy::default(),
            grace_seconds: 0,
            features: Vec::new(),
            domains: Vec::new(),
            users: Vec::new(),
            uncounted_domains: Vec::new(),
            versions: None,
            requires: Vec::new(),
            seat_policy: None,
            allowances: Vec::new(),
        }
    }

    /// The tombstone of this licence: revoked and without terms. A deleted licence leaves it under
    /// its key, and a licence whose key was replaced under the old key.
    pub fn retired(&self) -> Self {
        // Without `..`, so that the compiler asks for a decision about each new field.
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
            duration: _,
            renewal_day: _,
            expiry_strategy,
            grace_seconds,
            features: _,
            domains: _,
            users: _,
            uncounted_domains: _,
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
    ///
    /// # Errors
    ///
    /// [`RecordError::UnknownFormat`] or [`RecordError::Corrupt`] if the bytes are not a record of
    /// format 1, and the errors of [`License::check`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        // Read as text, like a request, so that a component has one parser and not two.
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

    /// Writes a record. [`License::from_json`] reads it if [`License::check`] does not find an
    /// error.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Checks what the types of the fields do not ensure.
    ///
    /// # Errors
    ///
    /// - [`RecordError::TooMany`]: there are too many features, domains or allowances.
    /// - [`RecordError::Expiry`]: the fields about expiry contradict each other.
    /// - [`RecordError::Bounds`]: a number is out of bounds, or two allowances have the same name.
    pub fn check(&self) -> Result<(), RecordError> {
        if self.features.len() > MAX_FEATURES
            || self.domains.len() > MAX_DOMAINS
            || self.allowances.len() > MAX_ALLOWANCES
            || self.users.len() > MAX_USERS
            || self.uncounted_domains.len() > MAX_UNCOUNTED
        {
            return Err(RecordError::TooMany);
        }
        let is_consistent = match self.expiry_basis {
            ExpiryBasis::Issue => self.duration_seconds.is_none() && self.duration.is_none(),
            basis => {
                self.expires_at.is_none()
                    && self.lasts().is_some()
                    && self.duration_seconds.is_some() != self.duration.is_some()
                    && (basis != ExpiryBasis::FirstActivation || self.seat_policy.is_some())
            }
        };
        if !is_consistent {
            return Err(RecordError::Expiry);
        }
        if !self.renewal_day.is_none_or(|day| (1..=31).contains(&day)) {
            return Err(RecordError::Bounds);
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

    /// Whether it is revoked. A key that was replaced, or that a deleted licence had, finds such a
    /// record too. So answers tell nothing of a revoked licence but that.
    pub fn is_revoked(&self) -> bool {
        self.status == Status::Revoked
    }

    /// When its time began: with its issue, or when the state says.
    pub fn starts_at(&self, begun_at: Option<Timestamp>) -> Option<Timestamp> {
        if self.expiry_basis == ExpiryBasis::Issue { Some(self.issued_at) } else { begun_at }
    }

    /// The first second after its validity, given when its time began. `None` if it does not end,
    /// or its time has not begun.
    pub fn ends_at(&self, begun_at: Option<Timestamp>) -> Option<Timestamp> {
        match self.lasts() {
            None => self.expires_at,
            Some(span) => begun_at.map(|begun_at| span.after(begun_at)),
        }
    }

    /// Sets the end of a licence whose time began with its issue.
    pub fn set_end(&mut self, end: Option<Timestamp>) {
        if self.expires_at != end {
            self.renewal_day = None;
        }
        self.expires_at = end;
    }

    /// Lets it end a duration after `start`. Months end on the day on which its end before was
    /// meant to be, if that is where they start: so 31 January is followed by 28 February, and that
    /// by 31 March.
    pub fn extend(&mut self, start: Timestamp, span: Span) {
        let kept = self.renewal_day.filter(|_| self.expires_at == Some(start));
        let day = kept.unwrap_or(start.day_of_month());
        let end = span.after_on_day(start, day);
        self.expires_at = Some(end);
        self.renewal_day = (span.seconds() == 0 && end.day_of_month() != day).then_some(day);
    }

    /// Sets how long it is valid once its time has begun.
    pub fn set_lasts(&mut self, span: Span) {
        let is_of_calendar = span.months() > 0;
        self.duration_seconds = (!is_of_calendar).then_some(span.seconds());
        self.duration = is_of_calendar.then_some(span);
    }

    /// How long it is valid once its time has begun. `None` if its time began with its issue.
    pub fn lasts(&self) -> Option<Span> {
        self.duration.or_else(|| self.duration_seconds.and_then(Span::of_seconds))
    }
}

/// The number of the record's format, written first so that later versions know how to read on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format;

impl Format {
    /// The only format so far.
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
            _ => Err(serde::de::Error::custom("unknown format")),
        }
    }
}

/// The field that records of every format have.
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
    /// The one that records leave out.
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

    /// Such a list is too long for a table of vectors.
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

    /// Tables of vectors are text, so these bytes are here.
    #[test]
    fn a_record_that_is_not_utf8_is_corrupt_at_the_first_invalid_byte() {
        assert_eq!(License::from_json(b"\xff"), Err(RecordError::Corrupt { line: 1, column: 1 }));
        assert_eq!(License::from_json(b"{\n\"id\":\"\xff\"}"), Err(RecordError::Corrupt { line: 2, column: 7 }));
    }
}
