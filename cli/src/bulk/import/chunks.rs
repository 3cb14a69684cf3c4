//! Cuts a file of any length into chunks that fit in a request.

use std::io::{self, BufRead, Read};
use std::mem;

use crate::limits::IMPORT_LINES;
use countersign::limits::MAX_BODY_BYTES;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Format;

/// Spreadsheets write it at the beginning of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The pieces of a file, in order.
pub(super) struct Chunks<R> {
    input: R,
    format: Format,
    /// For CSV, the record with the column names: every request repeats it.
    header: Vec<u8>,
    header_lines: u64,
    /// The columns `key` and `keyHash`.
    key_columns: Vec<usize>,
    /// The number of the next line, and how many bytes precede it.
    line: u64,
    position: u64,
    /// A record that did not fit into the last chunk.
    held: Option<Record>,
    is_done: bool,
}

pub(super) enum Piece {
    Chunk(Chunk),
    /// The line with this number does not fit in a request.
    TooLong(u64),
}

/// The body of one request.
pub(super) struct Chunk {
    pub(super) format: Format,
    pub(super) body: Vec<u8>,
    /// The number of the body's first line, such that licences have the numbers of the file.
    pub(super) body_line: u64,
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// The first line without a key.
    pub(super) without_key: Option<u64>,
    /// The end of the chunk in the file, in bytes.
    pub(super) end: u64,
}

/// One licence: a line, or several if CSV has line breaks in quotes.
struct Record {
    first_line: u64,
    last_line: u64,
    /// `None` if it is too long.
    bytes: Option<Vec<u8>>,
    end: u64,
}

impl<R: BufRead> Chunks<R> {
    pub(super) fn new(input: R, format: Format) -> io::Result<Self> {
        let mut chunks = Self {
            input,
            format,
            header: Vec::new(),
            header_lines: 0,
            key_columns: Vec::new(),
            line: 1,
            position: 0,
            held: None,
            is_done: false,
        };
        if format == Format::Csv {
            let header = chunks.read_record()?.and_then(|record| record.bytes).unwrap_or_default();
            let columns = fields(header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&header));
            let is_key = |column: &usize| matches!(columns[*column].trim_ascii(), b"key" | b"keyHash");
            chunks.key_columns = (0..columns.len()).filter(is_key).collect();
            (chunks.header, chunks.header_lines) = (header, chunks.line - 1);
        }
        Ok(chunks)
    }

    fn next_piece(&mut self) -> io::Result<Option<Piece>> {
        let Some(first) = self.next_record()? else { return Ok(None) };
        let Some(bytes) = &first.bytes else { return Ok(Some(Piece::TooLong(first.first_line))) };
        let mut chunk = Chunk {
            format: self.format,
            body: [self.header.as_slice(), bytes].concat(),
            body_line: first.first_line - self.header_lines,
            first_line: first.first_line,
            last_line: first.last_line,
            without_key: self.lacks_key(bytes).then_some(first.first_line),
            end: first.end,
        };
        while let Some(record) = self.next_record()? {
            let fits = |bytes: &&Vec<u8>| {
                chunk.body.len() + bytes.len() <= MAX_BODY_BYTES
                    && record.last_line - chunk.first_line < IMPORT_LINES as u64
            };
            let Some(bytes) = record.bytes.as_ref().filter(fits) else {
                self.held = Some(record);
                break;
            };
            if chunk.without_key.is_none() && self.lacks_key(bytes) {
                chunk.without_key = Some(record.first_line);
            }
            chunk.body.extend_from_slice(bytes);
            (chunk.last_line, chunk.end) = (record.last_line, record.end);
        }
        Ok(Some(Piece::Chunk(chunk)))
    }

    fn next_record(&mut self) -> io::Result<Option<Record>> {
        match self.held.take() {
            Some(record) => Ok(Some(record)),
            None => self.read_record(),
        }
    }

    fn read_record(&mut self) -> io::Result<Option<Record>> {
        let first_line = self.line;
        let room = MAX_BODY_BYTES - self.header.len();
        let mut bytes = Vec::new();
        loop {
            let limit = (room - bytes.len()) as u64 + 1;
            let read = self.input.by_ref().take(limit).read_until(b'\n', &mut bytes)?;
            self.position += read as u64;
            if read == 0 && bytes.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let is_too_long = bytes.len() > room;
            if is_too_long && !bytes.ends_with(b"\n") {
                self.position += self.input.skip_until(b'\n')? as u64;
            }
            // Quotes come in pairs, and a line break between those of a pair is the field's own
            // (RFC 4180, section 2).
            let quotes = bytes.iter().filter(|&&byte| byte == b'"').count();
            let is_open = self.format == Format::Csv && quotes % 2 == 1 && read > 0;
            if is_too_long || !is_open {
                let bytes = Some(bytes).filter(|_| !is_too_long);
                return Ok(Some(Record { first_line, last_line: self.line - 1, bytes, end: self.position }));
            }
        }
    }

    fn lacks_key(&self, record: &[u8]) -> bool {
        match self.format {
            Format::Ndjson => {
                serde_json::from_slice::<Keys>(record).is_ok_and(|keys| keys.key.is_none() && keys.key_hash.is_none())
            }
            Format::Csv if record.trim_ascii().is_empty() => false,
            Format::Csv => {
                let fields = fields(record);
                !self.key_columns.iter().any(|&column| fields.get(column).is_some_and(|field| !field.is_empty()))
            }
        }
    }
}

impl<R: BufRead> Iterator for Chunks<R> {
    type Item = io::Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let piece = self.next_piece().transpose();
        // After an error nothing more can be read.
        self.is_done = !matches!(piece, Some(Ok(_)));
        piece
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    key: Option<IgnoredAny>,
    key_hash: Option<IgnoredAny>,
}

/// The fields of a record of CSV, without their quotes (RFC 4180, section 2).
fn fields(record: &[u8]) -> Vec<Vec<u8>> {
    let (mut fields, mut field) = (Vec::new(), Vec::new());
    let mut is_quoted = false;
    for &byte in record.trim_ascii_end() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => fields.push(mem::take(&mut field)),
            _ => field.push(byte),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str, format: Format) -> Vec<Piece> {
        Chunks::new(text.as_bytes(), format).unwrap().collect::<io::Result<_>>().unwrap()
    }

    fn chunks(text: &str, format: Format) -> Vec<Chunk> {
        let chunk = |piece| match piece {
            Piece::Chunk(chunk) => chunk,
            Piece::TooLong(line) => panic!("line {line} is too long"),
        };
        pieces(text, format).into_iter().map(chunk).collect()
    }

    #[test]
    fn a_chunk_has_at_most_the_lines_of_a_request() {
        let text = "{\"key\":\"k\"}\n".repeat(2 * IMPORT_LINES + 1);
        let chunks = chunks(&text, Format::Ndjson);
        let lines: Vec<_> = chunks.iter().map(|chunk| (chunk.first_line, chunk.last_line)).collect();
        assert_eq!(lines, [(1, 500), (501, 1000), (1001, 1001)]);
        assert_eq!(chunks.iter().map(|chunk| chunk.body.len()).sum::<usize>(), text.len());
        assert_eq!(chunks[2].end, text.len() as u64);
    }

    #[test]
    fn a_chunk_has_at_most_the_bytes_of_a_request() {
        let line = format!("{{\"owner\":\"{}\"}}\n", "x".repeat(20_000));
        let chunks = chunks(&line.repeat(10), Format::Ndjson);
        assert_eq!(chunks.len(), 4);
        assert!(chunks.iter().all(|chunk| chunk.body.len() <= MAX_BODY_BYTES));
    }

    #[test]
    fn a_line_too_long_for_a_request_is_a_piece_of_its_own() {
        for size in [MAX_BODY_BYTES, MAX_BODY_BYTES + 1, 10 * MAX_BODY_BYTES] {
            let text = format!("{{}}\n{}\n{{}}", "x".repeat(size));
            let pieces = pieces(&text, Format::Ndjson);
            assert!(matches!(
                pieces.as_slice(),
                [
                    Piece::Chunk(Chunk { first_line: 1, .. }),
                    Piece::TooLong(2),
                    Piece::Chunk(Chunk { first_line: 3, .. })
                ]
            ));
        }
        let fits = "x".repeat(MAX_BODY_BYTES - 1) + "\n";
        assert_eq!(chunks(&fits, Format::Ndjson).len(), 1);
    }

    #[test]
    fn every_chunk_of_csv_has_column_names_and_whole_records() {
        let record = "a,\"two\nlines, \"\"quoted\"\"\"\r\n";
        let text = format!("key,owner\r\n{}", record.repeat(IMPORT_LINES));
        let chunks = chunks(&text, Format::Csv);
        assert_eq!(chunks.len(), 2);
        assert_eq!((chunks[0].first_line, chunks[0].last_line, chunks[1].first_line), (2, 501, 502));
        assert_eq!((chunks[0].body_line, chunks[1].body_line), (1, 501));
        for chunk in &chunks {
            let body = String::from_utf8(chunk.body.clone()).unwrap();
            assert_eq!(body, format!("key,owner\r\n{}", record.repeat(IMPORT_LINES / 2)));
        }
    }

    #[test]
    fn lines_without_a_key_are_found() {
        let first = |text: &str, format| chunks(text, format)[0].without_key;
        assert_eq!(
            first("{\"key\":\"k\"}\n{\"keyHash\":\"00\"}\n\nnonsense\n{\"key\":null}\n{}", Format::Ndjson),
            Some(5)
        );
        assert_eq!(first("{\"key\":\"k\"}", Format::Ndjson), None);
        assert_eq!(first("owner,key\na,k\nb,\n", Format::Csv), Some(3));
        assert_eq!(first("owner,\"keyHash\"\n\"a,b\",00\n", Format::Csv), None);
        assert_eq!(first("\u{feff}key\n\nk\n", Format::Csv), None);
        assert_eq!(first("owner\na\n", Format::Csv), Some(2));
    }
}
