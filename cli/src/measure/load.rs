//! When each request is sent.

use std::iter;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::target::Target;
use crate::limits::{MAX_MEASURE_LOSS, MEASURE_POLITE_RATE, MEASURE_STOP_GRACE};
use crate::output::progress;

/// How often a thread that waits looks whether it is to stop.
const GLANCE: Duration = Duration::from_millis(50);

pub(super) struct Plan {
    /// To each server.
    pub(super) requests: u32,
    /// Over each connection, before those that count.
    pub(super) warm_up: u32,
    /// A second, to each server, on a schedule. Without it a connection's next request waits for
    /// the answer to its last one.
    pub(super) rate: Option<u32>,
    /// Set to end early.
    pub(super) stop: Arc<AtomicBool>,
}

/// A request that was answered or failed.
struct Done {
    server: usize,
    took: Duration,
    outcome: Result<String, String>,
}

/// Servers that get their requests in turns.
struct Lane {
    schedule: Mutex<Schedule>,
    stop: Arc<AtomicBool>,
}

struct Schedule {
    /// When the next request is due. Nothing before the first one.
    next: Option<Instant>,
    /// How long after the other lanes this one begins.
    offset: Duration,
    step: Duration,
    left: u64,
    taken: usize,
    /// Whether a request remains due while no connection is free.
    is_fixed: bool,
}

/// One request to send.
struct Slot {
    number: usize,
    due: Instant,
    /// Whether no connection was free when it was due. Then its time counts from there, as wrk2
    /// does it: else a server that stalls would be asked less and look fast (coordinated omission).
    is_late: bool,
}

/// What servers have cost, in milliseconds, in failed requests and in pauses that they asked for.
#[derive(Clone)]
struct Losses(Arc<[AtomicU64]>);

/// Sends all requests and fills in the figures of each server. Returns whether nobody ended it
/// early.
///
/// `connections` has for each connection its end at each server.
pub(super) fn run(plan: &Plan, connections: Vec<Vec<Target>>, figures: &mut [Figures]) -> bool {
    let servers = figures.len();
    let lanes = lanes(plan, servers);
    let losses = Losses((0..servers).map(|_| AtomicU64::new(0)).collect());
    let warm = Arc::new(Barrier::new(connections.len() * lanes.len()));
    let (sender, done) = mpsc::channel();
    for targets in connections {
        let mut shares: Vec<Vec<(usize, Target)>> = iter::repeat_with(Vec::new).take(lanes.len()).collect();
        for (server, target) in targets.into_iter().enumerate() {
            shares[server % lanes.len()].push((server, target));
        }
        for (lane, targets) in lanes.iter().zip(shares) {
            let (lane, losses, sender, warm) = (lane.clone(), losses.clone(), sender.clone(), warm.clone());
            let warm_up = plan.warm_up;
            thread::spawn(move || {
                lane.warm_up(&targets, warm_up, &losses);
                warm.wait();
                lane.measure(&targets, &losses, &sender);
            });
        }
    }
    drop(sender);

    let bar = progress::of(u64::from(plan.requests) * servers as u64, "requests");
    let mut stopped = None;
    loop {
        match done.recv_timeout(GLANCE) {
            Ok(Done { server, took, outcome }) => {
                figures[server].add(took, outcome);
                bar.inc(1);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        // A thread that still waits for an answer ends with the process.
        if plan.stop.load(Ordering::Relaxed) && stopped.get_or_insert_with(Instant::now).elapsed() > MEASURE_STOP_GRACE
        {
            break;
        }
    }
    bar.finish_and_clear();
    for (server, figures) in figures.iter_mut().enumerate() {
        figures.is_given_up = losses.are_too_many(server);
    }
    !plan.stop.load(Ordering::Relaxed)
}

/// Without a rate all servers are in one lane, and so strictly in turns. On a schedule each has its
/// own, so that one that falls behind delays no other, and they begin one after the other.
fn lanes(plan: &Plan, servers: usize) -> Vec<Arc<Lane>> {
    let count = if plan.rate.is_some() { servers } else { 1 };
    let each = servers / count;
    let step = Duration::from_secs(1) / plan.rate.unwrap_or(MEASURE_POLITE_RATE) / each as u32;
    let lane = |at: usize| Lane {
        schedule: Mutex::new(Schedule {
            next: None,
            offset: step * at as u32 / count as u32,
            step,
            left: u64::from(plan.requests) * each as u64,
            taken: 0,
            is_fixed: plan.rate.is_some(),
        }),
        stop: plan.stop.clone(),
    };
    (0..count).map(|at| Arc::new(lane(at))).collect()
}

impl Lane {
    /// Opens each connection and sends requests that are not counted.
    fn warm_up(&self, targets: &[(usize, Target)], requests: u32, losses: &Losses) {
        for (server, target) in targets {
            for _ in 0..requests {
                let start = Instant::now();
                let sample = target.measure();
                if sample.outcome.is_err() {
                    self.fail(*server, sample.ended - start, sample.pause, losses);
                }
                if sample.outcome.is_err() || self.is_stopped() {
                    break;
                }
            }
        }
    }

    fn measure(&self, targets: &[(usize, Target)], losses: &Losses, done: &Sender<Done>) {
        while let Some(slot) = self.take() {
            let (server, target) = &targets[slot.number % targets.len()];
            if losses.are_too_many(*server) {
                continue;
            }
            self.wait_until(slot.due);
            if self.is_stopped() {
                return;
            }
            let start = if slot.is_late { slot.due } else { Instant::now() };
            let sample = target.measure();
            let took = sample.ended - start;
            if sample.outcome.is_err() {
                self.fail(*server, took, sample.pause, losses);
            }
            if done.send(Done { server: *server, took, outcome: sample.outcome }).is_err() {
                return;
            }
        }
    }

    fn take(&self) -> Option<Slot> {
        if self.is_stopped() {
            return None;
        }
        let now = Instant::now();
        let mut schedule = self.schedule();
        schedule.left = schedule.left.checked_sub(1)?;
        let next = schedule.next.unwrap_or(now + schedule.offset);
        let due = if schedule.is_fixed { next } else { next.max(now) };
        schedule.next = Some(due + schedule.step);
        let number = schedule.taken;
        schedule.taken += 1;
        Some(Slot { number, due, is_late: due < now })
    }

    /// Counts a failure, and sends nothing for as long as the server asked for.
    fn fail(&self, server: usize, took: Duration, pause: Option<Duration>, losses: &Losses) {
        let pause = pause.unwrap_or_default();
        losses.add(server, took.saturating_add(pause));
        if !losses.are_too_many(server) && !pause.is_zero() {
            let until = Instant::now() + pause;
            let mut schedule = self.schedule();
            schedule.next = Some(schedule.next.map_or(until, |next| next.max(until)));
        }
    }

    fn wait_until(&self, due: Instant) {
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            thread::sleep(left.min(GLANCE));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Losses {
    fn add(&self, server: usize, lost: Duration) {
        // So that no number of them overflows.
        let lost = lost.min(MAX_MEASURE_LOSS * 2).as_millis() as u64;
        self.0[server].fetch_add(lost, Ordering::Relaxed);
    }

    fn are_too_many(&self, server: usize) -> bool {
        u128::from(self.0[server].load(Ordering::Relaxed)) > MAX_MEASURE_LOSS.as_millis()
    }
}
