//! Which licences a list has, and in what order: that of creation, except that a list of licences
//! that end soon is in the order of their ends, and a search in that of the texts found.
//!
//! A page looks at a bounded number of licences. If too few of them pass the filters, it ends
//! early, also without any, and the next page goes on.

use countersign::crockford;
use countersign::domain::DomainRule;
use countersign::field::FieldError;
use countersign::license::Status;
use countersign::name::{Identifier, Label, Product};
use countersign::time::Timestamp;
use serde_json::json;

use super::queries::{self, List};
use super::terms::{fold, search_term};
use crate::ask::Ask;
use crate::limits::{MAX_LOOKED_AT, MAX_SEARCH_BYTES, MIN_SEARCH_BYTES, WINDOW};
use crate::resources::licenses::issued::IssuedLicense;
use crate::sql::db::{self, Row, Value, integer, moment, optional, text};
use crate::wire::problem::Problem;
use crate::wire::query::unknown_cursor;

/// The filters of a request, and the order that follows from them.
pub(crate) struct Filter {
    /// `None` for all products.
    products: Option<Vec<String>>,
    /// Whether the request names the product.
    names_product: bool,
    policy: Option<Label>,
    status: Option<Status>,
    /// Without case.
    owner: Option<String>,
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
    /// Whether the page ends early, as it has looked at enough.
    pub(crate) is_cut: bool,
}

/// The index that a list follows.
#[derive(Clone, Copy)]
enum Order {
    Creation(&'static List),
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
            names_product: product.is_some(),
            products: ask.caller.products().map(<[String]>::to_vec),
            policy: query.parse_one("policy", Label::parse)?,
            status: query.parse_one("status", Status::parse)?,
            owner: query.parse_one("owner", Identifier::parse)?.map(|owner| fold(owner.as_str())),
            domain: query.parse_one("domain", DomainRule::parse)?,
            ends_before: query.parse_one("expiringBefore", Timestamp::parse_start)?,
            search: query.take("search"),
            order: Order::Creation(&queries::ALL),
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
            if search.is_empty() {
                return Err(FieldError::new("search", "must have a letter or a digit."));
            }
        }
        filter.order = filter.order();
        Ok(filter)
    }

    /// The index that is likely to have the fewest licences under one entry.
    fn order(&self) -> Order {
        if self.domain.is_some() {
            Order::Creation(&queries::OF_DOMAIN)
        } else if self.owner.is_some() {
            Order::Creation(&queries::OF_OWNER)
        } else if self.search.is_some() {
            Order::Term
        } else if self.status.is_some_and(|status| status != Status::Active) {
            Order::Creation(&queries::OF_STATUS)
        } else if self.ends_before.is_some() {
            Order::End
        } else if self.policy.is_some() {
            Order::Creation(&queries::OF_POLICY)
        } else if self.products.is_some() {
            Order::Product
        } else if self.status.is_some() {
            Order::Creation(&queries::OF_STATUS)
        } else {
            Order::Creation(&queries::ALL)
        }
    }

    /// Whether no licence is left out, except those of products that the caller may not see.
    pub(crate) fn finds_everything(&self) -> bool {
        let Self { policy, owner, domain, ends_before, search, names_product, .. } = self;
        !names_product
            && policy.is_none()
            && owner.is_none()
            && domain.is_none()
            && ends_before.is_none()
            && search.is_none()
    }

    /// The query's `cursor`, or the beginning.
    pub(crate) fn cursor(&self, ask: &Ask<'_>) -> Result<Position, FieldError> {
        let Some(cursor) = ask.query.take("cursor") else { return Ok(self.order.beginning()) };
        let position = crockford::decode(&cursor).and_then(|bytes| self.order.position(&bytes));
        position.ok_or_else(unknown_cursor)
    }

    /// At most `limit` licences after a position.
    pub(crate) fn page(&self, after: &Position, limit: u32) -> Result<Page, Problem> {
        let mut page = Page { items: Vec::new(), next: None, is_cut: false };
        // One more shows that more follow.
        let wanted = limit + 1;
        let mut window = if self.is_by_index() { wanted } else { WINDOW };
        let (mut after, mut looked_at) = (after.clone(), 0);
        loop {
            let (rows, end) = self.window(&after, wanted - page.items.len() as u32, window)?;
            for row in &rows {
                if page.items.len() == limit as usize {
                    page.next = Some(after);
                    return Ok(page);
                }
                let issued = IssuedLicense::from_row(row)?;
                after = self.order.position_of(row, &issued)?;
                page.items.push(issued);
            }
            let Some(end) = end else { return Ok(page) };
            after = end;
            looked_at += window * self.lists();
            if looked_at >= MAX_LOOKED_AT {
                return Ok(Page { next: Some(after), is_cut: true, ..page });
            }
            window = WINDOW;
        }
    }

    /// The lists that a page merges.
    fn lists(&self) -> u32 {
        match (self.order, &self.products) {
            (Order::Product, Some(products)) => products.len() as u32,
            _ => 1,
        }
    }

    /// Whether the index has only licences that pass all filters.
    fn is_by_index(&self) -> bool {
        let filters = [
            self.products.is_some(),
            self.policy.is_some(),
            self.status.is_some(),
            self.owner.is_some(),
            self.domain.is_some(),
            self.ends_before.is_some(),
        ];
        let filters = filters.into_iter().filter(|is_set| *is_set).count();
        match self.order {
            // A licence may have several texts, of which one counts.
            Order::Term => false,
            Order::Creation(_) | Order::Product | Order::End => filters <= 1 && self.search.is_none(),
        }
    }

    /// The licences among the next entries of the index that pass all filters, at most `limit`, and
    /// the position of the last of these entries if more may follow.
    fn window(&self, after: &Position, limit: u32, window: u32) -> Result<(Vec<Row>, Option<Position>), Problem> {
        let products = self.products.as_deref();
        let list = match self.order {
            Order::Product => return self.window_of_products(after, limit, window),
            Order::Creation(list) => list,
            Order::End => &queries::BY_END,
            Order::Term => &queries::BY_TERM,
        };
        self.window_of(list, products, after, limit, window)
    }

    /// Each product's list is in order; the window has the first of all of them, up to the first
    /// end of one of their windows.
    fn window_of_products(
        &self,
        after: &Position,
        limit: u32,
        window: u32,
    ) -> Result<(Vec<Row>, Option<Position>), Problem> {
        let (mut rows, mut end): (Vec<Row>, Option<Position>) = (Vec::new(), None);
        let products = self.products.as_deref().unwrap_or_default();
        for product in products {
            let product = Some(std::slice::from_ref(product));
            let (more, last) = self.window_of(&queries::OF_PRODUCT, product, after, limit, window)?;
            rows.extend(more);
            end = match (end, last) {
                (Some(end), Some(last)) => Some(if last.number < end.number { last } else { end }),
                (end, last) => end.or(last),
            };
            let number = |row: &Row| row.integer(0).unwrap_or_default();
            rows.retain(|row| end.as_ref().is_none_or(|end| number(row) <= end.number));
            rows.sort_by_key(number);
            rows.truncate(limit as usize);
        }
        Ok((rows, end))
    }

    fn window_of(
        &self,
        list: &List,
        products: Option<&[String]>,
        after: &Position,
        limit: u32,
        window: u32,
    ) -> Result<(Vec<Row>, Option<Position>), Problem> {
        let search = self.search.as_deref();
        // After every text that begins with the search text: no text contains the last character.
        let last = search.map(|search| format!("{search}{}", char::MAX));
        let parameters = vec![
            optional(products, |products| text(json!(products).to_string())),
            optional(self.policy.as_ref(), |policy| text(policy.as_str())),
            optional(self.status, |status| text(status.as_str())),
            optional(self.owner.as_deref(), text),
            optional(self.domain.as_ref(), |domain| text(domain.to_string())),
            optional(self.ends_before, moment),
            optional(search, text),
            optional(last, text),
            integer(after.number),
            after.entry.clone(),
            integer(limit),
            integer(window),
        ];
        let rows = db::query(list.page, parameters.clone())?;
        let position = |row: &Row, number, entry| -> Result<_, Problem> {
            Ok(Position { number: row.integer(number)?, entry: row.value(entry)?.clone() })
        };
        let end = match rows.last() {
            // What the rest of the window has is not known.
            Some(last) if rows.len() == limit as usize => Some(position(last, 0, IssuedLicense::COLUMNS)?),
            _ => db::query_one(list.end, parameters)?.map(|row| position(&row, 0, 1)).transpose()?,
        };
        Ok((rows, end))
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

    /// The position after a licence, whose entry is in a column after its own.
    fn position_of(self, row: &Row, issued: &IssuedLicense) -> Result<Position, Problem> {
        Ok(Position { number: issued.number, entry: row.value(IssuedLicense::COLUMNS)?.clone() })
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
