//! Which licences `list` and `export` are about.

use clap::Args;
use countersign::license::Status;
use countersign::name::Product;
use countersign::time::Timestamp;

/// Which licences.
#[derive(Debug, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filters {
    /// Those of this product
    #[arg(long)]
    product: Option<Product>,
    /// Those of this policy
    #[arg(long, value_name = "ID")]
    policy: Option<String>,
    /// `active`, `suspended` or `revoked`
    #[arg(long)]
    status: Option<Status>,
    /// Those of this owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Those with exactly this entry among their domains
    #[arg(long)]
    domain: Option<String>,
    /// Those that expire before then: RFC 3339 date, or date and time
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse_date_or_time)]
    expiring_before: Option<Timestamp>,
    /// Those whose key's end, owner or metadata begins with this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl Filters {
    /// As parameters of a query.
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
