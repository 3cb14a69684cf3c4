//! Measures Countersign on every host beside its peers. `cargo xtask bench` builds everything and
//! passes its paths in environment variables.
//!
//! In reading order: the requests ([`cases`]), the servers ([`servers`]), the load ([`load`]) and
//! its order ([`rounds`]), further measurements ([`inside`], [`growth`], [`lasting`], [`start`]),
//! the [`machine`], the [`targets`], and the [`report`].
#![forbid(unsafe_code)]

mod cases;
mod growth;
mod inside;
mod lasting;
mod load;
mod machine;
mod report;
mod rounds;
mod servers;
mod start;
mod statistics;
mod targets;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;

/// Measures Countersign beside its peers
#[derive(Parser)]
struct Arguments {
    /// Run fewer and shorter rounds, without growth, a million requests, and other numbers of
    /// connections
    #[arg(long)]
    quick: bool,
    /// Measure only in this process, without servers
    #[arg(long)]
    inside: bool,
    /// Write the report to this file too
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
    if arguments.inside {
        println!("{}", report::inside(&inside::measure()?));
        return Ok(());
    }
    let plan = if arguments.quick { &rounds::QUICK } else { &rounds::FULL };
    let directory = tempfile::Builder::new().prefix("countersign-bench-").tempdir()?;
    let cases = cases::write(directory.path())?;
    let (mut tables, mut targets) = (String::new(), Vec::new());
    {
        let servers = servers::start_all(directory.path())?;
        let idle = machine::resident_of(&servers)?;
        let closed = rounds::closed_loop(&servers, &cases, plan)?;
        let open = rounds::open_loop(&closed, plan)?;
        let connections = rounds::connections(&closed, plan)?;
        let loaded = machine::resident_of(&servers)?;
        targets.extend(targets::end_to_end(&closed));
        tables += &report::closed_loop(&closed);
        tables += &report::beside(&closed);
        tables += &report::open_loop(&open);
        tables += &report::connections(&connections);
        tables += &report::memory(&servers, &idle, &loaded);
    }
    let inside = inside::measure()?;
    let (grown, resident) = if arguments.quick {
        (Vec::new(), None)
    } else {
        let resident = lasting::measure(directory.path(), &cases, plan.connections)?;
        (growth::measure(directory.path(), plan)?, Some(resident))
    };
    targets.extend(targets::others(&inside, &grown, resident.as_ref())?);
    tables += &report::inside(&inside);
    tables += &report::growth(&grown);
    tables += &report::lasting(resident.as_ref());
    tables += &report::starts(&start::measure(directory.path(), plan)?);
    tables += &report::artefacts()?;
    tables += &report::instructions()?;
    let report = report::head(plan) + &report::targets(&targets) + &tables;
    println!("\n{report}");
    if let Some(file) = &arguments.write {
        std::fs::write(file, report)?;
    }
    Ok(())
}
