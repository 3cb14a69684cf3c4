//! The API's answers on standard output, for people and for scripts.

use std::fmt;
use std::io::{self, ErrorKind, StdoutLock, Write};

use comfy_table::{Table, TableStyle};
use countersign::time::Timestamp;
use serde_json::Value;

use crate::api::Answer;
use crate::error::{CommandError, ReaderGone};

/// What a resource is called stands first; the other fields follow by their names.
const FIRST: [&str; 4] = ["code", "id", "name", "product"];

/// Standard output. That its reader has gone, as `head` does, is told from all else that breaks: it is a [`ReaderGone`].
pub(crate) struct Out(StdoutLock<'static>);

pub(crate) fn out() -> Out {
    Out(io::stdout().lock())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(of_reader)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(of_reader)
    }
}

fn of_reader(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::BrokenPipe { io::Error::new(ErrorKind::BrokenPipe, ReaderGone) } else { error }
}

/// One line on standard error, if it can be written there.
pub(crate) fn note(line: fmt::Arguments<'_>) {
    let _: io::Result<()> = writeln!(io::stderr(), "{line}");
}

/// One line of JSON, if there is any.
pub(crate) fn json(json: &[u8]) -> Result<(), CommandError> {
    if json.is_empty() {
        return Ok(());
    }
    let mut out = out();
    out.write_all(json)?;
    Ok(out.write_all(b"\n")?)
}

/// A licence that was changed.
pub(crate) fn changed(answer: &Answer, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return json(answer.bytes());
    }
    let license = answer.json()?;
    let (id, status) = (text(&license, "id"), text(&license, "status"));
    let expiry = if status == "revoked" { String::new() } else { expiry_phrase(&license) };
    writeln!(out(), "{id} is {status}{expiry}")?;
    note_propagation(&license);
    Ok(())
}

/// What was done, where the answer may say nothing.
pub(crate) fn done(answer: &Answer, sentence: &str, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return json(answer.bytes());
    }
    writeln!(out(), "{sentence}")?;
    if !answer.bytes().is_empty() {
        note_propagation(&answer.json()?);
    }
    Ok(())
}

/// Says it where a change has not reached the store yet.
pub(crate) fn note_propagation(answer: &Value) {
    if answer["propagated"] == false {
        note(format_args!(
            "written, but the store of licences could not be: it is told later, and validations go by what was before"
        ));
    }
}

/// A product or a policy: a line for each field that says something.
pub(crate) fn resource(answer: &Answer, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return json(answer.bytes());
    }
    let resource = answer.json()?;
    let members = resource.as_object().into_iter().flatten();
    let (named, others): (Vec<_>, Vec<_>) = members.partition(|(name, _)| FIRST.contains(&name.as_str()));
    let mut out = Table::new();
    let mut row = |name: &str, value: &Value| {
        let value = if name.ends_with("Seconds") { span(value) } else { cell(value) };
        if !value.is_empty() {
            out.add_row([plain(name), plain(&value)]);
        }
    };
    for (name, value) in named.into_iter().chain(others) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(member, value)| row(&format!("{name}.{member}"), value))
            }
            value => row(name, value),
        }
    }
    table(out)
}

/// A licence, and what has become of it where that was asked for: a line for each field that says something.
pub(crate) fn license(license: &Value, used: Option<&Value>) -> Result<(), CommandError> {
    let mut out = Table::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            out.add_row([plain(name), plain(&value)]);
        }
    };
    let begun_at = used.and_then(|used| used["begunAt"].as_str());
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
        row(name, text(license, field));
    }
    row("expires", expiry(license, begun_at));
    if license.get("expiresAt").is_some() || license.get("durationSeconds").is_some() {
        row("after expiry", text(license, "expiryStrategy"));
        row("grace", span(&license["graceSeconds"]));
    }
    for (name, value) in [
        ("features", &license["features"]),
        ("domains", &license["domains"]),
        ("domains at most", &license["maxDomains"]),
        ("versions from", &license["versions"]["from"]),
        ("versions below", &license["versions"]["below"]),
        ("must be sent", &license["requires"]),
    ] {
        row(name, cell(value));
    }
    let activation = &license["activation"];
    if activation.is_object() {
        let taken = used.and_then(|used| used["activations"].as_array()).map_or(0, Vec::len);
        row("seats", format!("{taken} of {} taken, one per {}", text(activation, "limit"), text(activation, "per")));
        row("seats over the limit", text(activation, "overage"));
        let lease = span(&activation["leaseSeconds"]);
        row("lease", if lease.is_empty() { "until given back".into() } else { lease });
    }
    for allowance in license["allowances"].as_array().into_iter().flatten() {
        let mut counted = used.and_then(|used| used["usage"].as_array()).into_iter().flatten();
        let counted = counted.find(|counted| counted["name"] == allowance["name"]);
        let consumed = counted.and_then(|counted| counted["used"].as_u64()).unwrap_or(0);
        let period = match allowance["period"].as_str() {
            None | Some("total") => String::new(),
            Some(period) => format!(" this {period}"),
        };
        let limit = text(allowance, "limit");
        row(&format!("allowance {}", text(allowance, "name")), format!("{consumed} of {limit} used{period}"));
    }
    for (name, value) in license["metadata"].as_object().into_iter().flatten() {
        row(&format!("metadata {name}"), cell(value));
    }
    row("generation", text(license, "generation"));
    table(out)
}

/// When a licence's time is over, for a column.
pub(crate) fn expiry(license: &Value, begun_at: Option<&str>) -> String {
    if let Some(at) = license["expiresAt"].as_str() {
        return at.to_owned();
    }
    let begun_at = begun_at.and_then(|begun_at| Timestamp::parse(begun_at).ok());
    let seconds = license["durationSeconds"].as_u64().and_then(|seconds| u32::try_from(seconds).ok());
    match (seconds, begun_at) {
        (Some(seconds), Some(begun_at)) => begun_at.plus_seconds(seconds).to_string(),
        (Some(_), None) => duration(license),
        (None, _) => "never".to_owned(),
    }
}

/// How long a licence is valid from when, for a column.
pub(crate) fn duration(terms: &Value) -> String {
    let basis = terms["expiryBasis"].as_str().unwrap_or("issue").replace('-', " ");
    match span(&terms["durationSeconds"]) {
        none if none.is_empty() => none,
        span => format!("{span} after its {basis}"),
    }
}

/// Seconds as options have them: `30d`. Nothing for none.
fn span(seconds: &Value) -> String {
    match seconds.as_u64() {
        None | Some(0) => String::new(),
        Some(seconds) if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        Some(seconds) if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        Some(seconds) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        Some(seconds) => format!("{seconds}s"),
    }
}

fn expiry_phrase(license: &Value) -> String {
    match expiry(license, None) {
        never if never == "never" => ", never expires".to_owned(),
        at => format!(", expires {at}"),
    }
}

/// A table in columns without rules.
pub(crate) fn table(mut table: Table) -> Result<(), CommandError> {
    table.load_style(TableStyle::new());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    Ok(writeln!(out(), "{}", table.trim_fmt())?)
}

/// A member as text.
pub(crate) fn text(value: &Value, name: &str) -> String {
    cell(&value[name])
}

/// A value as text: nothing for `null`, the items of an array with commas between them.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Text of others without what a terminal obeys.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
