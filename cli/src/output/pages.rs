//! Lists: the API's pages, one after the other.

use std::io::{self, BufWriter, Write};

use crate::limits::API_PAGE;
use clap::Args;
use comfy_table::Table;
use serde_json::Value;

use crate::api::{Api, ApiError, query};
use crate::error::CommandError;
use crate::output::print;

/// Where a list begins and ends.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// List no more than that; the rest begins at the cursor that is printed [default: all]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// Where to begin: a cursor that an earlier list ended with
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// One column of a table: its title, and its cell of an item.
pub(crate) type Column = (&'static str, fn(&Value) -> String);

/// Prints what is at a path with these filters: a table, or the API's JSON with the items of all pages.
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
                table.add_row(columns.iter().map(|(_, cell)| print::plain(&cell(item))));
            }
            count += 1;
        }
        rest = page.rest;
    }
    if json {
        out.write_all(if count == 0 { b"{\"items\":[]" } else { b"]" })?;
        // What the last page says beside its items.
        for (name, value) in rest.as_object().into_iter().flatten() {
            write!(out, ",{}:{value}", Value::from(name.as_str()))?;
        }
        out.write_all(b"}\n")?;
        return Ok(out.flush()?);
    }
    drop(out);
    print::table(table)?;
    if let Some(cursor) = &pages.cursor {
        print::note(format_args!("there are more: --cursor {cursor}"));
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
    is_over: bool,
}

/// One page.
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    /// What the answer says beside its items.
    pub(crate) rest: Value,
}

impl<'a> Pages<'a> {
    /// The pages from this cursor on.
    pub(crate) fn new(
        api: &'a Api,
        path: &'a str,
        filters: Vec<(&'a str, Option<String>)>,
        cursor: Option<String>,
    ) -> Self {
        Self { api, path, filters, cursor, is_over: false }
    }

    /// The next page, of that many items at most.
    pub(crate) fn next(&mut self, most: u64) -> Result<Option<Page>, ApiError> {
        if self.is_over {
            return Ok(None);
        }
        let mut parameters = self.filters.clone();
        parameters.push(("limit", Some(most.min(API_PAGE.into()).to_string())));
        parameters.push(("cursor", self.cursor.take()));
        let mut rest = self.api.get(query(self.path.to_owned(), &parameters))?.json()?;
        let items = match rest.as_object_mut().and_then(|page| page.remove("items")) {
            Some(Value::Array(items)) => items,
            _ => return Err(ApiError::Foreign { status: 200 }),
        };
        self.cursor = rest["next"].as_str().map(str::to_owned);
        self.is_over = self.cursor.is_none();
        Ok(Some(Page { items, rest }))
    }
}
