//! Checks requests and answers against `openapi.json`.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use countersign::domain::{Domain, DomainRule};
use countersign::routes::canonical;
use countersign_host_tests::client::Answer;
use jsonschema::Registry;
use serde_json::{Map, Value, json};

const TEXT: &str = include_str!("../../../../openapi.json");
/// The document's URI, by which schemas refer to its parts.
const NAME: &str = "urn:countersign:openapi";

/// The OpenAPI document of both apps.
pub(crate) struct Document {
    root: Value,
    registry: Registry<'static>,
}

/// A part of the document, with the names on the path to it.
#[derive(Clone)]
struct Part<'a> {
    value: &'a Value,
    names: Vec<String>,
}

impl Document {
    /// Reads the document.
    pub(crate) fn load() -> Result<Self> {
        let root: Value = serde_json::from_str(TEXT).context("openapi.json")?;
        let registry = Registry::new().add(NAME, root.clone())?.prepare()?;
        Ok(Self { root, registry })
    }

    /// Fails unless the document allows the answer: its status, its headers, the type and the shape
    /// of its body.
    pub(crate) fn check_answer(&self, method: &str, path: &str, answer: &Answer) -> Result<()> {
        let Some(item) = self.item(path) else {
            ensure!(
                answer.status == 404,
                "status {} on a path that is not in the document; it must be 404",
                answer.status
            );
            return self.check_problem(method, answer, "NO_SUCH_PATH");
        };
        // A HEAD is answered as a GET is, without the body.
        let is_head = method == "HEAD" && item.get("get").is_some();
        let Some(operation) = item.get(if is_head { "get".to_owned() } else { method.to_ascii_lowercase() }.as_str())
        else {
            // The document does not describe preflight requests (CORS).
            if method == "OPTIONS" && answer.status == 204 {
                return Ok(());
            }
            ensure!(
                answer.status == 405,
                "status {} on a method that is not in the document; it must be 405",
                answer.status
            );
            let allowed = answer.headers.get("allow").context("a 405 must have `Allow`")?;
            let is_described = |method: &&str| !["OPTIONS", "HEAD"].contains(method);
            let allowed = allowed.split(", ").filter(is_described).map(str::to_ascii_lowercase);
            let (allowed, described): (BTreeSet<_>, _) = (allowed.collect(), item.fields()?.keys().cloned().collect());
            ensure!(allowed == described, "`Allow` has {allowed:?} and must have {described:?}");
            return self.check_problem(method, answer, "METHOD_NOT_ALLOWED");
        };
        let status = answer.status.to_string();
        let response = operation.get("responses").and_then(|responses| responses.get(&status));
        let response = self.resolved(response.with_context(|| format!("status {status} is not in the document"))?)?;
        self.check_headers(&response, answer)?;
        let Some(content) = response.get("content").filter(|_| !is_head) else {
            ensure!(answer.body.is_empty(), "the document has no body here: {}", answer.text());
            return Ok(());
        };
        let content_type = answer.headers.get("content-type").context("a body must have a content type")?;
        let essence = content_type.split(';').next().unwrap_or_default();
        let media = content.get(essence).with_context(|| format!("{essence} is not in the document"))?;
        let body = if essence.ends_with("json") { answer.json()? } else { answer.text().into() };
        self.check_instance(&media.get("schema").context("no schema")?, &body)
    }

    /// Fails unless the document allows the body of an accepted request.
    pub(crate) fn check_request(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        let operation = self.item(path).and_then(|item| item.get(&method.to_ascii_lowercase()));
        let operation = operation.context("the operation is not in the document")?;
        let content = operation.get("requestBody").and_then(|body| body.get("content"));
        let content = content.context("the document has no body here")?;
        // The app judges lines of JSON one by one.
        let Some(media) = content.get("application/json") else { return Ok(()) };
        self.check_instance(&media.get("schema").context("no schema")?, body)
    }

    /// The path's item: the one of exactly this path, or else one with parameters in some segments.
    fn item(&self, path: &str) -> Option<Part<'_>> {
        let path = canonical(path.split('?').next().unwrap_or_default());
        let paths = Part { value: self.root.get("paths")?, names: vec!["paths".into()] };
        paths.get(path).or_else(|| {
            let templates = paths.value.as_object()?.keys();
            let mut fitting = templates.filter(|template| {
                let (template, path) = (template.split('/'), path.split('/'));
                template.clone().count() == path.clone().count()
                    && template.zip(path).all(|(expected, found)| expected == found || expected.starts_with('{'))
            });
            fitting.next().and_then(|template| paths.get(template))
        })
    }

    /// The part that this one refers to, or itself.
    fn resolved<'a>(&'a self, part: Part<'a>) -> Result<Part<'a>> {
        let Some(reference) = part.value["$ref"].as_str() else { return Ok(part) };
        let mut target = Part { value: &self.root, names: Vec::new() };
        for name in reference.strip_prefix("#/").context("a reference must be within the document")?.split('/') {
            target = target.get(name).with_context(|| format!("{reference} is not in the document"))?;
        }
        Ok(target)
    }

    fn check_headers(&self, response: &Part<'_>, answer: &Answer) -> Result<()> {
        let Some(headers) = response.get("headers") else { return Ok(()) };
        for name in headers.fields()?.keys() {
            let header = self.resolved(headers.get(name).context("a header")?)?;
            match answer.headers.get(&name.to_ascii_lowercase()) {
                Some(value) => {
                    let schema = header.get("schema").context("a header without a schema")?;
                    let value = match schema.value["type"].as_str() {
                        Some("integer") => value.parse::<u64>()?.into(),
                        _ => Value::String(value.clone()),
                    };
                    self.check_instance(&schema, &value).with_context(|| format!("header {name}"))?;
                }
                None => ensure!(header.value["required"] != true, "no header {name}"),
            }
        }
        Ok(())
    }

    /// Checks a problem that may be the answer on any path.
    fn check_problem(&self, method: &str, answer: &Answer, code: &str) -> Result<()> {
        if method == "HEAD" {
            return Ok(());
        }
        let body = answer.json()?;
        ensure!(body["code"] == code && body["status"] == answer.status, "{body}");
        let problem = Part { value: &self.root, names: ["components", "schemas", "Problem"].map(str::to_owned).into() };
        self.check_instance(&problem, &body)
    }

    fn check_instance(&self, schema: &Part<'_>, instance: &Value) -> Result<()> {
        let validator = jsonschema::options()
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .with_format("domain", |text: &str| Domain::parse(text).is_ok())
            .with_format("domain-rule", |text: &str| DomainRule::parse(text).is_ok())
            .build(&json!({ "$ref": schema.reference() }))?;
        let errors: Vec<_> = validator.iter_errors(instance).map(|error| error.to_string()).collect();
        if errors.is_empty() {
            return Ok(());
        }
        bail!("{} does not match {instance}: {}", schema.reference(), errors.join("; "))
    }
}

impl Part<'_> {
    fn get(&self, name: &str) -> Option<Self> {
        let names = self.names.iter().cloned().chain([name.to_owned()]).collect();
        Some(Self { value: self.value.get(name)?, names })
    }

    fn fields(&self) -> Result<&Map<String, Value>> {
        self.value.as_object().ok_or_else(|| anyhow!("{} must be an object", self.reference()))
    }

    /// A reference to it: a JSON Pointer as a URI fragment (RFC 6901, section 6).
    fn reference(&self) -> String {
        let escaped = self.names.iter().map(|name| {
            let name = name.replace('~', "~0").replace('/', "~1");
            format!("/{}", name.replace('{', "%7B").replace('}', "%7D"))
        });
        format!("{NAME}#{}", escaped.collect::<String>())
    }
}
