//! The terms of a licence or a policy, as options.

use clap::Args;
use countersign::domain::UncountedName;
use countersign::holder::{Matching, Per};
use countersign::license::{ExpiryBasis, ExpiryStrategy, Requirement};
use countersign::name::{Identifier, Label};
use countersign::period::{Beginning, Period};
use countersign::span::Span;
use countersign::terms::{Allowance, Manage, Overage, Returns};
use countersign::version::Version;
use serde::Serialize;

use super::values::{number, seconds};
use crate::error::CommandError;

/// The terms of a licence, or of all licences that are issued from a policy.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
#[command(next_help_heading = "Terms")]
pub(crate) struct Terms {
    /// The plan, such as `pro`
    #[arg(long)]
    plan: Option<Label>,
    /// A feature that the licence includes; repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<Label>,
    #[command(flatten)]
    versions: Versions,
    /// A user who may use the licence, by your own id; repeat for more [default: anyone]
    #[arg(long = "user", value_name = "ID")]
    users: Vec<Identifier>,
    /// Names that take no seat where seats are per domain: `localhost`, `*.test`, `staging.*`;
    /// repeat for more
    #[arg(long = "uncounted-domain", value_name = "NAME")]
    uncounted_domains: Vec<UncountedName>,
    /// A field that every request must send: `product`, `domain` or `version`; repeat for more
    #[arg(long = "require", value_name = "FIELD")]
    requires: Vec<Requirement>,
    /// How many domains the licence may have
    #[arg(long, value_name = "NUMBER", value_parser = number::<u32>)]
    max_domains: Option<u32>,
    /// When the duration begins: `issue` (default), `first-validation` or `first-activation`
    #[arg(long = "starts", value_name = "WHEN")]
    expiry_basis: Option<ExpiryBasis>,
    /// How long the licence is valid: `12h`, `30d`; on the calendar `1mo`, `1y`; or by ISO 8601,
    /// such as `P1Y6M`
    #[arg(long, value_name = "DURATION", value_parser = Span::parse)]
    duration: Option<Span>,
    /// How long after expiry the licence stays valid, flagged as in grace
    #[arg(long = "grace", value_name = "DURATION", value_parser = seconds)]
    grace_seconds: Option<u32>,
    /// After expiry and grace: `restrict` (invalid), `maintain` (valid for versions released before
    /// expiry), `maintain-undated` (and for programs that do not say when they were released) or
    /// `allow` (valid, with a warning)
    #[arg(long, value_name = "STRATEGY")]
    expiry_strategy: Option<ExpiryStrategy>,
    #[command(flatten)]
    activation: Seats,
    /// A consumable: `credits=1000` in total, `credits=1000/month` (or day, week, year) on the
    /// calendar, `credits=1000/3mo` (or 30d, 1y) from the licence's start; `,begins=license` or
    /// `,begins=15` for another day; with overage `,150%`; `,returns=holder` lets holders return
    /// what they used; repeat for more
    #[arg(long = "allowance", value_name = "NAME=LIMIT", value_parser = allowance)]
    allowances: Vec<Allowance>,
}

#[derive(Debug, Args, Serialize)]
struct Versions {
    /// The first version that the licence covers
    #[arg(long = "version-from", value_name = "VERSION")]
    from: Option<Version>,
    /// The first version that the licence no longer covers
    #[arg(long = "version-below", value_name = "VERSION")]
    below: Option<Version>,
}

/// The rule on seats, which the API calls `activation`.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seats {
    /// How many seats the licence has, 1 to 1000 [default: no limit, and no seats to take]
    #[arg(long = "seats", value_name = "NUMBER", value_parser = number::<u32>)]
    limit: Option<u32>,
    /// What takes a seat: `machine` (default), `domain` or `user`
    #[arg(long, value_name = "WHAT")]
    per: Option<Per>,
    /// How far seats may exceed the limit: `none` (default), a percentage of it such as `150%`, or
    /// `always`
    #[arg(long, value_name = "OVERAGE")]
    overage: Option<Overage>,
    /// How many components of a machine's fingerprint must match: `all` (default), `most`, `two` or
    /// `any`
    #[arg(long = "match", value_name = "HOW")]
    #[serde(rename = "match")]
    matching: Option<Matching>,
    /// How long a seat lasts without a heartbeat [default: until it is released]
    #[arg(long = "lease", value_name = "DURATION", value_parser = seconds)]
    lease_seconds: Option<u32>,
    /// How long after its lease ended a heartbeat can still recover a free seat
    #[arg(long = "revive", value_name = "DURATION", value_parser = seconds)]
    revive_seconds: Option<u32>,
    /// Whether requests must name their holder: `true` (default), or `false` to answer those that
    /// do not without a check of seats
    #[arg(long, value_name = "BOOL")]
    strict: Option<bool>,
    /// Whether `www.example.com` and `example.com` take one seat: `true` or `false` (default)
    #[arg(long, value_name = "BOOL")]
    ignore_www: Option<bool>,
    /// Which seats a holder may list and release: its `own` (default) or `all`
    #[arg(long, value_name = "SEATS")]
    manage: Option<Manage>,
}

impl Terms {
    /// Completes the terms of something new: seats are per machine by default, and options about
    /// seats need `--seats`. A change is merged into existing terms, so it needs neither.
    pub(crate) fn complete(mut self) -> Result<Self, CommandError> {
        let seats = &mut self.activation;
        if seats.limit.is_some() {
            seats.per.get_or_insert(Per::Machine);
            return Ok(self);
        }
        let given = [
            ("--per", seats.per.is_some()),
            ("--overage", seats.overage.is_some()),
            ("--match", seats.matching.is_some()),
            ("--lease", seats.lease_seconds.is_some()),
            ("--revive", seats.revive_seconds.is_some()),
            ("--strict", seats.strict.is_some()),
            ("--ignore-www", seats.ignore_www.is_some()),
            ("--manage", seats.manage.is_some()),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(CommandError::Input(format!("{option} requires --seats NUMBER"))),
            None => Ok(self),
        }
    }
}

/// `NAME=LIMIT[/PERIOD][,OVERAGE][,begins=WHEN][,returns=WHO]`
fn allowance(text: &str) -> Result<Allowance, String> {
    let (name, rest) = text.split_once('=').ok_or("must be NAME=LIMIT, such as credits=1000/month")?;
    let mut parts = rest.split(',');
    let amount = parts.next().unwrap_or_default();
    let (limit, period) = amount.split_once('/').unwrap_or((amount, "total"));
    let mut allowance = Allowance {
        name: Label::parse(name).map_err(|error| format!("the name {error}"))?,
        limit: limit.parse().map_err(|_| "the limit must be a whole number")?,
        period: Period::parse(period).map_err(|error| format!("the period {error}"))?,
        begins: None,
        overage: Overage::None,
        returns: None,
    };
    for part in parts {
        match part.split_once('=') {
            Some(("begins", when)) => {
                allowance.begins = Some(Beginning::parse(when).map_err(|error| format!("`begins` {error}"))?);
            }
            Some(("returns", who)) => {
                allowance.returns = Some(Returns::parse(who).map_err(|error| format!("`returns` {error}"))?);
            }
            _ => allowance.overage = Overage::parse(part).map_err(|error| format!("the overage {error}"))?,
        }
    }
    if !allowance.period.can_begin(allowance.begins) {
        return Err("`begins` needs a period, and a day of the month one of months or years".into());
    }
    Ok(allowance)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;
    use serde_json::Value;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        terms: Terms,
    }

    fn names(object: &Value) -> BTreeSet<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_term_of_the_api_has_an_option() {
        let options = "test --plan a --feature a --version-from 1 --version-below 2 --user u --uncounted-domain staging.* --require domain --max-domains 1 \
                       --starts issue --duration 1d --grace 1d --expiry-strategy allow --seats 1 --per user \
                       --overage none --match all --lease 1h --revive 1h --strict false --ignore-www true --manage all --allowance a=1/1mo,always,begins=31,returns=holder";
        let given = serde_json::to_value(Options::parse_from(options.split(' ')).terms).unwrap();
        let api: Value = serde_json::from_str(include_str!("../../../openapi.json")).unwrap();
        let schemas = &api["components"]["schemas"];
        // The API has `durationSeconds` too, and reads `duration` as that where it can.
        let mut terms = names(&schemas["Terms"]["properties"]);
        assert!(terms.remove("durationSeconds"));
        assert_eq!(names(&given), terms);
        for (schema, given) in [
            ("Versions", &given["versions"]),
            ("Activation", &given["activation"]),
            ("Allowance", &given["allowances"][0]),
        ] {
            assert_eq!(names(given), names(&schemas[schema]["properties"]), "{schema}");
        }
    }

    #[test]
    fn options_on_seats_need_the_number_of_seats() {
        let terms = |options: &str| Options::parse_from(options.split(' ')).terms.complete();
        assert!(terms("test --per user").is_err());
        assert_eq!(terms("test --seats 2").unwrap().activation.per, Some(Per::Machine));
        assert!(terms("test --plan pro").is_ok());
    }
}
