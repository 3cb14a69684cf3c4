//! Reads the command line, and says in one line what is wrong with it.

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, FromArgMatches};

use crate::error::CommandError;

/// Reads the arguments of this process as those of `command`. If they ask for help or the version,
/// prints it and ends the process.
pub(crate) fn read<C: FromArgMatches>(command: Command) -> Result<C, CommandError> {
    let matches = command.clone().try_get_matches();
    matches.and_then(|mut matches| C::from_arg_matches_mut(&mut matches)).map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        CommandError::Input(format!("{}; see {} --help", sentence(error), called(&command)))
    })
}

/// The first paragraph of an error, on one line. It never quotes an argument that may be a key or a
/// token, wherever that was written.
fn sentence(mut error: clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing".into();
    }
    hide(&mut error, ContextKind::InvalidValue, str::is_empty);
    hide(&mut error, ContextKind::InvalidSubcommand, is_plain);
    if error.kind() == ErrorKind::UnknownArgument {
        hide(&mut error, ContextKind::InvalidArg, |word| word.starts_with('-') && is_plain(word));
    }
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

fn hide(error: &mut clap::Error, kind: ContextKind, is_shown: fn(&str) -> bool) {
    if matches!(error.get(kind), Some(ContextValue::String(word)) if !is_shown(word)) {
        error.insert(kind, ContextValue::String("…".into()));
    }
}

/// Whether a word looks like a command or an option. Keys and tokens contain digits.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
}

/// The command and subcommands that the arguments begin with.
fn called(mut command: &Command) -> String {
    let mut words = vec!["countersign".to_owned()];
    for word in env::args().skip(1) {
        let Some(subcommand) = command.find_subcommand(word) else { break };
        words.push(subcommand.get_name().to_owned());
        command = subcommand;
    }
    words.join(" ")
}
