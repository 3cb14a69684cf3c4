//! The command line's words, and in one line what is wrong with them.

use std::env;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};

use crate::error::CommandError;

/// Reads this process' words. Ends it where they ask for help or the version, with that.
pub(crate) fn read<C: Parser>() -> Result<C, CommandError> {
    C::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        CommandError::Input(format!("{}; see {} --help", sentence(error), command::<C>()))
    })
}

/// What is wrong: the first paragraph of several. It quotes no word that may be a key or a token, in its place or not.
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

/// Whether a word is made as those of commands and options are. Keys and tokens have digits in them.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase())
}

/// The command that the words begin with, as far as there is one.
fn command<C: CommandFactory>() -> String {
    let mut command = &C::command();
    let mut words = vec!["countersign".to_owned()];
    for word in env::args().skip(1) {
        let Some(subcommand) = command.find_subcommand(word) else { break };
        words.push(subcommand.get_name().to_owned());
        command = subcommand;
    }
    words.join(" ")
}
