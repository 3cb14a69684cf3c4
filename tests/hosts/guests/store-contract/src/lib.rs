//! An app for the contract suite: it makes each `POST`, on any path, into a call of the `store`
//! that it is composed with.
//!
//! A request is one JSON object, `{"op": …}`. The answer is `{"ok": …}` or `{"error": {"kind": …,
//! "detail": …}}`, both with status 200. Versions are decimal strings because they have 64 bits.

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
            _ => (404, json!({ "refused": "the request must be a POST with a complete body" })),
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
