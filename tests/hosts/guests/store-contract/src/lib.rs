//! An app for the contract suite alone: it turns each `POST` into a call of the `store` it is
//! composed with, whatever the path.
//!
//! A request is one JSON object, `{"op": …}`; the answer is `{"ok": …}` or `{"error": {"kind": …,
//! "detail": …}}`, both with status 200. Versions travel as decimal strings, for they are 64 bits
//! wide.

mod answers;
mod calls;

use bindings::countersign::license::store::Error;
use bindings::exports::countersign::license::service::{Body, Guest, Header, Request, Response};
use serde_json::{Value, json};

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Contract;

    wit_bindgen::generate!({
        path: "../../../../wit",
        inline: "
            package countersign:contract;

            world guest {
                import countersign:license/store@0.1.0;
                export countersign:license/service@0.1.0;
            }
        ",
        world: "countersign:contract/guest",
        generate_all,
    });
    export!(Contract);
}

struct Contract;

impl Guest for Contract {
    fn handle(request: Request) -> Response {
        let (status, answer) = match (request.method.as_str(), &request.body) {
            ("POST", Body::Complete(body)) => match serde_json::from_slice(body) {
                Ok(call) => (200, answer(calls::run(call))),
                Err(error) => (400, json!({ "refused": error.to_string() })),
            },
            _ => (404, json!({ "refused": "only POST with a whole body" })),
        };
        let headers = vec![Header { name: "content-type".into(), value: b"application/json".into() }];
        Response { status, headers, body: answer.to_string().into() }
    }
}

fn answer(result: Result<Value, Error>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": answers::error(error) }),
    }
}
