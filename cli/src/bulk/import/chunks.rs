//! Cuts a file of any length into chunks that fit in a request.

use std::fmt;
use std::io::{self, Read};

use countersign::limits::MAX_BODY_BYTES;
use countersign_bulk::lines::OpenError;
use countersign_bulk::{Content, Format, Line, LineError, Lines};

use crate::limits::IMPORT_LINES;

/// The chunks of a file, in order. Together they have each of its lines once.
pub(super) struct Chunks<R> {
    lines: Lines<R>,
    /// A line that did not fit into the last chunk.
    held: Option<Line>,
    /// Whether a chunk was returned whose column names the server checks.
    has_sent_head: bool,
}

/// Some lines of a file, and the body of the request that imports them.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) body: Vec<u8>,
    /// The number to report for the body's first line: what precedes the records has the numbers of
    /// the file.
    pub(super) first_line: u64,
    /// The records of the body, in order. Before them are `head_bytes` of column names.
    pub(super) records: Vec<Record>,
    head_bytes: usize,
    /// Lines that are not in the body, and why.
    pub(super) refused: Vec<(Span, LineError)>,
    pub(super) blank: u64,
}

/// A record of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The number that is reported for it.
    pub(super) number: u64,
    pub(super) span: Span,
    bytes: usize,
}

/// The lines of one record, by their numbers in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { first, last } if first == last => write!(f, "line {first}"),
            Self { first, last } => write!(f, "lines {first} to {last}"),
        }
    }
}

impl<R: Read> Chunks<R> {
    pub(super) fn open(input: R, format: Option<Format>) -> Result<Self, OpenError> {
        let lines = Lines::open(input, format)?;
        Ok(Self { lines, held: None, has_sent_head: false })
    }

    pub(super) fn format(&self) -> Format {
        self.lines.format()
    }

    /// The lines before the records, and how many of them are blank.
    pub(super) fn head_lines(&self) -> (u64, u64) {
        (self.lines.head().lines, self.lines.head().blank)
    }

    /// How many lines the file has, once its last chunk was returned.
    pub(super) fn counted(&self) -> u64 {
        self.lines.counted()
    }

    /// The next chunk. The first has a body even if it has no record, so that the server checks the
    /// column names.
    pub(super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let head = self.lines.head();
        let (body, first_line) = (head.text.clone().into_bytes(), head.first_line);
        let (mut number, room) = (head.lines + 1, MAX_BODY_BYTES.saturating_sub(body.len()));
        let mut is_at_end = self.has_sent_head || body.is_empty();
        let mut chunk = Chunk { head_bytes: body.len(), body, first_line, ..Chunk::default() };
        while chunk.records.len().max(chunk.refused.len()) < IMPORT_LINES {
            let Some(line) = self.held.take().map(Ok).or_else(|| self.lines.next()).transpose()? else { break };
            is_at_end = false;
            let span = Span { first: line.number, last: line.number + line.further };
            match &line.content {
                Ok(Content::Blank) => chunk.blank += 1,
                Err(error) => chunk.refused.push((span, *error)),
                Ok(Content::Record(text)) if text.len() > room => chunk.refused.push((span, LineError::TooLong)),
                Ok(Content::Record(text)) if chunk.body.len() + text.len() > MAX_BODY_BYTES => {
                    self.held = Some(line);
                    break;
                }
                Ok(Content::Record(text)) => {
                    chunk.body.extend_from_slice(text.as_bytes());
                    chunk.records.push(Record { number, span, bytes: text.len() });
                    number += 1 + line.further;
                }
            }
        }
        if chunk.records.is_empty() && self.has_sent_head {
            chunk.body.clear();
        }
        self.has_sent_head |= !chunk.body.is_empty();
        Ok(Some(chunk).filter(|_| !is_at_end))
    }
}

impl Chunk {
    /// Two chunks with half of the records each, in order; `None` if there are too few.
    pub(super) fn split(&self) -> Option<[Self; 2]> {
        let (first, second) = self.records.split_at(self.records.len() / 2);
        let begin = second.first().filter(|_| !first.is_empty())?.span.first;
        let is_before = |(span, _): &(Span, LineError)| span.first < begin;
        let (refused, refused_later) = self.refused.iter().copied().partition(is_before);
        let cut = self.head_bytes + first.iter().map(|record| record.bytes).sum::<usize>();
        let (head, body) = (&self.body[..self.head_bytes], &self.body[..cut]);
        let mut number = first.first()?.number;
        let renumbered = second.iter().map(|record| {
            let this = Record { number, ..*record };
            number += 1 + (record.span.last - record.span.first);
            this
        });
        let records = renumbered.collect();
        let later =
            Self { body: [head, &self.body[cut..]].concat(), records, refused: refused_later, blank: 0, ..*self };
        Some([Self { body: body.to_vec(), records: first.to_vec(), refused, ..*self }, later])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(text: &str) -> Vec<Chunk> {
        let mut chunks = Chunks::open(text.as_bytes(), None).unwrap();
        std::iter::from_fn(|| chunks.next().unwrap()).collect()
    }

    fn first_and_last(chunk: &Chunk) -> (u64, u64) {
        (chunk.records.first().unwrap().span.first, chunk.records.last().unwrap().span.last)
    }

    #[test]
    fn a_chunk_has_at_most_the_lines_of_a_request() {
        let text = "{\"key\":\"k\"}\n".repeat(2 * IMPORT_LINES + 1);
        let chunks = chunks(&text);
        assert_eq!(chunks.iter().map(first_and_last).collect::<Vec<_>>(), [(1, 500), (501, 1000), (1001, 1001)]);
        assert_eq!(chunks.iter().map(|chunk| chunk.body.len()).sum::<usize>(), text.len());
    }

    #[test]
    fn a_chunk_has_at_most_the_bytes_of_a_request() {
        let line = format!("{{\"owner\":\"{}\"}}\n", "x".repeat(20_000));
        let chunks = chunks(&line.repeat(10));
        assert_eq!(chunks.len(), 4);
        assert!(chunks.iter().all(|chunk| chunk.body.len() <= MAX_BODY_BYTES));
    }

    #[test]
    fn a_record_too_long_beside_the_column_names_is_refused_alone() {
        for size in [MAX_BODY_BYTES - 6, MAX_BODY_BYTES - 5, MAX_BODY_BYTES - 1, 10 * MAX_BODY_BYTES] {
            let chunks = chunks(&format!("key\na\n{}\nb\n", "x".repeat(size)));
            let refused: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.refused).map(|(span, _)| span.first).collect();
            let sent: Vec<_> = chunks.iter().flat_map(|chunk| &chunk.records).map(|record| record.span.first).collect();
            let fits = size == MAX_BODY_BYTES - 5;
            assert_eq!(sent, if fits || size < MAX_BODY_BYTES - 5 { vec![2, 3, 4] } else { vec![2, 4] }, "{size}");
            assert_eq!(refused.len() + sent.len(), 3);
        }
    }

    #[test]
    fn every_chunk_of_csv_has_column_names_and_whole_records() {
        let record = "a,\"two\nlines, \"\"quoted\"\"\"\r\n";
        let text = format!("\nkey,owner\r\n{}", record.repeat(IMPORT_LINES + 1));
        let chunks = chunks(&text);
        assert_eq!(chunks.iter().map(first_and_last).collect::<Vec<_>>(), [(3, 1002), (1003, 1004)]);
        for chunk in &chunks {
            let body = String::from_utf8(chunk.body.clone()).unwrap();
            assert_eq!(body, format!("key,owner\r\n{}", record.repeat(chunk.records.len())));
            assert_eq!((chunk.first_line, chunk.records[0].number), (2, 3));
        }
    }

    #[test]
    fn column_names_are_sent_once_without_records_and_blank_lines_never() {
        let sent = |text: &str| chunks(text).iter().map(|chunk| chunk.body.len()).collect::<Vec<_>>();
        assert_eq!(sent("key\n"), [4]);
        assert_eq!(sent("key\n\n,\n"), [4]);
        assert_eq!(sent("\n\n"), [0; 0]);
        assert_eq!(sent(""), [0; 0]);
        let blank = chunks("{}\n\n \n{}\n");
        assert_eq!((blank.len(), blank[0].blank, blank[0].records[1].span.first), (1, 2, 4));
    }

    #[test]
    fn the_halves_of_a_chunk_have_each_line_once_and_count_from_their_column_names() {
        let long = "x".repeat(MAX_BODY_BYTES);
        let text = format!("key\n{long}\na\n\n\"b\nb\"\n{long}\nc\n{long}\n");
        let [chunk] = <[Chunk; 1]>::try_from(chunks(&text)).ok().unwrap();
        let [first, second] = chunk.split().unwrap();
        assert_eq!((&*first.body, &*second.body), (&b"key\na\n"[..], &b"key\n\"b\nb\"\nc\n"[..]));
        let numbers = |chunk: &Chunk| chunk.records.iter().map(|record| record.number).collect::<Vec<_>>();
        assert_eq!((numbers(&chunk), numbers(&first), numbers(&second)), (vec![2, 3, 5], vec![2], vec![2, 4]));
        assert_eq!((first_and_last(&first), first_and_last(&second)), ((3, 3), (5, 8)));
        let refused = |chunk: &Chunk| chunk.refused.iter().map(|(span, _)| span.first).collect::<Vec<_>>();
        assert_eq!((refused(&first), refused(&second)), (vec![2], vec![7, 9]));
        assert_eq!((first.blank, second.blank), (1, 0));
        assert!(first.split().is_none());
        assert_eq!(second.split().map(|halves| halves.map(|half| half.records.len())), Some([1, 1]));
    }
}
