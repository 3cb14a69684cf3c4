//! Values of JSON as text for people.

use serde_json::Value;

/// A member as text; nothing if it is absent.
pub(crate) fn member(value: &Value, name: &str) -> String {
    text(&value[name])
}

/// A value as text: nothing for `null`, and the items of an array separated by commas.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Seconds as options take them, such as `30d`. Nothing for `null` and 0.
pub(crate) fn span(seconds: &Value) -> String {
    match seconds.as_u64() {
        None | Some(0) => String::new(),
        Some(seconds) if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        Some(seconds) if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        Some(seconds) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        Some(seconds) => format!("{seconds}s"),
    }
}

/// Foreign text with control characters replaced, because a terminal obeys those.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
