//! Who holds a seat: a machine by its fingerprint, a domain, or a user.
//!
//! What a holder is called is never stored. A seat keeps 64 bits of a hash of each name, salted with the licence's id: enough to
//! tell the thousand seats of one licence apart (that any two of 5,000 names are alike has odds of 7 in 10¹³), and different on every
//! licence, so that nothing follows a machine from one to the next. It is no secret and no proof: whoever has the key may claim any name, with or without a hash.

use crate::{
    hash::{first_64_bits, sha256},
    id::{ActivationId, LicenseId},
    limits::MAX_COMPONENTS,
    name::{Identifier, NameError},
};
use alloc::{string::String, vec::Vec};

words! {
    /// What takes a seat.
    pub enum Per {
        /// A machine, by its fingerprint.
        Machine = "machine",
        /// A domain, as requests name it.
        Domain = "domain",
        /// A user, by an id that the vendor chooses.
        User = "user",
    }
}

words! {
    /// How much of a fingerprint of several components must be the same for it to be the same machine.
    pub enum Matching {
        /// Every component, and no other.
        All = "all",
        /// More than half of the components that the seat was taken with.
        Most = "most",
        /// Two of them, or the one there is.
        Two = "two",
        /// One of them.
        Any = "any",
    }
}

impl Default for Matching {
    /// The strict one.
    fn default() -> Self {
        Self::All
    }
}

/// What a machine calls itself: one opaque text, or several, one for each part that it recognises itself by. At most five.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(Vec<Identifier>);

/// Why texts are no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// One of them cannot be part of it.
    #[error("has an invalid component: it {0}")]
    Component(NameError),
    /// There is none, or there are more than five.
    #[error("must have 1 to {MAX_COMPONENTS} components")]
    Count,
    /// Two are the same.
    #[error("has the same component twice")]
    Twice,
}

impl Fingerprint {
    /// Takes the components as they are. Their order says nothing.
    pub fn parse(components: &[String]) -> Result<Self, FingerprintError> {
        if !(1..=MAX_COMPONENTS).contains(&components.len()) {
            return Err(FingerprintError::Count);
        }
        let parsed: Result<Vec<_>, _> = components.iter().map(|component| Identifier::parse(component)).collect();
        let parsed = parsed.map_err(FingerprintError::Component)?;
        let is_repeated = |(at, component)| parsed[..at].contains(component);
        if parsed.iter().enumerate().any(is_repeated) { Err(FingerprintError::Twice) } else { Ok(Self(parsed)) }
    }

    /// Who holds a seat with this fingerprint.
    pub fn holder(&self, license: &LicenseId) -> Holder {
        let mut holder = Holder { names: [0; MAX_COMPONENTS], count: self.0.len() as u8 };
        for (name, component) in holder.names.iter_mut().zip(&self.0) {
            *name = hash(license, component.as_str());
        }
        holder
    }
}

/// Who holds a seat of a licence, without any name.
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

    /// The holder with these hashes of names, 1 to 5.
    pub(crate) fn of(hashes: &[u64]) -> Option<Self> {
        let mut names = [0; MAX_COMPONENTS];
        names.get_mut(..hashes.len()).filter(|names| !names.is_empty())?.copy_from_slice(hashes);
        Some(Self { names, count: hashes.len() as u8 })
    }

    pub(crate) fn hashes(&self) -> &[u64] {
        &self.names[..usize::from(self.count)]
    }

    /// Whether somebody who comes as `other` is the one that took a seat as this.
    pub fn is(&self, other: &Self, matching: Matching) -> bool {
        let own = self.hashes();
        let alike = own.iter().filter(|hash| other.hashes().contains(hash)).count();
        match matching {
            Matching::All => alike == own.len() && alike == other.hashes().len(),
            Matching::Most => alike > own.len() / 2,
            Matching::Two => alike >= own.len().min(2),
            Matching::Any => alike >= 1,
        }
    }

    /// What the seat is called.
    pub fn activation_id(&self) -> ActivationId {
        // The same whatever the order of the components.
        ActivationId(self.hashes().iter().fold(0, |id, hash| id ^ hash))
    }
}

/// 64 bits of a hash of the licence's id and the name.
fn hash(license: &LicenseId, name: &str) -> u64 {
    first_64_bits(&sha256([license.as_str().as_bytes(), name.as_bytes()]))
}
