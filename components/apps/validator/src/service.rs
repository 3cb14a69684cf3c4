//! The HTTP interface: a table of routes, and what is the same for each.

use countersign::routes;

use crate::App;
use crate::answer;
use crate::problem::Problem;
use crate::{activate, activations, deactivate, health, heartbeat, usage, validate};
use countersign_app_common::service::{Guest, Request, Response};

struct Route {
    path: &'static str,
    method: &'static str,
    /// `method` and `OPTIONS`, as `Allow` lists them.
    allowed: &'static str,
    verb: Verb,
}

/// The one that everyone asks stands first.
const ROUTES: [Route; routes::HOLDERS.len()] = [
    post(routes::VALIDATE, validate::post),
    post(routes::ACTIVATE, activate::post),
    post(routes::HEARTBEAT, heartbeat::post),
    post(routes::DEACTIVATE, deactivate::post),
    post(routes::ACTIVATIONS, activations::post),
    post(routes::USAGE, usage::post),
    get(routes::HEALTHZ, health::healthz),
    get(routes::READYZ, health::readyz),
];

type Verb = fn(&Request) -> Result<Response, Problem>;

const fn post(path: &'static str, verb: Verb) -> Route {
    Route { path, method: "POST", allowed: "POST, OPTIONS", verb }
}

const fn get(path: &'static str, verb: Verb) -> Route {
    Route { path, method: "GET", allowed: "GET, OPTIONS", verb }
}

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
    (route.verb)(request)
}

#[cfg(test)]
mod tests {
    use super::ROUTES;
    use countersign::routes::HOLDERS;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_has_these_routes_for_holders_and_no_others() {
        let document: Value = serde_json::from_str(include_str!("../../../../openapi.json")).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().iter();
            for (method, _) in methods.filter(|(_, operation)| operation["tags"][0] == "holder") {
                described.insert((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let served = ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_owned())).collect();
        assert_eq!(described, served);
        assert!(ROUTES.iter().all(|route| HOLDERS.contains(&route.path)));
    }
}
