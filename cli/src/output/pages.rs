//! Lists: the pages of the API, as one table or one JSON document.

use std::io::{self, BufWriter, Write};

use comfy_table::Table;
use serde_json::Value;

use super::print;
use super::table::print_table;
use super::text::plain;
use crate::api::{Api, ApiError, query};
use crate::error::CommandError;
use crate::limits::API_PAGE;
use crate::options::paging::Paging;

/// A column of a table: its title, and the cell for an item.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// Prints the list at `path`: as a table, or as the JSON of one page with the items of all pages.
pub(crate) fn list(
    api: &Api,
    path: &str,
    filters: Vec<(&str, Option<String>)>,
    paging: Paging,
    json: bool,
    columns: &[Column],
) -> Result<(), CommandError> {
    let mut pages = Pages::new(api, path, filters, paging.cursor);
    let mut left = paging.limit.unwrap_or(u64::MAX);
    let mut out = BufWriter::new(print::out());
    let mut table = Table::new();
    table.set_header(columns.iter().map(|(title, _)| *title));
    let mut rest = Value::Null;
    let mut count = 0_u64;
    while left > 0 {
        let Some(page) = pages.next(left)? else { break };
        left = left.saturating_sub(page.items.len() as u64);
        for item in &page.items {
            if json {
                out.write_all(if count == 0 { b"{\"items\":[" } else { b"," })?;
                serde_json::to_writer(&mut out, item).map_err(io::Error::from)?;
            } else {
                table.add_row(columns.iter().map(|(_, cell)| plain(&cell(item))));
            }
            count += 1;
        }
        rest = page.rest;
    }
    if json {
        out.write_all(if count == 0 { b"{\"items\":[]" } else { b"]" })?;
        // The other members of the last page.
        for (name, value) in rest.as_object().into_iter().flatten() {
            write!(out, ",{}:{value}", Value::from(name.as_str()))?;
        }
        out.write_all(b"}\n")?;
        return Ok(out.flush()?);
    }
    drop(out);
    print_table(table)?;
    if let Some(cursor) = &pages.cursor {
        print::note(format_args!("more items follow; continue with --cursor {cursor}"));
    }
    Ok(())
}

/// The pages of a list.
pub(crate) struct Pages<'a> {
    api: &'a Api,
    path: &'a str,
    filters: Vec<(&'a str, Option<String>)>,
    /// Where the next page begins.
    cursor: Option<String>,
    is_last: bool,
}

/// One page.
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// The page without its items.
    pub(crate) rest: Value,
}

impl<'a> Pages<'a> {
    /// The pages from a cursor on.
    pub(crate) fn new(
        api: &'a Api,
        path: &'a str,
        filters: Vec<(&'a str, Option<String>)>,
        cursor: Option<String>,
    ) -> Self {
        Self { api, path, filters, cursor, is_last: false }
    }

    /// The next page, with at most `most` items.
    pub(crate) fn next(&mut self, most: u64) -> Result<Option<Page>, ApiError> {
        if self.is_last {
            return Ok(None);
        }
        let mut parameters = self.filters.clone();
        parameters.push(("limit", Some(most.min(API_PAGE.into()).to_string())));
        parameters.push(("cursor", self.cursor.take()));
        let answer = self.api.get(query(self.path.to_owned(), &parameters))?;
        let mut rest = answer.json()?;
        let items = match rest.as_object_mut().and_then(|page| page.remove("items")) {
            Some(Value::Array(items)) => items,
            _ => return Err(answer.foreign()),
        };
        self.cursor = rest["next"].as_str().map(str::to_owned);
        self.is_last = self.cursor.is_none();
        Ok(Some(Page { items, rest }))
    }
}
