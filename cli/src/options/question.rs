//! What a program asks besides the key.

use clap::Args;
use serde::Serialize;

/// What a program asks besides the key.
#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Question {
    /// The product that is running
    #[arg(long)]
    product: Option<String>,
    /// The domain it runs on
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// Its version
    #[arg(long)]
    version: Option<String>,
    /// When that version was released: a date, or a date and time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    released_at: Option<String>,
    /// A feature that the licence must include; repeat for more
    #[arg(long = "feature", value_name = "NAME")]
    features: Vec<String>,
    /// A component of the machine's fingerprint; repeat for more
    #[arg(long = "fingerprint", value_name = "TEXT")]
    pub(crate) fingerprint: Vec<String>,
    /// The user who runs it
    #[arg(long, value_name = "TEXT")]
    pub(crate) user: Option<String>,
    /// An allowance that must not be used up
    #[arg(long, value_name = "NAME")]
    allowance: Option<String>,
}
