//! `countersign`: serves licence checks, and works on the licences of a data directory.

#![forbid(unsafe_code)]

mod commands;

use std::process::ExitCode;

fn main() -> ExitCode {
    match commands::read().and_then(commands::Cli::run) {
        Ok(code) => code,
        Err(error) => {
            if !error.is_of_reader() {
                commands::note(format_args!("countersign: {error}"));
            }
            error.exit_code()
        }
    }
}
