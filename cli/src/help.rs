//! The first page of help: commands by subject, where they work, and exit codes.

use std::fmt::Write;

use clap::Command;

/// Every command, in the order in which a newcomer needs it.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Server", &["serve", "edge", "backup", "restore", "measure"]),
    (
        "Licences",
        &[
            "issue",
            "list",
            "show",
            "validate",
            "update",
            "renew",
            "suspend",
            "resume",
            "revoke",
            "rotate-key",
            "change-policy",
            "add-domain",
            "remove-domain",
            "activations",
            "release",
            "transfer",
            "usage",
            "delete",
        ],
    ),
    ("Many licences", &["import", "export"]),
    ("Products and policies", &["product", "policy"]),
    ("Access and history", &["token", "events", "audit", "stats", "reconcile", "forget"]),
    ("Help", &["completions", "help"]),
];

/// Wrapped at 80 columns by hand: clap would not indent the lines that it wraps.
pub(crate) const AFTER: &str = "\
Where commands work:
  `measure` works on servers. Every other command but `serve` works on a data
  directory or on a server:
    --data DIR      a data directory, in this process
    --server URL    a server; the token is in $COUNTERSIGN_TOKEN or --token-file
    --profile NAME  a server and its token, from a file of yours
  Without any of these options, $COUNTERSIGN_DATA (a directory) or
  $COUNTERSIGN_PROFILE (a profile) applies. An option wins over both variables:
  --server and --profile over COUNTERSIGN_DATA, --data over COUNTERSIGN_PROFILE.

  A profile is a table in ~/.config/countersign/profiles.toml (mode 0600):
    [production]
    server = \"https://licences.example.com\"
    token = \"cst_…\"

Exit codes:
  0    success; `validate`: the licence is valid
  1    `validate`: the licence is not valid; `import`: some lines failed;
       `measure`: some requests failed; `audit verify`, `reconcile`: the data is
       not as its events say
  2    the command line, a value or a key is invalid
  3    could not be done or checked: the store, a record, a file, an address or
       the server is at fault
  4    not found (`validate` reports NOT_FOUND and exits with 1)
  5    conflict: the licence is revoked, a key or name is taken, something is in
       use, or another change came first
  6    the token is missing, unknown or expired, or its role does not allow this
  141  the reader of standard output closed it

A key on the command line is visible in the shell's history and the process
list. Write `-` to read it from standard input instead.";

/// The command with its subcommands listed by subject. clap has one heading for all of them.
pub(crate) fn grouped(command: Command) -> Command {
    let listing = listing(&command);
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n{listing}\nOptions:\n{{options}}{{after-help}}"
    ))
}

fn listing(command: &Command) -> String {
    let header = command.get_styles().get_header();
    let literal = command.get_styles().get_literal();
    let about = |name: &str| {
        let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
        about.unwrap_or_else(|| "Print help on a command".into())
    };
    let mut text = String::new();
    for (group, names) in GROUPS {
        let _ = writeln!(text, "\n{header}{group}:{header:#}");
        for name in names {
            let _ = writeln!(text, "  {literal}{name:14}{literal:#}  {}", about(name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        grouped.retain(|name| *name != "help");
        grouped.sort_unstable();
        let command = Cli::command();
        let mut commands: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        commands.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn lines_that_clap_does_not_wrap_fit_in_80_columns() {
        let command = Cli::command();
        let pages: Vec<_> =
            command.get_subcommands().filter_map(|page| Some(page.get_long_about()?.to_string())).collect();
        let verbatim: Vec<_> =
            pages.iter().flat_map(|page| page.split("\n\n")).filter(|part| part.contains('\n')).collect();
        assert!(!verbatim.is_empty());
        for line in verbatim.iter().flat_map(|part| part.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn the_first_page_fits_in_80_columns() {
        let command = Cli::command().styles(clap::builder::Styles::plain());
        for line in listing(&command).lines().chain(AFTER.lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
