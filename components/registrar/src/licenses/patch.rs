//! Changes a licence by a JSON Merge Patch (RFC 7396).

use countersign::domain::DomainRule;
use countersign::record::ExpiryBasis;
use countersign::request::FieldError;
use serde_json::{Map, Value, json};

use super::{alter, draft};
use crate::ask::Ask;
use crate::bindings::exports::countersign::license::service::Response;
use crate::caller::Role;
use crate::fields::{Fields, about};
use crate::license::Issued;
use crate::metadata;
use crate::problem::Problem;
use crate::terms::Terms;

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
    if !patch.keys().all(|name| SUPPORTED.contains(&name.as_str())) {
        ask.caller.check_role(Role::Issuer)?;
    }
    alter(ask, "license.updated", |issued| merge(issued, patch.clone()))
}

fn merge(issued: &mut Issued, patch: Map<String, Value>) -> Result<(), Problem> {
    let mut fields = Fields::new(patch).merged_into(changeable(issued));
    let terms = Terms::read(&mut fields)?;
    if terms.plan.is_none() {
        return Err(FieldError::new("plan", "cannot be removed.").into());
    }
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

/// What a patch is merged into.
fn changeable(issued: &Issued) -> Map<String, Value> {
    let mut changeable = issued.terms().to_json();
    let record = &issued.record;
    changeable.insert("domains".into(), json!(record.domains));
    changeable.insert("metadata".into(), Value::Object(issued.metadata.clone()));
    changeable.extend(record.not_before.map(|moment| ("notBefore".into(), json!(moment))));
    changeable.extend(record.expires_at.map(|moment| ("expiresAt".into(), json!(moment))));
    changeable.extend(issued.owner.as_ref().map(|owner| ("owner".into(), json!(owner))));
    changeable
}
