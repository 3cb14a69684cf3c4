//! Metadata: texts by name that vendors add to products and licences.

use countersign::field::FieldError;
use countersign::limits::MAX_FIELD_NAME_BYTES;
use countersign_app_common::fields::Fields;
use serde_json::{Map, Value};

use crate::limits::{MAX_METADATA, MAX_METADATA_NAME_BYTES, MAX_METADATA_VALUE_BYTES};

/// Takes the field `metadata`.
pub(crate) fn take(fields: &mut Fields) -> Result<Option<Map<String, Value>>, FieldError> {
    let Some(metadata) = fields.object("metadata")? else { return Ok(None) };
    let mut metadata = metadata.into_members();
    metadata.retain(|_, value| !value.is_null());
    if metadata.len() > MAX_METADATA {
        return Err(FieldError::new("metadata", format_args!("must have at most {MAX_METADATA} members.")));
    }
    for (name, value) in &metadata {
        let is_name = (1..=MAX_METADATA_NAME_BYTES).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
        if !is_name {
            let detail = format_args!(
                "has an invalid name; names must be 1 to {MAX_METADATA_NAME_BYTES} letters, digits, dots, hyphens and \
                 underscores."
            );
            return Err(FieldError::new("metadata", detail));
        }
        if value.as_str().is_none_or(|text| text.len() > MAX_METADATA_VALUE_BYTES) {
            let detail = format_args!("must be a string of at most {MAX_METADATA_VALUE_BYTES} bytes.");
            // A longer name may be a key or another secret in the wrong place.
            let name = Some(name).filter(|name| name.len() <= MAX_FIELD_NAME_BYTES);
            let field = name.map_or("metadata".into(), |name| format!("metadata.{name}"));
            return Err(FieldError::new(&field, detail));
        }
    }
    Ok(Some(metadata))
}
