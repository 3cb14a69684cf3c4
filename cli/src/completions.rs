use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::Cli;
use crate::error::CommandError;
use crate::output::print;

/// Print a script that completes this program's words in a shell
///
/// bash: `source <(countersign completions bash)`; zsh and fish alike, in the place where theirs are kept.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        // Into memory first: a reader that goes away is an error here and would be a panic there.
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "countersign", &mut script);
        print::out().write_all(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
