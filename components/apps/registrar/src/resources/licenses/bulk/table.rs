//! Licences as rows of CSV (RFC 4180), with a column for each field.
//!
//! A cell is a text, a number, or JSON. The entries of a list may be separated by semicolons, and a
//! member of an object may have a column of its own: `activation.limit`, `metadata.order`. An empty
//! cell leaves the field out. `null` is JSON's null, except in a cell that is always a text.
//!
//! Other programs save such a table again: spreadsheets write `TRUE`, data frames `5.0`, databases
//! `NULL` and `\\N`. These are read as what they were.
//!
//! Spreadsheets compute a cell that begins as a formula does, and owners come from customers. So
//! such a cell gets an apostrophe, which reading removes again.

use std::borrow::Cow;

use countersign::field::FieldError;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value};

use super::columns;
use crate::resources::terms::Cell;

const SEPARATOR: &str = ";";

/// How formulas begin; full-width forms count in some languages.
const FORMULAS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// The line of column names.
pub(super) fn header(with_state: bool) -> String {
    let names: Vec<_> = columns::exported(with_state).collect();
    names.join(",") + "\r\n"
}

/// The line of a licence.
pub(super) fn write(license: &Map<String, Value>, with_state: bool) -> String {
    let cell = |column| license.get(column).map_or_else(String::new, |value| quoted(guarded(cell(column, value))));
    columns::exported(with_state).map(cell).collect::<Vec<_>>().join(",") + "\r\n"
}

/// The fields of a row, whose cells are in these columns.
///
/// # Errors
/// If a list has a comma: it may be part of an entry or be between two.
pub(super) fn fields(columns: &[Option<Cow<'static, str>>], cells: &[Cow<'_, str>]) -> Result<Fields, FieldError> {
    let mut fields = Map::new();
    for (column, cell) in columns.iter().zip(cells) {
        let Some(column) = column.as_deref().filter(|_| !cell.is_empty()) else { continue };
        let value = value(column, unguarded(cell))?;
        match column.split_once('.') {
            None => fields.insert(column.to_owned(), value),
            Some((object, member)) => {
                let object = fields.entry(object).or_insert_with(|| Map::new().into());
                object.as_object_mut().and_then(|object| object.insert(member.to_owned(), value))
            }
        };
    }
    Ok(Fields::new(fields))
}

fn value(column: &str, cell: &str) -> Result<Value, FieldError> {
    Ok(match columns::kind(column) {
        Cell::Text => cell.into(),
        _ if cell.eq_ignore_ascii_case("null") || cell == "\\N" => Value::Null,
        Cell::Word => cell.into(),
        Cell::List if !cell.starts_with('[') && cell.contains(',') => {
            let detail =
                "has a comma; separate its entries by semicolons, or write them as JSON, such as [\"a\",\"b\"].";
            return Err(FieldError::new(column, detail));
        }
        Cell::List if !cell.starts_with('[') => {
            cell.split(SEPARATOR).map(str::trim).filter(|entry| !entry.is_empty()).collect()
        }
        Cell::List | Cell::Texts | Cell::Json => json(cell),
    })
}

/// JSON, with `TRUE` for `true` and `5.0` for `5`; any other text is a string.
fn json(cell: &str) -> Value {
    match cell {
        _ if cell.eq_ignore_ascii_case("true") => true.into(),
        _ if cell.eq_ignore_ascii_case("false") => false.into(),
        _ => {
            let whole = cell.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
            let number = whole.and_then(|(number, _)| number.parse::<u64>().ok()).map(Value::from);
            number.unwrap_or_else(|| serde_json::from_str(cell).unwrap_or_else(|_| cell.into()))
        }
    }
}

fn cell(column: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) if columns::kind(column) == Cell::List => {
            let texts: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            let joined = texts.join(SEPARATOR);
            // JSON if the list is empty, or an entry contains a separator or begins as JSON does.
            let is_plain = !texts.is_empty() && self::value(column, &joined).is_ok_and(|read| read == *value);
            if is_plain { joined } else { value.to_string() }
        }
        _ => value.to_string(),
    }
}

/// Whether a spreadsheet may compute a cell, or would but for apostrophes before it.
fn is_formula(cell: &str) -> bool {
    let text = cell.trim_start_matches('\'');
    text.starts_with(['\t', '\r', '\n']) || text.trim_start().starts_with(FORMULAS)
}

fn guarded(cell: String) -> String {
    if is_formula(&cell) { format!("'{cell}") } else { cell }
}

fn unguarded(cell: &str) -> &str {
    // Some programs write `="007"` so that spreadsheets leave digits as they are.
    let text = cell.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    if let Some(text) = text.filter(|text| !text.contains('"')) {
        return text;
    }
    cell.strip_prefix('\'').filter(|_| is_formula(cell)).unwrap_or(cell)
}

/// In quotes if it needs any: reading trims a cell without.
fn quoted(cell: String) -> String {
    if cell.contains([',', '"', '\r', '\n']) || cell.trim() != cell {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_bulk::csv::cells;
    use serde_json::json;

    fn read(line: &str) -> Value {
        let columns: Vec<_> = columns::exported(false).map(|name| Some(name.into())).collect();
        Value::Object(fields(&columns, &cells(line, b',').unwrap()).unwrap().into_members())
    }

    #[test]
    fn a_licence_reads_as_it_was_written() {
        for license in [
            json!({"id": "lic_1", "plan": "null", "features": ["a", "b"], "domains": [], "graceSeconds": 7, "expiresAt": null,
                "metadata": {"a": "x\r\ny,\"z\""}, "owner": "=1;2"}),
            json!({"features": ["a;b", "c"], "domains": ["[::1]"], "requires": ["domain"], "versions": {"from": "1.0"}}),
            json!({"features": ["[x"], "expiresAt": "2027-01-01T00:00:00Z", "activation": null}),
            json!({"features": ["a,b", "c"], "users": ["NULL"], "requires": ["\\N"], "plan": "NULL"}),
            json!({"features": ["=a", "b"], "owner": " \u{a0}padded ", "hint": "'-12", "plan": "\"quoted\""}),
        ] {
            assert_eq!(read(&write(license.as_object().unwrap(), false)), license);
        }
    }

    #[test]
    fn no_cell_is_a_formula_and_each_reads_as_it_was() {
        for formula in
            ["=HYPERLINK(\"http://x\")", "=\"1\"", "@SUM(1)", "-2+3", "+1+1", " =1", "\t=1", "\u{ff1d}1", "\r1", "\n1"]
        {
            for text in [formula.to_owned(), format!("'{formula}"), format!("'''{formula}")] {
                let license = json!({ "owner": text });
                let written = write(license.as_object().unwrap(), false);
                let cell = cells(&written, b',').unwrap().into_iter().find(|cell| !cell.is_empty()).unwrap();
                assert_eq!(*cell, format!("'{text}"));
                assert_eq!(read(&written), license);
            }
        }
        for (cell, text) in [("=\"007\"", "007"), ("=\"\"", ""), ("=\"a\"&\"b\"", "=\"a\"&\"b\"")] {
            assert_eq!(unguarded(cell), text);
        }
        for text in ["'", "'a", "O'Brien", "a=1", "'a=1", "1-2"] {
            let license = json!({ "owner": text });
            let written = write(license.as_object().unwrap(), false);
            assert!(written.contains(&format!(",{text},")), "{written}");
            assert_eq!(read(&written), license);
        }
    }

    #[test]
    fn cells_of_other_tools_are_read() {
        let names = ["key", "activation.per", "activation.limit", "metadata.order", "versions.from", "features"];
        let columns: Vec<_> = names.iter().map(|&name| Some(name.into())).chain([None]).collect();
        let cells = ["k-1", "machine", "5", "17", "1.0", "a; b ;", ""].map(Cow::from);
        let expected = json!({"key": "k-1", "activation": {"per": "machine", "limit": 5}, "metadata": {"order": "17"},
            "versions": {"from": "1.0"}, "features": ["a", "b"]});
        assert_eq!(Value::Object(fields(&columns, &cells).unwrap().into_members()), expected);
    }

    #[test]
    fn what_other_tools_make_of_a_cell_is_read_as_what_it_was() {
        for (column, cell, expected) in [
            ("weakKey", "TRUE", json!(true)),
            ("activation.strict", "False", json!(false)),
            ("activation.limit", "5.0", json!(5)),
            ("graceSeconds", "86400.00", json!(86_400)),
            ("graceSeconds", "1.5", json!(1.5)),
            ("domains", "NULL", Value::Null),
            ("expiresAt", "\\N", Value::Null),
            ("expiresAt", "46053", json!("46053")),
            ("plan", "NULL", json!("NULL")),
            ("owner", "TRUE", json!("TRUE")),
            ("versions.from", "5.0", json!("5.0")),
            ("features", "a;b", json!(["a", "b"])),
            ("features", "[\"a, b\"]", json!(["a, b"])),
        ] {
            assert_eq!(value(column, cell).ok(), Some(expected), "{column} {cell}");
        }
        assert!(value("features", "a, b").is_err() && value("domains", "example.com,example.org").is_err());
    }
}
