//! Tables in columns without rules.

use std::io::Write;

use comfy_table::{Table, TableStyle};
use serde_json::Value;

use super::print;
use super::text::{plain, span, text};
use crate::api::Answer;
use crate::error::CommandError;

/// The fields that identify a resource: they come first.
const FIRST: [&str; 4] = ["code", "id", "name", "product"];

pub(crate) fn print_table(table: Table) -> Result<(), CommandError> {
    Ok(print::out().write_all(columns(table).as_bytes())?)
}

/// The lines of a table.
pub(crate) fn columns(mut table: Table) -> String {
    table.load_style(TableStyle::new());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// Prints a product or a policy, one field a line, without empty fields.
pub(crate) fn print_resource(answer: &Answer, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        return print::json(answer.bytes());
    }
    let resource = answer.json()?;
    let members = resource.as_object().into_iter().flatten();
    let (first, others): (Vec<_>, Vec<_>) = members.partition(|(name, _)| FIRST.contains(&name.as_str()));
    let mut table = Table::new();
    let mut row = |name: &str, value: &Value| {
        let value = if name.ends_with("Seconds") { span(value) } else { text(value) };
        if !value.is_empty() {
            table.add_row([plain(name), plain(&value)]);
        }
    };
    for (name, value) in first.into_iter().chain(others) {
        match value {
            Value::Object(members) => {
                members.iter().for_each(|(member, value)| row(&format!("{name}.{member}"), value))
            }
            value => row(name, value),
        }
    }
    print_table(table)
}
