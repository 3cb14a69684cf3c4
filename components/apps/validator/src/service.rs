//! The HTTP interface: the table of routes.

use countersign::routes;
use countersign_app_common::problem::Problem;
use countersign_app_common::request::get_for_head;
use countersign_app_common::service::{Guest, Request, Response};

use crate::{App, activate, activations, answer, deactivate, health, heartbeat, usage, validate};

struct Route {
    path: &'static str,
    method: &'static str,
    /// The methods that are served, as `Allow` lists them.
    allowed: &'static str,
    handler: Handler,
}

type Handler = fn(&Request) -> Result<Response, Problem>;

/// The most frequent first.
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

const fn post(path: &'static str, handler: Handler) -> Route {
    Route { path, method: "POST", allowed: "POST, OPTIONS", handler }
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { path, method: "GET", allowed: "GET, HEAD, OPTIONS", handler }
}

impl Guest for App {
    fn handle(request: Request) -> Response {
        let mut response = respond(&request).unwrap_or_else(Response::from);
        answer::open_to_all_sites(&mut response);
        response
    }
}

fn respond(request: &Request) -> Result<Response, Problem> {
    let path = routes::canonical(&request.path);
    let route = ROUTES.iter().find(|route| route.path == path).ok_or(Problem::NO_SUCH_PATH)?;
    if request.method == "OPTIONS" {
        return Ok(answer::preflight(route.allowed));
    }
    if get_for_head(&request.method) != route.method {
        return Err(Problem::method_not_allowed(route.allowed));
    }
    (route.handler)(request)
}

#[cfg(test)]
mod tests {
    use super::ROUTES;
    use countersign::routes::HOLDERS;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_describes_these_routes_and_no_others() {
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
