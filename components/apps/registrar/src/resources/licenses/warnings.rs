//! What a vendor may not have meant, said in the answer that makes it so.

use countersign::domain::{Domain, DomainRule};
use countersign::license::License;
use serde_json::{Map, Value, json};

/// Adds the member `warnings` to an answer about this licence, if there are any.
pub(super) fn add(view: &mut Map<String, Value>, license: &License) {
    let warnings: Vec<_> = license.domains.iter().filter_map(|entry| without_its_site(entry, license)).collect();
    if !warnings.is_empty() {
        view.insert("warnings".into(), warnings.into());
    }
}

/// An entry `www.example.com`, where no entry covers `example.com`: the same site answers there.
fn without_its_site(entry: &DomainRule, license: &License) -> Option<Value> {
    let entry = entry.to_string();
    let site = entry.strip_prefix("www.")?;
    DomainRule::parse(site).ok()?.check_registrable().ok()?;
    let domain = Domain::parse(site).ok()?;
    let is_covered = license.domains.iter().any(|other| other.covers(&domain));
    let detail = format!("`{entry}` does not cover `{site}`; add `{site}`, which covers both.");
    (!is_covered).then(|| json!({ "code": "WWW_ONLY", "domain": entry, "detail": detail }))
}
