//! Gives out licences with all that an import takes: a line each, with the hash of its key and never the key.

use std::str::FromStr;

use crate::limits::{MAX_BULK_ITEMS, MAX_EXPORT_BYTES};
use countersign::word::UnknownWord;
use serde_json::{Map, Value};

use super::table;
use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::resources::licenses::search::filter::Filter;
use crate::resources::terms::Terms;
use crate::wire::Response;
use crate::wire::answer;
use crate::wire::problem::Problem;

pub(super) const NDJSON: &str = "application/x-ndjson";
pub(super) const CSV: &str = "text/csv";

/// Licences that are read at a time: at their largest they take some megabytes.
const READ_AT_ONCE: u32 = 25;

/// What a line is written as.
#[derive(Clone, Copy, Default)]
enum Format {
    #[default]
    Ndjson,
    Csv,
}

impl FromStr for Format {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv),
            _ => Err(UnknownWord { allowed: &["ndjson", "csv"] }),
        }
    }
}

/// `GET /api/v1/licenses/export`: a page ends with its limit, or before once it is large. Where more follow, a link leads to them
/// (RFC 8288).
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let filter = Filter::read(ask)?;
    let format = ask.query.parse_one("format", Format::from_str)?.unwrap_or_default();
    let limit = ask.query.limit_up_to(MAX_BULK_ITEMS, MAX_BULK_ITEMS)?;
    let mut after = filter.cursor(ask)?;
    ask.query.finish()?;

    let mut body = Vec::new();
    let mut count = 0;
    let next = loop {
        let page = filter.page(&after, READ_AT_ONCE.min(limit - count))?;
        count += page.items.len() as u32;
        let lines: Vec<_> = page.items.iter().map(exported).collect();
        match format {
            Format::Ndjson => lines.into_iter().for_each(|line| {
                body.extend(answer::encode(&line));
                body.push(b'\n');
            }),
            Format::Csv => body.extend(table::write(lines.iter(), body.is_empty())),
        }
        match page.next {
            Some(next) if count < limit && body.len() < MAX_EXPORT_BYTES => after = next,
            next => break next,
        }
    };

    let media_type = match format {
        Format::Ndjson => NDJSON,
        Format::Csv => "text/csv; charset=utf-8; header=present",
    };
    let mut response = answer::with_body(200, media_type, body);
    if let Some(next) = next {
        let others = ask.http.query.iter().flat_map(|query| query.split('&'));
        let others = others.filter(|parameter| !parameter.is_empty() && !parameter.starts_with("cursor="));
        let query =
            others.map(str::to_owned).chain([format!("cursor={}", next.cursor())]).collect::<Vec<_>>().join("&");
        answer::add(&mut response, "link", &format!("<{}?{query}>; rel=\"next\"", ask.http.path));
    }
    Ok(response)
}

/// What makes the same licence again, also where its policy has other terms by then: a term that it has not is null.
fn exported(issued: &Issued) -> Map<String, Value> {
    let mut exported = Terms::none();
    exported.insert("expiresAt".into(), Value::Null);
    exported.extend(issued.terms().to_json());
    exported.extend(issued.shown());
    exported.insert("keyHash".into(), issued.key.to_hex().into());
    exported
}
