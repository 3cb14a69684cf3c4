//! Query parameters, in the encoding of HTML forms. A parameter may occur only once, and a path
//! accepts only its own.

use std::cell::RefCell;

use countersign::field::FieldError;
use countersign::form;
use countersign_app_common::fields::about;

use crate::limits::{DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS};
use crate::wire::page;

/// The parameters that have not been taken yet.
pub(crate) struct Query(RefCell<Vec<(String, String)>>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, FieldError> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for pair in form::pairs(query.unwrap_or_default()) {
            let (name, value) = pair.ok_or_else(|| FieldError::new("", "The query must be percent-encoded UTF-8."))?;
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(about(&name, "must be given only once."));
            }
            parameters.push((name, value));
        }
        Ok(Self(RefCell::new(parameters)))
    }

    /// Takes a parameter.
    pub(crate) fn take(&self, name: &str) -> Option<String> {
        let mut parameters = self.0.borrow_mut();
        let at = parameters.iter().position(|(other, _)| other == name)?;
        Some(parameters.swap_remove(at).1)
    }

    /// Takes a parameter and parses it. The error's text must say what is wrong without repeating
    /// the value.
    pub(crate) fn parse_one<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, FieldError> {
        let text = self.take(name);
        text.map(|text| parse(&text)).transpose().map_err(|error| FieldError::new(name, format_args!("{error}.")))
    }

    /// Takes a parameter that is true or false; false if it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, FieldError> {
        let flag = self.parse_one(name, |text| text.parse().map_err(|_| "must be true or false"))?;
        Ok(flag.unwrap_or_default())
    }

    /// `limit`: the most items of a page.
    pub(crate) fn limit(&self) -> Result<u32, FieldError> {
        self.limit_up_to(DEFAULT_PAGE_ITEMS, MAX_PAGE_ITEMS)
    }

    /// As [`limit`](Self::limit), with another default and another bound.
    pub(crate) fn limit_up_to(&self, default: u32, most: u32) -> Result<u32, FieldError> {
        let Some(text) = self.take("limit") else { return Ok(default) };
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = text.parse().ok().filter(|limit| is_number && (1..=most).contains(limit));
        limit.ok_or_else(|| FieldError::new("limit", format_args!("must be a whole number from 1 to {most}.")))
    }

    /// `cursor`: the page begins after the item of this number, which is 0 for the first page.
    pub(crate) fn cursor(&self) -> Result<i64, FieldError> {
        let Some(text) = self.take("cursor") else { return Ok(0) };
        page::read_cursor(&text).ok_or_else(unknown_cursor)
    }

    /// Refuses parameters that have not been taken.
    pub(crate) fn finish(&self) -> Result<(), FieldError> {
        let refuse = |(name, _): &(String, String)| Err(about(name, "is not a query parameter of this path."));
        self.0.borrow().first().map_or(Ok(()), refuse)
    }
}

/// The error for a cursor that no page of this list had.
pub(crate) fn unknown_cursor() -> FieldError {
    FieldError::new("cursor", "must be the `next` of an earlier page of this list.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_known_and_occurs_once() {
        let query = Query::parse(Some("owner=jane%40example.com&search=a+b%2B&flag&limit=7&")).unwrap();
        assert_eq!(query.take("owner").as_deref(), Some("jane@example.com"));
        assert_eq!(query.take("search").as_deref(), Some("a b+"));
        assert_eq!(query.take("flag").as_deref(), Some(""));
        assert_eq!(query.limit(), Ok(7));
        assert_eq!(query.cursor(), Ok(0));
        assert!(query.finish().is_ok());
        for refused in ["a=1&a=2", "a=1&%61=2", "a=%", "a=%g0", "a=%f", "a=%ff"] {
            assert!(Query::parse(Some(refused)).is_err(), "{refused}");
        }
        assert_eq!(Query::parse(Some("unknown=1")).unwrap().finish().err().unwrap().field, "unknown");
    }

    #[test]
    fn a_limit_is_a_whole_number_within_its_bounds() {
        for (text, expected) in
            [("limit=1", Some(1)), ("limit=100", Some(100)), ("", Some(20)), ("limit=0", None), ("limit=101", None)]
        {
            assert_eq!(Query::parse(Some(text)).unwrap().limit().ok(), expected, "{text}");
        }
        for text in ["limit=", "limit=+1", "limit=-1", "limit=1e1", "limit=99999999999999999999"] {
            assert!(Query::parse(Some(text)).unwrap().limit().is_err(), "{text}");
        }
        assert!(Query::parse(Some("cursor=7")).unwrap().cursor().is_err());
    }
}
