//! Builds, composes, serves, tests and measures Countersign: `cargo xtask --help`.
#![forbid(unsafe_code)]

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
    /// Set up, build and serve on an embedded store, with a sample licence to try
    Up {
        /// Where to listen
        #[arg(long, default_value = "127.0.0.1:3000")]
        listen: SocketAddr,
        /// Where the licences are kept [default: .countersign at the repository's root]
        #[arg(long)]
        data: Option<PathBuf>,
    },
    /// Run every check and test; installs the host tools that cargo can give
    Test {
        /// Run only the steps whose name contains this
        only: Option<String>,
    },
    /// Measure every host beside its floor and its peers; a full run writes docs/benchmarks.md
    Bench {
        /// Fewer and shorter rounds, and neither growth nor other numbers of connections; nothing is written
        #[arg(long)]
        quick: bool,
        /// Only count the core's instructions: how a change is judged on a noisy machine
        #[arg(long, conflicts_with = "quick")]
        instructions: bool,
        /// Only measure instances of the validator in one process, without servers
        #[arg(long, conflicts_with_all = ["quick", "instructions"])]
        inside: bool,
    },
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
