use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use crate::limits::API_BULK_PAGE;
use clap::Args;
use countersign::id::LicenseId;
use serde_json::{Map, Value, json};

use crate::api::{Api, path};
use crate::error::CommandError;
use crate::options::connection::Connection;
use crate::output::print;
use crate::output::progress;
use crate::output::text::member;

/// Bring the store up to date, and list what only the store knows
///
/// Compares every licence with its record in the store, and writes those records again that the
/// store lacks or has in an older form.
///
/// After the database was restored from an old copy, the store knows changes and licences that the
/// database forgot. Nothing happens to them unasked: they are listed, and `--adopt` or `--drop`
/// decides about all of them, or with `--license` about those of one licence.
///
/// Also finds out when licences began whose time begins with their first use.
///
/// A licence that is not as its events say is named and left unchanged; the exit code is then 1.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Show what would happen and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Take over what only the store knows: later changes, and licences, with missing products
    #[arg(long)]
    adopt: bool,
    /// Give the store what the database has: undoes later changes, revocations too, and revokes
    /// licences that only the store has
    #[arg(long, conflicts_with = "adopt")]
    drop: bool,
    /// Look at this licence only
    #[arg(long, value_name = "ID", value_parser = LicenseId::parse)]
    license: Option<LicenseId>,
    #[command(flatten)]
    connection: Connection,
}

impl Reconcile {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        let api = self.connection.open()?;
        let bar = progress::items("licences");
        let mut totals = Map::new();
        let (mut products, mut unaccounted) = (BTreeSet::new(), BTreeSet::new());
        let mut items = Vec::new();
        let mut body = json!({
            "limit": API_BULK_PAGE, "dryRun": self.dry_run, "adopt": self.adopt, "drop": self.drop,
        });
        if let Some(license) = &self.license {
            body["license"] = license.as_str().into();
        }
        loop {
            let mut answer = api.post(path(&["reconcile"]), &body)?.json()?;
            for (name, value) in answer.as_object().into_iter().flatten() {
                if let Some(count) = value.as_u64() {
                    let total = totals.get(name).and_then(Value::as_u64).unwrap_or(0);
                    totals.insert(name.clone(), (total + count).into());
                }
            }
            let names = |name: &str| {
                let names = answer[name].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.map(str::to_owned).collect::<Vec<_>>()
            };
            products.extend(names("products"));
            unaccounted.extend(names("unaccounted"));
            if let Value::Array(some) = answer["items"].take() {
                items.extend(some);
            }
            bar.set_position(totals.get("checked").and_then(Value::as_u64).unwrap_or(0));
            let Some(next) = answer.get("next") else { break };
            body["cursor"] = next.clone();
        }
        if !self.dry_run {
            totals.insert("begun".into(), self.find_beginnings(&api)?.into());
        }
        bar.finish_and_clear();
        if self.connection.json {
            totals.insert("products".into(), json!(products));
            totals.insert("items".into(), Value::Array(items));
            if !unaccounted.is_empty() {
                totals.insert("unaccounted".into(), json!(unaccounted));
            }
            print::json(Value::Object(totals).to_string().as_bytes())?;
        } else {
            self.print(&totals, &products, &items)?;
            for id in &unaccounted {
                print::note(format_args!(
                    "{id} is not as its events say: left unchanged; see `countersign audit verify`"
                ));
            }
        }
        Ok(if unaccounted.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    /// Has the server look at the licences whose time may have begun. Returns how many did.
    fn find_beginnings(&self, api: &Api) -> Result<u64, CommandError> {
        let mut body = self.license.as_ref().map_or_else(|| json!({}), |license| json!({ "licenses": [license] }));
        let mut begun = 0;
        loop {
            let mut answer = api.post(path(&["licenses", "beginnings"]), &body)?.json()?;
            begun += answer["begun"].as_u64().unwrap_or(0);
            match answer["next"].take() {
                Value::Null => return Ok(begun),
                next => body["cursor"] = next,
            }
        }
    }

    fn print(
        &self,
        totals: &Map<String, Value>,
        products: &BTreeSet<String>,
        items: &[Value],
    ) -> Result<(), CommandError> {
        let [repaired, adopted, dropped, created] = if self.dry_run {
            ["would be repaired", "would be adopted", "would be dropped", "would create"]
        } else {
            ["repaired", "adopted", "dropped", "created"]
        };
        let mut out = print::out();
        let count = |name: &str| totals.get(name).and_then(Value::as_u64).unwrap_or(0);
        writeln!(out, "{} checked, {} {repaired}", count("checked"), count("repaired"))?;
        for item in items {
            writeln!(out, "{}", line(item))?;
        }
        let decided = ["adopted", "dropped", "retired", "unreadable", "conflicting"].map(count);
        let left = if self.adopt || self.drop { 0 } else { count("unknown").saturating_sub(decided.iter().sum()) };
        for (count, one, many, outcome) in [
            (
                count("later") + left,
                "difference",
                "differences",
                "left (--adopt takes the store's side, --drop this one)",
            ),
            (count("adopted"), "difference", "differences", adopted),
            (count("dropped"), "difference", "differences", dropped),
            (count("begun"), "licence", "licences", "began with the first use"),
            (count("retired"), "tombstone of a deleted licence", "tombstones of deleted licences", "(left unchanged)"),
            (count("unreadable"), "unreadable record", "unreadable records", "(left unchanged)"),
            (count("conflicting"), "record", "records", "with the id of another licence (left unchanged)"),
        ] {
            match count {
                0 => {}
                1 => writeln!(out, "1 {one} {outcome}")?,
                _ => writeln!(out, "{count} {many} {outcome}")?,
            }
        }
        for product in products {
            writeln!(out, "{created} product {product}")?;
        }
        Ok(())
    }
}

/// One difference: `lic_… later in the store: status "active" → "suspended"`.
fn line(item: &Value) -> String {
    let id = member(item, "id");
    let empty = Map::new();
    let (here, there) = (item["database"].as_object().unwrap_or(&empty), item["store"].as_object().unwrap_or(&empty));
    let found = match item["found"].as_str() {
        Some("later") => "later in the store",
        Some("rotated") => "with a new key in the store",
        Some("conflicting") => "twice in the store",
        _ => "only in the store",
    };
    if here.is_empty() {
        let about = ["product", "plan", "status"].map(|name| member(&item["store"], name)).join(", ");
        return format!("{id} {found}: {about}");
    }
    let names: BTreeSet<_> = here.keys().chain(there.keys()).filter(|name| *name != "generation").collect();
    let value = |side: &Map<String, Value>, name: &str| match side.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Array(list)) => format!("{} entries", list.len()),
        Some(Value::Object(_)) => "other".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let changes: Vec<_> =
        names.into_iter().map(|name| format!("{name} {} → {}", value(here, name), value(there, name))).collect();
    format!("{id} {found}: {}", if changes.is_empty() { "generation".to_owned() } else { changes.join(", ") })
}
