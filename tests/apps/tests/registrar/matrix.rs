//! Who may use which route: every route of `openapi.json`, by every role, with and without a
//! binding to products. A test of the registrar holds `openapi.json` to its table of routes, so a
//! new route is tried here too, or has no rule and fails.

use base64::Engine;
use countersign::key;
use countersign::state::State;
use serde_json::{Value, json};

use countersign_app_tests::{Answer, Registrar};

/// From the lowest to the highest. The first is included in none of the others.
const ROLES: [&str; 5] = ["edge", "reader", "support", "issuer", "admin"];

/// A word in everything of the product that a bound token must not learn of.
const HIDDEN: &str = "hidden";

struct Route {
    method: String,
    path: String,
    role: usize,
    is_for_bound: bool,
}

impl Route {
    /// Whether a role is admitted, by its rank in [`ROLES`].
    fn admits(&self, rank: usize) -> bool {
        rank >= self.role && (rank == 0) == (self.role == 0)
    }
}

/// What a request is about.
struct Target {
    product: String,
    policy: String,
    license: String,
    key: String,
}

impl Target {
    /// A product with a policy and a licence.
    fn create(registrar: &Registrar, product: &str) -> Self {
        let text = |answer: &Value, name: &str| answer[name].as_str().unwrap().to_owned();
        registrar.post("/api/v1/products", &json!({ "code": product })).expect(201);
        let fields = json!({ "product": product, "name": product, "plan": "pro", "durationSeconds": 86_400 });
        let policy = text(&registrar.post("/api/v1/policies", &fields).expect(201), "id");
        let fields = json!({ "policy": policy, "owner": format!("owner of {product}"), "domains": ["example.com"] });
        let license = registrar.post("/api/v1/licenses", &fields).expect(201);
        Self { product: product.into(), policy, license: text(&license, "id"), key: text(&license, "key") }
    }

    /// Nothing that exists, in the same form.
    fn absent() -> Self {
        Self {
            product: "absent".into(),
            policy: format!("pol_{}", "0".repeat(26)),
            license: format!("lic_{}", "0".repeat(26)),
            key: "a key that no licence has ever had".into(),
        }
    }

    /// The path with a value for each parameter.
    fn path(&self, route: &Route) -> String {
        let collection = route.path.split('/').nth(3).unwrap();
        let id = match collection {
            "policies" => &self.policy,
            "licenses" => &self.license,
            "tokens" => "tok_00000000000000000000000000",
            _ => "",
        };
        let path = route.path.replace("{code}", &self.product).replace("{domain}", "example.com");
        let path = path.replace("{activation}", "act_0123456789abcdef");
        let path = if id.is_empty() { path } else { path.replace("{id}", id) };
        assert!(!path.contains('{'), "say here what the parameter of {path} is");
        // Verbs on all that a filter finds.
        let is_filtered =
            route.method == "POST" && ["/licenses/suspend", "/licenses/resume"].iter().any(|verb| path.ends_with(verb));
        if is_filtered { format!("{path}?product={}&dryRun=true", self.product) } else { path }
    }

    /// A body that the route accepts, with its media type.
    fn body(&self, route: &Route) -> (&'static str, String) {
        let Self { product, policy, key, .. } = self;
        let body = match (route.method.as_str(), route.path.as_str()) {
            ("POST", "/api/v1/policies") => json!({ "product": product, "name": "new", "plan": "pro" }),
            ("POST", "/api/v1/licenses") => json!({ "product": product, "plan": "pro" }),
            ("POST", "/api/v1/licenses/batch") => json!({ "count": 1, "product": product, "plan": "pro" }),
            ("POST", "/api/v1/licenses/lookup") => json!({ "key": key }),
            ("POST", "/api/v1/licenses/import") => {
                return ("application/x-ndjson", json!({ "product": product, "plan": "pro" }).to_string());
            }
            ("POST", path) if path.ends_with("/renew") => json!({ "durationSeconds": 1 }),
            ("POST", path) if path.ends_with("/change-policy") => json!({ "policy": policy }),
            ("POST", path) if path.ends_with("/domains") => json!({ "domains": ["example.com"] }),
            // Of the products that the token is for, or that the query names.
            ("POST", "/api/v1/outbox/deliveries" | "/api/v1/licenses/suspend" | "/api/v1/licenses/resume") => json!({}),
            ("POST", path) if path.ends_with("/transfer") => json!({ "from": { "user": "a" }, "to": { "user": "b" } }),
            ("POST", "/api/v1/origin/get") => json!({ "keys": [key::read(key).unwrap().store_key()] }),
            // Counts of licences of other products are passed over.
            ("POST", "/api/v1/origin/validations") => json!({ "counts": [] }),
            ("POST", "/api/v1/origin/put") => {
                let value = base64::engine::general_purpose::STANDARD.encode(State::default().to_bytes());
                json!({ "key": format!("state:{}", self.license), "value": value })
            }
            ("POST", path) if path.ends_with("/usage") => json!({ "allowance": "credits", "used": 0 }),
            (_, path) => {
                let names_nothing = !path.contains('{') && route.method == "POST" && route.is_for_bound;
                assert!(!names_nothing, "say here what the body of POST {path} is, and of which product");
                json!({})
            }
        };
        ("application/json", body.to_string())
    }
}

fn routes() -> Vec<Route> {
    let document: Value = serde_json::from_str(include_str!("../../../../openapi.json")).unwrap();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Some(role) = operation["x-role"].as_str() else { continue };
            routes.push(Route {
                method: method.to_ascii_uppercase(),
                path: path.clone(),
                role: ROLES.iter().position(|each| *each == role).unwrap(),
                is_for_bound: operation["x-scope"] == "products",
            });
        }
    }
    assert!(routes.len() > 30);
    routes
}

/// Sends a request that is well formed. If the route reads `If-Match`, it changes nothing: no
/// resource has that revision.
fn ask(registrar: &Registrar, route: &Route, target: &Target, token: Option<&str>) -> Answer {
    let asking = registrar.anonymous(&route.method, &target.path(route)).header("if-match", "\"999\"");
    let (media_type, body) = target.body(route);
    let has_body = matches!(route.method.as_str(), "POST" | "PATCH" | "PUT");
    let asking = if has_body { asking.body(media_type, body.as_bytes()) } else { asking };
    match token {
        Some(token) => asking.token(token).send(),
        None => asking.send(),
    }
}

fn assert_admitted(answer: &Answer, context: &str) {
    assert!(![401, 403, 405, 429, 500, 503].contains(&answer.status), "{context}: {answer:?}");
    assert_ne!(answer.body["code"], "NO_SUCH_PATH", "{context}");
}

#[test]
fn each_route_admits_its_role_and_those_above() {
    let registrar = Registrar::start();
    let tokens = ROLES.map(|role| registrar.token(role));
    let target = Target::create(&registrar, "acme");
    for route in routes() {
        let context = format!("{} {}", route.method, route.path);
        let anonymous = ask(&registrar, &route, &target, None);
        assert_eq!(anonymous.header("www-authenticate"), Some("Bearer"), "{context}: {anonymous:?}");
        anonymous.problem(401, "UNAUTHENTICATED");
        for (rank, token) in tokens.iter().enumerate() {
            let answer = ask(&registrar, &route, &target, Some(token));
            if !route.admits(rank) {
                answer.problem(403, "FORBIDDEN");
            } else {
                assert_admitted(&answer, &format!("{context} as {}", ROLES[rank]));
            }
        }
    }
}

#[test]
fn a_token_that_is_bound_to_products_learns_nothing_of_others() {
    let registrar = Registrar::start();
    let own = Target::create(&registrar, "own");
    let other = Target::create(&registrar, HIDDEN);
    let absent = Target::absent();
    for (rank, role) in ROLES.into_iter().enumerate() {
        let fields = json!({ "name": role, "role": role, "products": ["own"] });
        let token = registrar.post("/api/v1/tokens", &fields).expect(201)["token"].as_str().unwrap().to_owned();
        for route in routes() {
            let context = format!("{} {} as {role}", route.method, route.path);
            let ask = |target: &Target| ask(&registrar, &route, target, Some(&token));
            let [of_own, of_other, of_absent] = [&own, &other, &absent].map(ask);
            if !route.admits(rank) || !route.is_for_bound {
                for answer in [of_own, of_other, of_absent] {
                    answer.problem(403, "FORBIDDEN");
                }
                continue;
            }
            assert_admitted(&of_own, &context);
            assert_ne!(of_own.status, 404, "{context}: {of_own:?}");
            let text = String::from_utf8_lossy(&of_own.bytes);
            for secret in [HIDDEN, &other.policy, &other.license] {
                assert!(!text.contains(secret), "{context}: {text}");
            }
            // What a route tells of another product is what it tells of nothing at all.
            let names_something = route.path.contains('{')
                || route.method == "POST" && !["deliveries", "validations"].iter().any(|end| route.path.ends_with(end));
            if names_something {
                assert_eq!((of_other.status, &of_other.body), (of_absent.status, &of_absent.body), "{context}");
                assert_ne!(of_other.body, of_own.body, "{context}");
            }
        }
    }
    // Nothing of the other product was changed.
    assert_eq!(registrar.get(&format!("/api/v1/licenses/{}", other.license)).expect(200)["revision"], 1);
    assert_eq!(registrar.get(&format!("/api/v1/policies/{}", other.policy)).expect(200)["revision"], 1);
}
