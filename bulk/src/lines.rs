//! A file line by line: each is a record, refused, or blank.

use std::borrow::Cow;
use std::io::{self, Read};

use countersign::limits::MAX_BODY_BYTES;

use crate::csv::{self, Cut, QuoteError, line_end};
use crate::kinds;
use crate::text::Text;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object on each line.
    Ndjson,
    /// Column names, then a record on each line, or on several if a cell has line breaks.
    Csv,
}

/// The lines of a file, in their order.
pub struct Lines<R> {
    text: Text<R>,
    format: Format,
    head: Head,
    /// The number of the next line.
    number: u64,
}

/// What precedes the records of CSV. NDJSON has nothing there.
#[derive(Debug)]
pub struct Head {
    /// The line of the column names as it is, and the line before it that names the delimiter.
    pub text: String,
    /// The names of the columns, without the white space around them.
    pub columns: Vec<String>,
    /// The delimiter of the cells.
    pub delimiter: u8,
    /// The number of the first line of this text; 1 without one.
    pub first_line: u64,
    /// The number of the line of column names; 0 without one.
    pub line: u64,
    /// How many lines precede the records.
    pub lines: u64,
    /// How many of these are blank.
    pub blank: u64,
}

/// A line, or several with one record.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of the first line, from 1.
    pub number: u64,
    /// Further lines, which begin within quotes.
    pub further: u64,
    /// What they have.
    pub content: Result<Content, LineError>,
}

/// The content of a line that is not refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing but white space and delimiters.
    Blank,
    /// A record, with its line end.
    Record(String),
}

/// Why a line cannot be read. The sentences are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is longer than a request may be.
    #[error("The line has more than {MAX_BODY_BYTES} bytes.")]
    TooLong,
    /// Its text has another encoding than the file.
    #[error("The line has bytes that are not UTF-8; save the file as UTF-8.")]
    NotUtf8,
    /// A cell of it is not closed.
    #[error("{0}")]
    Quote(#[from] QuoteError),
    /// It has too many cells, or not enough.
    #[error("The line has {cells} cells, and the line of column names has {columns}.")]
    Cells {
        /// The cells of the line.
        cells: usize,
        /// The columns that have a name.
        columns: usize,
    },
    /// A cell has no column.
    #[error("Cell {0} is in a column without a name.")]
    Unnamed(usize),
}

/// Why a file cannot be read. The sentences are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not text in an encoding that is read.
    #[error("This is {what}; {cure}.")]
    NotText {
        /// What it is, such as `an Excel workbook (.xlsx)`.
        what: &'static str,
        /// What to do with it.
        cure: &'static str,
    },
    /// The line of the column names cannot be read.
    #[error("Line {0} has the column names, and cannot be read. {1}")]
    Header(u64, LineError),
    /// It is one JSON value for all licences.
    #[error("This is one JSON array; write an object for each licence on a line of its own, without commas between.")]
    Array,
}

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a file of licences.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The byte order mark.
const MARK: char = '\u{feff}';

impl FileError {
    pub(crate) const UTF_32: Self = Self::NotText { what: "text in UTF-32", cure: "save it as UTF-8" };
}

impl<R: Read> Lines<R> {
    /// Opens a file. Without a format it is NDJSON if it begins with a brace, as no CSV does.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if it cannot be read, is not text, or has no readable column names.
    pub fn open(input: R, format: Option<Format>) -> Result<Self, OpenError> {
        let mut text = Text::open(input)?;
        let rest = text.rest(MAX_BODY_BYTES + 1)?;
        kinds::check(rest)?;
        let first = rest.trim_ascii_start().first().copied();
        let format = format.unwrap_or(if first == Some(b'{') { Format::Ndjson } else { Format::Csv });
        if format == Format::Ndjson && first == Some(b'[') {
            return Err(FileError::Array.into());
        }
        let mut lines = Self { text, format, head: Head::NONE, number: 1 };
        if format == Format::Csv {
            lines.read_head()?;
            lines.head.lines = lines.number - 1;
        }
        Ok(lines)
    }

    /// The format of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What precedes the records.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// How many lines the part of the file has that was read so far. They are counted apart from
    /// the lines that this returns, so that at the end the two can be compared.
    pub fn counted(&self) -> u64 {
        self.text.lines()
    }

    fn read_head(&mut self) -> Result<(), OpenError> {
        let mut delimiter = None;
        loop {
            let rest = self.text.rest(MAX_BODY_BYTES + 1)?;
            if rest.is_empty() {
                return Ok(());
            }
            kinds::check(rest)?;
            let refuse = |error| FileError::Header(self.number, error);
            let first = first_line(rest).ok_or(LineError::TooLong).map_err(refuse)?;
            let line = str::from_utf8(&rest[..first]).map_err(|_| refuse(LineError::NotUtf8))?;
            if line.trim_matches(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|' | MARK)).is_empty() {
                self.head.blank += 1;
                self.consume(first);
                continue;
            }
            if line.starts_with(MARK) {
                // It is behind blank lines here, and would be at the beginning of a body.
                self.text.consume(MARK.len_utf8());
                continue;
            }
            if delimiter.is_none() {
                delimiter = named_delimiter(line);
                if delimiter.is_some() {
                    (self.head.text, self.head.first_line) = (line.to_owned(), self.number);
                    self.consume(first);
                    continue;
                }
            }
            let delimiter = delimiter.unwrap_or_else(|| csv::delimiter(line));
            let cut = Cut::of(&rest[..rest.len().min(MAX_BODY_BYTES)], delimiter);
            let cut = cut.map_err(LineError::Quote).map_err(refuse)?;
            let length = cut.length;
            let text = str::from_utf8(&rest[..length]).map_err(|_| refuse(LineError::NotUtf8))?;
            if self.head.text.is_empty() {
                self.head.first_line = self.number;
            }
            self.head.columns = cut.cells(text).iter().map(|name| name.trim().to_owned()).collect();
            self.head.text += text;
            if !text.ends_with(['\r', '\n']) {
                self.head.text.push('\n');
            }
            (self.head.delimiter, self.head.line) = (delimiter, self.number);
            self.consume(length);
            return Ok(());
        }
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        let rest = self.text.rest(MAX_BODY_BYTES + 1)?;
        if rest.is_empty() {
            return Ok(None);
        }
        let number = self.number;
        let Some(first) = first_line(rest) else {
            self.skip_line()?;
            return Ok(Some(Line { number, further: 0, content: Err(LineError::TooLong) }));
        };
        let (length, content) = match self.format {
            Format::Ndjson => (first, object(&rest[..first])),
            Format::Csv => self.head.record(rest, first),
        };
        let further = self.consume(length) - 1;
        Ok(Some(Line { number, further, content }))
    }

    /// Consumes whole lines, and returns how many.
    fn consume(&mut self, length: usize) -> u64 {
        let lines = self.text.consume(length);
        self.number += lines;
        lines
    }

    /// Consumes a line of any length.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let rest = self.text.rest(MAX_BODY_BYTES + 1)?;
            match rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
                None if rest.is_empty() => break,
                None => {
                    let length = rest.len();
                    self.text.consume(length);
                }
                // The second byte of a line end may not be read yet.
                Some(at) if at > 0 => {
                    self.text.consume(at);
                }
                Some(_) => {
                    let length = line_end(rest);
                    self.text.consume(length);
                    break;
                }
            }
        }
        self.number += 1;
        Ok(())
    }
}

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_line().transpose()
    }
}

impl Head {
    const NONE: Self =
        Self { text: String::new(), columns: Vec::new(), delimiter: b',', first_line: 1, line: 0, lines: 0, blank: 0 };

    /// The record with which the text begins, and its length. If its quotes are wrong, only its
    /// first line is refused: the next ones may be records.
    fn record(&self, rest: &[u8], first: usize) -> (usize, Result<Content, LineError>) {
        let cut = match Cut::of(&rest[..rest.len().min(MAX_BODY_BYTES + 1)], self.delimiter) {
            Ok(cut) if cut.length <= MAX_BODY_BYTES => cut,
            Ok(_) => return (first, Err(LineError::TooLong)),
            Err(error) => return (first, Err(error.into())),
        };
        let content = match str::from_utf8(&rest[..cut.length]) {
            Ok(text) => self.content(text, &cut.cells(text)),
            Err(_) => Err(LineError::NotUtf8),
        };
        (cut.length, content)
    }

    /// Cells without a column, and missing ones, are no error if there is nothing in them and the
    /// column has no name.
    fn content(&self, text: &str, cells: &[Cow<'_, str>]) -> Result<Content, LineError> {
        let Some(last) = cells.iter().rposition(|cell| !cell.is_empty()) else { return Ok(Content::Blank) };
        let columns = self.columns.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
        if cells.len() < columns || last >= self.columns.len() {
            return Err(LineError::Cells { cells: cells.len(), columns });
        }
        let is_unnamed = |(name, cell): (&String, &Cow<'_, str>)| name.is_empty() && !cell.is_empty();
        match self.columns.iter().zip(cells).position(is_unnamed) {
            Some(at) => Err(LineError::Unnamed(at + 1)),
            None => Ok(Content::Record(text.to_owned())),
        }
    }
}

/// The bytes of the first line, its line end included; `None` if they are too many.
fn first_line(rest: &[u8]) -> Option<usize> {
    let end = rest.iter().take(MAX_BODY_BYTES).position(|byte| matches!(byte, b'\r' | b'\n'));
    let length = end.map_or(rest.len(), |end| end + line_end(&rest[end..]));
    Some(length).filter(|length| *length <= MAX_BODY_BYTES)
}

fn object(line: &[u8]) -> Result<Content, LineError> {
    let line = str::from_utf8(line).map_err(|_| LineError::NotUtf8)?;
    Ok(if line.trim().is_empty() { Content::Blank } else { Content::Record(line.to_owned()) })
}

/// The delimiter that a line such as `sep=;` names. Excel reads such a line, and others write it
/// for Excel.
fn named_delimiter(line: &str) -> Option<u8> {
    let line = line.trim_matches(['\r', '\n', ' ', '"']);
    let (name, delimiter) = line.split_once('=')?;
    match delimiter.as_bytes() {
        [delimiter] if name.eq_ignore_ascii_case("sep") && delimiter.is_ascii_punctuation() => Some(*delimiter),
        b"\t" if name.eq_ignore_ascii_case("sep") => Some(b'\t'),
        _ => None,
    }
}
