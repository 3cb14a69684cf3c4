//! What commands print, in reading order: standard output, text, tables, licences, lists, progress.

pub(crate) mod license;
pub(crate) mod pages;
pub(crate) mod print;
pub(crate) mod progress;
pub(crate) mod table;
pub(crate) mod text;
