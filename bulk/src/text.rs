//! The bytes of a file as UTF-8, with the number of its lines.

use std::io::{self, ErrorKind, Read};

use crate::lines::{FileError, OpenError};

/// Bytes that are read at a time.
const READ_BYTES: usize = 65_536;

/// In place of a code unit without a character: a byte that UTF-8 does not have, so that its line
/// is refused.
const NOT_UTF_8: u8 = 0xff;

/// The text of a file, read as needed.
pub(crate) struct Text<R> {
    input: R,
    encoding: Encoding,
    /// Bytes that are not decoded yet: a part of a character.
    pending: Vec<u8>,
    /// What was decoded, and how much of it is consumed.
    decoded: Vec<u8>,
    consumed: usize,
    is_at_end: bool,
    lines: LineCount,
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16(fn([u8; 2]) -> u16),
}

impl<R: Read> Text<R> {
    /// Reads the beginning of a file, which says how it is encoded.
    pub(crate) fn open(input: R) -> Result<Self, OpenError> {
        let mut text = Self {
            input,
            encoding: Encoding::Utf8,
            pending: Vec::new(),
            decoded: Vec::new(),
            consumed: 0,
            is_at_end: false,
            lines: LineCount::default(),
        };
        let mut begin = Vec::new();
        text.input.by_ref().take(READ_BYTES as u64).read_to_end(&mut begin)?;
        let mark: &[u8] = match begin.as_slice() {
            [0xff, 0xfe, 0, 0, ..] => return Err(FileError::UTF_32.into()),
            [0xff, 0xfe, ..] => {
                text.encoding = Encoding::Utf16(u16::from_le_bytes);
                b"\xff\xfe"
            }
            [0xfe, 0xff, ..] => {
                text.encoding = Encoding::Utf16(u16::from_be_bytes);
                b"\xfe\xff"
            }
            _ => b"\xef\xbb\xbf",
        };
        // A program that does not know of marks writes a second one.
        while begin.starts_with(mark) {
            begin.drain(..mark.len());
        }
        text.pending = begin;
        text.decode();
        Ok(text)
    }

    /// The text that is not consumed yet: at least this many bytes, or all to the end.
    pub(crate) fn rest(&mut self, least: usize) -> io::Result<&[u8]> {
        if self.decoded.len() - self.consumed < least && !self.is_at_end {
            self.decoded.drain(..self.consumed);
            self.consumed = 0;
            while self.decoded.len() < least && !self.is_at_end {
                self.read()?;
            }
        }
        Ok(&self.decoded[self.consumed..])
    }

    /// Consumes bytes of the rest, and returns how many lines they have.
    pub(crate) fn consume(&mut self, bytes: usize) -> u64 {
        let mut lines = LineCount::default();
        lines.add(&self.decoded[self.consumed..][..bytes]);
        self.consumed += bytes;
        lines.total()
    }

    /// How many lines the text has that was read so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.total()
    }

    fn read(&mut self) -> io::Result<()> {
        let before = self.pending.len();
        self.pending.resize(before + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.pending[before..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.pending.truncate(before + *read.as_ref().unwrap_or(&0));
        self.is_at_end = read? == 0;
        self.decode();
        Ok(())
    }

    /// Decodes what is pending, except for a part of a character that may go on.
    fn decode(&mut self) {
        let from = self.decoded.len();
        match self.encoding {
            Encoding::Utf8 => self.decoded.append(&mut self.pending),
            Encoding::Utf16(unit) => {
                let pairs = self.pending.as_chunks::<2>().0;
                let is_high = |unit: u16| (0xd800..0xdc00).contains(&unit);
                // The first half of a character waits for the second.
                let waits = pairs.last().is_some_and(|last| is_high(unit(*last))) && !self.is_at_end;
                let pairs = &pairs[..pairs.len() - usize::from(waits)];
                for character in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
                    match character {
                        Ok(character) => {
                            self.decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        Err(_) => self.decoded.push(NOT_UTF_8),
                    }
                }
                self.pending.drain(..2 * pairs.len());
                if self.is_at_end && !self.pending.is_empty() {
                    self.decoded.push(NOT_UTF_8);
                    self.pending.clear();
                }
            }
        }
        self.lines.add(&self.decoded[from..]);
    }
}

/// Counts lines by themselves, whatever they are cut into.
#[derive(Default)]
struct LineCount {
    ended: u64,
    last: Option<u8>,
}

impl LineCount {
    fn add(&mut self, text: &[u8]) {
        for &byte in text {
            // The line feed after a carriage return belongs to the same line end.
            let ends = byte == b'\r' || (byte == b'\n' && self.last != Some(b'\r'));
            self.ended += u64::from(ends);
            self.last = Some(byte);
        }
    }

    fn total(&self) -> u64 {
        let is_open = self.last.is_some_and(|last| !matches!(last, b'\r' | b'\n'));
        self.ended + u64::from(is_open)
    }
}
