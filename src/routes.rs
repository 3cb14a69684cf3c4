//! The paths of the HTTP interface, and the app that serves each.
//!
//! A host that serves both apps sends the paths of [`is_vendors`] to the registrar and all others
//! to the validator, which answers 404 for unknown paths.

/// `POST`: may this run?
pub const VALIDATE: &str = "/api/v1/validate";
/// `POST`: take a seat.
pub const ACTIVATE: &str = "/api/v1/activate";
/// `POST`: keep it.
pub const HEARTBEAT: &str = "/api/v1/heartbeat";
/// `POST`: release it.
pub const DEACTIVATE: &str = "/api/v1/deactivate";
/// `POST`: list the taken seats.
pub const ACTIVATIONS: &str = "/api/v1/activations";
/// `POST`: consume or return some of an allowance, or read what is left.
pub const USAGE: &str = "/api/v1/usage";
/// `GET`: does the app run?
pub const HEALTHZ: &str = "/healthz";
/// `GET`: does its store answer?
pub const READYZ: &str = "/readyz";

/// The validator's paths: the verbs of licence holders, and two health checks.
pub const HOLDERS: [&str; 8] = [VALIDATE, ACTIVATE, HEARTBEAT, DEACTIVATE, ACTIVATIONS, USAGE, HEALTHZ, READYZ];

/// The registrar's collections: these paths and all below them.
pub const COLLECTIONS: [&str; 13] = [
    "/api/v1/products",
    "/api/v1/policies",
    "/api/v1/licenses",
    "/api/v1/tokens",
    "/api/v1/events",
    "/api/v1/audit",
    "/api/v1/stats",
    "/api/v1/outbox",
    "/api/v1/reconcile",
    "/api/v1/owners",
    "/api/v1/retention",
    "/api/v1/edges",
    ORIGIN,
];

/// What edges ask their origin for.
pub const ORIGIN: &str = "/api/v1/origin";

/// `GET`: the description of both apps' interface (OpenAPI 3.1), which the registrar serves.
pub const OPENAPI: &str = "/openapi.json";

/// The path as the tables of routes have it. Clients that put a base address and a path together
/// may leave two slashes at its beginning, and others add one at its end: both are accepted.
pub fn canonical(path: &str) -> &str {
    let path = path.strip_suffix('/').unwrap_or(path);
    let slashes = path.len() - path.trim_start_matches('/').len();
    &path[slashes.saturating_sub(1)..]
}

/// Whether the registrar serves this path, given without its query.
pub fn is_vendors(path: &str) -> bool {
    let path = canonical(path);
    let is_in =
        |collection: &str| path.strip_prefix(collection).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == OPENAPI || COLLECTIONS.iter().any(|collection| is_in(collection))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_has_all_below_it_and_nothing_beside_it() {
        for path in [
            "/api/v1/products",
            "/api/v1/licenses/",
            "//api/v1/licenses",
            "/api/v1/licenses/lic_1/renew",
            "/openapi.json",
            "/openapi.json/",
        ] {
            assert!(is_vendors(path), "{path}");
        }
        for path in
            ["", "/", "//", "/api/v1/", "/api/v1/licensesfoo", "/licenses", "/api//v1/licenses", "/openapi.json//"]
        {
            assert!(!is_vendors(path), "{path}");
        }
    }

    #[test]
    fn a_slash_too_many_at_either_end_does_not_matter() {
        for (path, expected) in [
            ("/api/v1/validate", "/api/v1/validate"),
            ("/api/v1/validate/", "/api/v1/validate"),
            ("/api/v1/validate//", "/api/v1/validate/"),
            ("//api/v1/validate", "/api/v1/validate"),
            ("///api/v1/validate/", "/api/v1/validate"),
            ("/api//v1/validate", "/api//v1/validate"),
            ("api/v1/validate", "api/v1/validate"),
            ("/", ""),
            ("//", "/"),
            ("", ""),
        ] {
            assert_eq!(canonical(path), expected, "{path}");
        }
    }

    #[test]
    fn no_path_belongs_to_both_apps() {
        assert!(!HOLDERS.iter().any(|path| is_vendors(path)));
    }
}
