//! What is known about a request while it is answered.

use std::time::Duration;

use countersign::id::LicenseId;
use countersign::key::Hint;
use countersign::license::License;
use countersign::name::Product;
use countersign::time::Timestamp;
use countersign_app_common::clock::{self, Stopwatch};
use countersign_app_common::store::Freshness;

/// The clock of a request, and the licence that it found.
pub(crate) struct Context {
    /// Started when the request began.
    pub(crate) stopwatch: Stopwatch,
    /// The time spent in the store.
    pub(crate) store: Duration,
    /// How current the store's entries must be.
    pub(crate) freshness: Freshness,
    /// How long ago the oldest entry that was read was confirmed.
    pub(crate) age_seconds: u32,
    /// Whether an entry is used only because it cannot be confirmed now.
    pub(crate) is_stale: bool,
    /// Whether something was written, or may have been.
    pub(crate) may_have_written: bool,
    /// What the journal says about the licence.
    pub(crate) license: Option<Facts>,
    moment: Option<Timestamp>,
}

/// A licence, as the journal names it: never by its key.
pub(crate) struct Facts {
    pub(crate) id: LicenseId,
    pub(crate) product: Product,
    pub(crate) hint: Option<Hint>,
}

impl Context {
    pub(crate) fn start() -> Self {
        Self {
            stopwatch: Stopwatch::start(),
            store: Duration::ZERO,
            freshness: Freshness::Usual,
            age_seconds: 0,
            is_stale: false,
            may_have_written: false,
            license: None,
            moment: None,
        }
    }

    /// For how long an entry that the answer is made of has not been confirmed, in seconds, if that
    /// is longer than usual.
    pub(crate) fn stale_seconds(&self) -> Option<u32> {
        self.is_stale.then_some(self.age_seconds)
    }

    /// The present time. The request's answer applies to the last moment that this returned.
    pub(crate) fn now(&mut self) -> Timestamp {
        let now = clock::now();
        self.moment = Some(now);
        now
    }

    /// The moment that the request's answer applies to.
    pub(crate) fn moment(&mut self) -> Timestamp {
        self.moment.unwrap_or_else(|| self.now())
    }

    /// Makes a call of the store, and adds its time to `store`.
    pub(crate) fn time_store<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let stopwatch = Stopwatch::start();
        let answer = call();
        self.store += stopwatch.elapsed();
        answer
    }

    /// Notes the licence for the journal.
    pub(crate) fn found(&mut self, license: &License) {
        let License { id, product, hint, .. } = license;
        self.license = Some(Facts { id: id.clone(), product: product.clone(), hint: hint.clone() });
    }
}
