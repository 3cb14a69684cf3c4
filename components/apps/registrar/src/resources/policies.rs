//! Policies: templates of terms, from which licences are issued.

use countersign::field::FieldError;
use countersign::name::{DisplayName, Product};
use countersign::time::Timestamp;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::auth::guesses;
use crate::host::random;
use crate::resources::terms::Terms;
use crate::resources::{events, products};
use crate::sql::db::{self, Row, Select, integer, moment, text};
use crate::wire::answer::Answer;
use crate::wire::problem::{self, NOT_FOUND, Problem, conflict, corrupt, missing, unprocessable};
use crate::wire::{Response, page};
use crate::write::change::{Change, change};

const COLUMNS: &str = "number, id, product, name, terms, created_at, updated_at, revision";

/// The prefix of every policy's id; 26 symbols follow.
pub(crate) const PREFIX: &str = "pol_";

/// Only a policy to which no licence refers.
const DELETE: &str = "
    DELETE FROM policies WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM licenses WHERE policy = ?1) RETURNING number";

/// A policy in the database.
#[derive(Clone, PartialEq)]
pub(crate) struct Policy {
    pub(crate) id: String,
    pub(crate) product: Product,
    pub(crate) name: DisplayName,
    pub(crate) terms: Terms,
    created_at: Timestamp,
    updated_at: Timestamp,
    revision: u64,
}

impl Policy {
    /// The policy of this id, of any product.
    pub(crate) fn load(id: &str) -> Result<Option<Self>, Problem> {
        db::query_one(&format!("SELECT {COLUMNS} FROM policies WHERE id = ?"), vec![text(id)])?
            .as_ref()
            .map(Self::from_row)
            .transpose()
    }

    /// The policy that a field of the request names. For a token that is bound to products, those
    /// of others do not exist.
    pub(crate) fn named(ask: &Ask<'_>, id: &str) -> Result<Self, Problem> {
        let policy = Self::load(id)?.filter(|policy| ask.caller.has_product(policy.product.as_str()));
        policy.ok_or_else(|| unprocessable("policy", "names a policy that does not exist; create it first."))
    }

    fn from_row(row: &Row) -> Result<Self, Problem> {
        let Value::Object(terms) = row.json(4)? else { return Err(corrupt()) };
        Ok(Self {
            id: row.text(1)?.into(),
            product: row.text(2)?.parse().map_err(|_| corrupt())?,
            name: row.text(3)?.parse().map_err(|_| corrupt())?,
            terms: Terms::read(&mut Fields::new(terms)).map_err(|_| corrupt())?,
            created_at: row.moment(5)?,
            updated_at: row.moment(6)?,
            revision: row.count(7)?,
        })
    }

    /// The policy as the API shows it.
    fn view(&self) -> Map<String, Value> {
        let mut view = self.terms.to_json();
        view.extend([
            ("id".into(), json!(self.id)),
            ("product".into(), json!(self.product)),
            ("name".into(), json!(self.name)),
            ("createdAt".into(), json!(self.created_at)),
            ("updatedAt".into(), json!(self.updated_at)),
            ("revision".into(), json!(self.revision)),
        ]);
        view
    }
}

/// The policy of this id as its events show it.
pub(crate) fn view_of(id: &str) -> Result<Option<Map<String, Value>>, Problem> {
    Ok(Policy::load(id)?.map(|policy| policy.view()))
}

/// The members of a view that are terms, as this version writes them; `None` if the view is not a
/// policy's.
pub(crate) fn normal_terms(view: &Map<String, Value>) -> Option<Map<String, Value>> {
    view.get("id")?.as_str()?.strip_prefix(PREFIX)?;
    Some(Terms::read(&mut Fields::new(view.clone())).ok()?.to_json())
}

/// `GET /api/v1/policies`
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    let product = ask.query.parse_one("product", Product::parse)?;
    ask.query.finish()?;
    let (policies, next) = Select::after(COLUMNS, "policies", cursor)
        .by_index("product = ?", product.map(|product| text(product.as_str())))
        .and("+product IN (SELECT value FROM json_each(?))", ask.caller.scope())
        .page(limit, |row| Ok(Value::Object(Policy::from_row(row)?.view())))?;
    Ok(page::answer(policies, next.map(page::cursor)))
}

/// `GET /api/v1/policies/{id}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let policy = find(ask)?;
    Ok(Answer::ok(Value::Object(policy.view()), policy.revision).into())
}

/// `POST /api/v1/policies`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let product: Product = fields.parse("product")?.ok_or_else(|| missing("product"))?;
    let existing_id = existing_id(&mut fields)?;
    let terms = Terms::read(&mut fields)?.strict_beside(&Terms::default());
    let name = name(fields)?;
    terms.check_expiry().map_err(problem::refused)?;
    let mut build = || {
        if !ask.caller.has_product(product.as_str()) {
            return Err(problem::other_product());
        }
        if products::key_prefix(&product)?.is_none() {
            return Err(unprocessable("product", "names a product that does not exist; create it first."));
        }
        let id = existing_id.clone().unwrap_or_else(|| random::id(PREFIX));
        if Policy::load(&id)?.is_some() {
            return Err(guesses::refuse(ask, conflict("A policy with this id already exists.")));
        }
        let revision = events::next_revision(&id)?;
        let policy = Policy {
            id,
            product: product.clone(),
            name: name.clone(),
            terms: terms.clone(),
            created_at: ask.now,
            updated_at: ask.now,
            revision,
        };
        let mut change = Change::new();
        change.run(
            "INSERT INTO policies (id, product, name, terms, created_at, updated_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            vec![
                text(&*policy.id),
                text(product.as_str()),
                text(name.as_str()),
                stored(&terms),
                moment(ask.now),
                integer(revision),
            ],
        );
        let json = Value::Object(policy.view());
        change.event("policy.created", &policy.id, None, Some(json.clone()));
        Ok((change, Answer::created(format!("/api/v1/policies/{}", policy.id), json, revision)))
    };
    if existing_id.is_none() {
        return change(ask, &mut build);
    }
    guesses::watch(ask, || (change(ask, &mut build), 0))
}

/// `PATCH /api/v1/policies/{id}`. Licences keep the terms that they were issued with.
pub(crate) fn update(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut patch = ask.fields()?;
    let terms_patch = Terms::take_patch(&mut patch)?;
    change(ask, &mut || {
        let before = find(ask)?;
        ask.check_if_match(before.revision)?;
        let name = name(patch.clone().merged_into(Map::from_iter([("name".into(), json!(before.name))])))?;
        let terms = before.terms.patched(&terms_patch).map_err(problem::refused)?.strict_beside(&before.terms);
        terms.check_expiry().map_err(problem::refused)?;

        let mut after = Policy { name, terms, ..before.clone() };
        let mut change = Change::new();
        if after != before {
            after.updated_at = ask.now;
            after.revision += 1;
            change.run(
                "UPDATE policies SET name = ?2, terms = ?3, updated_at = ?4, revision = ?5 WHERE id = ?1",
                vec![
                    text(&*after.id),
                    text(after.name.as_str()),
                    stored(&after.terms),
                    moment(after.updated_at),
                    integer(after.revision),
                ],
            );
            let (before, after) = (Value::Object(before.view()), Value::Object(after.view()));
            change.event("policy.updated", &ask.parameters[0], Some(before), Some(after));
        }
        Ok((change, Answer::ok(Value::Object(after.view()), after.revision)))
    })
}

/// `DELETE /api/v1/policies/{id}`
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Response, Problem> {
    change(ask, &mut || {
        let policy = find(ask)?;
        ask.check_if_match(policy.revision)?;
        let used = db::query_one("SELECT 1 FROM licenses WHERE policy = ?1 LIMIT 1", vec![text(&*policy.id)])?;
        if used.is_some() {
            return Err(conflict("Licences still refer to this policy; delete them or change their policy first."));
        }
        let mut change = Change::new();
        change.expect(DELETE, vec![text(&*policy.id)], 1);
        change.event("policy.deleted", &policy.id, Some(Value::Object(policy.view())), None);
        Ok((change, Answer::no_content()))
    })
}

/// The policy in the path, if the caller may see it.
fn find(ask: &Ask<'_>) -> Result<Policy, Problem> {
    let policy = Policy::load(&ask.parameters[0])?.ok_or(NOT_FOUND)?;
    ask.caller.check_product(policy.product.as_str())?;
    Ok(policy)
}

/// `id`: the policy's id on another server, so that licences from there still refer to it.
fn existing_id(fields: &mut Fields) -> Result<Option<String>, FieldError> {
    let is_symbol =
        |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'h' | b'j' | b'k' | b'm' | b'n' | b'p'..=b't' | b'v'..=b'z');
    let is_id = |id: &String| {
        id.strip_prefix(PREFIX).is_some_and(|symbols| symbols.len() == 26 && symbols.bytes().all(is_symbol))
    };
    let id = fields.text("id")?;
    if id.as_ref().is_none_or(is_id) {
        Ok(id)
    } else {
        Err(FieldError::new(
            "id",
            "must be `pol_` and 26 of the lower-case letters and digits in ids, which leave out i, l, o and u.",
        ))
    }
}

/// The name, which is the last field.
fn name(mut fields: Fields) -> Result<DisplayName, FieldError> {
    let name = fields.parse("name")?.ok_or_else(|| missing("name"))?;
    fields.finish()?;
    Ok(name)
}

fn stored(terms: &Terms) -> db::Value {
    text(Value::Object(terms.to_json()).to_string())
}
