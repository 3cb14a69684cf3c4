//! Licences on standard output, for people and for scripts.

use std::io::{self, Write};

use comfy_table::{Table, TableStyle};
use countersign::decide::occupancy;
use countersign::period::Period;
use countersign::record::{ExpiryBasis, License};
use countersign::state::State;

use super::{CommandError, now};

/// One line of JSON.
pub(super) fn json(json: &[u8]) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    out.write_all(json)?;
    Ok(out.write_all(b"\n")?)
}

/// A licence and what has become of it, a line for each field that says something.
pub(super) fn license(license: &License, state: &State) -> Result<(), CommandError> {
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
    let ends_at = license.ends_at(state.begun_at);
    row(
        "expires",
        match (ends_at, license.duration_seconds) {
            (Some(at), _) => at.to_string(),
            (None, Some(seconds)) => {
                format!("{seconds} s after its {}", license.expiry_basis.as_str().replace('-', " "))
            }
            (None, None) => "never".into(),
        },
    );
    if ends_at.is_some() || license.expiry_basis != ExpiryBasis::Issue {
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
    if let (Some(activation), Some(seats)) = (&license.activation, occupancy(license, state, now())) {
        row("seats", format!("{} of {} taken, one per {}", seats.used, seats.limit, activation.per));
        row("seats over the limit", activation.overage.to_string());
        row("lease", activation.lease_seconds.map_or("until given back".into(), |seconds| format!("{seconds} s")));
    }
    for allowance in &license.allowances {
        let (used, _) = state.used(allowance, now());
        let period =
            if allowance.period == Period::Total { String::new() } else { format!(" this {}", allowance.period) };
        row(&format!("allowance {}", allowance.name), format!("{used} of {} used{period}", allowance.limit));
    }
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
