//! Licences as lines of CSV (RFC 4180), with a column for each field.
//!
//! A cell is a text, a number, or JSON. The entries of a list may be separated by semicolons, and a
//! member of an object may have a column of its own: `activation.limit`, `metadata.order`. An empty
//! cell leaves the field out. `null` is JSON's null, except in a cell that is always a text.

use countersign::field::FieldError;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value};

use crate::resources::terms::{Cell, Terms};

/// The columns of an export, in their order. Terms that are not among them follow. An import
/// accepts these and others, in any order.
const COLUMNS: [&str; 29] = [
    "id",
    "keyHash",
    "hint",
    "product",
    "policy",
    "status",
    "plan",
    "issuedAt",
    "notBefore",
    "expiresAt",
    "expiryBasis",
    "durationSeconds",
    "duration",
    "renewalDay",
    "expiryStrategy",
    "graceSeconds",
    "features",
    "domains",
    "maxDomains",
    "versions",
    "requires",
    "activation",
    "allowances",
    "owner",
    "metadata",
    "generation",
    "createdAt",
    "updatedAt",
    "revision",
];

const SEPARATOR: &str = ";";

fn columns() -> impl Iterator<Item = &'static str> {
    let terms = Terms::COLUMNS.iter().map(|(name, _)| *name);
    COLUMNS.into_iter().chain(terms.filter(|name| !COLUMNS.contains(name)))
}

/// What the cells of a column contain.
fn kind(column: &str) -> Cell {
    if let Some((object, _)) = column.split_once('.') {
        return if kind(object) == Cell::Texts { Cell::Text } else { Cell::Json };
    }
    let term = Terms::COLUMNS.iter().find(|(name, _)| *name == column);
    match (term, column) {
        (Some((_, kind)), _) => *kind,
        (None, "id" | "key" | "keyHash" | "keyPrefix" | "hint" | "product" | "policy" | "owner") => Cell::Text,
        (None, "domains") => Cell::List,
        (None, "metadata") => Cell::Texts,
        (None, _) => Cell::Json,
    }
}

/// Writes a line for each licence, after a header if asked for.
pub(super) fn write<'a>(licenses: impl Iterator<Item = &'a Map<String, Value>>, with_header: bool) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Writing to memory does not fail.
    if with_header {
        let _ = writer.write_record(columns());
    }
    for license in licenses {
        let cell = |column| license.get(column).map_or_else(String::new, |value| cell(column, value));
        let _ = writer.write_record(columns().map(cell));
    }
    writer.into_inner().unwrap_or_default()
}

/// The number of a line, where the header has 0, and its fields.
pub(super) type Line = (u64, Result<Fields, FieldError>);

/// Reads a header and lines. An invalid line does not affect the others.
pub(super) fn read(body: &[u8]) -> Result<Vec<Line>, FieldError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(true).from_reader(body);
    let header = reader.headers().map_err(|_| FieldError::new("", "The header line must be UTF-8."))?.clone();
    let columns: Vec<&str> = header.iter().map(str::trim).collect();
    if columns.iter().enumerate().any(|(at, column)| columns[..at].contains(column)) {
        return Err(FieldError::new("", "The header line must name each column only once."));
    }
    let mut lines = Vec::new();
    let (mut number, mut counted) = (0, 0);
    for record in reader.byte_records() {
        // Reading bytes from memory does not fail; `fields` checks the text.
        let Ok(record) = record else { break };
        let begin = record.position().map_or(counted, |position| position.byte() as usize);
        // The position is where the last record ended, before the rest of its line end and empty
        // lines.
        let blank = body[begin..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        number += body[counted..begin + blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = begin + blank;
        lines.push((number, fields(&columns, &record)));
    }
    Ok(lines)
}

fn fields(columns: &[&str], record: &csv::ByteRecord) -> Result<Fields, FieldError> {
    if record.len() != columns.len() {
        return Err(FieldError::new("", "The line must have as many cells as the header."));
    }
    let mut fields = Map::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = str::from_utf8(cell).map_err(|_| FieldError::new("", "The line must be UTF-8."))?;
        if cell.is_empty() {
            continue;
        }
        let value = value(column, cell);
        match column.split_once('.') {
            None => fields.insert((*column).to_owned(), value),
            Some((object, member)) => {
                let object = fields.entry(object).or_insert_with(|| Map::new().into());
                object.as_object_mut().and_then(|object| object.insert(member.to_owned(), value))
            }
        };
    }
    Ok(Fields::new(fields))
}

fn value(column: &str, cell: &str) -> Value {
    match kind(column) {
        Cell::Text => cell.into(),
        Cell::List if !cell.starts_with('[') && cell != "null" => {
            cell.split(SEPARATOR).map(str::trim).filter(|entry| !entry.is_empty()).collect()
        }
        Cell::List | Cell::Texts | Cell::Json => serde_json::from_str(cell).unwrap_or_else(|_| cell.into()),
    }
}

fn cell(column: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) if kind(column) == Cell::List => {
            let texts: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            let joined = texts.join(SEPARATOR);
            // JSON if the list is empty, or an entry contains a semicolon or begins as JSON does.
            if !texts.is_empty() && self::value(column, &joined) == *value { joined } else { value.to_string() }
        }
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_licence_reads_as_it_was_written() {
        let licenses = [
            json!({"id": "lic_1", "plan": "null", "features": ["a", "b"], "domains": [], "graceSeconds": 7, "expiresAt": null,
                "metadata": {"a": "x\r\ny,\"z\""}, "owner": "=1;2"}),
            json!({"features": ["a;b", "c"], "domains": ["[::1]"], "requires": ["domain"], "versions": {"from": "1.0"}}),
            json!({"features": ["[x"], "expiresAt": "2027-01-01T00:00:00Z", "activation": null}),
        ];
        let written = write(licenses.iter().filter_map(Value::as_object), true);
        let lines = read(&written).unwrap();
        assert_eq!(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
        for ((_, fields), license) in lines.into_iter().zip(licenses) {
            assert_eq!(Value::Object(fields.unwrap().into_members()), license);
        }
    }

    #[test]
    fn lines_of_other_tools_are_read() {
        let text = "\u{feff}key,activation.per,activation.limit,metadata.order,versions.from,features\n\
            k-1,machine,5,17,1.0,a; b ;\nk-2,too,few\n\n\"k\n3\",,,,,\r\nk-4,,,,,";
        let lines: Vec<_> = read(text.as_bytes()).unwrap();
        let fields: Vec<_> =
            lines.into_iter().map(|(number, fields)| (number, fields.ok().map(Fields::into_members))).collect();
        let first = json!({"key": "k-1", "activation": {"per": "machine", "limit": 5}, "metadata": {"order": "17"},
            "versions": {"from": "1.0"}, "features": ["a", "b"]});
        assert_eq!(fields[0], (1, first.as_object().cloned()));
        assert_eq!(fields[1], (2, None));
        assert_eq!(fields[2], (4, json!({"key": "k\n3"}).as_object().cloned()));
        assert_eq!(fields[3].0, 6);
        assert!(read(b"key,key\na,b").is_err());
        assert!(read(b"k\xff\na").is_err());
        assert!(read(b"key\n\xff\nb").unwrap()[0].1.is_err());
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn every_term_has_a_column() {
        for (name, _) in Terms::COLUMNS {
            assert_eq!(columns().filter(|column| column == name).count(), 1, "{name}");
        }
    }
}
