//! The places of a listener: which connections are open, and which one makes room for the next.
//!
//! # Design decisions
//! - A connection is accepted at once, and nobody waits for a place. If all are taken, a connection
//!   that waits for its client is closed: of the address that has the most, the one that has waited
//!   longest. So a client keeps its place as long as another has more.
//! - A wait begins with the connection and after each answer. Bytes do not end it, only a whole
//!   request does: who drips a head or a body has waited as long as who is silent.
//! - Fewer requests are answered at once than there are places. So the rest of the places always
//!   has connections that wait, and can make room, or requests that are let in beyond that bound:
//!   health checks, and callers who have shown a right token.
//! - A trusted proxy has the connections of many callers, and makes room only if nobody else can.
//! - A request costs a few atomic writes to its own connection, and no lock. Whoever looks for a
//!   connection to close looks at all of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use countersign::limiter::Network;
use hyper::HeaderMap;
use tokio::task::AbortHandle;

use super::notices::{Notices, Refusal};
use super::proxies::Proxies;
use crate::limits::{HEADER_TIMEOUT, MAX_CONNECTIONS, RESERVED_SHARE, WRITE_TIMEOUT};

/// The bounds on a listener's connections.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Connections of one address at once, or of 64 bits of IPv6.
    pub per_address: usize,
    /// How long a connection is kept for a next request.
    pub keep_alive: Duration,
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Places {
    bounds: Bounds,
    open: Mutex<Open>,
    /// Requests that are being answered, without those beyond the bound.
    answering: AtomicUsize,
    proxies: Arc<Proxies>,
    notices: Notices,
    started: Instant,
}

#[derive(Debug, Default)]
struct Open {
    by_address: HashMap<Peer, Vec<Arc<Visit>>>,
    count: usize,
}

/// Who has connections: those of one address, or of 64 bits of IPv6, count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Peer {
    network: Network,
    is_proxy: bool,
}

/// One connection.
#[derive(Debug)]
struct Visit {
    /// The time since which it waits for its client, or [`ANSWERING`], or [`CLOSED`].
    waits_since: AtomicU64,
    /// The time at which it is closed unless its client does what it waits for.
    until: AtomicU64,
    /// Whether no byte of a next request has arrived.
    is_idle: AtomicBool,
    /// Whether an answer waits for its client to read an earlier one.
    is_blocked: AtomicBool,
    /// Ends the connection's task.
    task: OnceLock<AbortHandle>,
}

/// Microseconds since the listener started, none of which are these.
const ANSWERING: u64 = u64::MAX;
const CLOSED: u64 = u64::MAX - 1;

/// A connection's place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
    peer: Peer,
    visit: Arc<Visit>,
}

/// The right to answer one request, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    place: &'a Place,
    is_counted: bool,
}

impl Places {
    pub(super) fn new(bounds: Bounds, proxies: Arc<Proxies>) -> Self {
        Self {
            bounds,
            open: Mutex::default(),
            answering: AtomicUsize::new(0),
            proxies,
            notices: Notices::default(),
            started: Instant::now(),
        }
    }

    /// A place for a connection of this address; `None` if all are taken by requests that are being
    /// answered.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = Peer { network: Network::of(address), is_proxy: self.proxies.trust(address) };
        let mut open = self.open();
        let of_address = open.by_address.get(&peer).map_or(0, Vec::len);
        let has_room = if of_address >= self.bounds.per_address && !peer.is_proxy {
            self.close_one_of(&mut open, peer)
        } else if open.count >= self.bounds.connections {
            self.close_one(&mut open)
        } else {
            true
        };
        if !has_room {
            self.notices.add(Refusal::NoPlace, peer.network);
            return None;
        }
        let now = self.now();
        let visit = Arc::new(Visit {
            waits_since: AtomicU64::new(now),
            until: AtomicU64::new(now + micros(HEADER_TIMEOUT)),
            is_idle: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            task: OnceLock::new(),
        });
        open.by_address.entry(peer).or_default().push(visit.clone());
        open.count += 1;
        drop(open);
        Some(Place { places: self.clone(), address, peer, visit })
    }

    /// Closes the connections whose client took too long.
    pub(super) fn close_late(&self) {
        let (open, now) = (self.open(), self.now());
        for visit in open.by_address.values().flatten() {
            if visit.until.load(Ordering::Relaxed) <= now
                && let Some(since) = visit.waits_since()
            {
                visit.close(since);
            }
        }
    }

    /// What was refused since this was called last goes to the operator.
    pub(super) const fn notices(&self) -> &Notices {
        &self.notices
    }

    /// Closes the connection that has waited longest, of the address that has the most among those
    /// with a connection that waits; a trusted proxy counts as the least. Returns whether there was
    /// one.
    fn close_one(&self, open: &mut Open) -> bool {
        loop {
            let mut chosen: Option<(Peer, usize, u64)> = None;
            for (peer, visits) in &open.by_address {
                let count = if peer.is_proxy { 0 } else { visits.len() };
                if chosen.as_ref().is_none_or(|(_, most, _)| count >= *most)
                    && let Some(since) = visits.iter().filter_map(|visit| visit.waits_since()).min()
                    && chosen.is_none_or(|(_, most, least)| count > most || since < least)
                {
                    chosen = Some((*peer, count, since));
                }
            }
            match chosen {
                None => return false,
                Some((peer, ..)) if self.close_one_of(open, peer) => return true,
                // Its request has arrived in the meantime.
                Some(_) => {}
            }
        }
    }

    /// Closes the connection of an address that has waited longest. Returns whether there was one.
    fn close_one_of(&self, open: &mut Open, peer: Peer) -> bool {
        let Some(visits) = open.by_address.get(&peer) else { return false };
        let mut waiting: Vec<_> =
            visits.iter().enumerate().filter_map(|(index, visit)| Some((visit.waits_since()?, index))).collect();
        waiting.sort_unstable();
        let Some((_, index)) = waiting.into_iter().find(|(since, index)| visits[*index].close(*since)) else {
            return false;
        };
        open.remove_at(peer, index);
        self.notices.add(Refusal::MadeRoom, peer.network);
        true
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        micros(self.started.elapsed())
    }

    /// Requests that may be answered at once, besides the privileged ones.
    fn ordinary(&self) -> usize {
        let places = self.bounds.connections.min(MAX_CONNECTIONS);
        places - (places / RESERVED_SHARE).max(1)
    }
}

impl Open {
    fn remove_at(&mut self, peer: Peer, index: usize) {
        if let Some(visits) = self.by_address.get_mut(&peer) {
            visits.swap_remove(index);
            self.count -= 1;
            if visits.is_empty() {
                self.by_address.remove(&peer);
            }
        }
    }
}

impl Visit {
    fn waits_since(&self) -> Option<u64> {
        Some(self.waits_since.load(Ordering::Acquire)).filter(|since| *since < CLOSED)
    }

    /// Ends the connection if it still waits as it did.
    fn close(&self, since: u64) -> bool {
        let closed = self.waits_since.compare_exchange(since, CLOSED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if closed && let Some(task) = self.task.get() {
            task.abort();
        }
        closed
    }
}

impl Place {
    /// Serves the connection in a task of its own, which ends when the connection has to.
    pub(super) fn spawn<F: Future<Output = ()> + Send + 'static>(self, serve: impl FnOnce(Self) -> F) {
        let visit = self.visit.clone();
        let task = visit.task.get_or_init(|| tokio::spawn(serve(self)).abort_handle());
        if visit.waits_since.load(Ordering::Acquire) == CLOSED {
            task.abort();
        }
    }

    /// The address that a request with these headers came from, as far as it can be known.
    pub(super) fn caller(&self, headers: &HeaderMap) -> IpAddr {
        if self.peer.is_proxy { self.places.proxies.caller(self.address, headers) } else { self.address }
    }

    pub(super) fn note(&self, refusal: Refusal, caller: Network) {
        self.places.notices.add(refusal, caller);
    }

    /// Bytes have arrived.
    pub(super) fn note_bytes(&self) {
        if self.visit.is_idle.load(Ordering::Relaxed) {
            self.visit.is_idle.store(false, Ordering::Relaxed);
            self.visit.until.store(self.places.now() + micros(HEADER_TIMEOUT), Ordering::Relaxed);
        }
    }

    /// Bytes were sent, or could not be as the client has not read earlier ones.
    pub(super) fn note_write(&self, is_blocked: bool) {
        if is_blocked || self.visit.is_blocked.load(Ordering::Relaxed) {
            self.visit.is_blocked.store(is_blocked, Ordering::Relaxed);
            let wait = WRITE_TIMEOUT.max(self.places.bounds.keep_alive);
            self.visit.until.store(self.places.now() + micros(wait), Ordering::Relaxed);
        }
    }

    /// The head of a request has arrived. The wait for its body has a bound of its own.
    pub(super) fn note_head(&self) {
        self.visit.is_idle.store(false, Ordering::Relaxed);
        self.visit.until.store(u64::MAX, Ordering::Relaxed);
    }

    /// Begins to answer a request, which has arrived whole. `is_privileged` says whether it may be
    /// answered beyond the bound. `None` if it may not be answered now.
    pub(super) fn begin(&self, caller: Network, is_privileged: impl FnOnce() -> bool) -> Option<Turn<'_>> {
        let answering = &self.places.answering;
        let is_counted = answering.fetch_add(1, Ordering::Relaxed) < self.places.ordinary();
        // Dropped also if the connection was closed in this moment.
        let turn = Turn { place: self, is_counted };
        if !is_counted {
            answering.fetch_sub(1, Ordering::Relaxed);
            if !is_privileged() {
                self.note(Refusal::Busy, caller);
                return None;
            }
        }
        let since = self.visit.waits_since()?;
        let taken = self.visit.waits_since.compare_exchange(since, ANSWERING, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok().then_some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Place { places, visit, .. } = self.place;
        if self.is_counted {
            places.answering.fetch_sub(1, Ordering::Relaxed);
        }
        let now = places.now();
        visit.until.store(now + micros(places.bounds.keep_alive), Ordering::Relaxed);
        visit.is_idle.store(true, Ordering::Relaxed);
        // Unless it was closed.
        let _: Result<u64, u64> =
            visit.waits_since.compare_exchange(ANSWERING, now, Ordering::AcqRel, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open();
        let index = open.by_address.get(&self.peer).and_then(|visits| {
            // Absent if it made room.
            visits.iter().position(|visit| Arc::ptr_eq(visit, &self.visit))
        });
        if let Some(index) = index {
            open.remove_at(self.peer, index);
        }
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(CLOSED - 1)
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::sync::oneshot::{self, error::TryRecvError};

    use super::*;

    /// Places of a listener that trusts the address 0.
    fn places(connections: usize, per_address: usize) -> Arc<Places> {
        let bounds = Bounds { connections, per_address, keep_alive: Duration::from_secs(75) };
        Arc::new(Places::new(bounds, Arc::new(Proxies::new(vec![address(0).to_string().parse().unwrap()]))))
    }

    fn address(number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, number))
    }

    fn begin(place: &Place, is_privileged: bool) -> Option<Turn<'_>> {
        place.begin(place.peer.network, || is_privileged)
    }

    /// A connection that ends when it is closed, and then drops the sender.
    fn connect(places: &Arc<Places>, address: u8) -> oneshot::Receiver<()> {
        let (sender, ended) = oneshot::channel();
        places.take(self::address(address)).unwrap().spawn(|place| async move {
            let _held = (place, sender);
            pending().await
        });
        ended
    }

    #[tokio::test]
    async fn the_longest_wait_of_the_address_with_the_most_connections_makes_room() {
        let places = places(4, 4);
        let (one, two) = (connect(&places, 1), connect(&places, 2));
        let (mut three, mut four) = (connect(&places, 2), connect(&places, 3));
        let mut five = connect(&places, 4);
        assert!(two.await.is_err(), "of address 2, which has two connections, the older one");
        let six = connect(&places, 5);
        assert!(one.await.is_err(), "of all, which have one each, the oldest");
        for kept in [&mut three, &mut four, &mut five] {
            assert_eq!(kept.try_recv(), Err(TryRecvError::Empty));
        }
        drop(six);
    }

    #[tokio::test]
    async fn an_address_makes_room_for_itself() {
        let places = places(10, 2);
        let (first, mut second, mut other) = (connect(&places, 1), connect(&places, 1), connect(&places, 2));
        let _third = connect(&places, 1);
        assert!(first.await.is_err());
        for kept in [&mut second, &mut other] {
            assert_eq!(kept.try_recv(), Err(TryRecvError::Empty));
        }
    }

    #[tokio::test]
    async fn a_trusted_proxy_makes_room_last() {
        let places = places(4, 2);
        let mut proxy: Vec<_> = (0..3).map(|_| connect(&places, 0)).collect();
        let other = connect(&places, 1);
        proxy.push(connect(&places, 0));
        assert!(other.await.is_err(), "any other address makes room first");
        assert!(proxy.iter_mut().all(|kept| kept.try_recv() == Err(TryRecvError::Empty)));
        let _other = connect(&places, 1);
        assert!(proxy.remove(0).await.is_err(), "if there is nobody else, a proxy does");
        assert!(proxy.iter_mut().all(|kept| kept.try_recv() == Err(TryRecvError::Empty)));
    }

    #[tokio::test]
    async fn a_request_that_is_being_answered_keeps_its_place() {
        let places = places(10, 2);
        let (first, second) = (places.take(address(1)).unwrap(), places.take(address(1)).unwrap());
        let turn = begin(&first, false).unwrap();
        let _other = begin(&second, false).unwrap();
        assert!(places.take(address(1)).is_none());
        drop(turn);
        assert!(places.take(address(1)).is_some(), "the first waits for a next request, and makes room");
        assert!(begin(&first, false).is_none(), "which comes too late");
    }

    #[tokio::test]
    async fn a_part_of_the_places_is_for_the_privileged() {
        let places = places(20, 20);
        let taken: Vec<_> = (1..=20).map(|number| places.take(address(number)).unwrap()).collect();
        let turns: Vec<_> = taken[..18].iter().filter_map(|place| begin(place, false)).collect();
        assert_eq!(turns.len(), 18);
        assert!(begin(&taken[18], false).is_none());
        let privileged = begin(&taken[18], true).unwrap();
        drop(privileged);
        drop(turns);
        assert!(begin(&taken[19], false).is_some());
    }

    #[tokio::test]
    async fn a_place_is_free_again_once_its_connection_ends() {
        let places = places(2, 2);
        for _ in 0..10 {
            let place = places.take(address(1)).unwrap();
            assert_eq!(places.open().count, 1);
            drop(place);
            let open = places.open();
            assert_eq!((open.count, open.by_address.len()), (0, 0));
        }
    }

    #[tokio::test]
    async fn who_takes_too_long_is_closed() {
        let places = places(10, 10);
        let late = places.take(address(1)).unwrap();
        late.visit.until.store(0, Ordering::Relaxed);
        let reading = places.take(address(1)).unwrap();
        reading.note_head();
        places.close_late();
        assert_eq!((late.visit.waits_since(), reading.visit.waits_since().is_some()), (None, true));
        // Another request may take as long as the first.
        drop(begin(&reading, false));
        assert!(reading.visit.until.load(Ordering::Relaxed) >= micros(Duration::from_secs(75)));
        reading.note_bytes();
        assert!(reading.visit.until.load(Ordering::Relaxed) < micros(Duration::from_secs(75)));
    }
}
