//! Files that repeat the table of routes.

use countersign::routes::{COLLECTIONS, OPENAPI};
use std::collections::BTreeSet;

#[test]
fn spin_sends_the_vendors_paths_to_the_registrar_and_all_others_to_the_validator() {
    let manifest: toml::Table = toml::from_str(include_str!("../spin.toml")).unwrap();
    let triggers = manifest["trigger"]["http"].as_array().unwrap().iter();
    let triggers: BTreeSet<(String, String)> = triggers
        .map(|trigger| ["route", "component"].map(|name| trigger[name].as_str().unwrap().to_owned()).into())
        .collect();
    // `/...` also takes the path itself, and the path with a slash at its end.
    let paths = COLLECTIONS.iter().chain([&OPENAPI]);
    let registrars = paths.map(|path| (format!("{path}/..."), "registrar".to_owned()));
    let all = registrars.chain([("/...".to_owned(), "validator".to_owned())]).collect();
    assert_eq!(triggers, all);
}
