//! `countersign`: serves licence checks, and works on the licences of a data directory.

#![forbid(unsafe_code)]

mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("countersign: {error}");
            error.exit_code()
        }
    }
}
