//! A licence's terms about seats and allowances.

use crate::{
    domain::Domain,
    holder::{Holder, Matching, Per},
    id::LicenseId,
    limits::{MAX_ALLOWED, MAX_COUNTED, MAX_SEATS},
    name::Label,
    period::{Beginning, Period},
    text::present,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// The rule on seats: how many may run the program at once, and what is counted.
///
/// Without a lease, a seat is held until it is released (a *node-locked* licence). With one, the
/// seat ends with its lease unless heartbeats renew it (a *floating* licence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SeatPolicy {
    /// What takes a seat.
    pub per: Per,
    /// How many seats there are: 1 to 1,000.
    pub limit: u32,
    /// How far the limit may be exceeded.
    #[serde(default)]
    pub overage: Overage,
    /// When a fingerprint matches that of a seat. It does not apply to domains and users, which
    /// have one name each.
    #[serde(default, rename = "match")]
    pub matching: Matching,
    /// The length of a lease in seconds, at least 1; without it, seats have no lease.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// For how many seconds after its end a lease can be renewed if a seat is free.
    #[serde(default)]
    pub revive_seconds: u32,
    /// Whether requests must name their holder. If not, one that names none is answered as if the
    /// licence did not count seats. A seat is never taken without a holder.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub strict: bool,
    /// Whether `www.example.com` and `example.com` take one seat: names that differ by a leading
    /// `www.` alone. It applies to domains only.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub ignore_www: bool,
    /// Which seats a holder may list and release. Records that are older than this field do not
    /// have it: [`SeatPolicy::managed`] says what applies to them.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub manage: Option<Manage>,
}

const fn yes() -> bool {
    true
}

const fn is_yes(truth: &bool) -> bool {
    *truth
}

words! {
    /// Which seats of a licence a holder may list and release.
    pub enum Manage {
        /// The one that it names by its own fingerprint, domain or user. The vendor releases
        /// others.
        Own = "own",
        /// All, also by their ids.
        All = "all",
    }
}

/// Something that is consumed, such as exports, credits or calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Allowance {
    /// Its name.
    pub name: Label,
    /// How much can be used in each period: 1 to 1,000,000,000,000.
    pub limit: u64,
    /// When it is reset.
    #[serde(default)]
    pub period: Period,
    /// Where the periods begin, if not where that says.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub begins: Option<Beginning>,
    /// How far the limit may be exceeded.
    #[serde(default)]
    pub overage: Overage,
    /// Who may return what was used. Records that are older than this field do not have it: their
    /// holders may.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
}

words! {
    /// Who may return what was used of an allowance. The vendor always may.
    pub enum Returns {
        /// Only the vendor: a meter that its holder turns back measures nothing.
        Vendor = "vendor",
        /// Holders too.
        Holder = "holder",
    }
}

impl SeatPolicy {
    /// Whether the numbers are within their bounds, and `revive_seconds` is 0 without a lease.
    pub fn is_sound(&self) -> bool {
        (1..=MAX_SEATS as u32).contains(&self.limit)
            && self.lease_seconds != Some(0)
            && (self.lease_seconds.is_some() || self.revive_seconds == 0)
    }

    /// Which seats a holder may list and release. If that is not said: its own if users share the
    /// licence, and all if machines or domains do, which are usually of one holder.
    pub fn managed(&self) -> Manage {
        self.manage.unwrap_or(if self.per == Per::User { Manage::Own } else { Manage::All })
    }

    /// When two holders are the same. A domain has one name, or those of its site, of which one is
    /// enough.
    pub fn sameness(&self) -> Matching {
        if self.per == Per::Domain { Matching::Any } else { self.matching }
    }

    /// The holder that a domain is.
    pub fn holder_of_domain(&self, license: &LicenseId, domain: &Domain) -> Holder {
        if self.ignore_www { Holder::site(license, domain) } else { Holder::named(license, domain.as_str()) }
    }

    /// How many seats can be taken, with overage.
    pub fn ceiling(&self) -> usize {
        self.overage.ceiling(self.limit.into(), MAX_SEATS as u64) as usize
    }
}

impl Allowance {
    /// Whether the numbers are within their bounds, and such periods can begin where they should.
    pub fn is_sound(&self) -> bool {
        (1..=MAX_ALLOWED).contains(&self.limit) && self.period.can_begin(self.begins)
    }

    /// Whether holders may return what was used.
    pub fn is_returned_by_holders(&self) -> bool {
        self.returns != Some(Returns::Vendor)
    }

    /// How much can be consumed in one period, with overage.
    pub fn ceiling(&self) -> u64 {
        self.overage.ceiling(self.limit, MAX_COUNTED)
    }
}

/// How far a limit may be exceeded. Answers over the limit have a warning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overage {
    /// Not at all: `none`.
    #[default]
    None,
    /// Up to this percentage of the limit, rounded down: `150%`. From 101 to 1,000.
    Percent(u16),
    /// Up to what can be counted: `always`. For seats that is 1,000.
    Always,
}

/// The text is not a valid [`Overage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be none, always, or a percentage from 101% to 1000%")]
pub struct OverageError;

impl Overage {
    /// Reads `none`, `always`, or a whole percentage of the limit, such as `150%`.
    ///
    /// # Errors
    ///
    /// [`OverageError`] for any other text, or a percentage that is not from 101 to 1,000.
    pub fn parse(text: &str) -> Result<Self, OverageError> {
        match text {
            "none" => Ok(Self::None),
            "always" => Ok(Self::Always),
            _ => {
                let digits = text.strip_suffix('%').ok_or(OverageError)?;
                let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
                let percent = digits.parse().ok().filter(|percent| is_number && (101..=1_000).contains(percent));
                percent.map(Self::Percent).ok_or(OverageError)
            }
        }
    }

    fn ceiling(self, limit: u64, most: u64) -> u64 {
        match self {
            Self::None => limit,
            Self::Percent(percent) => (limit * u64::from(percent) / 100).min(most),
            Self::Always => most,
        }
    }
}

impl fmt::Display for Overage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Always => f.write_str("always"),
        }
    }
}

text_form!(Overage, OverageError);
