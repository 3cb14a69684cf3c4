//! Changes a licence by a JSON Merge Patch (RFC 7396).

use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::license::ExpiryBasis;
use countersign::time::{End, Start};
use countersign_app_common::fields::{Fields, about};
use serde_json::{Map, Value, json};

use super::issued::IssuedLicense;
use super::{alter, draft};
use crate::ask::Ask;
use crate::resources::metadata;
use crate::resources::terms::{Terms, TermsPatch};
use crate::wire::Response;
use crate::wire::problem::{self, Problem, unprocessable};
use countersign::role::Role;

/// The fields that a role below the issuer may change.
const SUPPORTED: [&str; 2] = ["owner", "metadata"];

/// This term changes only with the policy.
const FIXED: &str = "expiryBasis";

/// `PATCH /api/v1/licenses/{id}`
pub(crate) fn patch(ask: &Ask<'_>) -> Result<Response, Problem> {
    let patch = ask.fields()?.into_members();
    if patch.contains_key(FIXED) {
        return Err(about(FIXED, "cannot be patched; use `change-policy`.").into());
    }
    if patch.get("plan").is_some_and(Value::is_null) {
        return Err(FieldError::new("plan", "cannot be removed, as every licence has a plan.").into());
    }
    if !patch.keys().all(|name| SUPPORTED.contains(&name.as_str())) {
        ask.caller.check_role(Role::Issuer)?;
    }
    let mut others = Fields::new(patch);
    let terms = Terms::take_patch(&mut others)?;
    alter(ask, "license.updated", |issued| merge(issued, &terms, others.clone()))
}

fn merge(issued: &mut IssuedLicense, terms: &TermsPatch, others: Fields) -> Result<(), Problem> {
    let before = issued.terms();
    let terms = before.patched(terms).map_err(problem::refused)?.strict_beside(&before);
    let mut fields = others.merged_into(other_fields(issued));
    if terms.expiry_basis == ExpiryBasis::Issue && terms.lasts().is_some() {
        let field = if terms.duration.is_some() { "duration" } else { "durationSeconds" };
        let detail = "is only for a licence whose time begins with its first use; patch `expiresAt` instead.";
        return Err(unprocessable(field, detail));
    }
    let domains: Option<Vec<DomainRule>> = draft::domains(&mut fields, &issued.record.domains)?;
    issued.record.domains = domains.unwrap_or_default();
    issued.record.not_before = fields.parse("notBefore")?.map(|Start(start)| start);
    issued.record.set_end(fields.parse("expiresAt")?.map(|End(end)| end));
    issued.owner = draft::owner(&mut fields)?;
    issued.metadata = metadata::take(&mut fields)?.unwrap_or_default();
    fields.finish()?;
    issued.set_terms(&terms);
    Ok(())
}

/// The fields besides the terms that a patch may change.
fn other_fields(issued: &IssuedLicense) -> Map<String, Value> {
    let (mut fields, record) = (Map::new(), &issued.record);
    fields.insert("domains".into(), json!(record.domains));
    fields.insert("metadata".into(), Value::Object(issued.metadata.clone()));
    fields.extend(record.not_before.map(|moment| ("notBefore".into(), json!(moment))));
    fields.extend(record.expires_at.map(|moment| ("expiresAt".into(), json!(moment))));
    fields.extend(issued.owner.as_ref().map(|owner| ("owner".into(), json!(owner))));
    fields
}
