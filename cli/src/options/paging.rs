//! The options of every list.

use clap::Args;

use super::values::number;

/// Which part of a list to print.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// List at most this many, and print a cursor for the rest [default: all]
    #[arg(long, value_name = "NUMBER", value_parser = number::<u64>)]
    pub(crate) limit: Option<u64>,
    /// Continue an earlier list from the cursor that it printed
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}
