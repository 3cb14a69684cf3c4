//! The HTTP interface: a table of routes with the role that each requires, and the steps that are
//! the same for all.

use countersign::field::FieldError;
use countersign::form::percent_decode;
use countersign::name::RequestId;
use countersign::routes::{OPENAPI, canonical};
use countersign_app_common::answer::add;
use countersign_app_common::clock::{self, Stopwatch};
use countersign_app_common::request::{get_for_head, header, idempotency_key};

use crate::App;
use crate::ask::Ask;
use crate::auth::{caller, throttle};
use crate::host::{journal, random};
use crate::resources::{
    audit, edges, events, licenses, openapi, origin, outbox, owners, policies, products, reconcile, retention, stats,
    tokens,
};
use crate::sql::{db, schema};
use crate::wire::problem::Problem;
use crate::wire::query::Query;
use crate::wire::{Request, Response};
use countersign::role::Role;
use countersign_app_common::service::Guest;

pub(crate) struct Route {
    method: &'static str,
    /// With `{…}` for a segment that is a parameter.
    path: &'static str,
    /// The lowest role that may use the route.
    role: Role,
    scope: Scope,
    handler: Handler,
}

/// Whether a token that is bound to products may use a route. Each route says it here, so that no
/// handler can forget to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// It may. The handler treats everything of other products as if it did not exist.
    Products,
    /// It may not, as the route is about all products.
    Everything,
}

use Scope::{Everything, Products};

type Handler = fn(&Ask<'_>) -> Result<Response, Problem>;

/// Where two paths match, the first one counts.
const ROUTES: &[Route] = &[
    get("/api/v1/products", Role::Reader, Products, products::list),
    post("/api/v1/products", Role::Admin, Everything, products::create),
    get("/api/v1/products/{code}", Role::Reader, Products, products::get),
    patch("/api/v1/products/{code}", Role::Admin, Products, products::update),
    delete("/api/v1/products/{code}", Role::Admin, Products, products::delete),
    get("/api/v1/policies", Role::Reader, Products, policies::list),
    post("/api/v1/policies", Role::Admin, Products, policies::create),
    get("/api/v1/policies/{id}", Role::Reader, Products, policies::get),
    patch("/api/v1/policies/{id}", Role::Admin, Products, policies::update),
    delete("/api/v1/policies/{id}", Role::Admin, Products, policies::delete),
    get("/api/v1/licenses", Role::Reader, Products, licenses::list::get),
    post("/api/v1/licenses", Role::Issuer, Products, licenses::create::post),
    post("/api/v1/licenses/batch", Role::Issuer, Products, licenses::create::batch),
    post("/api/v1/licenses/lookup", Role::Reader, Products, licenses::lookup::post),
    post("/api/v1/licenses/import", Role::Issuer, Products, licenses::bulk::import::post),
    post("/api/v1/licenses/suspend", Role::Issuer, Products, licenses::status_of_many::suspend),
    post("/api/v1/licenses/resume", Role::Issuer, Products, licenses::status_of_many::resume),
    post("/api/v1/licenses/beginnings", Role::Admin, Everything, licenses::beginnings::post),
    get("/api/v1/licenses/export", Role::Admin, Products, licenses::bulk::export::get),
    get("/api/v1/licenses/{id}", Role::Reader, Products, licenses::get::get),
    // The handler requires a higher role to change more than owner and metadata.
    patch("/api/v1/licenses/{id}", Role::Support, Products, licenses::patch::patch),
    delete("/api/v1/licenses/{id}", Role::Admin, Products, licenses::delete::delete),
    post("/api/v1/licenses/{id}/suspend", Role::Support, Products, licenses::status::suspend),
    post("/api/v1/licenses/{id}/resume", Role::Support, Products, licenses::status::resume),
    post("/api/v1/licenses/{id}/revoke", Role::Issuer, Products, licenses::status::revoke),
    post("/api/v1/licenses/{id}/renew", Role::Issuer, Products, licenses::renew::post),
    post("/api/v1/licenses/{id}/rotate-key", Role::Issuer, Products, licenses::rotate_key::post),
    post("/api/v1/licenses/{id}/change-policy", Role::Issuer, Products, licenses::change_policy::post),
    post("/api/v1/licenses/{id}/domains", Role::Support, Products, licenses::domains::post),
    delete("/api/v1/licenses/{id}/domains/{domain}", Role::Support, Products, licenses::domains::delete),
    get("/api/v1/licenses/{id}/activations", Role::Reader, Products, licenses::activations::get),
    delete("/api/v1/licenses/{id}/activations", Role::Support, Products, licenses::activations::release_all),
    post("/api/v1/licenses/{id}/activations/transfer", Role::Support, Products, licenses::transfer::post),
    delete(
        "/api/v1/licenses/{id}/activations/{activation}",
        Role::Support,
        Products,
        licenses::activations::release_one,
    ),
    post("/api/v1/licenses/{id}/usage", Role::Support, Products, licenses::usage::post),
    get("/api/v1/stats", Role::Reader, Everything, stats::get),
    post("/api/v1/stats/validations", Role::Admin, Everything, stats::add),
    post("/api/v1/reconcile", Role::Admin, Everything, reconcile::post),
    post("/api/v1/owners/forget", Role::Admin, Everything, owners::forget),
    post("/api/v1/retention", Role::Admin, Everything, retention::post),
    get("/api/v1/tokens", Role::Admin, Everything, tokens::list),
    post("/api/v1/tokens", Role::Admin, Everything, tokens::create),
    get("/api/v1/tokens/{id}", Role::Admin, Everything, tokens::get),
    delete("/api/v1/tokens/{id}", Role::Admin, Everything, tokens::revoke),
    get("/api/v1/events", Role::Reader, Everything, events::list),
    get("/api/v1/audit", Role::Admin, Everything, audit::get),
    post("/api/v1/audit/accept", Role::Admin, Everything, audit::accept),
    post("/api/v1/outbox/deliveries", Role::Issuer, Products, outbox::deliver),
    get("/api/v1/edges", Role::Admin, Everything, edges::list),
    post("/api/v1/origin/get", Role::Edge, Products, origin::get),
    post("/api/v1/origin/put", Role::Edge, Products, origin::put),
    post("/api/v1/origin/validations", Role::Edge, Products, stats::add),
    get("/api/v1/origin/changes", Role::Edge, Products, origin::changes),
];

const fn get(path: &'static str, role: Role, scope: Scope, handler: Handler) -> Route {
    Route { method: "GET", path, role, scope, handler }
}

const fn post(path: &'static str, role: Role, scope: Scope, handler: Handler) -> Route {
    Route { method: "POST", path, role, scope, handler }
}

const fn patch(path: &'static str, role: Role, scope: Scope, handler: Handler) -> Route {
    Route { method: "PATCH", path, role, scope, handler }
}

const fn delete(path: &'static str, role: Role, scope: Scope, handler: Handler) -> Route {
    Route { method: "DELETE", path, role, scope, handler }
}

impl Guest for App {
    fn handle(request: Request) -> Response {
        let stopwatch = Stopwatch::start();
        let request_id = request_id(&request);
        let mut note = journal::Request::new(&request_id, &request.method);
        let mut response = respond(&request, &request_id, &mut note).unwrap_or_else(|problem| {
            note.code = Some(problem.code);
            note.reason = problem.reason;
            if problem.reason == Some(db::NO_SUCH_TABLE) {
                // The database was replaced: the next request must look at its schema again.
                schema::forget();
            }
            problem.into()
        });
        add(&mut response, "x-request-id", &request_id);
        note.status = response.status;
        note.note(stopwatch);
        response
    }
}

/// The caller's `X-Request-Id` if it is 1 to 128 visible ASCII characters, or else a new id.
fn request_id(request: &Request) -> String {
    let given = header(&request.headers, "X-Request-Id").ok().flatten();
    let given = given.filter(|given| RequestId::parse(given).is_ok());
    given.map_or_else(|| random::id("req_"), str::to_owned)
}

fn respond(request: &Request, request_id: &str, note: &mut journal::Request<'_>) -> Result<Response, Problem> {
    let (method, path) = (get_for_head(&request.method), canonical(&request.path));
    if path == OPENAPI {
        return match method {
            "GET" => Ok(openapi::get()),
            _ => Err(Problem::method_not_allowed("GET, HEAD")),
        };
    }
    let (route, parameters) = find(method, path)?;
    note.route = Some(route.path);
    schema::ready()?;
    let now = clock::now();
    let address = request.client.as_deref().map(throttle::counted);
    let caller = caller::find(request, address.as_deref(), now).inspect_err(|problem| {
        if matches!(problem.status, 401 | 429) {
            note.client = address.clone();
        }
    })?;
    note.actor = Some(caller.id.clone());
    caller.check_role(route.role)?;
    if route.scope == Everything {
        caller.check_unscoped()?;
    }
    let decode = |parameter: &str| {
        percent_decode(parameter).ok_or_else(|| FieldError::new("", "The path must be percent-encoded UTF-8."))
    };
    let ask = Ask {
        http: request,
        caller,
        request_id: request_id.into(),
        parameters: parameters.into_iter().map(decode).collect::<Result<_, _>>()?,
        query: Query::parse(request.query.as_deref())?,
        idempotency_key: if request.method == "POST" { idempotency_key(&request.headers)? } else { None },
        now,
    };
    let response = (route.handler)(&ask)?;
    if route.method != "GET" {
        retention::after_write(&ask);
    }
    Ok(response)
}

/// The route for a method and a path, with the path's parameters, still percent-encoded.
pub(crate) fn find<'a>(method: &str, path: &'a str) -> Result<(&'static Route, Vec<&'a str>), Problem> {
    let mut matching = ROUTES.iter().filter_map(|route| Some((route.path, parameters(route.path, path)?)));
    let (pattern, parameters) = matching.next().ok_or(Problem::NO_SUCH_PATH)?;
    let routes = ROUTES.iter().filter(|route| route.path == pattern);
    match routes.clone().find(|route| route.method == method) {
        Some(route) => Ok((route, parameters)),
        None => {
            let with_head = |route: &'static Route| if route.method == "GET" { "GET, HEAD" } else { route.method };
            let allowed: Vec<_> = routes.map(with_head).collect();
            Err(Problem::method_not_allowed(allowed.join(", ")))
        }
    }
}

/// The values of a pattern's parameters, if the path matches it.
fn parameters<'a>(pattern: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut segments = path.split('/');
    let mut parameters = Vec::new();
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') && !segment.is_empty() {
            parameters.push(segment);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::events::SEEN_BY;
    use countersign::routes::{COLLECTIONS, is_vendors};
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn openapi_json_has_the_same_routes_for_vendors() {
        let document: Value = serde_json::from_str(include_str!("../../../../openapi.json")).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            let methods = methods.as_object().unwrap().iter();
            for (method, _) in methods.filter(|(_, operation)| operation["tags"][0] == "vendor") {
                described.insert((path.clone(), method.to_ascii_uppercase()));
            }
        }
        let routes = ROUTES.iter().map(|route| (route.path, route.method));
        let served = routes.chain([(OPENAPI, "GET")]).map(|(path, method)| (path.into(), method.into())).collect();
        assert_eq!(described, served);
    }

    /// The tests of the apps try every route by what `openapi.json` says of it.
    #[test]
    fn openapi_json_has_the_role_and_the_scope_of_each_route() {
        let document: Value = serde_json::from_str(include_str!("../../../../openapi.json")).unwrap();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            let context = format!("{} {}", route.method, route.path);
            assert_eq!(operation["x-role"], route.role.as_str(), "{context}");
            let scope = if route.scope == Products { "products" } else { "everything" };
            assert_eq!(operation["x-scope"], scope, "{context}");
            let text = operation["description"].as_str().unwrap();
            let says = match route.role {
                Role::Reader => "a token of any role".into(),
                role => format!("the role `{}`", role.as_str()),
            };
            assert!(text.contains(&says), "{context}: {text}");
        }
    }

    #[test]
    fn events_are_for_those_who_may_see_the_resource() {
        for (resource, role) in SEEN_BY {
            let collection = match resource {
                "policy" => "/api/v1/policies".into(),
                "audit" => "/api/v1/audit".into(),
                resource => format!("/api/v1/{resource}s"),
            };
            let shown = ROUTES.iter().filter(|route| route.method == "GET" && route.path.starts_with(&collection));
            assert_eq!(shown.map(|route| route.role).min(), Some(role), "{resource}");
        }
    }

    #[test]
    fn each_route_is_in_a_collection_and_each_collection_has_a_route() {
        assert!(ROUTES.iter().all(|route| is_vendors(route.path)));
        assert!(COLLECTIONS.iter().all(|collection| ROUTES.iter().any(|route| route.path.starts_with(collection))));
    }

    #[test]
    fn a_path_matches_with_a_value_for_each_parameter() {
        let pattern = "/api/v1/licenses/{id}/domains/{domain}";
        assert_eq!(parameters(pattern, "/api/v1/licenses/a/domains/b%2F"), Some(vec!["a", "b%2F"]));
        for other in ["/api/v1/licenses//domains/b", "/api/v1/licenses/a/domains", "/api/v1/licenses/a/domains/b/c", ""]
        {
            assert_eq!(parameters(pattern, other), None, "{other}");
        }
    }
}
