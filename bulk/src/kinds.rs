//! Files that are not text, by how they begin.

use crate::lines::FileError;

/// How a file of each kind begins, what it is, and what to do with it.
const KINDS: &[(&[u8], &str, &str)] = &[
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", SAVE_AS_CSV),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"%PDF-", "a PDF document", EXPORT),
    (b"{\\rtf", "an RTF document", EXPORT),
    (b"\x1f\x8b", "compressed (gzip)", UNPACK),
    (b"BZh", "compressed (bzip2)", UNPACK),
    (b"\xfd7zXZ\0", "compressed (xz)", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "an archive (.7z)", UNPACK),
    (b"Rar!\x1a\x07", "an archive (.rar)", UNPACK),
    (b"\x89PNG\r\n", "an image (.png)", EXPORT),
    (b"\xff\xd8\xff", "an image (.jpeg)", EXPORT),
];

const SAVE_AS_CSV: &str = "save it as CSV in UTF-8";
const EXPORT: &str = "export its content as CSV or NDJSON";
const UNPACK: &str = "unpack it first";

/// Refuses a file whose beginning is not that of text in UTF-8.
pub(crate) fn check(begin: &[u8]) -> Result<(), FileError> {
    let refuse = |what, cure| Err(FileError::NotText { what, cure });
    if begin.starts_with(b"PK\x03\x04") {
        let has = |part: &[u8]| begin.windows(part.len()).any(|window| window == part);
        return match () {
            () if has(b"opendocument.spreadsheet") => refuse("a spreadsheet (.ods)", SAVE_AS_CSV),
            () if has(b"[Content_Types].xml") || has(b"xl/") => refuse("an Excel workbook (.xlsx)", SAVE_AS_CSV),
            () => refuse("a zip archive, as spreadsheets are", "save it as CSV in UTF-8, or unpack it first"),
        };
    }
    if let Some((_, what, cure)) = KINDS.iter().find(|(magic, ..)| begin.starts_with(magic)) {
        return refuse(what, cure);
    }
    match begin {
        // Any other encoding of ASCII, such as the column names, has zeros.
        [0, 0, 0xfe, 0xff, ..] | [0, 0, 0, _, ..] | [_, 0, 0, 0, ..] => refuse("text in UTF-32", "save it as UTF-8"),
        [0, _, ..] | [_, 0, ..] => refuse("text in UTF-16 without a byte order mark", "save it as UTF-8"),
        _ if begin.trim_ascii_start().starts_with(b"<") => refuse("an HTML or XML document", SAVE_AS_CSV),
        _ => Ok(()),
    }
}
