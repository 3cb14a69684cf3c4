//! Pages of lists: items in the order in which they were made, and a cursor where more follow.

use countersign::crockford;
use serde_json::{Map, Value};

use crate::sql::db::Row;
use crate::wire::Response;
use crate::wire::answer;
use crate::wire::problem::Problem;

/// Answers with at most `limit` of the rows, each of which has its number in column 0. A query asks for one row more than the limit, which
/// tells that there is a next page.
pub(crate) fn answer(
    rows: Vec<Row>,
    limit: u32,
    item: impl FnMut(&Row) -> Result<Value, Problem>,
) -> Result<Response, Problem> {
    let (items, next) = page(rows, limit, item)?;
    let mut body = Value::Object(Map::from_iter([("items".into(), Value::Array(items))]));
    if let Some(next) = next {
        body["next"] = cursor(next).into();
    }
    Ok(answer::json(200, &body))
}

/// The items, and the number of the last one where more follow.
pub(crate) fn page<T>(
    mut rows: Vec<Row>,
    limit: u32,
    item: impl FnMut(&Row) -> Result<T, Problem>,
) -> Result<(Vec<T>, Option<i64>), Problem> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().filter(|_| more).map(|row| row.integer(0)).transpose()?;
    Ok((rows.iter().map(item).collect::<Result<_, _>>()?, next))
}

/// The number of the last item of a page, as a caller is given it: opaque, so that nobody counts with it.
pub(crate) fn cursor(number: i64) -> String {
    crockford::encode(&number.to_be_bytes())
}

/// The number in a cursor, if it is one.
pub(crate) fn read_cursor(text: &str) -> Option<i64> {
    let bytes = crockford::decode(text)?;
    Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_what_was_written() {
        for number in [0, 1, 20, 99_999, i64::MAX] {
            assert_eq!(read_cursor(&cursor(number)), Some(number));
        }
        let seven = cursor(7);
        for refused in ["", "7", "zzzzzzzzzzzzz", "0000000000001", &seven[1..], &format!("{seven}0"), &cursor(-1)] {
            assert_eq!(read_cursor(refused), None, "{refused}");
        }
    }
}
