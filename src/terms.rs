//! What a licence says about its seats and its allowances.

use crate::{
    holder::{Matching, Per},
    limits::{MAX_ALLOWED, MAX_COUNTED, MAX_SEATS},
    name::Label,
    period::Period,
    text::present,
};
use core::fmt;
use serde::{Deserialize, Serialize};

/// How many may run the software at once, and who counts.
///
/// Without a lease a seat is held until it is given back (a *node-locked* licence); with one it ends by time unless heartbeats renew it
/// (a *floating* licence).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SeatPolicy {
    /// What takes a seat.
    pub per: Per,
    /// Seats: 1 to 1,000.
    pub limit: u32,
    /// How far the limit may be passed.
    #[serde(default)]
    pub overage: Overage,
    /// When a fingerprint is that of a seat. Domains and users have one name each, so it says nothing about them.
    #[serde(default, rename = "match")]
    pub matching: Matching,
    /// How long a lease is, in seconds from 1 on.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<u32>,
    /// How long after its end a lease can still be renewed if no other has taken its seat, in seconds.
    #[serde(default)]
    pub revive_seconds: u32,
}

/// Something that is used up: so many exports, credits or calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Allowance {
    /// What it is called.
    pub name: Label,
    /// How much of it there is in each period: 1 to 1,000,000,000,000.
    pub limit: u64,
    /// When it begins anew.
    #[serde(default)]
    pub period: Period,
    /// How far the limit may be passed.
    #[serde(default)]
    pub overage: Overage,
}

impl SeatPolicy {
    /// Whether the numbers are within their bounds, and fields that belong to leases stand with one.
    pub fn is_sound(&self) -> bool {
        (1..=MAX_SEATS as u32).contains(&self.limit)
            && self.lease_seconds != Some(0)
            && (self.lease_seconds.is_some() || self.revive_seconds == 0)
    }

    /// Seats that can be taken, overage included.
    pub fn ceiling(&self) -> usize {
        self.overage.ceiling(self.limit.into(), MAX_SEATS as u64) as usize
    }
}

impl Allowance {
    /// Whether the numbers are within their bounds.
    pub fn is_sound(&self) -> bool {
        (1..=MAX_ALLOWED).contains(&self.limit)
    }

    /// How much can be consumed in one period, overage included.
    pub fn ceiling(&self) -> u64 {
        self.overage.ceiling(self.limit, MAX_COUNTED)
    }
}

/// How far a limit may be passed. Whatever lies over the limit is warned of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overage {
    /// Not at all: `none`.
    #[default]
    None,
    /// Up to so many hundredths of the limit, rounded down: `150%`. 101 to 1,000.
    Percent(u16),
    /// As far as can be counted: `always`. For seats that is up to 1,000.
    Always,
}

/// The text is no overage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be none, always, or a percentage from 101% to 1000%")]
pub struct OverageError;

impl Overage {
    /// Reads `none`, `always`, or a whole percentage of the limit, such as `150%`.
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
