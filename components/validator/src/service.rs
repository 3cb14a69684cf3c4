//! The HTTP interface: a table of routes, and what is the same for each.

use crate::App;
use crate::answer;
use crate::bindings::exports::countersign::license::service::{Body, Guest, Request, Response};
use crate::problem::Problem;
use crate::{health, validate};

struct Route {
    path: &'static str,
    method: &'static str,
    /// `method` and `OPTIONS`, as `Allow` lists them.
    allowed: &'static str,
    verb: fn(&[u8]) -> Result<Response, Problem>,
}

const ROUTES: [Route; 3] = [
    Route { path: "/api/v1/validate", method: "POST", allowed: "POST, OPTIONS", verb: validate::post },
    Route { path: "/healthz", method: "GET", allowed: "GET, OPTIONS", verb: health::healthz },
    Route { path: "/readyz", method: "GET", allowed: "GET, OPTIONS", verb: health::readyz },
];

impl Guest for App {
    fn handle(request: Request) -> Response {
        respond(&request).unwrap_or_else(Response::from)
    }
}

fn respond(request: &Request) -> Result<Response, Problem> {
    let route = ROUTES.iter().find(|route| route.path == request.path).ok_or(Problem::NoSuchPath)?;
    if request.method == "OPTIONS" {
        return Ok(answer::preflight(route.allowed));
    }
    if request.method != route.method {
        return Err(Problem::MethodNotAllowed { allowed: route.allowed });
    }
    match &request.body {
        Body::Complete(body) => (route.verb)(body),
        Body::TooLarge => Err(Problem::BodyTooLarge),
        Body::Incomplete => Err(Problem::IncompleteBody),
    }
}
