//! Options as the body of a request. An option that was not given is absent.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::CommandError;

/// A command's options as JSON, without those that were not given.
pub(crate) fn body(options: &impl Serialize) -> Result<Value, CommandError> {
    let mut body = serde_json::to_value(options).map_err(anyhow::Error::from)?;
    drop_empty(&mut body);
    Ok(body)
}

/// A merge patch (RFC 7396): the options that were given, and `null` for each field of `unset`,
/// which may be a member of an object such as `metadata.order`.
pub(crate) fn patch(options: &impl Serialize, unset: &[String]) -> Result<Value, CommandError> {
    let mut patch = body(options)?;
    for field in unset {
        match field.split_once('.') {
            None => patch[field] = Value::Null,
            Some((object, member)) => match &mut patch[object] {
                Value::Object(members) => drop(members.insert(member.to_owned(), Value::Null)),
                other => *other = Value::Object(Map::from_iter([(member.to_owned(), Value::Null)])),
            },
        }
    }
    if patch.as_object().is_some_and(Map::is_empty) {
        return Err(CommandError::Input("no change given; `--help` lists the options".into()));
    }
    Ok(patch)
}

fn drop_empty(value: &mut Value) {
    if let Value::Object(members) = value {
        members.values_mut().for_each(drop_empty);
        members.retain(|_, value| match value {
            Value::Null => false,
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        });
    }
}

/// Serialises pairs as an object.
pub(crate) fn as_object<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_that_were_not_given_are_absent() {
        let options = json!({"a": null, "b": [], "c": {"d": null}, "e": {"f": 1, "g": null}, "h": false, "i": ""});
        assert_eq!(body(&options).unwrap(), json!({"e": {"f": 1}, "h": false, "i": ""}));
    }

    #[test]
    fn unset_fields_are_null() {
        let unset = ["owner", "metadata.a.b", "metadata.c"].map(str::to_owned);
        let expected = json!({"owner": null, "metadata": {"a.b": null, "c": null, "d": "1"}, "plan": "pro"});
        assert_eq!(patch(&json!({"plan": "pro", "metadata": {"d": "1"}}), &unset).unwrap(), expected);
        assert!(patch(&json!({"plan": null}), &[]).is_err());
    }
}
