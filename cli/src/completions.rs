use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::error::CommandError;
use crate::output::print;

/// Print a completion script for a shell
///
/// For bash: `source <(countersign completions bash)`. For zsh and fish, write it to the directory
/// of their completions.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, command: &mut Command) -> Result<ExitCode, CommandError> {
        // Into memory first: `generate` panics if its output is closed.
        let mut script = Vec::new();
        generate(self.shell, command, "countersign", &mut script);
        print::out().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
