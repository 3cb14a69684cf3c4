//! One simulated history, and the laws that hold in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use countersign::key;
use countersign::license::License;
use countersign::state::State;
use countersign_app_tests::edge::{Change, Edge, Mode, Origin, Program};
use serde_json::{Value, json};

use crate::random::Random;

// As the component has them without settings.
const FRESH: i64 = 60;
const MISSING: i64 = 10;
const STALE: i64 = 7 * 24 * 60 * 60;

/// For how long an outage is remembered.
const OUTAGE: i64 = 30;

/// The most by which two clocks differ, and a second for what is counted in whole ones.
const SKEW: i64 = 2 * 2 + 1;

const BEGIN: i64 = 1_800_000_000;

/// Licences. Each record's plan says its generation, so that a verdict shows what it was made of.
const LICENSES: usize = 3;

/// How much each licence allows of `credits`.
const LIMIT: u64 = 10;

/// A law that does not hold.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) law: String,
    #[allow(dead_code, reason = "for people, by `Debug`")]
    steps: Vec<String>,
}

/// A licence as its vendor has it.
#[derive(Default)]
struct Licence {
    /// When each generation was written, from the first, and whether it grants.
    generations: Vec<(i64, bool)>,
    is_revoked: bool,
    /// Operations that were applied, as far as their holders know.
    acknowledged: u64,
    /// Operations that had no answer.
    unanswered: Vec<String>,
}

struct Participant {
    edge: Edge,
    /// Whether it has every change in its order, and knows it.
    follows: bool,
    /// Changes that were not delivered yet.
    mail: Vec<Change>,
    /// The generation last served of each licence, unless near forgot since.
    served: BTreeMap<usize, u64>,
    skew: i64,
    failed_until: i64,
}

struct Simulation<'a> {
    program: &'a Program,
    random: Random,
    now: i64,
    origin: Arc<Mutex<Origin>>,
    licenses: Vec<Licence>,
    edges: Vec<Participant>,
    /// When the origin last did not answer.
    lost_at: i64,
    operations: usize,
    steps: Vec<String>,
}

/// Runs the history of a seed. Returns its steps.
pub(crate) fn run(program: &Program, seed: u64, planted: Option<&str>) -> Result<Vec<String>, Broken> {
    let mut random = Random::of(seed);
    let origin = Arc::<Mutex<Origin>>::default();
    let planted: Vec<_> = planted.map(|fault| ("planted", fault)).into_iter().collect();
    let edges = (0..1 + random.below(3)).map(|_| Participant {
        edge: program.start(&origin, &planted),
        follows: random.percent(50),
        mail: Vec::new(),
        served: BTreeMap::new(),
        skew: random.below(5) as i64 - 2,
        failed_until: i64::MIN,
    });
    let edges = edges.collect();
    let mut simulation = Simulation {
        program,
        random,
        now: BEGIN,
        origin,
        licenses: (0..LICENSES).map(|_| Licence::default()).collect(),
        edges,
        lost_at: i64::MIN / 2,
        operations: 0,
        steps: Vec::new(),
    };
    simulation.set_clocks();
    for _ in 0..60 {
        if let Err(law) = simulation.step() {
            return Err(Broken { law, steps: simulation.steps });
        }
    }
    match simulation.settle() {
        Ok(()) => Ok(simulation.steps),
        Err(law) => Err(Broken { law, steps: simulation.steps }),
    }
}

fn key_of(license: usize) -> String {
    format!("the key of the licence number {license}")
}

fn store_key(license: usize) -> String {
    key::read(&key_of(license)).unwrap().store_key()
}

fn id(license: usize) -> String {
    format!("lic_0000000000000000000000000{license}")
}

fn record(license: usize, generation: usize, status: &str) -> Vec<u8> {
    json!({
        "format": 1, "generation": generation, "id": id(license), "product": "acme", "status": status,
        "plan": format!("g{generation}"), "issuedAt": "2026-01-01T00:00:00Z", "features": [], "domains": [],
        "requires": [], "allowances": [{ "name": "credits", "limit": LIMIT, "period": "total", "overage": "none" }],
    })
    .to_string()
    .into_bytes()
}

impl Simulation<'_> {
    fn origin(&self) -> MutexGuard<'_, Origin> {
        self.origin.lock().unwrap()
    }

    fn note(&mut self, step: impl Into<String>) {
        self.steps.push(format!("{:+} {}", self.now - BEGIN, step.into()));
    }

    fn step(&mut self) -> Result<(), String> {
        if self.origin().mode != Mode::Up {
            self.lost_at = self.now;
        }
        match self.random.below(100) {
            0..20 => self.pass(),
            20..35 => self.change(),
            35..45 => self.deliver(),
            45..52 => self.break_something(),
            52..85 => self.validate()?,
            _ => self.consume()?,
        }
        Ok(())
    }

    fn set_clocks(&mut self) {
        for Participant { edge, skew, .. } in &mut self.edges {
            edge.near().now = self.now + *skew;
        }
    }

    fn pass(&mut self) {
        let seconds = match self.random.below(20) {
            0 => 8 * 24 * 60 * 60,
            1..3 => 3_600,
            _ => self.random.pick(&[0, 1, 1, 2, 5, 11, 31, 61]),
        };
        self.now += seconds;
        // An outage lasts.
        if self.origin().mode != Mode::Up {
            self.lost_at = self.now;
        }
        self.set_clocks();
        self.note(format!("{seconds} s pass"));
    }

    /// The vendor issues a licence, or changes it.
    fn change(&mut self) {
        let license = self.random.below(LICENSES);
        let before = &self.licenses[license];
        if before.is_revoked {
            return;
        }
        let revokes = self.random.percent(10);
        let grants = !revokes && !before.generations.last().is_some_and(|(_, grants)| *grants);
        let status = if revokes {
            "revoked"
        } else if grants {
            "active"
        } else {
            "suspended"
        };
        let generation = before.generations.len() + 1;
        let value = record(license, generation, status);
        let changed = &mut self.licenses[license];
        changed.generations.push((self.now, grants));
        changed.is_revoked = revokes;
        self.origin().write(&store_key(license), value.clone());
        for participant in &mut self.edges {
            participant.mail.push(Change {
                key: store_key(license),
                value: value.clone(),
                version: generation as u64,
                confirmed_at: self.now as u64,
            });
        }
        self.note(format!("licence {license} is {status}, generation {generation}"));
    }

    /// Changes arrive at an edge: all in their order, if it follows; or else one, perhaps not the
    /// first, perhaps twice.
    fn deliver(&mut self) {
        let at = self.random.below(self.edges.len());
        let is_up = self.origin().mode == Mode::Up;
        let participant = &mut self.edges[at];
        if participant.edge.near().is_down {
            return;
        }
        if participant.follows {
            if !is_up {
                return;
            }
            let mail = std::mem::take(&mut participant.mail);
            participant.edge.apply(&mail).unwrap();
            let mut near = participant.edge.near();
            let now = near.now;
            // As a host does that follows the changes.
            let value = (now as u64).to_be_bytes().to_vec();
            let entry = countersign_host::bindings::store::Entry { value, version: now as u64 };
            near.entries.insert("edge:current".into(), (entry, i64::MAX));
            drop(near);
            self.note(format!("edge {at} has all changes"));
        } else if !participant.mail.is_empty() {
            let which = self.random.below(participant.mail.len());
            let change = participant.mail[which].clone();
            if self.random.percent(80) {
                participant.mail.remove(which);
            }
            participant.edge.apply(std::slice::from_ref(&change)).unwrap();
            self.note(format!("generation {} of {} arrives at edge {at}", change.version, change.key));
        }
    }

    fn break_something(&mut self) {
        let at = self.random.below(self.edges.len());
        match self.random.below(5) {
            0 | 1 => {
                let mode = self.random.pick(&[Mode::Up, Mode::Up, Mode::Down, Mode::AnswerLost]);
                self.origin().mode = mode;
                self.note(format!("the origin is {mode:?}"));
            }
            2 => {
                let participant = &mut self.edges[at];
                let mut near = participant.edge.near();
                let keys: Vec<_> = near.entries.keys().cloned().collect();
                if let Some(key) = (!keys.is_empty()).then(|| keys[self.random.below(keys.len())].clone()) {
                    near.entries.remove(&key);
                    // A host that follows changes keeps them; if it forgot any, it would begin
                    // again.
                    near.entries.remove("edge:current");
                    drop(near);
                    participant.follows = false;
                    participant.served.clear();
                    self.note(format!("edge {at} forgets {key}"));
                }
            }
            3 => {
                let participant = &mut self.edges[at];
                let mut near = participant.edge.near();
                near.is_down = !near.is_down;
                let is_down = near.is_down;
                drop(near);
                participant.served.clear();
                participant.failed_until = self.now;
                self.note(format!("the near store of edge {at} {}", if is_down { "fails" } else { "works again" }));
            }
            _ => {
                self.program.restart(&mut self.edges[at].edge);
                self.note(format!("edge {at} restarts"));
            }
        }
    }

    fn validate(&mut self) -> Result<(), String> {
        let (at, license) = (self.random.below(self.edges.len()), self.random.below(LICENSES));
        let reads = self.origin().reads;
        let remembered = self.remembered(at, license);
        let (status, answer) = self.edges[at].edge.ask("validate", &json!({ "key": key_of(license) }), None);
        let reads = self.origin().reads - reads;
        self.note(format!("edge {at} validates licence {license}: {status} {answer}"));
        self.check(at, license, status, &answer, remembered)?;
        if reads > 2 { Err(format!("one validation read {reads} times from the origin")) } else { Ok(()) }
    }

    /// What near has of a licence: seconds since it was confirmed, and whether it grants.
    fn remembered(&self, at: usize, license: usize) -> Option<(i64, bool)> {
        let near = self.edges[at].edge.near();
        if near.is_down {
            return None;
        }
        let (entry, _) = near.entries.get(&store_key(license))?;
        let confirmed_at = i64::from_be_bytes(entry.value.get(1..9)?.try_into().unwrap());
        let record = License::from_json(entry.value.get(18..)?).ok()?;
        Some((near.now - confirmed_at, record.status.as_str() == "active"))
    }

    /// Whether the origin may have been out of reach for an edge, or counts as that.
    fn is_outage(&self) -> bool {
        self.origin().mode != Mode::Up || self.now - self.lost_at <= OUTAGE + SKEW
    }

    fn check(
        &mut self,
        at: usize,
        license: usize,
        status: u16,
        answer: &Value,
        remembered: Option<(i64, bool)>,
    ) -> Result<(), String> {
        let (now, is_outage, is_down) = (self.now, self.is_outage(), self.origin().mode != Mode::Up);
        let vendor = &self.licenses[license];
        let latest = vendor.generations.len() as u64;
        let participant = &mut self.edges[at];
        let is_near_down = participant.edge.near().is_down;
        let code = answer["code"].as_str().unwrap();
        if status == 503 {
            if !is_outage {
                return Err("an edge has no answer although its origin answers".into());
            }
            if remembered.is_some_and(|(age, grants)| grants && (0..=STALE).contains(&age)) {
                return Err("a licence that grants is remembered, and the edge has no answer".into());
            }
            return Ok(());
        }
        // Since when what was served is no longer what the origin has.
        let served = answer["plan"].as_str().map(|plan| plan[1..].parse::<u64>().unwrap());
        let superseded = served.filter(|served| *served < latest).map(|served| vendor.generations[served as usize].0);
        let lag = superseded.map_or(0, |since| now - since);
        let stale = answer["staleSeconds"].as_i64();
        if let Some(served) = served {
            let last = participant.served.insert(license, served).unwrap_or_default();
            if served < last {
                return Err(format!("generation {served} is served after generation {last}"));
            }
        }
        match code {
            "VALID" => {
                let generation = served.unwrap() as usize;
                if !vendor.generations[generation - 1].1 {
                    return Err("a licence is valid by a record that does not grant".into());
                }
                match stale {
                    None if lag > FRESH + SKEW => {
                        Err(format!("a licence is valid {lag} s after that changed, and the age is not said"))
                    }
                    Some(_) if !is_outage => Err("an age is said although the origin answers".into()),
                    Some(stale) if stale < lag - SKEW => Err(format!("{lag} s are said to be {stale}")),
                    Some(stale) if stale > STALE => Err("what is too old is used".into()),
                    _ => Ok(()),
                }
            }
            "REVOKED" if vendor.is_revoked => Ok(()),
            "SUSPENDED" => {
                let bound = if is_outage { FRESH + SKEW } else { SKEW };
                match superseded {
                    // Of a record that was superseded by one that refuses as well nobody is harmed.
                    Some(_) if lag > bound && vendor.generations[latest as usize - 1].1 => {
                        Err(format!("a licence is refused {lag} s after it was resumed"))
                    }
                    _ => Ok(()),
                }
            }
            "NOT_FOUND" => match vendor.generations.first() {
                Some((since, _)) if now - since > MISSING + SKEW => {
                    Err(format!("a licence is unknown {} s after it was issued", now - since))
                }
                None if is_down && is_near_down => Err("nobody said that the licence does not exist".into()),
                _ => Ok(()),
            },
            code => Err(format!("{code} answers another question")),
        }
    }

    /// A holder uses one credit, or asks again about a use that had no answer.
    fn consume(&mut self) -> Result<(), String> {
        let (at, license) = (self.random.below(self.edges.len()), self.random.below(LICENSES));
        let retried = self.random.percent(50).then(|| self.licenses[license].unanswered.pop()).flatten();
        let is_retry = retried.is_some();
        let operation = retried.unwrap_or_else(|| {
            self.operations += 1;
            format!("operation-{}", self.operations)
        });
        let body = json!({ "key": key_of(license), "allowance": "credits", "consume": 1 });
        let remembered = self.remembered(at, license);
        let (status, answer) = self.edges[at].edge.ask("usage", &body, Some(&operation));
        self.note(format!("edge {at} uses a credit of licence {license}, {operation}: {status} {answer}"));
        if answer["applied"] == true {
            self.licenses[license].acknowledged += 1;
            return Ok(());
        }
        if status == 503 || is_retry {
            // It may have been applied.
            self.licenses[license].unanswered.push(operation);
        }
        match status {
            503 => {}
            200 if answer["code"] == "USAGE_EXHAUSTED" => {
                let used = self.used(license);
                if used != LIMIT {
                    return Err(format!("{used} of {LIMIT} are used, and nothing is left"));
                }
            }
            // The licence's own verdict, which is checked as a validation's.
            _ => self.check(at, license, status, &answer, remembered)?,
        }
        Ok(())
    }

    /// What is used of a licence, as the origin has it.
    fn used(&self, license: usize) -> u64 {
        let origin = self.origin();
        let entry = origin.entries.get(&format!("state:{}", id(license)));
        let state = entry.map(|entry| State::from_bytes(&entry.value).unwrap()).unwrap_or_default();
        state.counters.iter().map(|counter| counter.used).sum()
    }

    /// What was acknowledged was applied, and nothing else but what had no answer.
    fn settle(&self) -> Result<(), String> {
        for (license, vendor) in self.licenses.iter().enumerate() {
            let (used, acknowledged, unanswered) =
                (self.used(license), vendor.acknowledged, vendor.unanswered.len() as u64);
            if !(acknowledged..=acknowledged + unanswered).contains(&used) || used > LIMIT {
                return Err(format!(
                    "{used} are used of licence {license}; {acknowledged} were acknowledged, {unanswered} not answered"
                ));
            }
        }
        Ok(())
    }
}
