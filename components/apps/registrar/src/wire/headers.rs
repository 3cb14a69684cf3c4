//! Reading a request's headers.

use countersign::field::FieldError;

use crate::wire::Header;
use crate::wire::problem::Problem;

/// The value of a header that may stand once.
pub(crate) fn header<'a>(headers: &'a [Header], name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut found = headers.iter().filter(|header| header.name == name);
    let Some(header) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(FieldError::new(name, "is given more than once.").into());
    }
    let value = str::from_utf8(&header.value).map_err(|_| FieldError::new(name, "is not UTF-8."))?;
    Ok(Some(value.trim_ascii()))
}
