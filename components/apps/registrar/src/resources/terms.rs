//! The terms of a licence: what a policy is a template of, and a licence issued from it has resolved.
//!
//! Their JSON is that of the record ([`countersign::license`]), and `maxDomains`: how many domains the licence may have, which the registrar
//! alone heeds.

use countersign::field::FieldError;
use countersign::holder::{Matching, Per};
use countersign::license::{ExpiryBasis, ExpiryStrategy, License, Requirement};
use countersign::limits::{MAX_ALLOWANCES, MAX_DOMAINS, MAX_FEATURES};
use countersign::name::Label;
use countersign::terms::{Allowance, Overage, SeatPolicy};
use countersign::version::VersionRange;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::wire::answer;
use crate::wire::fields::Fields;

/// Terms, each within its bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    /// Every licence has one; a policy may leave it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Label>,
    pub(crate) features: Vec<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) versions: Option<VersionRange>,
    pub(crate) requires: Vec<Requirement>,
    pub(crate) expiry_basis: ExpiryBasis,
    /// From the beginning of its time to its end; 1 at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_seconds: Option<u32>,
    pub(crate) expiry_strategy: ExpiryStrategy,
    pub(crate) grace_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_domains: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) activation: Option<SeatPolicy>,
    pub(crate) allowances: Vec<Allowance>,
}

impl Terms {
    /// What they are called in JSON.
    const NAMES: [&str; 11] = [
        "plan",
        "features",
        "versions",
        "requires",
        "expiryBasis",
        "durationSeconds",
        "expiryStrategy",
        "graceSeconds",
        "maxDomains",
        "activation",
        "allowances",
    ];

    /// Reads those that are there; the others have the defaults of a record.
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let terms = Self {
            plan: fields.read("plan")?,
            features: fields.read("features")?.unwrap_or_default(),
            versions: fields.read("versions")?,
            requires: fields.read("requires")?.unwrap_or_default(),
            expiry_basis: fields.read("expiryBasis")?.unwrap_or_default(),
            duration_seconds: fields.read("durationSeconds")?,
            expiry_strategy: fields.read("expiryStrategy")?.unwrap_or_default(),
            grace_seconds: fields.read("graceSeconds")?.unwrap_or_default(),
            max_domains: fields.read("maxDomains")?,
            activation: fields.read("activation")?,
            allowances: fields.read("allowances")?.unwrap_or_default(),
        };
        terms.check_bounds()?;
        Ok(terms)
    }

    /// Takes those that are there as they stand, to be merged into others' JSON (RFC 7396): null takes a term away.
    pub(crate) fn take(fields: &mut Fields) -> Result<Map<String, Value>, FieldError> {
        let taken: Map<_, _> =
            Self::NAMES.iter().filter_map(|name| Some(((*name).to_owned(), fields.take(name)?))).collect();
        // What has no place beside any others has none at all, whatever it is merged into.
        let whole = Self {
            versions: Some(VersionRange { from: None, below: None }),
            activation: Some(SeatPolicy {
                per: Per::Machine,
                limit: 1,
                overage: Overage::None,
                matching: Matching::All,
                lease_seconds: Some(1),
                revive_seconds: 0,
            }),
            ..Self::default()
        };
        Self::merged(&whole, &taken)?;
        Ok(taken)
    }

    /// Those of `base`, with what was [`take`](Self::take)n merged into them.
    pub(crate) fn merged(base: &Self, taken: &Map<String, Value>) -> Result<Self, FieldError> {
        Self::read(&mut Fields::new(taken.clone()).merged_into(base.to_json()))
    }

    /// All of them as null: that there is none.
    pub(crate) fn none() -> Map<String, Value> {
        Self::NAMES.iter().map(|name| ((*name).to_owned(), Value::Null)).collect()
    }

    /// Those of a licence.
    pub(crate) fn of(record: &License, max_domains: Option<u32>) -> Self {
        Self {
            plan: Some(record.plan.clone()),
            features: record.features.clone(),
            versions: record.versions.clone(),
            requires: record.requires.clone(),
            expiry_basis: record.expiry_basis,
            duration_seconds: record.duration_seconds,
            expiry_strategy: record.expiry_strategy,
            grace_seconds: record.grace_seconds,
            max_domains,
            activation: record.seat_policy,
            allowances: record.allowances.clone(),
        }
    }

    /// Gives a licence these terms. Its plan stays where these leave it open; its dates stay.
    pub(crate) fn apply(&self, record: &mut License) {
        let terms = self.clone();
        if let Some(plan) = terms.plan {
            record.plan = plan;
        }
        record.features = terms.features;
        record.versions = terms.versions;
        record.requires = terms.requires;
        record.expiry_basis = terms.expiry_basis;
        // With a fixed end it is counted when that is fixed.
        record.duration_seconds = terms.duration_seconds.filter(|_| terms.expiry_basis != ExpiryBasis::Issue);
        record.expiry_strategy = terms.expiry_strategy;
        record.grace_seconds = terms.grace_seconds;
        record.seat_policy = terms.activation;
        record.allowances = terms.allowances;
    }

    /// As JSON, in the form in which they are read.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        answer::object(self)
    }

    /// That the time of a licence with these terms would have an end where it must have one, and a beginning.
    pub(crate) fn check_expiry(&self) -> Result<(), FieldError> {
        if self.expiry_basis != ExpiryBasis::Issue && self.duration_seconds.is_none() {
            return Err(FieldError::new("durationSeconds", "is needed where the time begins with the first use."));
        }
        if self.expiry_basis == ExpiryBasis::FirstActivation && self.activation.is_none() {
            return Err(FieldError::new("activation", "is needed where the time begins with the first activation."));
        }
        Ok(())
    }

    fn check_bounds(&self) -> Result<(), FieldError> {
        if self.features.len() > MAX_FEATURES {
            return Err(FieldError::new("features", "has more than 64 entries."));
        }
        let is_repeated = |(at, each): (usize, &Requirement)| self.requires[..at].contains(each);
        if self.requires.iter().enumerate().any(is_repeated) {
            return Err(FieldError::new("requires", "has an entry twice."));
        }
        if self.duration_seconds == Some(0) {
            return Err(FieldError::new("durationSeconds", "must be 1 at least."));
        }
        if self.max_domains.is_some_and(|most| !(1..=MAX_DOMAINS).contains(&(most as usize))) {
            return Err(FieldError::new("maxDomains", "must be 1 to 1,000."));
        }
        if self.activation.is_some_and(|activation| !activation.is_sound()) {
            let detail = "must have a limit from 1 to 1,000, a leaseSeconds above 0 if any, and reviveSeconds only with a lease.";
            return Err(FieldError::new("activation", detail));
        }
        let mut names: Vec<_> = self.allowances.iter().map(|allowance| &allowance.name).collect();
        names.sort_unstable();
        names.dedup();
        if self.allowances.len() > MAX_ALLOWANCES
            || names.len() < self.allowances.len()
            || !self.allowances.iter().all(Allowance::is_sound)
        {
            let detail = "must be 8 at most, each with a name of its own and a limit from 1 to 1,000,000,000,000.";
            return Err(FieldError::new("allowances", detail));
        }
        Ok(())
    }
}
