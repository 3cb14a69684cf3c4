//! What a vendor may not have meant is said in the answer.

use serde_json::{Value, json};

use super::{issue, path, start};

#[test]
fn a_site_that_is_covered_only_with_its_www_is_named() {
    let registrar = start();
    let warned = |answer: &Value| -> Vec<Value> {
        let warnings = answer["warnings"].as_array().into_iter().flatten();
        warnings.map(|warning| json!([warning["code"], warning["domain"]])).collect()
    };
    let only = vec![json!(["WWW_ONLY", "www.example.com"])];
    for (domains, expected) in [
        (json!(["www.example.com"]), only.clone()),
        (json!(["www.example.com", "*.example.com"]), only.clone()),
        (json!(["www.example.com", "example.com"]), vec![]),
        (json!(["example.com"]), vec![]),
        (json!(["shop.example.com"]), vec![]),
        // There is no site without it.
        (json!(["www.github.io"]), vec![]),
    ] {
        assert_eq!(warned(&issue(&registrar, json!({ "domains": domains }))), expected, "{domains}");
    }
    let licence = issue(&registrar, json!({ "domains": ["example.org"] }));
    let added = registrar.post(&format!("{}/domains", path(&licence)), &json!({ "domains": ["www.example.com"] }));
    assert_eq!(warned(&added.expect(200)), only);
    // It is about what the request does, and so is not said again.
    assert_eq!(warned(&registrar.patch(&path(&licence), &json!({ "owner": "jane" })).expect(200)), [] as [Value; 0]);
    assert_eq!(warned(&registrar.get(&path(&licence)).expect(200)), [] as [Value; 0]);
}
