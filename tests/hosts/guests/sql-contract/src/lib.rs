//! An app for the contract suite: it makes each `POST`, on any path, into a call of the `sql` that
//! it is composed with.
//!
//! A request is one JSON object: `{"query": …}`, `{"execute": …}` or `{"batch": […]}`. A statement
//! is `{"sql": "…", "parameters": […], "expect": …}`. The answer is `{"ok": …}` or `{"error":
//! {"kind": …, "detail": …}}`, both with status 200.
//!
//! A value is `null`, `{"integer": "…"}`, `{"real": …}`, `{"text": "…"}` or `{"blob": […]}`. An
//! integer is a decimal string because it has 64 bits. In a request, `{"text-of-size": n}` and
//! `{"blob-of-size": n}` are values of `n` bytes `x`.

mod answers;
mod calls;

use bindings::exports::countersign::license::service::{Body, Guest, Header, Request, Response};
use serde_json::json;

#[allow(unsafe_code, missing_docs, unreachable_pub)]
mod bindings {
    use super::Contract;

    wit_bindgen::generate!({
        path: "../../../../wit",
        inline: "
            package countersign:contract;

            world guest {
                import countersign:license/sql@0.1.0;
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
                Ok(call) => (200, answers::of(calls::run(call))),
                Err(error) => (400, json!({ "refused": error.to_string() })),
            },
            _ => (404, json!({ "refused": "the request must be a POST with a complete body" })),
        };
        let headers = vec![Header { name: "content-type".into(), value: b"application/json".into() }];
        Response { status, headers, body: answer.to_string().into() }
    }
}
