//! What the fuzz targets call: the readers of all that a caller sends, besides its JSON.

use countersign::form::percent_decode;
use countersign::name::IdempotencyKey;
use countersign::routes::{OPENAPI, is_vendors};
use countersign_app_common::fields::Fields;

use crate::auth::token;
use crate::resources::metadata;
use crate::resources::terms::Terms;
use crate::service::find;
use crate::wire::etag::{self, Comparison};
use crate::wire::page;
use crate::wire::query::Query;

/// Reads a path and a query. A path that has a route is one that hosts send here.
pub fn target(path: &str, query: &str) {
    if let Ok((_, parameters)) = find("GET", path) {
        assert!(is_vendors(path) && path != OPENAPI);
        for parameter in parameters {
            percent_decode(parameter);
        }
    }
    if let Ok(query) = Query::parse(Some(query)) {
        let _ = (query.limit(), query.flag("dryRun"), query.cursor());
        let _ = query.finish();
    }
    if let Some(number) = page::read_cursor(query) {
        assert_eq!(page::read_cursor(&page::cursor(number)), Some(number));
    }
}

/// Reads a header as each of those that are no plain text.
pub fn header(value: &str) {
    if let Some(id) = token::id_of(value) {
        assert!(id.starts_with("tok_") && value.contains(&id["tok_".len()..]));
    }
    if etag::compare(value, 7) == Ok(Comparison::Current) {
        assert!(value.trim() == "*" || value.contains("\"7\""));
    }
    let _ = IdempotencyKey::parse(value);
}

/// Reads a merge patch. Applied twice it does what it does once.
pub fn patch(body: &[u8]) {
    let Ok(mut fields) = Fields::from_json(body) else { return };
    let _ = metadata::take(&mut fields);
    let Ok(patch) = Terms::take_patch(&mut fields) else { return };
    if let Ok(once) = Terms::default().patched(&patch) {
        assert_eq!(once.patched(&patch), Ok(once.clone()));
        assert_eq!(Terms::read(&mut Fields::new(once.to_json())), Ok(once));
    }
}
