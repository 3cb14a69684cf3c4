//! The cells of a record of CSV: RFC 4180, with any line end, and blanks around cells.

use std::borrow::Cow;

/// A cell has quotes that RFC 4180 does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A cell begins with a quote, and no other quote closes it.
    #[error("Cell {0} begins with a quote that is never closed.")]
    Open(usize),
    /// A quote inside of a quoted cell occurs once.
    #[error("Cell {0} has text after its closing quote; write a quote inside of a quoted cell twice.")]
    Stray(usize),
}

/// The cells of the record with which the text begins. A cell without quotes has no white space
/// around it.
///
/// # Errors
///
/// A [`QuoteError`] if a quote is not closed, or text follows where it is.
pub fn cells(text: &str, delimiter: u8) -> Result<Vec<Cow<'_, str>>, QuoteError> {
    Ok(Cut::of(text.as_bytes(), delimiter)?.cells(text))
}

/// The delimiter of a file: the one that its column names have most often, a comma if in doubt.
pub fn delimiter(header: &str) -> u8 {
    let count = |delimiter: &u8| {
        let mut is_quoted = false;
        let is_found = |byte: &u8| {
            is_quoted ^= *byte == b'"';
            !is_quoted && byte == delimiter
        };
        header.bytes().filter(is_found).count()
    };
    // Of equal counts the last wins.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// Where the cells of a record are, and where it ends.
pub(crate) struct Cut {
    cells: Vec<Cell>,
    /// The bytes of the record, its line end included.
    pub(crate) length: usize,
}

/// The bytes of a cell, between its quotes if it has any.
struct Cell {
    from: usize,
    to: usize,
    is_quoted: bool,
}

impl Cut {
    pub(crate) fn of(text: &[u8], delimiter: u8) -> Result<Self, QuoteError> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t') && *byte != delimiter;
        let after_blanks = |from: usize| from + text[from..].iter().take_while(|byte| is_blank(byte)).count();
        let ends = |byte: &u8| *byte == delimiter || matches!(byte, b'\r' | b'\n');
        let (mut cells, mut at) = (Vec::new(), 0);
        loop {
            let from = after_blanks(at);
            if text.get(from) == Some(&b'"') {
                let (from, number) = (from + 1, cells.len() + 1);
                let to = closing_quote(text, from).ok_or(QuoteError::Open(number))?;
                at = after_blanks(to + 1);
                if text.get(at).is_some_and(|byte| !ends(byte)) {
                    return Err(QuoteError::Stray(number));
                }
                cells.push(Cell { from, to, is_quoted: true });
            } else {
                at = text[from..].iter().position(ends).map_or(text.len(), |length| from + length);
                cells.push(Cell { from, to: at, is_quoted: false });
            }
            if text.get(at) != Some(&delimiter) {
                return Ok(Self { cells, length: at + line_end(&text[at..]) });
            }
            at += 1;
        }
    }

    /// The cells of the text that was cut.
    pub(crate) fn cells<'a>(&self, text: &'a str) -> Vec<Cow<'a, str>> {
        let cell = |cell: &Cell| {
            let content = &text[cell.from..cell.to];
            match cell.is_quoted {
                true if content.contains('"') => content.replace("\"\"", "\"").into(),
                true => content.into(),
                false => content.trim().into(),
            }
        };
        self.cells.iter().map(cell).collect()
    }
}

/// The bytes of the line end with which the text begins: CR, LF, both, or nothing.
pub(crate) fn line_end(text: &[u8]) -> usize {
    match text {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

/// The next quote that is not one of two.
fn closing_quote(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += text[at..].iter().position(|byte| *byte == b'"')?;
        if text.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}
