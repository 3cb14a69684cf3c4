//! What commands print: answers, lists and progress.

pub(crate) mod pages;
pub(crate) mod print;
pub(crate) mod progress;
