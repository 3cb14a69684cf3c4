//! A test case: a licence, and the steps of its vendor and its holders.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// The components of a fingerprint, or the one name of a domain or user.
pub(crate) type Names = BTreeSet<&'static str>;

/// The licence's id.
pub(crate) const ID: &str = "lic_00000000000000000000000000";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Machine,
    Domain,
    User,
}

/// The terms that seats and usage depend on.
#[derive(Clone, Debug)]
pub(crate) struct Licence {
    pub(crate) seats: Option<Seats>,
    /// The limit of the only allowance, `credits`.
    pub(crate) limit: u64,
    pub(crate) period: &'static str,
    pub(crate) overage: &'static str,
    pub(crate) basis: &'static str,
    pub(crate) duration: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Seats {
    pub(crate) per: Per,
    pub(crate) limit: u32,
    pub(crate) overage: &'static str,
    pub(crate) matching: &'static str,
    pub(crate) lease: Option<u32>,
    pub(crate) revive: u32,
    pub(crate) manage: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Activate(Option<Names>),
    Heartbeat(Option<Names>),
    Deactivate(Option<Names>),
    /// By the id of a seat that an earlier answer named.
    DeactivateById(usize),
    /// With whether the allowance must have something left.
    Validate(Option<Names>, bool),
    List(Option<Names>),
    Read(Option<Names>),
    Use(Option<Names>, Change, Option<&'static str>),
    /// The vendor changes the licence's status.
    SetStatus(&'static str),
    /// The clock moves by this many seconds, back if negative.
    Pass(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Consume(u64),
    Return(u64),
}

/// The part of an answer that the model predicts: all that depends on the licence's state.
pub(crate) fn predictable(status: u16, answer: &Value) -> Value {
    const FIELDS: [&str; 10] = [
        "valid",
        "code",
        "expiresAt",
        "warnings",
        "activation",
        "seats",
        "allowance",
        "applied",
        "replayed",
        "deactivated",
    ];
    let mut part: Map<String, Value> =
        FIELDS.into_iter().filter_map(|field| Some((field.into(), answer.get(field)?.clone()))).collect();
    if let Some(activation) = part.get_mut("activation") {
        activation.as_object_mut().unwrap().remove("id");
    }
    if let Some(allowance) = part.get_mut("allowance") {
        allowance.as_object_mut().unwrap().remove("name");
    }
    if let Some(activations) = answer.get("activations") {
        let seats = activations.as_array().unwrap().iter();
        part.insert("held".into(), seats.map(|seat| json!([seat["activatedAt"], seat["leaseEndsAt"]])).collect());
    }
    part.insert("status".into(), status.into());
    part.into()
}

impl Step {
    /// The verb, the body and the idempotency key of the step's request, if it has one.
    pub(crate) fn request(
        &self,
        key: &str,
        licence: &Licence,
        ids: &BTreeMap<Names, String>,
    ) -> Option<(&'static str, Value, Option<&'static str>)> {
        let mut body = json!({ "key": key });
        let per = licence.seats.as_ref().map_or(Per::Machine, |seats| seats.per);
        if let Some(names) = self.holder(licence) {
            match per {
                // The order of components must not matter, so it is not that of the activation.
                Per::Machine => body["fingerprint"] = names.iter().rev().copied().collect(),
                Per::Domain => body["domain"] = format!("{}.example.com", String::from_iter(names)).into(),
                Per::User => body["user"] = String::from_iter(names).into(),
            }
        }
        let mut idempotency_key = None;
        let verb = match self {
            Self::Activate(_) => "activate",
            Self::Heartbeat(_) => "heartbeat",
            Self::Deactivate(None) | Self::SetStatus(_) | Self::Pass(_) => return None,
            Self::Deactivate(_) => "deactivate",
            Self::DeactivateById(number) => {
                body["activation"] = ids.values().nth(number % ids.len().max(1))?.as_str().into();
                "deactivate"
            }
            Self::Validate(_, with_allowance) => {
                if *with_allowance {
                    body["allowance"] = "credits".into();
                }
                "validate"
            }
            Self::List(_) => "activations",
            Self::Read(_) => {
                body["allowance"] = "credits".into();
                "usage"
            }
            Self::Use(_, change, key) => {
                body["allowance"] = "credits".into();
                match change {
                    Change::Consume(amount) => body["consume"] = (*amount).into(),
                    Change::Return(amount) => body["return"] = (*amount).into(),
                }
                idempotency_key = *key;
                "usage"
            }
        };
        Some((verb, body, idempotency_key))
    }

    /// The names of the holder. A domain or a user has one.
    pub(crate) fn holder(&self, licence: &Licence) -> Option<Names> {
        let (Self::Activate(names)
        | Self::Heartbeat(names)
        | Self::Deactivate(names)
        | Self::List(names)
        | Self::Validate(names, _)
        | Self::Read(names)
        | Self::Use(names, ..)) = self
        else {
            return None;
        };
        let names = names.clone()?;
        let is_machine = licence.seats.as_ref().is_none_or(|seats| seats.per == Per::Machine);
        Some(if is_machine { names } else { names.into_iter().take(1).collect() })
    }
}

impl Licence {
    /// The record that the store has of the licence.
    pub(crate) fn record(&self, status: &str) -> Value {
        let mut record = json!({
            "format": 1, "generation": 1, "id": ID, "product": "acme", "status": status,
            "plan": "pro", "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [], "requires": [],
            "allowances": [{ "name": "credits", "limit": self.limit, "period": self.period, "overage": self.overage }],
        });
        if self.basis != "issue" {
            record["expiryBasis"] = self.basis.into();
            record["durationSeconds"] = self.duration.into();
        }
        if let Some(Seats { per, limit, overage, matching, lease, revive, manage }) = &self.seats {
            let per = ["machine", "domain", "user"][*per as usize];
            record["activation"] =
                json!({ "per": per, "limit": limit, "overage": overage, "match": matching, "reviveSeconds": revive });
            if let Some(lease) = lease {
                record["activation"]["leaseSeconds"] = (*lease).into();
            }
            if let Some(manage) = manage {
                record["activation"]["manage"] = (*manage).into();
            }
        }
        record
    }

    /// The most that may be used in a period, overage included.
    pub(crate) fn allowance_ceiling(&self) -> u64 {
        ceiling(self.limit, self.overage, u64::MAX)
    }
}

impl Seats {
    /// The most seats that may be taken, overage included.
    pub(crate) fn ceiling(&self) -> usize {
        ceiling(self.limit.into(), self.overage, 1_000) as usize
    }

    /// Whether holders list and release every seat, and not only their own.
    pub(crate) fn are_managed_by_all(&self) -> bool {
        self.manage.map_or(self.per != Per::User, |manage| manage == "all")
    }

    /// Whether the holder of a seat, by these names, is the one who sends a request with those.
    pub(crate) fn matches(&self, held: &Names, sent: &Names) -> bool {
        let alike = held.intersection(sent).count();
        match self.matching {
            "all" => sent.is_subset(held),
            "most" => alike * 2 > held.len(),
            "two" => alike >= 2 || alike == held.len(),
            _ => alike > 0,
        }
    }
}

/// A limit with its overage; never more than `most`.
fn ceiling(limit: u64, overage: &str, most: u64) -> u64 {
    match overage {
        "none" => limit,
        "150%" => limit * 3 / 2,
        _ => most,
    }
}
