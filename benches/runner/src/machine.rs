//! The machine and processes according to the kernel (Linux, `proc(5)`).

use std::{fs, thread::available_parallelism, time::Duration};

use anyhow::{Context, Result};

use crate::servers::Server;

/// Processor, cores, memory and kernel, in one line.
pub(crate) fn describe() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = available_parallelism().map_or(0, usize::from);
    let model = field(&read("/proc/cpuinfo"), "model name");
    let kibibytes: u64 = field(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!(
        "{model}, {cores} cores, {} GiB of memory, Linux {}; load average at the start {load}",
        kibibytes >> 20,
        kernel.trim()
    )
}

/// The processor time of a group's processes so far, kernel included.
pub(crate) fn processor_time(group: i32) -> Result<Duration> {
    // Fields 14 to 17: the process itself, and its children that have ended.
    let ticks: u64 =
        stats(group)?.iter().flat_map(|stat| &stat[11..15]).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The [`resident`] memory of each server.
pub(crate) fn resident_of(servers: &[Server]) -> Result<Vec<u64>> {
    servers.iter().map(resident).collect()
}

/// The processor time of this thread so far, kernel included.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The resident memory of a server's processes, in bytes.
pub(crate) fn resident(server: &Server) -> Result<u64> {
    // Field 24, in pages.
    let pages: u64 = stats(server.group())?.iter().filter_map(|stat| stat.get(21)?.parse::<u64>().ok()).sum();
    Ok(pages * rustix::param::page_size() as u64)
}

/// `/proc/PID/stat` of each process of the group, from field 3 on: the program's name before it may
/// contain anything.
fn stats(group: i32) -> Result<Vec<Vec<String>>> {
    let group = group.to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").context("cannot read /proc: the benchmark needs Linux")? {
        let Ok(stat) = fs::read_to_string(process?.path().join("stat")) else { continue };
        let fields: Vec<_> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if fields.get(2) == Some(&group) && fields.len() > 21 {
            found.push(fields);
        }
    }
    Ok(found)
}
