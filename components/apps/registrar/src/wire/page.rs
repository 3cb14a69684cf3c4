//! Pages of lists: items in the order of creation, and a cursor if more follow.

use countersign::crockford;
use countersign_app_common::answer::json;
use serde_json::{Map, Value};

use crate::wire::Response;

/// A page, with the cursor of the next one.
pub(crate) fn answer(items: Vec<Value>, next: Option<String>) -> Response {
    let mut body = Map::from_iter([("items".to_owned(), Value::Array(items))]);
    body.extend(next.map(|next| ("next".to_owned(), next.into())));
    json(200, &body)
}

/// The cursor after the item of this number. It is opaque, so that clients cannot compute one.
pub(crate) fn cursor(number: i64) -> String {
    crockford::encode(&number.to_be_bytes())
}

/// Reads a [`cursor`].
pub(crate) fn read_cursor(text: &str) -> Option<i64> {
    let bytes = crockford::decode(text)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_the_number_that_it_was_made_of() {
        for number in [0, 1, 20, 99_999, i64::MAX] {
            assert_eq!(read_cursor(&cursor(number)), Some(number));
        }
        let seven = cursor(7);
        for refused in ["", "7", "zzzzzzzzzzzzz", "0000000000001", &seven[1..], &format!("{seven}0"), &cursor(-1)] {
            assert_eq!(read_cursor(refused), None, "{refused}");
        }
    }
}
