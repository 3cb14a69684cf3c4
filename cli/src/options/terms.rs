//! What a licence grants, as options.

use clap::Args;
use countersign::holder::{Matching, Per};
use countersign::license::{ExpiryBasis, ExpiryStrategy, Requirement};
use countersign::name::Label;
use countersign::period::Period;
use countersign::terms::{Allowance, Overage};
use countersign::version::Version;
use serde::Serialize;

use crate::error::CommandError;
use crate::options::body::seconds;

/// What a licence grants, or all that are issued from a policy.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Terms")]
pub(crate) struct Terms {
    /// The plan that is sold
    #[arg(long)]
    plan: Option<Label>,
    /// A feature it includes; repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<Label>,
    #[command(flatten)]
    versions: Versions,
    /// What a request must say of itself: `product`, `domain` or `version`; repeat for more
    #[arg(long = "require", value_name = "FIELD")]
    requires: Vec<Requirement>,
    /// How many domains it may have
    #[arg(long, value_name = "NUMBER")]
    max_domains: Option<u32>,
    /// What its time counts from: `issue`, `first-validation` or `first-activation`
    #[arg(long = "starts", value_name = "WHEN")]
    expiry_basis: Option<ExpiryBasis>,
    /// How long it is valid from then on: seconds, or a number with s, m, h or d
    #[arg(long = "duration", value_name = "DURATION", value_parser = seconds)]
    duration_seconds: Option<u32>,
    /// How long after expiry it stays valid, and says so
    #[arg(long = "grace", value_name = "DURATION", value_parser = seconds)]
    grace_seconds: Option<u32>,
    /// After expiry and grace: `restrict` (invalid), `maintain` (valid for versions released before expiry) or `allow` (valid, with a
    /// warning)
    #[arg(long, value_name = "STRATEGY")]
    expiry_strategy: Option<ExpiryStrategy>,
    #[command(flatten)]
    activation: Activation,
    /// Something that is used up: `credits=1000`, `credits=1000/month` (or day, week, year), `credits=1000/month,150%`; repeat for more
    #[arg(long = "allowance", value_name = "NAME=LIMIT", value_parser = allowance)]
    allowances: Vec<Allowance>,
}

#[derive(Debug, Args, Serialize)]
struct Versions {
    /// The first version it covers
    #[arg(long = "version-from", value_name = "VERSION")]
    from: Option<Version>,
    /// The first version it no longer covers
    #[arg(long = "version-below", value_name = "VERSION")]
    below: Option<Version>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
struct Activation {
    /// How many may run it at once: 1 to 1,000; any number if not given
    #[arg(long = "seats", value_name = "NUMBER")]
    #[serde(rename = "limit")]
    seats: Option<u32>,
    /// What takes a seat: `machine` (if nothing says otherwise), `domain` or `user`
    #[arg(long, value_name = "WHAT")]
    per: Option<Per>,
    /// How far the seats may be passed: `none`, a percentage such as `150%`, or `always`
    #[arg(long, value_name = "OVERAGE")]
    overage: Option<Overage>,
    /// How much of a fingerprint must be the same: `all`, `most`, `two` or `any` of its components
    #[arg(long = "match", value_name = "HOW")]
    #[serde(rename = "match")]
    matching: Option<Matching>,
    /// A seat is a lease of that length, which heartbeats renew; held until given back if not given
    #[arg(long = "lease", value_name = "DURATION", value_parser = seconds)]
    lease_seconds: Option<u32>,
    /// How long after its end a heartbeat still renews a lease whose seat is free
    #[arg(long = "revive", value_name = "DURATION", value_parser = seconds)]
    revive_seconds: Option<u32>,
}

impl Terms {
    /// Makes terms that stand by themselves of options: what takes a seat has a default, and what belongs to seats stands with them.
    pub(crate) fn complete(mut self) -> Result<Self, CommandError> {
        let activation = &mut self.activation;
        if activation.seats.is_some() {
            activation.per.get_or_insert(Per::Machine);
            return Ok(self);
        }
        let given = [
            ("--per", activation.per.is_some()),
            ("--overage", activation.overage.is_some()),
            ("--match", activation.matching.is_some()),
            ("--lease", activation.lease_seconds.is_some()),
            ("--revive", activation.revive_seconds.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => {
                Err(CommandError::Input(format!("{option} belongs to seats: say how many with --seats")))
            }
            None => Ok(self),
        }
    }
}

/// `NAME=LIMIT[/PERIOD][,OVERAGE]`
fn allowance(text: &str) -> Result<Allowance, String> {
    let (name, rest) = text.split_once('=').ok_or("not of the form NAME=LIMIT")?;
    let (rest, overage) = rest.split_once(',').unwrap_or((rest, "none"));
    let (limit, period) = rest.split_once('/').unwrap_or((rest, "total"));
    Ok(Allowance {
        name: Label::parse(name).map_err(|error| format!("the name {error}"))?,
        limit: limit.parse().map_err(|_| "the limit is not a whole number")?,
        period: Period::parse(period).map_err(|error| format!("the period {error}"))?,
        overage: Overage::parse(overage).map_err(|error| format!("the overage {error}"))?,
    })
}
