use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use countersign::domain::DomainRule;
use countersign::holder::{Matching, Per};
use countersign::key::{self, Key, Prefix};
use countersign::name::{Label, Product};
use countersign::period::Period;
use countersign::policy::{Activation, Allowance, Overage};
use countersign::record::{ExpiryBasis, ExpiryStrategy, Format, License, LicenseId, Requirement, Status};
use countersign::state::State;
use countersign::time::Timestamp;
use countersign::version::{Version, VersionRange};
use countersign_host::registry::Registry;
use serde::Serialize;

use super::{CommandError, Common, given_or_stdin, now, print};

/// Issue a licence and print its key, which is stored nowhere
#[derive(Debug, Args)]
pub(super) struct Issue {
    #[command(flatten)]
    common: Common,
    /// What is licensed: 1 to 64 characters from a-z, 0-9 and -
    #[arg(long)]
    product: Product,
    /// The plan that was sold
    #[arg(long)]
    plan: Label,
    /// A domain it covers with all below it, or `*.example.com` for those below alone; repeat for more, none covers all
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = registrable)]
    domains: Vec<DomainRule>,
    /// A feature it includes; repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<Label>,
    /// Valid from then on: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    not_before: Option<Timestamp>,
    /// Valid until then: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expires: Option<Timestamp>,
    /// How long after expiry it stays valid, and says so: seconds, or a number with s, m, h or d
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = seconds)]
    grace: u32,
    /// After expiry and grace: `restrict` (invalid), `maintain` (valid for versions released before expiry) or `allow` (valid, with a
    /// warning)
    #[arg(long, value_name = "STRATEGY", default_value = "restrict")]
    expiry_strategy: ExpiryStrategy,
    /// The first version it covers
    #[arg(long, value_name = "VERSION")]
    version_from: Option<Version>,
    /// The first version it no longer covers
    #[arg(long, value_name = "VERSION")]
    version_below: Option<Version>,
    /// What a request must say of itself: `product`, `domain` or `version`; repeat for more
    #[arg(long = "require", value_name = "FIELD")]
    requires: Vec<Requirement>,
    /// How many may run it at once: 1 to 1,000; any number if not given
    #[arg(long, value_name = "NUMBER")]
    seats: Option<u32>,
    /// What takes a seat: `machine`, `domain` or `user`
    #[arg(long, value_name = "WHAT", default_value = "machine", requires = "seats")]
    per: Per,
    /// How far the seats may be passed: `none`, a percentage such as `150%`, or `always`
    #[arg(long, value_name = "OVERAGE", default_value = "none", requires = "seats")]
    overage: Overage,
    /// How much of a fingerprint must be the same: `all`, `most`, `two` or `any` of its components
    #[arg(long = "match", value_name = "HOW", default_value = "all", requires = "seats")]
    matching: Matching,
    /// A seat is a lease of that length, which heartbeats renew; held until given back if not given
    #[arg(long, value_name = "DURATION", value_parser = seconds, requires = "seats")]
    lease: Option<u32>,
    /// How long after its end a heartbeat still renews a lease whose seat is free
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = seconds, requires = "lease")]
    revive: u32,
    /// Something that is used up: `credits=1000`, `credits=1000/month` (or day, week, year), `credits=1000/month,150%`; repeat for more
    #[arg(long = "allowance", value_name = "NAME=LIMIT", value_parser = allowance)]
    allowances: Vec<Allowance>,
    /// What its time counts from: `issue`, `first-validation` or `first-activation`
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "issue",
        requires_if("first-validation", "duration"),
        requires_if("first-activation", "duration")
    )]
    starts: ExpiryBasis,
    /// How long it is valid once its time has begun
    #[arg(long, value_name = "DURATION", value_parser = seconds, conflicts_with = "expires")]
    duration: Option<u32>,
    /// What the key begins with: 2 to 8 characters from A-Z and 0-9, a letter first [default: the product's]
    #[arg(long)]
    prefix: Option<Prefix>,
    /// Take this key, issued elsewhere, instead of making one; how hard it is to guess is then not ours to say
    #[arg(long, value_name = "KEY", conflicts_with = "prefix")]
    key: Option<String>,
}

/// The record, and the key that is not in it.
#[derive(Serialize)]
struct Issued<'a> {
    key: &'a str,
    #[serde(flatten)]
    license: &'a License,
}

impl Issue {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let (key, hash, hint) = match self.key {
            Some(given) => {
                let given = given_or_stdin(given)?;
                let hash = key::read(&given).map_err(|error| CommandError::Input(format!("the key {error}")))?;
                let hint = key::hint(&given);
                (given, hash, hint)
            }
            None => {
                let prefix = self.prefix.unwrap_or_else(|| Prefix::of_product(&self.product));
                let key = Key::generate(&prefix, random()?);
                (key.to_string(), key.hash(), Some(key.hint()))
            }
        };
        let license = License {
            format: Format,
            generation: 1,
            id: LicenseId::generate(random()?),
            product: self.product,
            status: Status::Active,
            hint,
            plan: self.plan,
            issued_at: now(),
            not_before: self.not_before,
            expires_at: self.expires,
            expiry_strategy: self.expiry_strategy,
            grace_seconds: self.grace,
            features: self.features,
            domains: self.domains,
            versions: (self.version_from.is_some() || self.version_below.is_some())
                .then_some(VersionRange { from: self.version_from, below: self.version_below }),
            requires: self.requires,
            expiry_basis: self.starts,
            duration_seconds: self.duration,
            activation: self.seats.map(|limit| Activation {
                per: self.per,
                limit,
                overage: self.overage,
                matching: self.matching,
                lease_seconds: self.lease,
                revive_seconds: self.revive,
            }),
            allowances: self.allowances,
        };
        if self.duration.is_some() && self.starts == ExpiryBasis::Issue {
            let detail = "--duration needs --starts first-validation or first-activation; a fixed end is --expires";
            return Err(CommandError::Input(detail.into()));
        }
        if self.starts == ExpiryBasis::FirstActivation && self.seats.is_none() {
            return Err(CommandError::Input("--starts first-activation needs --seats".into()));
        }
        license.check().map_err(|error| CommandError::Input(error.to_string()))?;
        Registry::create(&self.common.data)?.issue(&hash, &license)?;
        if self.common.json {
            let issued = serde_json::to_vec(&Issued { key: &key, license: &license });
            print::json(&issued.context("the licence has no JSON form")?)?;
        } else {
            writeln!(io::stdout(), "{key}\n\nThis key is shown once and stored nowhere: keep it.\n")?;
            print::license(&license, &State::default())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn registrable(text: &str) -> Result<DomainRule, countersign::domain::DomainError> {
    let rule = DomainRule::parse(text)?;
    rule.check_registrable()?;
    Ok(rule)
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

fn seconds(text: &str) -> Result<u32, &'static str> {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 1,
    };
    number
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or("not a duration such as 90, 12h or 7d")
}

fn random() -> anyhow::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}
