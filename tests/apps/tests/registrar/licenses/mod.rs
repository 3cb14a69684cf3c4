//! Licences, as their vendor manages them and as the validator then answers.

mod beginnings;
mod bulk;
mod fields;
mod life;
mod lists;
mod races;
mod reconcile;
mod scope;
mod seats;
mod stats;
mod status_of_many;
mod warnings;

use countersign_app_tests::Registrar;
use serde_json::{Value, json};

/// A registrar with the product `acme`.
fn start() -> Registrar {
    let registrar = Registrar::start();
    registrar.post("/api/v1/products", &json!({ "code": "acme" })).expect(201);
    registrar
}

/// A licence of `acme`, with these fields.
#[track_caller]
fn issue(registrar: &Registrar, fields: Value) -> Value {
    let mut licence = json!({ "product": "acme", "plan": "pro" });
    licence.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    registrar.post("/api/v1/licenses", &licence).expect(201)
}

/// A policy of `acme`, with these terms.
#[track_caller]
fn policy(registrar: &Registrar, terms: Value) -> Value {
    let mut policy = json!({ "product": "acme", "name": "a policy" });
    policy.as_object_mut().unwrap().extend(terms.as_object().unwrap().clone());
    registrar.post("/api/v1/policies", &policy).expect(201)
}

fn path(licence: &Value) -> String {
    format!("/api/v1/licenses/{}", licence["id"].as_str().unwrap())
}

/// The code of the verdict that a holder of the key gets.
fn code(registrar: &Registrar, key: &Value) -> Value {
    registrar.holder("validate", &json!({ "key": key }))["code"].clone()
}
