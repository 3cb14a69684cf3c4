//! Tokens: who may do what. The database has only their hashes; a token itself is shown once.

use countersign::audit::{self, CHECK};
use countersign::field::FieldError;
use countersign::hex;
use countersign::name::{DisplayName, Product};
use countersign::time::{End, Timestamp};
use serde_json::{Map, Value, json};

use crate::ask::Ask;
use crate::auth::token;
use crate::limits::MAX_TOKEN_PRODUCTS;
use crate::sql::db::{self, Row, Select, blob, moment, optional, text};
use crate::wire::answer::Answer;
use crate::wire::problem::{NOT_FOUND, Problem, missing, unprocessable};
use crate::wire::{Response, page};
use crate::write::change::{Change, change};
use countersign::role::Role;

const COLUMNS: &str = "number, id, name, role, products, created_at, expires_at, last_used_at, revoked_at, revision";

/// A valid token that is bound to a product.
const BOUND_TO: &str = "
    SELECT 1 FROM tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)
    AND EXISTS (SELECT 1 FROM json_each(tokens.products) WHERE value = ?1) LIMIT 1";

/// The prefix of every token's id.
pub(crate) use crate::auth::token::ID_PREFIX as PREFIX;

/// The token of this id as its events show it.
pub(crate) fn view_of(id: &str) -> Result<Option<Map<String, Value>>, Problem> {
    db::query_one(&format!("SELECT {COLUMNS} FROM tokens WHERE id = ?"), vec![text(id)])?
        .map(|row| view(&row))
        .transpose()
}

/// Whether a valid token is bound to this product. Such a product is neither deleted nor created:
/// the token would have its rights on whatever gets the name next.
pub(crate) fn are_bound_to(product: &str, now: Timestamp) -> Result<bool, Problem> {
    Ok(db::query_one(BOUND_TO, vec![text(product), moment(now)])?.is_some())
}

/// `GET /api/v1/tokens`
pub(crate) fn list(ask: &Ask<'_>) -> Result<Response, Problem> {
    let (limit, cursor) = (ask.query.limit()?, ask.query.cursor()?);
    ask.query.finish()?;
    let select = Select::after(COLUMNS, "tokens", cursor);
    let (tokens, next) = select.page(limit, |row| view(row).map(Value::Object))?;
    Ok(page::answer(tokens, next.map(page::cursor)))
}

/// `GET /api/v1/tokens/{id}`
pub(crate) fn get(ask: &Ask<'_>) -> Result<Response, Problem> {
    ask.query.finish()?;
    let row = find(ask)?;
    Ok(Answer::ok(Value::Object(view(&row)?), row.count(9)?).into())
}

/// `POST /api/v1/tokens`
pub(crate) fn create(ask: &Ask<'_>) -> Result<Response, Problem> {
    let mut fields = ask.fields()?;
    let name: DisplayName = fields.parse("name")?.ok_or_else(|| missing("name"))?;
    let role: Role = fields.parse("role")?.ok_or_else(|| missing("role"))?;
    let expires_at = fields.parse("expiresAt")?.map(|End(end)| end);
    let products: Option<Vec<Product>> = fields.parse_all("products")?;
    fields.finish()?;
    if products.as_ref().is_some_and(|products| !(1..=MAX_TOKEN_PRODUCTS).contains(&products.len())) {
        let detail = format_args!("must be 1 to {MAX_TOKEN_PRODUCTS} products; leave it out for all products.");
        return Err(FieldError::new("products", detail).into());
    }
    if expires_at.is_some_and(|end| end <= ask.now) {
        return Err(unprocessable("expiresAt", "must be in the future."));
    }
    let products = products.map(|products| json!(products));
    change(ask, &mut || {
        check_products(products.as_ref())?;
        let (token, id) = token::generate();
        let mut change = Change::new();
        change.run(
            "INSERT INTO tokens (id, hash, name, role, products, created_at, expires_at, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1)",
            vec![
                text(&*id),
                blob(token::hash(&token)),
                text(name.as_str()),
                text(role.as_str()),
                optional(products.as_ref(), |products| text(products.to_string())),
                moment(ask.now),
                optional(expires_at, moment),
            ],
        );
        let mut view = Map::from_iter([
            ("id".into(), json!(id)),
            ("name".into(), json!(name)),
            ("role".into(), json!(role.as_str())),
            ("createdAt".into(), json!(ask.now)),
        ]);
        view.extend(expires_at.map(|end| ("expiresAt".into(), json!(end))));
        view.extend(products.clone().map(|products| ("products".into(), products)));
        let mut told = view.clone();
        told.insert(CHECK.into(), json!(hex::encode(&audit::check(&id, &token::hash(&token)))));
        change.event("token.created", &id, None, Some(Value::Object(told)));
        view.insert("token".into(), json!(token));
        Ok((change, Answer::created(format!("/api/v1/tokens/{id}"), Value::Object(view), 1)))
    })
}

/// `DELETE /api/v1/tokens/{id}`: the token is no longer valid, and its row stays for the audit.
pub(crate) fn revoke(ask: &Ask<'_>) -> Result<Response, Problem> {
    change(ask, &mut || {
        let row = find(ask)?;
        ask.check_if_match(row.count(9)?)?;
        let mut change = Change::new();
        if row.optional_integer(8)?.is_none() {
            let id = row.text(1)?;
            change.run(
                "UPDATE tokens SET revoked_at = ?2, revision = revision + 1 WHERE id = ?1",
                vec![text(id), moment(ask.now)],
            );
            let before = view(&row)?;
            let mut after = before.clone();
            after.insert("revokedAt".into(), json!(ask.now));
            change.event("token.revoked", id, Some(Value::Object(before)), Some(Value::Object(after)));
        }
        Ok((change, Answer::no_content()))
    })
}

fn check_products(products: Option<&Value>) -> Result<(), Problem> {
    let Some(products) = products else { return Ok(()) };
    let unknown = "SELECT 1 FROM json_each(?1) WHERE value NOT IN (SELECT code FROM products) LIMIT 1";
    match db::query_one(unknown, vec![text(products.to_string())])? {
        Some(_) => Err(unprocessable("products", "names a product that does not exist; create the product first.")),
        None => Ok(()),
    }
}

fn find(ask: &Ask<'_>) -> Result<Row, Problem> {
    db::query_one(&format!("SELECT {COLUMNS} FROM tokens WHERE id = ?"), vec![text(&*ask.parameters[0])])?
        .ok_or(NOT_FOUND)
}

/// The token as the API shows it.
fn view(row: &Row) -> Result<Map<String, Value>, Problem> {
    let mut view = Map::from_iter([
        ("id".into(), json!(row.text(1)?)),
        ("name".into(), json!(row.text(2)?)),
        ("role".into(), json!(row.text(3)?)),
        ("createdAt".into(), json!(row.moment(5)?)),
    ]);
    view.extend(row.optional_json(4)?.map(|products| ("products".into(), products)));
    for (name, column) in [("expiresAt", 6), ("lastUsedAt", 7), ("revokedAt", 8)] {
        view.extend(row.optional_moment(column)?.map(|moment| (name.into(), json!(moment))));
    }
    Ok(view)
}
