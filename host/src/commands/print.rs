//! Licences on standard output, for people and for scripts.

use std::io::{self, Write};

use comfy_table::{Table, TableStyle};
use countersign::record::License;

use super::CommandError;

/// One line of JSON.
pub(super) fn json(json: &[u8]) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(json)?;
    Ok(out.write_all(b"\n")?)
}

/// A licence, a line for each field that says something.
pub(super) fn license(license: &License) -> Result<(), CommandError> {
    let mut table = Table::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.add_row([name, &value]);
        }
    };
    row("id", license.id.to_string());
    row("status", license.status.to_string());
    row("product", license.product.to_string());
    row("plan", license.plan.to_string());
    row("key ends in", license.hint.as_ref().map(ToString::to_string).unwrap_or_default());
    row("issued", license.issued_at.to_string());
    row("valid from", license.not_before.as_ref().map(ToString::to_string).unwrap_or_default());
    row("expires", license.expires_at.map_or("never".into(), |at| at.to_string()));
    if license.expires_at.is_some() {
        row("after expiry", license.expiry_strategy.to_string());
        row("grace", if license.grace_seconds > 0 { format!("{} s", license.grace_seconds) } else { String::new() });
    }
    row("features", join(&license.features));
    row("domains", join(&license.domains));
    if let Some(versions) = &license.versions {
        row("versions from", versions.from.as_ref().map(ToString::to_string).unwrap_or_default());
        row("versions below", versions.below.as_ref().map(ToString::to_string).unwrap_or_default());
    }
    row("must be sent", join(&license.requires));
    row("generation", license.generation.to_string());
    self::table(table)
}

/// A table in columns without rules, as other commands print them.
pub(super) fn table(mut table: Table) -> Result<(), CommandError> {
    table.load_style(TableStyle::new());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    Ok(writeln!(io::stdout(), "{}", table.trim_fmt())?)
}

/// The items in one cell.
pub(super) fn join(items: &[impl ToString]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
