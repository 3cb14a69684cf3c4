//! A licence for people: all of it, or what a change left of it.

use std::io::Write;

use comfy_table::Table;
use countersign::span::Span;
use countersign::time::Timestamp;
use serde_json::Value;

use super::print;
use super::table::print_table;
use super::text::{member, plain, span, text};
use crate::api::Answer;
use crate::error::CommandError;

/// Prints a licence, one field a line, without empty fields. `usage` is the API's answer on its
/// activations and usage.
pub(crate) fn print_license(license: &Value, usage: Option<&Value>) -> Result<(), CommandError> {
    let mut table = Table::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.add_row([plain(name), plain(&value)]);
        }
    };
    for (name, field) in [
        ("id", "id"),
        ("status", "status"),
        ("product", "product"),
        ("policy", "policy"),
        ("plan", "plan"),
        ("owner", "owner"),
        ("key ends in", "hint"),
        ("issued", "issuedAt"),
        ("valid from", "notBefore"),
    ] {
        row(name, member(license, field));
    }
    row("expires", expiry(license, usage.and_then(|usage| usage["begunAt"].as_str())));
    if license.get("expiresAt").is_some() || lasts(license).is_some() {
        row("after expiry", member(license, "expiryStrategy"));
        row("grace", span(&license["graceSeconds"]));
    }
    for (name, value) in [
        ("features", &license["features"]),
        ("domains", &license["domains"]),
        ("maximum domains", &license["maxDomains"]),
        ("versions from", &license["versions"]["from"]),
        ("versions below", &license["versions"]["below"]),
        ("users", &license["users"]),
        ("uncounted domains", &license["uncountedDomains"]),
        ("required fields", &license["requires"]),
    ] {
        row(name, text(value));
    }
    let seats = &license["activation"];
    if seats.is_object() {
        let taken = usage.and_then(|usage| usage["activations"].as_array()).map_or(0, Vec::len);
        row("seats", format!("{taken} of {} taken, one per {}", member(seats, "limit"), member(seats, "per")));
        row("seat overage", member(seats, "overage"));
        let lease = span(&seats["leaseSeconds"]);
        row("lease", if lease.is_empty() { "until released".into() } else { lease });
        row("holders manage", member(seats, "manage"));
        if seats["ignoreWww"] == true {
            row("www.", "takes the seat of the name without it".into());
        }
        if seats["strict"] == false {
            row("requests without a holder", "answered without a check of seats".into());
        }
    }
    for allowance in license["allowances"].as_array().into_iter().flatten() {
        let mut counters = usage.and_then(|usage| usage["usage"].as_array()).into_iter().flatten();
        let counter = counters.find(|counter| counter["name"] == allowance["name"]);
        let used = counter.and_then(|counter| counter["used"].as_u64()).unwrap_or(0);
        let resets_at = counter.map_or_else(String::new, |counter| member(counter, "resetsAt"));
        let period = match allowance["period"].as_str() {
            Some(word @ ("day" | "week" | "month" | "year")) if allowance["begins"].is_null() => {
                format!(" this {word}")
            }
            _ if resets_at.is_empty() => String::new(),
            _ => format!(", resets {resets_at}"),
        };
        let limit = member(allowance, "limit");
        let returns = if allowance["returns"] == "vendor" { "" } else { ", holders may return" };
        row(&format!("allowance {}", member(allowance, "name")), format!("{used} of {limit} used{period}{returns}"));
    }
    for (name, value) in license["metadata"].as_object().into_iter().flatten() {
        row(&format!("metadata {name}"), text(value));
    }
    row("generation", member(license, "generation"));
    print_table(table)
}

/// Prints the status and expiry of a licence that was changed.
pub(crate) fn print_changed(answer: &Answer, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return print::json(answer.bytes());
    }
    let license = answer.json()?;
    let (id, status) = (member(&license, "id"), member(&license, "status"));
    let expiry = match expiry(&license, None) {
        _ if status == "revoked" => String::new(),
        never if never == NEVER => ", never expires".to_owned(),
        at => format!(", expires {at}"),
    };
    writeln!(print::out(), "{id} is {status}{expiry}")?;
    print::note_warnings(&license);
    print::note_propagation(&license);
    Ok(())
}

const NEVER: &str = "never";

/// When a licence expires: a time, a duration that has not begun, or never.
pub(crate) fn expiry(license: &Value, begun_at: Option<&str>) -> String {
    if let Some(at) = license["expiresAt"].as_str().or_else(|| license["endsAt"].as_str()) {
        return at.to_owned();
    }
    let begun_at = begun_at.and_then(|begun_at| Timestamp::parse(begun_at).ok());
    match (lasts(license), begun_at) {
        (Some(lasts), Some(begun_at)) => lasts.after(begun_at).to_string(),
        (Some(_), None) => duration(license),
        (None, _) => NEVER.to_owned(),
    }
}

/// How long licences with these terms last, such as `14d after first validation`.
pub(crate) fn duration(terms: &Value) -> String {
    let basis = terms["expiryBasis"].as_str().unwrap_or("issue").replace('-', " ");
    lasts(terms).map(|lasts| format!("{} after {basis}", calendar(lasts))).unwrap_or_default()
}

fn lasts(terms: &Value) -> Option<Span> {
    match terms["duration"].as_str() {
        Some(text) => Span::parse(text).ok(),
        None => terms["durationSeconds"].as_u64().and_then(|seconds| Span::of_seconds(seconds.try_into().ok()?)),
    }
}

/// A duration as options take it, such as `1y` or `30d`.
fn calendar(duration: Span) -> String {
    let months = match duration.months() {
        0 => String::new(),
        months if months % 12 == 0 => format!("{}y", months / 12),
        months => format!("{months}mo"),
    };
    months + &span(&duration.seconds().into())
}
