use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use countersign_host::registry::Registry;

use super::{CommandError, Common, print};

/// List all licences
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) fn run(self) -> Result<ExitCode, CommandError> {
        let mut licenses = Vec::new();
        Registry::open(&self.common.data)?.for_each(|_, license| {
            licenses.push(license);
            Ok::<_, CommandError>(())
        })?;
        licenses.sort_by(|left, right| (left.issued_at, &left.id).cmp(&(right.issued_at, &right.id)));
        if self.common.json {
            let records: Vec<Vec<u8>> = licenses.iter().map(|license| license.to_json()).collect();
            print::json(&[b"[", records.join(&b","[..]).as_slice(), b"]"].concat())?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut table = Table::new();
        table.set_header(["ID", "STATUS", "PRODUCT", "PLAN", "EXPIRES", "KEY", "DOMAINS"]);
        for license in &licenses {
            table.add_row([
                license.id.to_string(),
                license.status.to_string(),
                license.product.to_string(),
                license.plan.to_string(),
                license.expires_at.map_or("never".into(), |at| at.to_string()),
                license.hint.as_ref().map_or(String::new(), |hint| format!("…{hint}")),
                print::join(&license.domains),
            ]);
        }
        print::table(table)?;
        Ok(ExitCode::SUCCESS)
    }
}
