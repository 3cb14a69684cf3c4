//! The answer to a validation, and how it is written as JSON.

use crate::{
    domain::Domain,
    name::{Label, Nonce, Product},
    record::{License, LicenseId},
    request::Request,
    text::to_json,
    time::Timestamp,
    version::Version,
};
use alloc::vec::Vec;
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
        /// It does not cover the version, or must be told which version asks.
        VersionNotCovered = "VERSION_NOT_COVERED",
        /// A feature that was asked for is not held.
        FeatureMissing = "FEATURE_MISSING",
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
            Self::VersionNotCovered => "The licence does not cover this version.",
            Self::FeatureMissing => "The licence does not include every feature asked for.",
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
    }
}

/// The answer to a validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// What it is, and the first reason if it is a refusal.
    pub code: Code,
    /// The licence that was found, for [`Code::MalformedKey`] and [`Code::NotFound`] none.
    pub license: Option<&'a License>,
    /// Valid only because the grace period after expiry still runs.
    pub grace: bool,
    /// Empty unless valid.
    pub warnings: Vec<Warning>,
}

impl Verdict<'_> {
    /// The verdict on a key that fails its own checksum: it needs no look-up.
    pub const MALFORMED_KEY: Verdict<'static> = Verdict::without_license(Code::MalformedKey);

    /// The verdict on a key that no licence has.
    pub const NOT_FOUND: Verdict<'static> = Verdict::without_license(Code::NotFound);

    const fn without_license(code: Code) -> Verdict<'static> {
        Verdict { code, license: None, grace: false, warnings: Vec::new() }
    }

    /// Whether the software may run: true for [`Code::Valid`] alone.
    pub fn is_valid(&self) -> bool {
        self.code == Code::Valid
    }

    /// The answer in JSON: the verdict, what the licence says, and what was asked for, as it was understood.
    pub fn to_json(&self, request: &Request) -> Vec<u8> {
        to_json(&Answer {
            valid: self.is_valid(),
            code: self.code,
            detail: self.code.detail(),
            license: self.license.map(|license| Facts {
                plan: &license.plan,
                features: &license.features,
                expires_at: license.expires_at,
                grace: self.grace,
                warnings: &self.warnings,
                license_id: &license.id,
                product: &license.product,
                domain: request.domain.as_ref(),
                version: request.version.as_ref(),
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
}
