//! Exports licences with all that an import needs, one a line. A line has the hash of the key, and
//! never the key.

use std::str::FromStr;

use countersign::word::UnknownWord;
use countersign_app_common::answer;
use serde_json::{Map, Value};

use super::columns::STATE;
use super::{CSV, NDJSON, table};
use crate::ask::Ask;
use crate::host::store;
use crate::limits::{MAX_BULK_ITEMS, MAX_EXPORT_BYTES, MAX_IMPORTED_GENERATION};
use crate::resources::licenses::activations;
use crate::resources::licenses::issued::IssuedLicense;
use crate::resources::licenses::search::filter::Filter;
use crate::resources::terms::Terms;
use crate::wire::Response;
use crate::wire::problem::Problem;

/// Licences that are read at a time: the largest take some megabytes together.
const READ_AT_ONCE: u32 = 25;

/// The form of a line.
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

/// `GET /api/v1/licenses/export`: a page ends at its limit, or earlier if it is large. If more
/// follow, the header `Link` has the next page (RFC 8288).
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    let filter = Filter::read(ask)?;
    let format = ask.query.parse_one("format", Format::from_str)?.unwrap_or_default();
    let with_state = ask.query.flag("state")?;
    let limit = ask.query.limit_up_to(MAX_BULK_ITEMS, MAX_BULK_ITEMS)?;
    let mut after = filter.cursor(ask)?;
    ask.query.finish()?;

    let mut body = Vec::new();
    let mut count = 0;
    let next = loop {
        let page = filter.page(&after, READ_AT_ONCE.min(limit - count))?;
        count += page.items.len() as u32;
        if matches!(format, Format::Csv) && body.is_empty() {
            body.extend(table::header(with_state).into_bytes());
        }
        for issued in &page.items {
            let mut line = line(issued);
            if with_state {
                let state = store::state(&issued.record.id)?;
                line.insert(STATE.into(), activations::view(&issued.record, &state, ask.now));
            }
            match format {
                Format::Ndjson => {
                    body.extend(answer::encode(&line));
                    body.push(b'\n');
                }
                Format::Csv => body.extend(table::write(&line, with_state).into_bytes()),
            }
        }
        match page.next {
            Some(next) if count < limit && body.len() < MAX_EXPORT_BYTES && !page.is_cut => after = next,
            next => break next,
        }
    };

    let media_type = match format {
        Format::Ndjson => NDJSON.to_owned(),
        Format::Csv => format!("{CSV}; charset=utf-8; header=present"),
    };
    let mut response = answer::with_body(200, &media_type, body);
    if let Some(next) = next {
        let others = ask.http.query.iter().flat_map(|query| query.split('&'));
        let others = others.filter(|parameter| !parameter.is_empty() && !parameter.starts_with("cursor="));
        let query =
            others.map(str::to_owned).chain([format!("cursor={}", next.cursor())]).collect::<Vec<_>>().join("&");
        answer::add(&mut response, "link", &format!("<{}?{query}>; rel=\"next\"", ask.http.path));
    }
    Ok(response)
}

/// A line that issues the same licence again, even if its policy has other terms by then: an absent
/// term is null. A generation beyond what an import takes is written as the highest that it takes.
fn line(issued: &IssuedLicense) -> Map<String, Value> {
    let mut line: Map<_, _> = Terms::COLUMNS.iter().map(|(name, _)| ((*name).to_owned(), Value::Null)).collect();
    line.insert("expiresAt".into(), Value::Null);
    line.extend(issued.terms().to_json());
    line.extend(issued.view_without_state());
    line.insert("generation".into(), issued.record.generation.min(MAX_IMPORTED_GENERATION).into());
    line.insert("keyHash".into(), issued.key.to_hex().into());
    line
}
