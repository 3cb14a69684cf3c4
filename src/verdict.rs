//! The answer to a validation, and how it is written as JSON.

use crate::{
    domain::Domain,
    id::{ActivationId, LicenseId},
    license::License,
    name::{Label, Nonce, Product},
    request::Request,
    state::Seat,
    text::to_json,
    time::Timestamp,
    version::Version,
};
use alloc::{string::String, vec::Vec};
use serde::Serialize;

words! {
    /// What the verdict is, in the order that decides: where several hold, the first is the one reported.
    pub enum Code {
        /// The key fails its own checksum.
        MalformedKey = "MALFORMED_KEY",
        /// No licence has this key.
        NotFound = "NOT_FOUND",
        /// The vendor revoked the licence.
        Revoked = "REVOKED",
        /// The vendor suspended the licence.
        Suspended = "SUSPENDED",
        /// Its validity has not begun.
        NotYetValid = "NOT_YET_VALID",
        /// Its validity, and grace after it, have ended.
        Expired = "EXPIRED",
        /// It is for another product, or must be told which product asks.
        ProductMismatch = "PRODUCT_MISMATCH",
        /// The request must name its domain.
        DomainRequired = "DOMAIN_REQUIRED",
        /// It does not cover the domain.
        DomainMismatch = "DOMAIN_MISMATCH",
        /// It is bound to machines, and the request names none.
        FingerprintRequired = "FINGERPRINT_REQUIRED",
        /// It is bound to users, and the request names none.
        UserRequired = "USER_REQUIRED",
        /// Who asks has no seat.
        NotActivated = "NOT_ACTIVATED",
        /// Who asks had a seat, and its lease ended.
        LeaseExpired = "LEASE_EXPIRED",
        /// It does not cover the version, or must be told which version asks.
        VersionNotCovered = "VERSION_NOT_COVERED",
        /// A feature that was asked for is not held.
        FeatureMissing = "FEATURE_MISSING",
        /// More seats are taken than it has, and this is one too many.
        TooManyActivations = "TOO_MANY_ACTIVATIONS",
        /// Nothing, or not enough, is left of an allowance.
        UsageExhausted = "USAGE_EXHAUSTED",
        /// No reason to refuse.
        Valid = "VALID",
    }
}

impl Code {
    /// One sentence for people. Its wording may change; the code does not.
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
            Self::NotActivated => "The licence is not activated here.",
            Self::LeaseExpired => "The lease has ended.",
            Self::VersionNotCovered => "The licence does not cover this version.",
            Self::FeatureMissing => "The licence does not include every feature asked for.",
            Self::TooManyActivations => "Every seat of the licence is taken.",
            Self::UsageExhausted => "Not enough is left of the allowance.",
            Self::Valid => "The licence is valid.",
        }
    }
}

words! {
    /// What the holder of a valid licence should know.
    pub enum Warning {
        /// Past its expiry, and valid because its policy allows that.
        ExpiredAllowed = "EXPIRED_ALLOWED",
        /// Past its expiry, and valid because this version was released before it.
        ExpiredMaintained = "EXPIRED_MAINTAINED",
        /// More seats are taken than the licence has, and this is one that its policy lets pass.
        ActivationsOverLimit = "ACTIVATIONS_OVER_LIMIT",
        /// More is used of the allowance than there is, and the policy lets that pass.
        UsageOverLimit = "USAGE_OVER_LIMIT",
        /// The store cannot keep two writers apart: requests that come at the same moment may pass a limit.
        LimitIsSoft = "LIMIT_IS_SOFT",
    }
}

/// The answer to a validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is, and the first reason if it is a refusal.
    pub code: Code,
    /// The first second after its validity; none while it has no end.
    pub expires_at: Option<Timestamp>,
    /// Valid only because the grace period after expiry still runs.
    pub grace: bool,
    /// Empty unless valid.
    pub warnings: Vec<Warning>,
    /// The seat of who asks, also one whose lease ended.
    pub seat: Option<Seat>,
    /// How many seats there are, where the licence counts them and who asks says who that is.
    pub seats: Option<Occupancy>,
    /// What is left of the allowance that the request names, where the licence has it.
    pub remaining: Option<Remaining>,
}

impl Remaining {
    /// How much is left of the limit: overage is not counted.
    pub fn amount(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// How many seats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Occupancy {
    /// How many the licence has, overage not counted.
    pub limit: u32,
    /// How many are taken, those not counted whose lease ended.
    pub used: u32,
}

/// What is left of an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// The allowance's name.
    pub name: Label,
    /// How much of it there is in a period, overage not counted.
    pub limit: u64,
    /// How much can be consumed, overage counted.
    pub ceiling: u64,
    /// How much was.
    pub used: u64,
    /// When there is more; never if absent.
    pub resets_at: Option<Timestamp>,
}

impl Verdict {
    /// The verdict on a request whose key fails its own checksum, which needs no look-up, or is that of no licence.
    pub const fn without_license(request: &Request) -> Self {
        Self {
            code: if request.key.is_some() { Code::NotFound } else { Code::MalformedKey },
            expires_at: None,
            grace: false,
            warnings: Vec::new(),
            seat: None,
            seats: None,
            remaining: None,
        }
    }

    /// Whether the software may run: true for [`Code::Valid`] alone.
    pub fn is_valid(&self) -> bool {
        self.code == Code::Valid
    }

    /// The answer in JSON: the verdict, what the licence that it is about says, and what was asked for, as it was understood.
    pub fn to_json(&self, license: Option<&License>, request: &Request) -> String {
        self.to_json_with(license, request, None)
    }

    /// As [`to_json`](Self::to_json), with whether a change of an allowance was made.
    pub fn to_json_with(&self, license: Option<&License>, request: &Request, applied: Option<bool>) -> String {
        to_json(&Answer {
            valid: self.is_valid(),
            code: self.code,
            detail: self.code.detail(),
            license: license.map(|license| Facts {
                plan: &license.plan,
                features: &license.features,
                expires_at: self.expires_at,
                grace: self.grace,
                warnings: &self.warnings,
                license_id: &license.id,
                product: &license.product,
                domain: request.domain.as_ref(),
                version: request.version.as_ref(),
                activation: self.seat.as_ref().map(ActivationFacts::from),
                seats: self.seats,
                allowance: self.remaining.as_ref().map(AllowanceFacts::from),
                applied,
            }),
            nonce: request.nonce.as_ref(),
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
}

/// A seat, as its holder is told of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivationFacts {
    id: ActivationId,
    activated_at: Timestamp,
    /// Null where there is no lease.
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
    /// Of the limit: overage is not counted.
    remaining: u64,
    /// Null where there is never more.
    resets_at: Option<Timestamp>,
}

impl<'a> From<&'a Remaining> for AllowanceFacts<'a> {
    fn from(left: &'a Remaining) -> Self {
        let Remaining { name, limit, used, resets_at, ceiling: _ } = left;
        Self { name, limit: *limit, used: *used, remaining: left.amount(), resets_at: *resets_at }
    }
}
