//! The lines of a file of licences: how they are encoded, cut and counted.
//!
//! The registrar reads the body of an import by this crate, and the command line cuts a file of any
//! length by it into such bodies. So both agree on where a line ends, and each line of a file is
//! counted once: as a record, as refused, or as blank.
//!
//! [`text`] turns the bytes of a file into UTF-8, [`csv`] finds the cells of a record, and
//! [`lines`] goes through a file line by line.
//!
//! The `csv` crate reads quotes that RFC 4180 does not allow as if they were meant: one stray quote
//! swallows all lines up to the next one, without a word. Here that line is refused, and the next
//! line is read. Tests compare the two on every other file.

#![forbid(unsafe_code)]

pub mod csv;
mod kinds;
pub mod lines;
mod text;

pub use lines::{Content, FileError, Format, Head, Line, LineError, Lines};
