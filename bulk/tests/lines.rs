//! Every line of any file is counted once, and what a file says does not depend on how it was
//! saved, nor on how it is cut into bodies.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use countersign::limits::MAX_BODY_BYTES;
use countersign_bulk::lines::OpenError;
use countersign_bulk::{Content, FileError, Format, Line, LineError, Lines, csv};
use proptest::prelude::*;

/// The lines of a file that can be opened.
fn read(file: &[u8], format: Option<Format>) -> Result<(Vec<Line>, Lines<&[u8]>), FileError> {
    match Lines::open(file, format) {
        Ok(mut lines) => {
            let all = lines.by_ref().map(Result::unwrap).collect();
            Ok((all, lines))
        }
        Err(OpenError::File(error)) => Err(error),
        Err(OpenError::Io(error)) => panic!("memory can be read: {error}"),
    }
}

fn refused(file: impl AsRef<[u8]>) -> String {
    read(file.as_ref(), None).map(|_| ()).unwrap_err().to_string()
}

/// The cells of each record, or the error of each line, with its number.
fn rows(file: impl AsRef<[u8]>) -> Vec<(u64, Result<Vec<String>, String>)> {
    let (all, lines) = read(file.as_ref(), None).unwrap();
    let row = |line: Line| match line.content {
        Ok(Content::Blank) => None,
        Ok(Content::Record(text)) => {
            let cells = csv::cells(&text, lines.head().delimiter).unwrap();
            Some((line.number, Ok(cells.into_iter().map(Into::into).collect())))
        }
        Err(error) => Some((line.number, Err(error.to_string()))),
    };
    all.into_iter().filter_map(row).collect()
}

fn row(number: u64, cells: &[&str]) -> (u64, Result<Vec<String>, String>) {
    (number, Ok(cells.iter().map(|&cell| cell.to_owned()).collect()))
}

#[test]
fn every_line_end_ends_a_line() {
    for end in ["\n", "\r", "\r\n"] {
        for last in ["", end] {
            let file = ["key,plan", "a,1", "", "b,2"].join(end) + last;
            assert_eq!(rows(&file), [row(2, &["a", "1"]), row(4, &["b", "2"])], "{file:?}");
            let file = ["{\"a\":1}", " ", "{}"].join(end) + last;
            let (lines, reader) = read(file.as_bytes(), None).unwrap();
            assert_eq!(reader.format(), Format::Ndjson);
            assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 2, 3]);
            assert_eq!(lines[1].content, Ok(Content::Blank));
        }
    }
}

#[test]
fn a_quote_inside_of_a_plain_cell_is_text() {
    let file = "key,note\na,24\" screen\nb,\"24\"\" screen\"\nc, \"x, y\" \n";
    assert_eq!(rows(file), [row(2, &["a", "24\" screen"]), row(3, &["b", "24\" screen"]), row(4, &["c", "x, y"])]);
}

#[test]
fn a_line_with_wrong_quotes_harms_no_other() {
    for (wrong, error) in [
        ("b,\"24\" screen\"", "Cell 2 has text after its closing quote"),
        ("b,\"never closed", "Cell 2"),
        ("\"b,x", "Cell 1"),
    ] {
        for after in ["c,1\nd,2\n", "c,\"Doe, Jane\"\nd,2\n", "c,\"\"\nd,\"x\"\n"] {
            let rows = rows(format!("key,note\na,0\n{wrong}\n{after}"));
            let numbers: Vec<_> = rows.iter().map(|(number, row)| (*number, row.is_ok())).collect();
            assert_eq!(numbers, [(2, true), (3, false), (4, true), (5, true)], "{wrong} {after}");
            assert!(rows[1].1.as_ref().unwrap_err().starts_with(error), "{:?}", rows[1]);
        }
    }
}

#[test]
fn a_record_with_line_breaks_has_the_number_of_its_first_line() {
    let (lines, _) = read(b"key,note\na,\"x\r\ny\n\"\nb,\"\"\n\"c\nd\",e,f\ng,h\n", None).unwrap();
    let lines: Vec<_> = lines.iter().map(|line| (line.number, line.further, line.content.is_ok())).collect();
    assert_eq!(lines, [(2, 2, true), (5, 0, true), (6, 1, false), (8, 0, true)]);
}

#[test]
fn padding_is_passed_over_and_nothing_else_is() {
    let file = "\n,,,\nkey,plan,,\na,1,,\n,,,\n ; \nb,2\nc\nd,4,,,,\ne,5,,x\nf,6,x\ng,7,,,x\n";
    let errors = |number, detail: &str| (number, Err(detail.to_owned()));
    let expected = [
        row(4, &["a", "1", "", ""]),
        errors(6, "The line has 1 cells, and the line of column names has 2."),
        row(7, &["b", "2"]),
        errors(8, "The line has 1 cells, and the line of column names has 2."),
        row(9, &["d", "4", "", "", "", ""]),
        errors(10, "Cell 4 is in a column without a name."),
        errors(11, "Cell 3 is in a column without a name."),
        errors(12, "The line has 5 cells, and the line of column names has 2."),
    ];
    assert_eq!(rows(file), expected);
    let (_, reader) = read(file.as_bytes(), None).unwrap();
    assert_eq!((reader.head().line, reader.head().blank), (3, 2));
    assert_eq!(read(b"\n\xef\xbb\xbfkey\na\n", None).unwrap().1.head().columns, ["key"]);
}

#[test]
fn the_delimiter_is_recognised() {
    for (file, delimiter) in [
        ("key;plan\na;1,5\n", b';'),
        ("key\tplan\na\t1,5\n", b'\t'),
        ("key|plan\na|1,5\n", b'|'),
        ("\"key;x\",plan\na,\"1,5\"\n", b','),
        ("key|x,plan\na,\"1,5\"\n", b','),
        ("sep=;\nkey;plan\na;1,5\n", b';'),
        ("\"sep=|\"\r\nkey|plan\r\na|1,5\r\n", b'|'),
        ("sep=\t\nkey\tplan\na\t1,5\n", b'\t'),
    ] {
        let (lines, reader) = read(file.as_bytes(), None).unwrap();
        assert_eq!(reader.head().delimiter, delimiter, "{file}");
        let Ok(Content::Record(record)) = &lines[0].content else { panic!("{file}") };
        assert_eq!(csv::cells(record, delimiter).unwrap(), ["a", "1,5"], "{file}");
    }
}

#[test]
fn other_kinds_of_files_are_named() {
    let zip = |name: &str| format!("PK\u{3}\u{4}......{name}......").into_bytes();
    for (file, name) in [
        (zip("[Content_Types].xml"), "an Excel workbook (.xlsx)"),
        (zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), "a spreadsheet (.ods)"),
        (zip("licences.csv"), "a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0".to_vec(), "an Excel workbook (.xls)"),
        (b"\x1f\x8b\x08".to_vec(), "gzip"),
        (b"SQLite format 3\0".to_vec(), "an SQLite database"),
        (b"%PDF-1.7".to_vec(), "a PDF document"),
        (b"\n<html>".to_vec(), "an HTML or XML document"),
        (b"k\0e\0y\0".to_vec(), "UTF-16 without a byte order mark"),
        (b"\0k\0e\0y".to_vec(), "UTF-16 without a byte order mark"),
        (b"\xff\xfe\0\0k\0\0\0".to_vec(), "UTF-32"),
        (b"\0\0\0k".to_vec(), "UTF-32"),
    ] {
        let error = refused(&file);
        assert!(error.contains(name) && error.ends_with('.'), "{error}");
    }
    let array = read(b" [{\"key\":1}]", Some(Format::Ndjson)).map(|_| ());
    assert_eq!(array, Err(FileError::Array));
    assert_eq!(
        refused("\nkey,\"plan\na,b\n").split('.').next(),
        Some("Line 2 has the column names, and cannot be read")
    );
    assert_eq!(read(b"key\n\xfc\nb\n", None).unwrap().0[0].content, Err(LineError::NotUtf8));
}

#[test]
fn a_line_too_long_for_a_request_is_refused_alone() {
    for size in [MAX_BODY_BYTES - 1, MAX_BODY_BYTES, MAX_BODY_BYTES + 1, 10 * MAX_BODY_BYTES] {
        for end in ["\n", "\r", "\r\n"] {
            let long = "x".repeat(size) + end;
            let file = format!("key\na{end}{long}b{end}");
            let (lines, reader) = read(file.as_bytes(), None).unwrap();
            let lines: Vec<_> = lines.iter().map(|line| (line.number, line.content.is_ok())).collect();
            assert_eq!(lines, [(2, true), (3, long.len() <= MAX_BODY_BYTES), (4, true)], "{size} {end:?}");
            assert_eq!(reader.counted(), 4);
        }
    }
}

#[test]
fn an_empty_file_has_no_lines() {
    for file in ["", "\u{feff}", "\n\r\n \n,,\n", "\n\u{feff}", "\n\u{feff}\n"] {
        let (lines, reader) = read(file.as_bytes(), None).unwrap();
        assert!(lines.is_empty() && reader.head().columns.is_empty(), "{file:?}");
        assert_eq!(reader.counted(), reader.head().blank);
    }
}

/// A file as a program saves it.
#[derive(Clone, Debug)]
struct Saved {
    delimiter: char,
    encoding: u8,
    /// The cells of each row, and how it is written.
    rows: Vec<(Vec<String>, Style)>,
    ends_with_line_end: bool,
}

#[derive(Clone, Debug)]
struct Style {
    end: &'static str,
    quotes_all: bool,
    pads: bool,
    blank_rows_before: Vec<&'static str>,
}

fn saved() -> impl Strategy<Value = Saved> {
    // Of what is special in CSV much, of the rest some.
    let cell = prop_oneof![
        4 => "[a-z0-9=+@'-]{0,8}",
        3 => "[a\",; \t\r\n]{0,6}",
        1 => "\\PC{0,6}",
    ];
    let style = (
        prop_oneof![Just("\n"), Just("\r"), Just("\r\n")],
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec(prop_oneof![Just(""), Just("  "), Just(",,"), Just("\"\",")], 0..3),
    );
    let style =
        style.prop_map(|(end, quotes_all, pads, blank_rows_before)| Style { end, quotes_all, pads, blank_rows_before });
    let rows = (2usize..5).prop_flat_map(move |columns| {
        prop::collection::vec((prop::collection::vec(cell.clone(), columns), style.clone()), 0..12)
    });
    (prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')], 0u8..4, rows, any::<bool>()).prop_map(
        |(delimiter, encoding, rows, ends_with_line_end)| Saved { delimiter, encoding, rows, ends_with_line_end },
    )
}

impl Saved {
    fn columns(&self) -> usize {
        self.rows.first().map_or(2, |(cells, _)| cells.len())
    }

    fn cell(&self, cell: &str, style: &Style) -> String {
        let special = |c: char| c == self.delimiter || matches!(c, '"' | '\r' | '\n');
        let is_quoted = style.quotes_all || cell.contains(special) || cell.trim() != cell;
        let pad = if style.pads { " " } else { "" };
        match is_quoted {
            true => format!("{pad}\"{}\"{pad}", cell.replace('"', "\"\"")),
            false => format!("{pad}{cell}{pad}"),
        }
    }

    fn text(&self) -> String {
        let delimiter = self.delimiter.to_string();
        let names: Vec<_> = (0..self.columns()).map(|column| format!("column {column}")).collect();
        let mut text = names.join(&delimiter) + "\n";
        for (cells, style) in &self.rows {
            for blank in &style.blank_rows_before {
                text += &blank.replace(',', &delimiter);
                text += style.end;
            }
            let cells: Vec<_> = cells.iter().map(|cell| self.cell(cell, style)).collect();
            text += &cells.join(&delimiter);
            text += style.end;
        }
        if !self.ends_with_line_end {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        text
    }

    fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        let units = || text.encode_utf16();
        match self.encoding {
            0 => text.into_bytes(),
            1 => format!("\u{feff}{text}").into_bytes(),
            2 => [0xfeff].into_iter().chain(units()).flat_map(u16::to_le_bytes).collect(),
            _ => [0xfeff].into_iter().chain(units()).flat_map(u16::to_be_bytes).collect(),
        }
    }
}

proptest! {
    #[test]
    fn what_a_file_says_does_not_depend_on_how_it_was_saved(saved in saved()) {
        let is_blank = |cells: &Vec<String>| cells.iter().all(String::is_empty);
        let given: Vec<_> = saved.rows.iter().map(|(cells, _)| cells.clone()).filter(|cells| !is_blank(cells)).collect();
        let found: Vec<_> = rows(saved.bytes()).into_iter().map(|(_, row)| row.unwrap()).collect();
        prop_assert_eq!(found, given);
    }

    #[test]
    fn every_line_of_any_file_is_counted_once(
        file in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(key,a|[a\",;\t\r\n{}\u{feff}]){0,80}".prop_map(String::into_bytes),
            saved().prop_map(|saved| saved.bytes()),
        ],
        format in prop_oneof![Just(None), Just(Some(Format::Csv)), Just(Some(Format::Ndjson))],
    ) {
        if let Ok((lines, reader)) = read(&file, format) {
            let mut next = reader.head().lines + 1;
            for line in &lines {
                prop_assert_eq!(line.number, next);
                next += 1 + line.further;
            }
            prop_assert_eq!(next - 1, reader.counted());
        }
    }

    #[test]
    fn a_body_cut_from_a_file_is_read_as_the_file_is(saved in saved(), at in any::<prop::sample::Index>()) {
        let records = |file: &[u8]| {
            let (lines, reader) = read(file, Some(Format::Csv)).unwrap();
            let record = |line: Line| match line.content { Ok(Content::Record(text)) => Some(text), _ => None };
            (lines.into_iter().filter_map(record).collect::<Vec<_>>(), reader.head().text.clone())
        };
        let (all, head) = records(&saved.bytes());
        let (first, second) = all.split_at(at.index(all.len() + 1));
        let mut again = Vec::new();
        for part in [first, second] {
            let (lines, found) = records((head.clone() + &part.concat()).as_bytes());
            prop_assert_eq!(&found, &head);
            again.extend(lines);
        }
        prop_assert_eq!(again, all);
    }

    #[test]
    fn another_reader_of_csv_agrees(saved in saved()) {
        let saved = Saved {
            delimiter: ',',
            rows: saved.rows.into_iter().map(|(cells, style)| (cells, Style { pads: false, ..style })).collect(),
            ..saved
        };
        let text = saved.text();
        let is_blank = |cells: &csv_crate::StringRecord| cells.iter().all(|cell| cell.trim().is_empty());
        let expected = csv_crate::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes()).into_records();
        let expected: Vec<Vec<String>> = expected
            .map(Result::unwrap)
            .filter(|cells| !is_blank(cells))
            .map(|cells| cells.iter().map(str::to_owned).collect())
            .collect();
        let found: Vec<_> = rows(&text).into_iter().filter_map(|(_, row)| row.ok()).collect();
        let found: Vec<_> = found.into_iter().filter(|cells| cells.iter().any(|cell| !cell.trim().is_empty())).collect();
        prop_assert_eq!(found, expected);
    }
}
