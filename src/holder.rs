//! The holder of a seat: a machine with a fingerprint, a domain, or a user.
//!
//! Holders' names are never stored. A seat stores 64 bits of a hash of each name, salted with the
//! licence's id. That is enough to tell apart the thousand seats of a licence: any two of 5,000
//! names collide with a probability of 7 in 10¹³. The hashes differ on every licence, so no machine
//! can be followed from one to another. They are neither secret nor proof: a program with the key
//! may claim any name.

use crate::{
    domain::Domain,
    hash::{first_64_bits, sha256},
    id::{ActivationId, LicenseId},
    limits::MAX_COMPONENTS,
    name::{Identifier, NameError},
};
use alloc::{string::String, vec::Vec};

words! {
    /// What a licence counts: each takes one seat.
    pub enum Per {
        /// A machine, by its fingerprint.
        Machine = "machine",
        /// A domain, as the request names it.
        Domain = "domain",
        /// A user, by an id that the vendor chooses.
        User = "user",
    }
}

words! {
    /// Which components of a request's fingerprint must be among those that a seat was taken with,
    /// for both to be the same machine.
    pub enum Matching {
        /// All that the request sends. It need not send all that the seat was taken with.
        All = "all",
        /// More than half of the components that the seat was taken with.
        Most = "most",
        /// Two, or one if the seat was taken with only one.
        Two = "two",
        /// One.
        Any = "any",
    }
}

impl Default for Matching {
    /// The strict one.
    fn default() -> Self {
        Self::All
    }
}

/// A machine's fingerprint: one to five opaque texts, such as one for each of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<Identifier>);

/// Why texts are not a valid [`Fingerprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The one at this place, counted from 0, is not a valid component.
    #[error("has an invalid component: it {1}")]
    Component(usize, NameError),
    /// There are no texts, or more than five.
    #[error("must have 1 to {MAX_COMPONENTS} components")]
    Count,
    /// Two are equal.
    #[error("has the same component twice")]
    Twice,
}

impl Fingerprint {
    /// Takes the components as they are. Their order does not matter.
    ///
    /// # Errors
    ///
    /// [`FingerprintError`] if there are not 1 to 5 components, two are equal, or one is invalid.
    pub fn parse(components: &[String]) -> Result<Self, FingerprintError> {
        Self::read(components, Identifier::parse)
    }

    /// As [`parse`](Self::parse), without what programs leave at a component's ends, such as a line
    /// end.
    ///
    /// # Errors
    ///
    /// Those of [`parse`](Self::parse).
    pub fn parse_trimmed(components: &[String]) -> Result<Self, FingerprintError> {
        Self::read(components, Identifier::parse_trimmed)
    }

    fn read(components: &[String], parse: fn(&str) -> Result<Identifier, NameError>) -> Result<Self, FingerprintError> {
        if !(1..=MAX_COMPONENTS).contains(&components.len()) {
            return Err(FingerprintError::Count);
        }
        let component = |(at, component): (usize, &String)| {
            parse(component).map_err(|error| FingerprintError::Component(at, error))
        };
        let parsed: Vec<_> = components.iter().enumerate().map(component).collect::<Result<_, _>>()?;
        let is_repeated = |(at, component)| parsed[..at].contains(component);
        if parsed.iter().enumerate().any(is_repeated) { Err(FingerprintError::Twice) } else { Ok(Self(parsed)) }
    }

    pub(crate) fn components(&self) -> &[Identifier] {
        &self.0
    }

    /// The holder with this fingerprint.
    pub fn holder(&self, license: &LicenseId) -> Holder {
        let mut holder = Holder { names: [0; MAX_COMPONENTS], count: self.0.len() as u8 };
        for (name, component) in holder.names.iter_mut().zip(&self.0) {
            *name = hash(license, component.as_str());
        }
        holder
    }
}

/// The holder of a licence's seat, as hashes of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The first `count` are hashes; the others are zero.
    names: [u64; MAX_COMPONENTS],
    count: u8,
}

impl Holder {
    /// The holder with this one name.
    pub fn named(license: &LicenseId, name: &str) -> Self {
        Self::of(&[hash(license, name)]).unwrap_or_else(|| unreachable!("one name is no more than five"))
    }

    /// The holder with the names of this domain's site.
    pub(crate) fn site(license: &LicenseId, domain: &Domain) -> Self {
        let (bare, www) = domain.names_of_site();
        let mut holder = Self::named(license, &bare);
        if let Some(www) = www {
            holder.names[1] = hash(license, &www);
            holder.count = 2;
        }
        holder
    }

    /// The holder with these hashes of names. `None` if there are not 1 to 5.
    pub(crate) fn of(hashes: &[u64]) -> Option<Self> {
        let mut names = [0; MAX_COMPONENTS];
        names.get_mut(..hashes.len()).filter(|names| !names.is_empty())?.copy_from_slice(hashes);
        Some(Self { names, count: hashes.len() as u8 })
    }

    pub(crate) fn hashes(&self) -> &[u64] {
        &self.names[..usize::from(self.count)]
    }

    /// Whether `other`, who sends a request, is the holder that took a seat as `self`.
    pub fn is(&self, other: &Self, matching: Matching) -> bool {
        let own = self.hashes();
        let alike = other.hashes().iter().filter(|hash| own.contains(hash)).count();
        match matching {
            Matching::All => alike == other.hashes().len(),
            Matching::Most => alike > own.len() / 2,
            Matching::Two => alike >= own.len().min(2),
            Matching::Any => alike >= 1,
        }
    }

    /// Whether one name of both is equal.
    pub fn shares_a_name_with(&self, other: &Self) -> bool {
        self.is(other, Matching::Any)
    }

    /// The id of the holder's seat.
    pub fn activation_id(&self) -> ActivationId {
        // Exclusive or, so that the order of the components does not matter.
        ActivationId(self.hashes().iter().fold(0, |id, hash| id ^ hash))
    }
}

/// 64 bits of a hash of the licence's id and the name.
fn hash(license: &LicenseId, name: &str) -> u64 {
    first_64_bits(&sha256([license.as_str().as_bytes(), name.as_bytes()]))
}
