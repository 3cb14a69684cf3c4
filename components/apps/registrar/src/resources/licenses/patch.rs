//! Changes a licence by a JSON Merge Patch (RFC 7396).

use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::license::ExpiryBasis;
use serde_json::{Map, Value, json};

use super::{alter, draft};
use crate::ask::Ask;
use crate::resources::licenses::issued::Issued;
use crate::resources::metadata;
use crate::resources::terms::Terms;
use crate::wire::Response;
use crate::wire::fields::{Fields, about};
use crate::wire::problem::Problem;
use countersign::role::Role;

/// What a role below that of an issuer may change.
const SUPPORTED: [&str; 2] = ["owner", "metadata"];

/// What its time counts from can be changed with the policy alone.
const FIXED: &str = "expiryBasis";

/// `PATCH /api/v1/licenses/{id}`
pub(crate) fn patch(ask: &Ask<'_>) -> Result<Response, Problem> {
    let patch = ask.fields()?.into_members();
    if patch.contains_key(FIXED) {
        return Err(about(FIXED, "is no field of this request.").into());
    }
    if patch.get("plan").is_some_and(Value::is_null) {
        return Err(FieldError::new("plan", "cannot be removed.").into());
    }
    if !patch.keys().all(|name| SUPPORTED.contains(&name.as_str())) {
        ask.caller.check_role(Role::Issuer)?;
    }
    let mut others = Fields::new(patch);
    let terms = Terms::take(&mut others)?;
    alter(ask, "license.updated", |issued| merge(issued, &terms, others.clone()))
}

fn merge(issued: &mut Issued, terms: &Map<String, Value>, others: Fields) -> Result<(), Problem> {
    let terms = Terms::merged(&issued.terms(), terms).map_err(Problem::Unprocessable)?;
    let mut fields = others.merged_into(changeable(issued));
    if terms.expiry_basis == ExpiryBasis::Issue && terms.duration_seconds.is_some() {
        let detail = "is for a licence whose time begins with its first use; this one has `expiresAt`.";
        return Err(Problem::Unprocessable(FieldError::new("durationSeconds", detail)));
    }
    let domains: Option<Vec<DomainRule>> = draft::domains(&mut fields, &issued.record.domains)?;
    issued.record.domains = domains.unwrap_or_default();
    issued.record.not_before = fields.parse("notBefore")?;
    issued.record.expires_at = fields.parse("expiresAt")?;
    issued.owner = draft::owner(&mut fields)?;
    issued.metadata = metadata::take(&mut fields)?.unwrap_or_default();
    fields.finish()?;
    issued.set_terms(&terms);
    Ok(())
}

/// What a patch is merged into, beside the terms.
fn changeable(issued: &Issued) -> Map<String, Value> {
    let (mut changeable, record) = (Map::new(), &issued.record);
    changeable.insert("domains".into(), json!(record.domains));
    changeable.insert("metadata".into(), Value::Object(issued.metadata.clone()));
    changeable.extend(record.not_before.map(|moment| ("notBefore".into(), json!(moment))));
    changeable.extend(record.expires_at.map(|moment| ("expiresAt".into(), json!(moment))));
    changeable.extend(issued.owner.as_ref().map(|owner| ("owner".into(), json!(owner))));
    changeable
}
