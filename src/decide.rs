//! The decision: one licence, one request, one moment.

use crate::{
    record::{ExpiryStrategy, License, Requirement, Status},
    request::Request,
    time::Timestamp,
    verdict::{Code, Verdict, Warning},
};
use alloc::{vec, vec::Vec};

/// The verdict on a request, given what was found under the hash of its key.
pub fn judge<'a>(found: Option<&'a License>, request: &Request, now: Timestamp) -> Verdict<'a> {
    match (&request.key, found) {
        (None, _) => Verdict::MALFORMED_KEY,
        (Some(_), None) => Verdict::NOT_FOUND,
        (Some(_), Some(license)) => decide(license, request, now),
    }
}

/// Weighs a request against the licence that its key names, at the moment `now`.
pub fn decide<'a>(license: &'a License, request: &Request, now: Timestamp) -> Verdict<'a> {
    let code = reasons(license, request, now).next().unwrap_or(Code::Valid);
    let term = if code == Code::Valid { Term::of(license, request, now) } else { Term::Running };
    let warnings = match term {
        Term::Allowed => vec![Warning::ExpiredAllowed],
        Term::Maintained => vec![Warning::ExpiredMaintained],
        _ => Vec::new(),
    };
    Verdict { code, license: Some(license), grace: term == Term::Grace, warnings }
}

/// Every reason to refuse that holds, in the order that decides: of several, the first is reported.
///
/// A field that the request does not send is no reason, unless the licence requires it.
pub fn reasons(license: &License, request: &Request, now: Timestamp) -> impl Iterator<Item = Code> {
    let requires = |field| license.requires.contains(&field);
    let term = Term::of(license, request, now);

    let is_early = license.not_before.is_some_and(|not_before| now < not_before);
    let is_other_product = match &request.product {
        Some(product) => *product != license.product,
        None => requires(Requirement::Product),
    };
    let lacks_domain = request.domain.is_none() && (!license.domains.is_empty() || requires(Requirement::Domain));
    let is_elsewhere = request
        .domain
        .as_ref()
        .is_some_and(|domain| !license.domains.is_empty() && !license.domains.iter().any(|entry| entry.covers(domain)));
    let is_other_version = match &request.version {
        Some(version) => license.versions.as_ref().is_some_and(|versions| !versions.covers(version)),
        None => requires(Requirement::Version),
    };
    let lacks_feature = !request.features.iter().all(|feature| license.features.contains(feature));

    [
        (Code::Revoked, license.status == Status::Revoked),
        (Code::Suspended, license.status == Status::Suspended),
        (Code::NotYetValid, is_early),
        (Code::Expired, term == Term::Over),
        (Code::ProductMismatch, is_other_product),
        (Code::DomainRequired, lacks_domain),
        (Code::DomainMismatch, is_elsewhere),
        (Code::VersionNotCovered, is_other_version || term == Term::ReleasedLater),
        (Code::FeatureMissing, lacks_feature),
    ]
    .into_iter()
    .filter_map(|(code, holds)| holds.then_some(code))
}

/// Where a moment lies in a licence's life, as its expiry strategy has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Term {
    /// Before expiry.
    Running,
    /// In the grace period after it.
    Grace,
    /// Past it, and allowed.
    Allowed,
    /// Past it, with a version released before it.
    Maintained,
    /// Past it, with a version released after it, which a maintained licence does not cover.
    ReleasedLater,
    /// Past it.
    Over,
}

impl Term {
    fn of(license: &License, request: &Request, now: Timestamp) -> Self {
        let Some(expires_at) = license.expires_at else { return Self::Running };
        if now < expires_at {
            return Self::Running;
        }
        if now < expires_at.plus_seconds(license.grace_seconds) {
            return Self::Grace;
        }
        match (license.expiry_strategy, request.released_at) {
            (ExpiryStrategy::Allow, _) => Self::Allowed,
            (ExpiryStrategy::Maintain, Some(released_at)) if released_at < expires_at => Self::Maintained,
            (ExpiryStrategy::Maintain, Some(_)) => Self::ReleasedLater,
            (ExpiryStrategy::Maintain, None) | (ExpiryStrategy::Restrict, _) => Self::Over,
        }
    }
}
