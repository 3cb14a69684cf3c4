//! The filters of `list` and `export`.

use clap::Args;
use countersign::license::Status;
use countersign::name::Product;
use countersign::time::Timestamp;

/// Which licences.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Only licences of this product
    #[arg(long)]
    product: Option<Product>,
    /// Only licences of this policy: `pol_…`
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// Only licences with this status: `active`, `suspended` or `revoked`
    #[arg(long)]
    status: Option<Status>,
    /// Only licences of this owner, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Only licences with exactly this domain entry
    #[arg(long)]
    domain: Option<String>,
    /// Only licences that expire before this date, or date and time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_start)]
    expiring_before: Option<Timestamp>,
    /// Only licences with a word in owner or metadata, or a key ending, that begins with this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl Filters {
    /// The filters as query parameters.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("product", self.product.as_ref().map(ToString::to_string)),
            ("policy", self.policy.clone()),
            ("status", self.status.map(|status| status.to_string())),
            ("owner", self.owner.clone()),
            ("domain", self.domain.clone()),
            ("expiringBefore", self.expiring_before.map(|at| at.to_string())),
            ("search", self.search.clone()),
        ]
    }
}
