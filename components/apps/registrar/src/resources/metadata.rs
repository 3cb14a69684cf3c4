//! What vendors note on products and licences: a few names with a text each.

use crate::limits::{MAX_METADATA, MAX_METADATA_NAME_BYTES, MAX_METADATA_VALUE_BYTES};
use countersign::field::FieldError;
use serde_json::{Map, Value};

use crate::wire::fields::Fields;

/// The member `metadata`: at most 32 names of 1 to 64 characters from `[A-Za-z0-9_.-]`, each with a string of at most 512 bytes.
pub(crate) fn take(fields: &mut Fields) -> Result<Option<Map<String, Value>>, FieldError> {
    let refuse = |detail: &str| Err(FieldError::new("metadata", detail));
    let metadata = match fields.take("metadata") {
        None => return Ok(None),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return refuse("must be an object."),
    };
    if metadata.len() > MAX_METADATA {
        return refuse("has more than 32 members.");
    }
    for (name, value) in &metadata {
        let is_name = (1..=MAX_METADATA_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        if !is_name {
            return refuse("has a name that is not 1 to 64 letters, digits, dots, hyphens and underscores.");
        }
        if value.as_str().is_none_or(|text| text.len() > MAX_METADATA_VALUE_BYTES) {
            return refuse("has a value that is no string, or one of more than 512 bytes.");
        }
    }
    Ok(Some(metadata))
}
