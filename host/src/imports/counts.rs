//! Counts validations per licence, day and code, and remembers the licences whose time began, for
//! the reports to the registrar.
//!
//! The journal's thread counts: it handles every event anyway, after the request was answered, so
//! counting costs a request nothing.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign::event::Event;
use serde::Serialize;

use crate::limits::MAX_COUNTED_LICENSES;

/// The counts since they were last taken. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Counts(Arc<Mutex<Sums>>);

#[derive(Debug, Default)]
struct Sums {
    licenses: HashMap<Box<str>, Vec<Sum>>,
    begun: HashSet<Box<str>>,
    lost: u64,
}

#[derive(Debug)]
struct Sum {
    day: Box<str>,
    code: Box<str>,
    count: u64,
}

/// The counts that were taken, in the form of `POST /api/v1/stats/validations`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// One for each licence, day and code.
    pub counts: Vec<Count>,
    /// Events that were lost before they were counted. Not all of them need be validations.
    pub lost: u64,
}

impl Taken {
    /// The number of validations counted.
    pub(crate) fn validations(&self) -> u64 {
        self.counts.iter().map(|count| count.count).sum()
    }
}

/// The number of validations of one licence with one code on one day.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    license: Box<str>,
    /// UTC: `2026-11-22`.
    day: Box<str>,
    code: Box<str>,
    count: u64,
}

impl Counts {
    /// Counts an event of the journal if it is a validation of a licence, or remembers the licence
    /// if its time began.
    pub fn note(&self, event: &Event<'_>) {
        if let Event { name: "time-began", license: Some(license), .. } = event {
            return self.add_begun([Box::from(*license)]);
        }
        let Event { name: "validation", time, code: Some(code), license: Some(license), .. } = event else { return };
        let time = time.to_string();
        let Some((day, _)) = time.split_once('T') else { return };
        self.lock().add(license, day, code, 1);
    }

    /// Takes the licences whose time began.
    pub fn take_begun(&self) -> Vec<Box<str>> {
        mem::take(&mut self.lock().begun).into_iter().collect()
    }

    /// Remembers licences whose time began. Those for which there is no room are found when all are
    /// looked at.
    pub fn add_begun(&self, licenses: impl IntoIterator<Item = Box<str>>) {
        let mut sums = self.lock();
        let room = MAX_COUNTED_LICENSES.saturating_sub(sums.begun.len());
        sums.begun.extend(licenses.into_iter().take(room));
    }

    /// Counts events that were lost.
    pub fn note_lost(&self, events: u64) {
        self.lock().lost += events;
    }

    /// Takes all counts, and starts again from zero.
    pub fn take(&self) -> Taken {
        let mut sums = self.lock();
        let (licenses, lost) = (mem::take(&mut sums.licenses), mem::take(&mut sums.lost));
        drop(sums);
        let counts = licenses.into_iter().flat_map(|(license, sums)| {
            sums.into_iter().map(move |Sum { day, code, count }| Count { license: license.clone(), day, code, count })
        });
        Taken { counts: counts.collect(), lost }
    }

    /// Adds back what was taken and could not be reported.
    pub fn put_back(&self, taken: Taken) {
        let mut sums = self.lock();
        sums.lost += taken.lost;
        for Count { license, day, code, count } in taken.counts {
            sums.add(&license, &day, &code, count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sums {
    fn add(&mut self, license: &str, day: &str, code: &str, count: u64) {
        let has_room = self.licenses.len() < MAX_COUNTED_LICENSES;
        let sums = match self.licenses.get_mut(license) {
            Some(sums) => sums,
            None if has_room => self.licenses.entry(license.into()).or_default(),
            None => {
                self.lost += count;
                return;
            }
        };
        match sums.iter_mut().find(|sum| &*sum.code == code && &*sum.day == day) {
            Some(sum) => sum.count += count,
            None => sums.push(Sum { day: day.into(), code: code.into(), count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign::time::Timestamp;

    /// A validation on a day.
    fn validation<'a>(license: &'a str, day: &str, code: &'a str) -> Event<'a> {
        let time = Timestamp::parse(&format!("{day}T10:00:00Z")).unwrap();
        event(time, "validation", Some(code), Some(license))
    }

    fn event<'a>(time: Timestamp, name: &'a str, code: Option<&'a str>, license: Option<&'a str>) -> Event<'a> {
        Event {
            time,
            name,
            request_id: None,
            method: None,
            route: None,
            actor: None,
            status: None,
            code,
            reason: None,
            detail: None,
            license,
            product: None,
            hint: None,
            client: None,
            count: None,
            seconds: None,
            stale_seconds: None,
            duration_micros: Some(7),
        }
    }

    #[test]
    fn validations_are_summed_per_licence_day_and_code() {
        let counts = Counts::default();
        for _ in 0..3 {
            counts.note(&validation("lic_a", "2026-01-01", "VALID"));
        }
        counts.note(&validation("lic_a", "2026-01-01", "EXPIRED"));
        counts.note(&validation("lic_a", "2026-01-02", "VALID"));
        counts.note(&validation("lic_b", "2026-01-01", "VALID"));
        counts.note_lost(2);
        let Taken { counts: mut taken, lost } = counts.take();
        taken.sort_by(|a, b| (&a.license, &a.day, &a.code).cmp(&(&b.license, &b.day, &b.code)));
        let taken: Vec<_> = taken.iter().map(|it| (&*it.license, &*it.day, &*it.code, it.count)).collect();
        let expected = [
            ("lic_a", "2026-01-01", "EXPIRED", 1),
            ("lic_a", "2026-01-01", "VALID", 3),
            ("lic_a", "2026-01-02", "VALID", 1),
            ("lic_b", "2026-01-01", "VALID", 1),
        ];
        assert_eq!((taken.as_slice(), lost), (expected.as_slice(), 2));
        assert_eq!(counts.take(), Taken::default());
    }

    #[test]
    fn other_events_are_not_counted() {
        let counts = Counts::default();
        let now = Timestamp::from_unix(1_767_225_600);
        for other in [
            event(now, "activation", Some("VALID"), Some("lic_a")),
            event(now, "validation", Some("NOT_FOUND"), None),
            event(now, "validation", None, Some("lic_a")),
            event(now, "clock-went-back", None, None),
        ] {
            counts.note(&other);
        }
        assert_eq!(counts.take(), Taken::default());
    }

    #[test]
    fn a_licence_whose_time_began_is_remembered_once() {
        let (counts, now) = (Counts::default(), Timestamp::from_unix(1_767_225_600));
        for license in ["lic_a", "lic_b", "lic_a"] {
            counts.note(&event(now, "time-began", None, Some(license)));
        }
        assert_eq!(counts.take(), Taken::default());
        let mut begun = counts.take_begun();
        begun.sort();
        assert_eq!(begun, [Box::from("lic_a"), Box::from("lic_b")]);
        counts.add_begun(begun);
        assert_eq!((counts.take_begun().len(), counts.take_begun().len()), (2, 0));
        counts.add_begun((0..MAX_COUNTED_LICENSES + 5).map(|number| format!("lic_{number}").into()));
        assert_eq!(counts.take_begun().len(), MAX_COUNTED_LICENSES);
    }

    #[test]
    fn counts_that_are_put_back_are_added() {
        let counts = Counts::default();
        counts.note(&validation("lic_a", "2026-01-01", "VALID"));
        let taken = counts.take();
        counts.note(&validation("lic_a", "2026-01-01", "VALID"));
        counts.put_back(taken);
        assert_eq!(counts.take().counts[0].count, 2);
    }

    #[test]
    fn memory_is_bounded() {
        let counts = Counts::default();
        for number in 0..MAX_COUNTED_LICENSES + 5 {
            counts.note(&validation(&format!("lic_{number}"), "2026-01-01", "VALID"));
        }
        counts.note(&validation("lic_0", "2026-01-01", "VALID"));
        let taken = counts.take();
        assert_eq!((taken.counts.len(), taken.lost), (MAX_COUNTED_LICENSES, 5));
    }
}
