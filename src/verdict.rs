//! The answer to a validation, and how it is written as JSON.

use crate::{
    domain::Domain,
    id::{ActivationId, LicenseId},
    license::License,
    name::{Label, Product},
    nonce::Nonce,
    request::Request,
    state::Seat,
    text::to_json,
    time::Timestamp,
    version::Version,
};
use alloc::{string::String, vec::Vec};
use serde::Serialize;

words! {
    /// The outcome, in order of precedence: a verdict reports the first code that applies.
    pub enum Code {
        /// The key's checksum is wrong, or no licence has it and it looks like a key with a typing
        /// error.
        MalformedKey = "MALFORMED_KEY",
        /// No licence has this key.
        NotFound = "NOT_FOUND",
        /// The vendor revoked the licence.
        Revoked = "REVOKED",
        /// The vendor suspended the licence.
        Suspended = "SUSPENDED",
        /// The licence is not valid yet.
        NotYetValid = "NOT_YET_VALID",
        /// The licence has expired, and so has its grace period.
        Expired = "EXPIRED",
        /// The licence is for another product, or requires the request to name one.
        ProductMismatch = "PRODUCT_MISMATCH",
        /// The request must name its domain.
        DomainRequired = "DOMAIN_REQUIRED",
        /// The licence does not cover the domain.
        DomainMismatch = "DOMAIN_MISMATCH",
        /// The licence counts machines, and the request has no fingerprint.
        FingerprintRequired = "FINGERPRINT_REQUIRED",
        /// The licence counts users, or is for some users only, and the request does not name one.
        UserRequired = "USER_REQUIRED",
        /// The licence is for other users.
        UserMismatch = "USER_MISMATCH",
        /// The holder has no seat.
        NotActivated = "NOT_ACTIVATED",
        /// The holder had a seat, and its lease has ended.
        LeaseExpired = "LEASE_EXPIRED",
        /// The licence does not cover the version, or requires the request to name one.
        VersionNotCovered = "VERSION_NOT_COVERED",
        /// The licence does not have a feature that the request names.
        FeatureMissing = "FEATURE_MISSING",
        /// The licence does not have the allowance that the request names.
        AllowanceMissing = "ALLOWANCE_MISSING",
        /// All seats are taken, and the holder's is not among those that the licence allows.
        TooManyActivations = "TOO_MANY_ACTIVATIONS",
        /// Nothing, or not enough, is left of an allowance.
        UsageExhausted = "USAGE_EXHAUSTED",
        /// No other code applies.
        Valid = "VALID",
    }
}

impl Code {
    /// A sentence for people. Its wording may change; the code does not.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::MalformedKey => "The key has a typing error.",
            Self::NotFound => "No licence has this key.",
            Self::Revoked => "The licence was revoked.",
            Self::Suspended => "The licence is suspended.",
            Self::NotYetValid => "The licence is not valid yet.",
            Self::Expired => "The licence has expired.",
            Self::ProductMismatch => "The licence is for another product.",
            Self::DomainRequired => "The licence is bound to domains, and the request names none.",
            Self::DomainMismatch => "The licence does not cover this domain.",
            Self::FingerprintRequired => "The licence is bound to machines, and the request has no fingerprint.",
            Self::UserRequired => "The licence is bound to users, and the request names none.",
            Self::UserMismatch => "The licence is for other users.",
            Self::NotActivated => "The licence is not activated here.",
            Self::LeaseExpired => "The lease has ended.",
            Self::VersionNotCovered => "The licence does not cover this version.",
            Self::FeatureMissing => "The licence does not include every feature asked for.",
            Self::AllowanceMissing => "The licence does not have this allowance.",
            Self::TooManyActivations => "Every seat of the licence is taken.",
            Self::UsageExhausted => "Not enough is left of the allowance.",
            Self::Valid => "The licence is valid.",
        }
    }
}

words! {
    /// What the holder of a valid licence should know.
    pub enum Warning {
        /// The licence has expired and is valid because its expiry strategy allows that.
        ExpiredAllowed = "EXPIRED_ALLOWED",
        /// The licence has expired and is valid because this version was released before that.
        ExpiredMaintained = "EXPIRED_MAINTAINED",
        /// This seat is over the licence's limit, within its overage.
        ActivationsOverLimit = "ACTIVATIONS_OVER_LIMIT",
        /// The use of the allowance is over its limit, within its overage.
        UsageOverLimit = "USAGE_OVER_LIMIT",
        /// The request names a user, and the licence neither counts users nor is for some only: it
        /// is valid for any.
        UserNotChecked = "USER_NOT_CHECKED",
        /// The store's writes are not atomic: simultaneous requests may exceed a limit.
        LimitIsSoft = "LIMIT_IS_SOFT",
    }
}

/// The answer to a validation.
///
/// Only a decision makes one ([`Case::decide`](crate::decide::Case::decide)), or
/// [`without_license`](Self::without_license) where there is nothing to decide on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub(crate) code: Code,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) grace: bool,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) seat: Option<Seat>,
    pub(crate) seats: Option<Occupancy>,
    pub(crate) remaining: Option<Remaining>,
    pub(crate) stale_seconds: Option<u32>,
}

/// The effect of a change of an allowance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Whether the change was applied, by this request or an earlier one with the same idempotency
    /// key.
    pub is_applied: bool,
    /// Whether an earlier request with the same idempotency key applied it, so that this one
    /// changed nothing.
    pub is_repeat: bool,
}

impl Remaining {
    /// How much is left of the limit, without overage.
    pub fn amount(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// How many seats a licence has, and how many are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// How many seats the licence has, without overage.
    pub limit: u32,
    /// How many are taken, without those whose lease has ended.
    pub used: u32,
}

/// What is left of an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The allowance's name.
    pub name: Label,
    /// How much can be used in a period, without overage.
    pub limit: u64,
    /// How much can be used in a period, with overage.
    pub ceiling: u64,
    /// How much was used in this period.
    pub used: u64,
    /// When the next period begins; `None` if there is only one, or the first has not begun.
    pub resets_at: Option<Timestamp>,
}

impl Verdict {
    /// The verdict on a revoked licence. It tells nothing else.
    pub const REVOKED: Self = Self::without_facts(Code::Revoked);

    /// The verdict without a licence: the key has a wrong checksum, or no licence has it.
    pub fn without_license(request: &Request) -> Self {
        Self::without_facts(if request.has_mistyped_key() { Code::MalformedKey } else { Code::NotFound })
    }

    /// A verdict that tells nothing but its code.
    const fn without_facts(code: Code) -> Self {
        Self {
            code,
            expires_at: None,
            grace: false,
            warnings: Vec::new(),
            seat: None,
            seats: None,
            remaining: None,
            stale_seconds: None,
        }
    }

    /// Valid, or the first reason to refuse.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The first second after the licence's validity; `None` if it does not end, or has not begun
    /// yet.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether the licence has expired and is valid because its grace period still runs.
    pub const fn grace(&self) -> bool {
        self.grace
    }

    /// Warnings, only if the code is valid.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The holder's seat, also if its lease has ended.
    pub const fn seat(&self) -> Option<&Seat> {
        self.seat.as_ref()
    }

    /// How many seats are taken, if the licence counts seats and the request names a holder.
    pub const fn seats(&self) -> Option<Occupancy> {
        self.seats
    }

    /// What is left of the allowance that the request names, if the licence has it.
    pub const fn remaining(&self) -> Option<&Remaining> {
        self.remaining.as_ref()
    }

    /// For how many seconds what the verdict is made of has not been confirmed by the origin.
    pub const fn stale_seconds(&self) -> Option<u32> {
        self.stale_seconds
    }

    /// Says of a valid licence for how many seconds it has not been confirmed, if that is longer
    /// than usual: the caller knows its store, and the decision does not.
    #[must_use]
    pub fn stale_for(self, seconds: Option<u32>) -> Self {
        Self { stale_seconds: seconds.filter(|_| self.is_valid()), ..self }
    }

    /// Warns that simultaneous requests may exceed a limit of a valid licence, if the verdict is
    /// about one: the caller knows its store, and the decision does not.
    pub fn warn_of_soft_limit(&mut self) {
        if self.is_valid() && (self.seats.is_some() || self.remaining.is_some()) {
            self.warnings.push(Warning::LimitIsSoft);
        }
    }

    /// Whether the software may run: only if the code is [`Code::Valid`].
    pub fn is_valid(&self) -> bool {
        self.code == Code::Valid
    }

    /// The answer as JSON: the verdict, the licence that it is about, and the request as it was
    /// understood.
    ///
    /// ```
    /// # use countersign::{decide::Case, license::License, request::{Request, Verb}, state::State};
    /// # use countersign::time::Timestamp;
    /// # let record = br#"{"format":1,"generation":1,"id":"lic_00000000000000000000000000","product":"acme",
    /// #     "status":"active","plan":"pro","issuedAt":"2026-01-01T00:00:00Z","expiresAt":"2026-06-01T00:00:00Z",
    /// #     "graceSeconds":604800,"features":["export"],"domains":[],"requires":[],
    /// #     "allowances":[{"name":"credits","limit":1000,"period":"month"}]}"#;
    /// # let license = License::from_json(record)?;
    /// # let now = Timestamp::parse("2026-06-02T00:00:00Z")?;
    /// let body = br#"{"key":"an existing key","domain":"WWW.example.com","allowance":"credits","nonce":"n-1"}"#;
    /// let request = Request::from_json(Verb::Validate, body)?;
    /// let verdict = Case::new(&license, &request).decide(&State::default(), now);
    /// let json = r#"{"valid":true,"code":"VALID","detail":"The licence is valid.",
    ///     "plan":"pro","features":["export"],"expiresAt":"2026-06-01T00:00:00Z","grace":true,
    ///     "licenseId":"lic_00000000000000000000000000","product":"acme","domain":"www.example.com",
    ///     "allowance":{"name":"credits","limit":1000,"used":0,"remaining":1000,"resetsAt":"2026-07-01T00:00:00Z"},
    ///     "nonce":"n-1"}"#;
    /// assert_eq!(verdict.to_json(Some(&license), &request), json.replace("\n    ", ""));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// `grace`, `staleSeconds`, `warnings`, `domain`, `version`, `activation`, `seats`, `allowance`
    /// and `nonce` are left out if they do not apply. Without a licence, and of a revoked one, only
    /// `valid`, `code`, `detail` and `nonce` are written.
    pub fn to_json(&self, license: Option<&License>, request: &Request) -> String {
        self.to_json_with(license, request, None)
    }

    /// As [`to_json`](Self::to_json), with the effect of the request's change of an allowance:
    /// `applied`, and `replayed` for a repeat.
    pub fn to_json_with(&self, license: Option<&License>, request: &Request, effect: Option<Effect>) -> String {
        to_json(&Answer {
            valid: self.is_valid(),
            code: self.code,
            detail: self.code.detail(),
            license: license.filter(|license| !license.is_revoked()).map(|license| Facts {
                plan: &license.plan,
                features: &license.features,
                expires_at: self.expires_at,
                grace: self.grace,
                stale_seconds: self.stale_seconds,
                warnings: &self.warnings,
                license_id: &license.id,
                product: &license.product,
                domain: request.domain(),
                version: request.version(),
                activation: self.seat.as_ref().map(ActivationFacts::from),
                seats: self.seats,
                allowance: self.remaining.as_ref().map(AllowanceFacts::from),
                applied: effect.map(|effect| effect.is_applied),
                replayed: effect.is_some_and(|effect| effect.is_repeat),
            }),
            nonce: request.nonce(),
        })
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    valid: bool,
    code: Code,
    detail: &'static str,
    #[serde(flatten)]
    license: Option<Facts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a Nonce>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts<'a> {
    plan: &'a Label,
    features: &'a [Label],
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    grace: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_seconds: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Warning],
    license_id: &'a LicenseId,
    product: &'a Product,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a Version>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<ActivationFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Occupancy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowance: Option<AllowanceFacts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<bool>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    replayed: bool,
}

/// A seat, as written in answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationFacts {
    id: ActivationId,
    activated_at: Timestamp,
    /// Null without a lease.
    lease_ends_at: Option<Timestamp>,
}

impl From<&Seat> for ActivationFacts {
    fn from(seat: &Seat) -> Self {
        Self { id: seat.holder.activation_id(), activated_at: seat.since, lease_ends_at: seat.until }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AllowanceFacts<'a> {
    name: &'a Label,
    limit: u64,
    used: u64,
    /// Without overage.
    remaining: u64,
    /// Null if there is only one period, or the first has not begun.
    resets_at: Option<Timestamp>,
}

impl<'a> From<&'a Remaining> for AllowanceFacts<'a> {
    fn from(allowance: &'a Remaining) -> Self {
        let Remaining { name, limit, used, resets_at, ceiling: _ } = allowance;
        Self { name, limit: *limit, used: *used, remaining: allowance.amount(), resets_at: *resets_at }
    }
}
