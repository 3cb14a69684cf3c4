//! Products: what licences are for.

use countersign::field::FieldError;
use countersign::key::Prefix;
use countersign::name::{DisplayName, Product};
use countersign::time::Timestamp;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::resources::{events, metadata, tokens};
use crate::sql::db::{self, Row, Select, integer, moment, optional, text};
use crate::wire::answer::Answer;
use crate::wire::problem::{NOT_FOUND, Problem, conflict, corrupt, missing};
use crate::wire::{Response, page};
use crate::write::change::{Change, change};

/// The columns that [`ProductRow::from_row`] reads, after the number.
const COLUMNS: &str = "number, code, name, key_prefix, metadata, created_at, updated_at, revision";

/// Only a product without policies and licences.
const DELETE: &str = "
    DELETE FROM products WHERE code = ?1
    AND NOT EXISTS (SELECT 1 FROM policies WHERE product = ?1)
    AND NOT EXISTS (SELECT 1 FROM licenses WHERE product = ?1)
    RETURNING number";

/// What a vendor chooses for a product, besides its code.
struct Description {
    name: Option<DisplayName>,
    key_prefix: Prefix,
    metadata: Map<String, Value>,
}

/// A product in the database.
struct ProductRow {
    code: Product,
    revision: u64,
    /// The product as the API shows it.
    view: Map<String, Value>,
}

/// `GET /api/v1/products`
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    ask.query.finish()?;
    let (products, next) = Select::after(COLUMNS, "products", cursor)
        .and("+code IN (SELECT value FROM json_each(?))", ask.caller.scope())
        .page(limit, |row| Ok(Value::Object(ProductRow::from_row(row)?.view)))?;
    Ok(page::answer(products, next.map(page::cursor)))
}

/// `GET /api/v1/products/{code}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let row = find(ask)?;
    Ok(Answer::ok(Value::Object(row.view), row.revision).into())
}

/// `POST /api/v1/products`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let code: Product = fields.parse("code")?.ok_or_else(|| missing("code"))?;
    let description = Description::read(&code, fields)?;
    change(ask, &mut || {
        if key_prefix(&code)?.is_some() {
            return Err(conflict("A product with this code already exists."));
        }
        let mut change = Change::new();
        let (product, revision) = description.insert(&code, &mut change, ask.now)?;
        Ok((change, Answer::created(format!("/api/v1/products/{code}"), product, revision)))
    })
}

/// `PATCH /api/v1/products/{code}`
pub(crate) fn update(ask: &Ask<'_>) -> Result<Response, Problem> {
    let patch = ask.fields()?;
    change(ask, &mut || {
        let row = find(ask)?;
        ask.check_if_match(row.revision)?;
        let before = row.view;
        let current = ["name", "keyPrefix", "metadata"];
        let current = current.iter().filter_map(|name| Some(((*name).to_owned(), before.get(*name)?.clone())));
        let description = Description::read(&row.code, patch.clone().merged_into(current.collect()))?;

        let mut after = before.clone();
        after.remove("name");
        after.extend(description.to_json());
        let mut change = Change::new();
        if after == before {
            return Ok((change, Answer::ok(Value::Object(before), row.revision)));
        }
        let revision = row.revision + 1;
        after.extend([("updatedAt".into(), json!(ask.now)), ("revision".into(), json!(revision))]);
        change.run(
            "UPDATE products SET name = ?2, key_prefix = ?3, metadata = ?4, updated_at = ?5, revision = revision + 1
             WHERE code = ?1",
            description.parameters(&row.code, moment(ask.now)),
        );
        let (before, after) = (Value::Object(before), Value::Object(after));
        change.event("product.updated", row.code.as_str(), Some(before), Some(after.clone()));
        Ok((change, Answer::ok(after, revision)))
    })
}

/// `DELETE /api/v1/products/{code}`
pub(crate) fn delete(ask: &Ask<'_>) -> Result<Response, Problem> {
    change(ask, &mut || {
        let row = find(ask)?;
        ask.check_if_match(row.revision)?;
        let code = row.code.as_str();
        let used = "
            SELECT 1 FROM policies WHERE product = ?1 UNION ALL SELECT 1 FROM licenses WHERE product = ?1 LIMIT 1";
        if db::query_one(used, vec![text(code)])?.is_some() {
            return Err(conflict("This product still has policies or licences; delete them first."));
        }
        if tokens::are_bound_to(code, ask.now)? {
            return Err(conflict("Tokens are still bound to this product; revoke them first."));
        }
        let mut change = Change::new();
        change.expect(DELETE, vec![text(code)], 1);
        change.event("product.deleted", code, Some(Value::Object(row.view.clone())), None);
        Ok((change, Answer::no_content()))
    })
}

/// The product of this code as its events show it.
pub(crate) fn view_of(code: &str) -> Result<Option<Map<String, Value>>, Problem> {
    let row = db::query_one(&format!("SELECT {COLUMNS} FROM products WHERE code = ?"), vec![text(code)])?;
    row.map(|row| Ok(ProductRow::from_row(&row)?.view)).transpose()
}

/// Adds a product of which only the code is known.
pub(crate) fn insert_bare(code: &Product, change: &mut Change, now: Timestamp) -> Result<(), Problem> {
    let description = Description { name: None, key_prefix: Prefix::of_product(code), metadata: Map::new() };
    description.insert(code, change, now).map(drop)
}

/// The prefix of a product's keys; `None` if the product does not exist.
pub(crate) fn key_prefix(code: &Product) -> Result<Option<Prefix>, Problem> {
    let row = db::query_one("SELECT key_prefix FROM products WHERE code = ?1", vec![text(code.as_str())])?;
    row.map(|row| row.text(0)?.parse().map_err(|_| corrupt())).transpose()
}

fn find(ask: &Ask<'_>) -> Result<ProductRow, Problem> {
    let code = &*ask.parameters[0];
    ask.caller.check_product(code)?;
    let row = db::query_one(&format!("SELECT {COLUMNS} FROM products WHERE code = ?"), vec![text(code)])?;
    ProductRow::from_row(&row.ok_or(NOT_FOUND)?)
}

impl ProductRow {
    fn from_row(row: &Row) -> Result<Self, Problem> {
        let code = row.text(1)?.parse().map_err(|_| corrupt())?;
        let revision = row.count(7)?;
        let mut view = Map::from_iter([
            ("code".into(), json!(code)),
            ("keyPrefix".into(), json!(row.text(3)?)),
            ("metadata".into(), row.json(4)?),
            ("createdAt".into(), json!(row.moment(5)?)),
            ("updatedAt".into(), json!(row.moment(6)?)),
            ("revision".into(), json!(revision)),
        ]);
        view.extend(row.optional_text(2)?.map(|name| ("name".into(), json!(name))));
        Ok(Self { code, revision, view })
    }
}

impl Description {
    fn read(code: &Product, mut fields: Fields) -> Result<Self, FieldError> {
        let description = Self {
            name: fields.parse("name")?,
            key_prefix: fields.parse("keyPrefix")?.unwrap_or_else(|| Prefix::of_product(code)),
            metadata: metadata::take(&mut fields)?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(description)
    }

    /// Adds the product, whose code no product has now. Returns it as the API shows it, and its
    /// revision.
    fn insert(&self, code: &Product, change: &mut Change, now: Timestamp) -> Result<(Value, u64), Problem> {
        // Tokens that are older than the rule which `delete` keeps.
        if tokens::are_bound_to(code.as_str(), now)? {
            return Err(conflict("Tokens of a deleted product with this code are still valid; revoke them first."));
        }
        let revision = events::next_revision(code.as_str())?;
        let parameters = self.parameters(code, moment(now)).into_iter().chain([integer(revision)]).collect();
        change.run(
            "INSERT INTO products (code, name, key_prefix, metadata, created_at, updated_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)",
            parameters,
        );
        let mut product = self.to_json();
        product.extend([("code".into(), json!(code)), ("revision".into(), json!(revision))]);
        product.extend([("createdAt".into(), json!(now)), ("updatedAt".into(), json!(now))]);
        let product = Value::Object(product);
        change.event("product.created", code.as_str(), None, Some(product.clone()));
        Ok((product, revision))
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut json = Map::from_iter([
            ("keyPrefix".into(), json!(self.key_prefix)),
            ("metadata".into(), Value::Object(self.metadata.clone())),
        ]);
        json.extend(self.name.as_ref().map(|name| ("name".into(), json!(name))));
        json
    }

    fn parameters(&self, code: &Product, at: db::Value) -> Vec<db::Value> {
        vec![
            text(code.as_str()),
            optional(self.name.as_ref(), |name| text(name.as_str())),
            text(self.key_prefix.to_string()),
            text(Value::Object(self.metadata.clone()).to_string()),
            at,
        ]
    }
}
