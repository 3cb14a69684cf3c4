//! Builds, composes, serves, tests and measures Countersign: `cargo xtask --help`.
#![forbid(unsafe_code)]

mod advisories;
mod bench;
mod compose;
mod join;
mod prose;
mod readme;
mod run;
mod target;
mod test;
mod tools;
mod up;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use compose::Set;

#[derive(Parser)]
#[command(about = "Builds, composes, serves, tests and measures Countersign")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build, and serve on an embedded store, with a sample licence to try
    Up {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:3000")]
        listen: SocketAddr,
        /// The data directory [default: .countersign in the repository's root]
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Run every check and test; installs the hosts and tools that cargo and PyPI have
    Test {
        /// Run only the steps whose name contains this
        only: Option<String>,
    },
    /// Measure every host beside its floor and its peers, and write docs/benchmarks.md
    Bench {
        /// Run fewer and shorter rounds, without growth and other numbers of connections; write
        /// nothing
        #[arg(long)]
        quick: bool,
        /// Only count the core's instructions, which are the same on a noisy machine
        #[arg(long, conflicts_with = "quick")]
        instructions: bool,
        /// Only measure instances of the validator in one process, without servers
        #[arg(long, conflicts_with_all = ["quick", "instructions"])]
        inside: bool,
    },
    /// Check the dependencies of both lock files for known vulnerabilities, before a release
    Advisories,
    /// Check comments, documents and messages against the rules for prose
    Prose,
    /// Build the components and write compositions to target/components
    Compose {
        #[arg(value_enum, default_value = "all")]
        set: Set,
        /// Accept changed imports and exports: rewrite the checked-in lists
        #[arg(long)]
        bless: bool,
    },
    /// Add the WebAssembly target to rustc, by rustup
    Target {
        /// Build it from Debian's rust-src instead, and copy it into rustc's sysroot
        #[arg(long)]
        from_debian: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Up { listen, data } => up::up(listen, data),
        Task::Test { only } => test::test(only.as_deref()),
        Task::Bench { instructions: true, .. } => bench::instructions(),
        Task::Bench { inside: true, .. } => bench::inside(),
        Task::Bench { quick, .. } => bench::bench(quick),
        Task::Advisories => advisories::check(),
        Task::Prose => prose::check(),
        Task::Compose { set, bless } => compose::compose(set, bless),
        Task::Target { from_debian: true } => target::from_debian(),
        Task::Target { from_debian: false } => target::ensure(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
