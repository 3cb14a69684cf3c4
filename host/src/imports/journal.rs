//! The journal: a bounded queue in front of one writer thread, so that no request waits for a disk
//! or a pipe.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use countersign::borrow_event;

use super::counts::Counts;
use crate::bindings::journal::Event;
use crate::limits::{JOURNAL_FLUSH_TIMEOUT, JOURNAL_PAUSE, JOURNAL_QUEUE};
use crate::private;

/// Where events go, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Standard output, for a supervisor that collects it.
    Stdout,
    /// A file, which is appended to and created with mode 0600. Rotate it by copying and
    /// truncating.
    File(PathBuf),
    /// Nowhere.
    None,
}

impl FromStr for Destination {
    type Err = std::convert::Infallible;

    /// Reads `stdout`, `none` or a path; `./none` is a file of that name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "stdout" => Self::Stdout,
            "none" => Self::None,
            path => Self::File(path.into()),
        })
    }
}

/// The end that requests hold. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    queue: Option<SyncSender<Item>>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly every item is an event")]
enum Item {
    Event(Event),
    /// Gets a message once everything before it is written.
    Mark(SyncSender<()>),
}

/// The writer thread's handle, which outlives every [`Journal`].
#[derive(Debug)]
pub struct Writer(Option<JoinHandle<()>>);

impl Journal {
    /// Opens the destination and starts its writer, which also counts validations in `counts`.
    ///
    /// # Errors
    /// If the file cannot be opened or the thread cannot be started.
    pub fn start(destination: &Destination, counts: Option<Counts>) -> io::Result<(Self, Writer)> {
        match destination {
            Destination::None if counts.is_none() => Ok((Self { queue: None, dropped: Arc::default() }, Writer(None))),
            Destination::None => Self::start_with(io::sink(), counts),
            Destination::Stdout => Self::start_with(io::stdout(), counts),
            Destination::File(path) => Self::start_with(private::append(path)?, counts),
        }
    }

    /// As [`start`](Self::start), with any sink.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start_with(sink: impl Write + Send + 'static, counts: Option<Counts>) -> io::Result<(Self, Writer)> {
        let (queue, items) = sync_channel(JOURNAL_QUEUE);
        let dropped = Arc::<AtomicU64>::default();
        let counter = dropped.clone();
        let thread = thread::Builder::new()
            .name("journal".into())
            .spawn(move || write_events(&items, &counter, counts.as_ref(), BufWriter::new(sink)))?;
        Ok((Self { queue: Some(queue), dropped }, Writer(Some(thread))))
    }

    /// Queues one event and returns at once. If the queue is full, or the event is larger than
    /// `wit/journal.wit` allows, the event is dropped and counted.
    pub fn append(&self, event: Event) {
        let Some(queue) = &self.queue else { return };
        if !borrow_event!(event).fits() || queue.try_send(Item::Event(event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything appended before is written and counted, or for
    /// [`JOURNAL_FLUSH_TIMEOUT`]. Blocks its thread.
    pub fn settle(&self) {
        let Some(queue) = &self.queue else { return };
        let deadline = Instant::now() + JOURNAL_FLUSH_TIMEOUT;
        let (mark, reached) = sync_channel(1);
        let mut item = Item::Mark(mark);
        while let Err(TrySendError::Full(refused)) = queue.try_send(item) {
            if Instant::now() > deadline {
                return;
            }
            item = refused;
            thread::sleep(JOURNAL_PAUSE);
        }
        // If it was not reached in time, there is nothing more to do.
        let _: Result<(), RecvTimeoutError> = reached.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Writer {
    /// Waits until everything appended is written, or for [`JOURNAL_FLUSH_TIMEOUT`]: a pipe that
    /// nobody reads is never drained. Call it when every [`Journal`] was dropped.
    pub fn finish(self) {
        let Some(thread) = self.0 else { return };
        let deadline = Instant::now() + JOURNAL_FLUSH_TIMEOUT;
        while !thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes until every sender is gone.
///
/// Flushes whenever the queue is empty, so a quiet journal is never behind. Then it pauses, so that
/// the events of a busy one gather: otherwise every request would wake this thread for one write.
fn write_events(items: &Receiver<Item>, dropped: &AtomicU64, counts: Option<&Counts>, mut sink: impl Write) {
    let mut open = true;
    let mut failing = false;
    let mut unwritten = 0;
    while open {
        let mut mark = None;
        match items.recv_timeout(Duration::from_secs(1)) {
            Ok(first) => {
                let mut next = Ok(first);
                loop {
                    match next {
                        Ok(Item::Event(event)) => {
                            let event = borrow_event!(event);
                            let line = event.to_line();
                            unwritten += u64::from(line.is_none_or(|line| writeln!(sink, "{line}").is_err()));
                            if let Some(counts) = counts {
                                counts.note(&event);
                            }
                            next = items.try_recv();
                        }
                        Ok(Item::Mark(reached)) => {
                            mark = Some(reached);
                            break;
                        }
                        Err(ended) => {
                            open = ended != TryRecvError::Disconnected;
                            break;
                        }
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => open = false,
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if let Some(counts) = counts.filter(|_| lost > 0) {
            counts.note_lost(lost);
        }
        unwritten += lost;
        if unwritten > 0 {
            // While the sink fails, "cannot write the journal" is logged instead.
            if writeln!(sink, r#"{{"event":"journal-dropped","count":{unwritten}}}"#).is_ok() {
                tracing::warn!(count = unwritten, "dropped events of the journal");
                unwritten = 0;
            }
        }
        let flushed = sink.flush();
        if let (Err(error), false) = (&flushed, failing) {
            tracing::error!(%error, "cannot write the journal");
        }
        failing = flushed.is_err();
        if let Some(mark) = mark {
            // The caller may have given up.
            let _: Result<(), _> = mark.send(());
        } else {
            thread::sleep(JOURNAL_PAUSE);
        }
    }
}
