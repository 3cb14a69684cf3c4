//! A host as a process, which listens on its own port and never outlives the test.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};
use std::{env, mem, thread};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::client;

/// From a host's start to its first answer. Includes compiling the component, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// From SIGTERM to the host's end.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// Between two checks of a condition.
const POLL: Duration = Duration::from_millis(2);
/// More than one, because another process may take a free port before the host binds it.
const ATTEMPTS: usize = 3;

/// A running host. Dropping it kills it and all its children.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    /// The address that it listens on, of the loopback interface.
    pub address: SocketAddr,
    /// The time from its start to its first answer.
    pub ready_in: Duration,
    logs: PathBuf,
}

impl Process {
    /// Starts the command for an address, and waits until it answers HTTP there.
    ///
    /// Its standard output and error go to files in `logs`, beside any log files of the host's.
    pub fn start(logs: &Path, command: impl Fn(SocketAddr) -> Command) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let address = free_address()?;
            let started = Instant::now();
            let mut process = Self::spawn(command(address), address, logs)?;
            match process.await_ready()? {
                None => {
                    process.ready_in = started.elapsed();
                    return Ok(process);
                }
                Some(_) if process.log().contains("in use") => continue,
                Some(status) => bail!("the host ended before its first answer, with {status}\n{}", process.log()),
            }
        }
        bail!("no free port after {ATTEMPTS} attempts")
    }

    fn spawn(mut command: Command, address: SocketAddr, logs: &Path) -> Result<Self> {
        fs::create_dir_all(logs)?;
        // The harness's own variables would be settings of the host.
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"COUNTERSIGN_")) {
            command.env_remove(name);
        }
        let mut groups = running();
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(logs.join("stdout"))?)
            .stderr(File::create(logs.join("stderr"))?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        groups.push(group);
        Ok(Self { child, group, address, ready_in: Duration::ZERO, logs: logs.to_owned() })
    }

    /// The process group of the host and all its children.
    #[must_use]
    pub fn group(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Waits for the first answer. Returns the exit status if the host ended instead.
    fn await_ready(&mut self) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if client::answers(self.address) {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
        Err(anyhow!("no answer from {} within {READY_WITHIN:?}\n{}", self.address, self.log()))
    }

    /// The host's output and log files so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&self.logs).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
            .iter()
            .filter_map(|file| fs::read(file).ok())
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .collect()
    }

    /// The log, once `enough` is true of it or time is up: a host may log after it has answered.
    #[must_use]
    pub fn log_when(&self, enough: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + STOPPED_WITHIN;
        loop {
            let log = self.log();
            if enough(&log) || Instant::now() > deadline {
                return log;
            }
            thread::sleep(POLL);
        }
    }

    /// Sends SIGTERM and waits for the host's end.
    pub fn stop(mut self) -> Result<ExitStatus> {
        rustix::process::kill_process(self.group, Signal::TERM)?;
        let deadline = Instant::now() + STOPPED_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        bail!("still running {STOPPED_WITHIN:?} after SIGTERM\n{}", self.log())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only if the whole group has ended.
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        running().retain(|group| *group != self.group);
    }
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The process groups to kill when the test gets a signal, which does not reach them itself.
fn running() -> MutexGuard<'static, Vec<Pid>> {
    static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
        thread::spawn(move || {
            if signals.forever().next().is_some() {
                for group in mem::take(&mut *running()) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                std::process::exit(1);
            }
        });
    });
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
