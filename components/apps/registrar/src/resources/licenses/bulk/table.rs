//! Licences as lines of CSV (RFC 4180): a column for each field.
//!
//! A cell is a text, a number, or JSON. The entries of `features`, `domains` and `requires` may stand with semicolons between them, and a
//! member of an object in a column of its own: `activation.limit`, `metadata.order`. An empty cell says nothing; `null` says that there
//! is none, where the cell is no text that a vendor chose.

use countersign::field::FieldError;
use serde_json::{Map, Value};

use crate::wire::fields::Fields;

/// The columns that are written, in their order. Read are these and others, in any order.
const COLUMNS: [&str; 27] = [
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

/// What is never anything but a text.
const TEXTS: [&str; 9] = ["id", "key", "keyHash", "keyPrefix", "hint", "product", "policy", "plan", "owner"];
const OBJECTS_OF_TEXTS: [&str; 2] = ["metadata.", "versions."];

const LISTS: [&str; 3] = ["features", "domains", "requires"];
const SEPARATOR: char = ';';

/// Writes a line for each licence, after a header if there is to be one.
pub(super) fn write<'a>(licenses: impl Iterator<Item = &'a Map<String, Value>>, with_header: bool) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let lines = licenses.map(|license| COLUMNS.map(|column| license.get(column).map(|value| cell(column, value))));
    // Writing to memory does not fail.
    if with_header {
        let _ = writer.write_record(COLUMNS);
    }
    for line in lines {
        let _ = writer.write_record(line.map(Option::unwrap_or_default));
    }
    writer.into_inner().unwrap_or_default()
}

/// A line that was read: its number from 1 on, the header's being 0, and its fields.
pub(super) type Line = (u64, Result<Fields, FieldError>);

/// Reads a header and lines. A line that is wrong is no reason not to read the others.
pub(super) fn read(body: &[u8]) -> Result<Vec<Line>, FieldError> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(true).from_reader(body);
    let header = reader.headers().map_err(|_| FieldError::new("", "The header line is not UTF-8."))?.clone();
    let columns: Vec<&str> = header.iter().map(str::trim).collect();
    if columns.iter().enumerate().any(|(at, column)| columns[..at].contains(column)) {
        return Err(FieldError::new("", "The header line names a column twice."));
    }
    let mut lines = Vec::new();
    let (mut number, mut counted) = (0, 0);
    for record in reader.byte_records() {
        // Reading from memory fails nowhere but in the text, and each record is looked at for that.
        let Ok(record) = record else { break };
        let begin = record.position().map_or(counted, |position| position.byte() as usize);
        // The reader is where the last record ended: before the rest of its line's end, and empty lines.
        let blank = body[begin..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        number += body[counted..begin + blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        counted = begin + blank;
        lines.push((number, fields(&columns, &record)));
    }
    Ok(lines)
}

fn fields(columns: &[&str], record: &csv::ByteRecord) -> Result<Fields, FieldError> {
    if record.len() != columns.len() {
        return Err(FieldError::new("", "The line has another number of cells than the header."));
    }
    let mut fields = Map::new();
    for (column, cell) in columns.iter().zip(record) {
        let cell = str::from_utf8(cell).map_err(|_| FieldError::new("", "The line is not UTF-8."))?;
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
    if TEXTS.contains(&column) || OBJECTS_OF_TEXTS.iter().any(|object| column.starts_with(object)) {
        return cell.into();
    }
    if LISTS.contains(&column) && !cell.starts_with('[') && cell != "null" {
        return cell.split(SEPARATOR).map(str::trim).filter(|entry| !entry.is_empty()).collect();
    }
    serde_json::from_str(cell).unwrap_or_else(|_| cell.into())
}

fn cell(column: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(entries) if LISTS.contains(&column) => {
            let texts: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            let joined = texts.join(";");
            // There is none, or one has what separates them, or begins as JSON does.
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
    fn what_is_written_is_read() {
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
    fn cells_of_other_tools_are_read() {
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
}
