//! Many clients at the same moment.

use std::thread;

/// Calls `ask` from `clients` threads at once, with the number of each, and returns the answers in
/// the order of the numbers.
pub fn at_once<T: Send>(clients: usize, ask: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let ask = &ask;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|client| scope.spawn(move || ask(client))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
