//! Measures Countersign on every host beside its peers. `cargo xtask bench` builds it all, and says where it is by environment variables.
//!
//! In reading order: what is asked ([`cases`]), who is asked ([`servers`]), how ([`load`]), in which order ([`rounds`]), what else is
//! measured ([`growth`], [`start`]), and what is said of it ([`report`]) and of the [`machine`].
#![forbid(unsafe_code)]

mod cases;
mod growth;
mod load;
mod machine;
mod report;
mod rounds;
mod servers;
mod start;
mod statistics;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;

/// Measures Countersign beside its peers
#[derive(Parser)]
struct Arguments {
    /// Fewer and shorter rounds, and neither growth nor other numbers of connections
    #[arg(long)]
    quick: bool,
    /// Where to write the table, besides standard output
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match bench(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &Arguments) -> Result<()> {
    let plan = if arguments.quick { &rounds::QUICK } else { &rounds::FULL };
    let directory = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
    let cases = cases::write(directory.path())?;
    let mut report = report::head(plan);
    {
        let servers = servers::start_all(directory.path())?;
        let idle = machine::resident_of(&servers)?;
        let results = rounds::closed_loop(&servers, &cases, plan)?;
        let open = rounds::open_loop(&results, plan)?;
        let connections = rounds::connections(&results, plan)?;
        let loaded = machine::resident_of(&servers)?;
        report += &report::closed_loop(&results);
        report += &report::beside(&results);
        report += &report::open_loop(&open);
        report += &report::connections(&connections);
        report += &report::memory(&servers, &idle, &loaded);
    }
    report += &report::starts(&start::measure(directory.path(), plan)?);
    report += &report::artefacts()?;
    if !arguments.quick {
        report += &report::growth(&growth::measure(directory.path(), plan)?);
    }
    println!("\n{report}");
    if let Some(file) = &arguments.write {
        std::fs::write(file, report)?;
    }
    Ok(())
}
