//! Which licences a list has, and in what order: that of creation, except that a list of licences
//! that end soon is in the order of their ends, and a search in that of the texts found.

use countersign::crockford;
use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::license::Status;
use countersign::name::{Identifier, Label, Product};
use countersign::time::Timestamp;
use serde_json::json;

use super::queries;
use crate::ask::Ask;
use crate::limits::{MAX_SEARCH_BYTES, MIN_SEARCH_BYTES};
use crate::resources::licenses::issued::{IssuedLicense, search_term};
use crate::sql::db::{self, Row, Value, integer, moment, optional, text};
use crate::wire::problem::{Problem, corrupt};
use crate::wire::query::unknown_cursor;

/// The filters of a request, and the order that follows from them.
pub(crate) struct Filter {
    /// `None` for all products.
    products: Option<Vec<String>>,
    policy: Option<Label>,
    status: Option<Status>,
    owner: Option<Identifier>,
    domain: Option<DomainRule>,
    ends_before: Option<Timestamp>,
    /// In lower case.
    search: Option<String>,
    order: Order,
}

/// A part of a list, and where the next begins.
pub(crate) struct Page {
    pub(crate) items: Vec<IssuedLicense>,
    pub(crate) next: Option<Position>,
}

/// The index that a list follows.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Creation(&'static str),
    /// The order of creation, merged from each product's list.
    Product,
    End,
    Term,
}

/// A position in a list: after this licence.
#[derive(Clone)]
pub(crate) struct Position {
    number: i64,
    /// The licence's entry in the index, if the order is not that of creation.
    entry: Value,
}

impl Filter {
    /// Takes the query's parameters. Products that the caller may not see do not exist.
    pub(crate) fn read(ask: &Ask<'_>) -> Result<Self, FieldError> {
        let query = &ask.query;
        let product = query.parse_one("product", Product::parse)?;
        let mut filter = Self {
            products: ask.caller.products().map(<[String]>::to_vec),
            policy: query.parse_one("policy", Label::parse)?,
            status: query.parse_one("status", Status::parse)?,
            owner: query.parse_one("owner", Identifier::parse)?,
            domain: query.parse_one("domain", DomainRule::parse)?,
            ends_before: query.parse_one("expiringBefore", Timestamp::parse)?,
            search: query.take("search"),
            order: Order::Creation(queries::ALL),
        };
        if let Some(product) = product {
            let is_seen = ask.caller.has_product(product.as_str());
            filter.products = Some(if is_seen { vec![product.to_string()] } else { Vec::new() });
        }
        if let Some(search) = &mut filter.search {
            if !(MIN_SEARCH_BYTES..=MAX_SEARCH_BYTES).contains(&search.len()) {
                let detail = format_args!("must be {MIN_SEARCH_BYTES} to {MAX_SEARCH_BYTES} bytes.");
                return Err(FieldError::new("search", detail));
            }
            *search = search_term(search);
        }
        filter.order = filter.order();
        Ok(filter)
    }

    /// The index that is likely to have the fewest licences under one entry.
    fn order(&self) -> Order {
        if self.domain.is_some() {
            Order::Creation(queries::OF_DOMAIN)
        } else if self.owner.is_some() {
            Order::Creation(queries::OF_OWNER)
        } else if self.search.is_some() {
            Order::Term
        } else if self.status.is_some_and(|status| status != Status::Active) {
            Order::Creation(queries::OF_STATUS)
        } else if self.ends_before.is_some() {
            Order::End
        } else if self.policy.is_some() {
            Order::Creation(queries::OF_POLICY)
        } else if self.products.is_some() {
            Order::Product
        } else if self.status.is_some() {
            Order::Creation(queries::OF_STATUS)
        } else {
            Order::Creation(queries::ALL)
        }
    }

    /// The query's `cursor`, or the beginning.
    pub(crate) fn cursor(&self, ask: &Ask<'_>) -> Result<Position, FieldError> {
        let Some(cursor) = ask.query.take("cursor") else { return Ok(self.order.beginning()) };
        let position = crockford::decode(&cursor).and_then(|bytes| self.order.position(&bytes));
        position.ok_or_else(unknown_cursor)
    }

    /// At most `limit` licences after a position.
    pub(crate) fn page(&self, after: &Position, limit: u32) -> Result<Page, Problem> {
        let products = self.products.as_deref();
        let mut rows = match self.order {
            Order::Product => {
                // Each product's list is in order; the page has the first of all of them.
                let mut rows = Vec::new();
                for product in products.unwrap_or_default() {
                    rows.extend(self.rows(queries::OF_PRODUCT, Some(std::slice::from_ref(product)), after, limit)?);
                    rows.sort_by_key(|row| row.integer(0).unwrap_or_default());
                    rows.truncate(limit as usize + 1);
                }
                rows
            }
            Order::Creation(query) => self.rows(query, products, after, limit)?,
            Order::End => self.rows(queries::BY_END, products, after, limit)?,
            Order::Term => self.rows(queries::BY_TERM, products, after, limit)?,
        };
        let more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let items: Vec<_> = rows.iter().map(IssuedLicense::from_row).collect::<Result<_, _>>()?;
        let last = rows.last().zip(items.last()).filter(|_| more);
        let next = last.map(|(row, issued)| self.order.position_of(row, issued)).transpose()?;
        Ok(Page { items, next })
    }

    /// At most one row more than the limit, which shows that more follow.
    fn rows(
        &self,
        query: &str,
        products: Option<&[String]>,
        after: &Position,
        limit: u32,
    ) -> Result<Vec<Row>, Problem> {
        let search = self.search.as_deref();
        // After every text that begins with the search text: no text contains the last character.
        let last = search.map(|search| format!("{search}{}", char::MAX));
        let parameters = vec![
            optional(products, |products| text(json!(products).to_string())),
            optional(self.policy.as_ref(), |policy| text(policy.as_str())),
            optional(self.status, |status| text(status.as_str())),
            optional(self.owner.as_ref(), |owner| text(owner.as_str())),
            optional(self.domain.as_ref(), |domain| text(domain.to_string())),
            optional(self.ends_before, moment),
            optional(search, text),
            optional(last, text),
            integer(after.number),
            after.entry.clone(),
            integer(limit + 1),
        ];
        db::query(query, parameters)
    }
}

impl Order {
    fn beginning(self) -> Position {
        let entry = match self {
            Self::Creation(_) | Self::Product => Value::Null,
            Self::End => Value::Integer(i64::MIN),
            Self::Term => text(""),
        };
        Position { number: 0, entry }
    }

    /// The position after a licence. A search has the text found in a column after the licence's.
    fn position_of(self, row: &Row, issued: &IssuedLicense) -> Result<Position, Problem> {
        let entry = match self {
            Self::Creation(_) | Self::Product => Value::Null,
            Self::End => issued.record.expires_at.map(moment).ok_or_else(corrupt)?,
            Self::Term => text(row.text(IssuedLicense::COLUMNS)?),
        };
        Ok(Position { number: issued.number, entry })
    }

    /// Reads [`Position::cursor`].
    fn position(self, bytes: &[u8]) -> Option<Position> {
        let (number, rest) = bytes.split_first_chunk()?;
        let entry = match self {
            Self::Creation(_) | Self::Product => rest.is_empty().then_some(Value::Null)?,
            Self::End => Value::Integer(i64::from_be_bytes(rest.try_into().ok()?)),
            Self::Term => text(str::from_utf8(rest).ok()?),
        };
        Some(Position { number: i64::from_be_bytes(*number), entry }).filter(|position| position.number > 0)
    }
}

impl Position {
    /// The position as an opaque text, so that clients cannot compute one.
    pub(crate) fn cursor(&self) -> String {
        let mut bytes = self.number.to_be_bytes().to_vec();
        match &self.entry {
            Value::Integer(end) => bytes.extend(end.to_be_bytes()),
            Value::Text(term) => bytes.extend(term.as_bytes()),
            _ => {}
        }
        crockford::encode(&bytes)
    }
}
