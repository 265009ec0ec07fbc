//! Text from outside loses NUL before it enters: PostgreSQL refuses it in text, and `\u0000` in jsonb.

use serde_json::Value;

/// The text without NUL.
pub(crate) fn text(raw: &str) -> String {
    if raw.contains('\0') { raw.replace('\0', "") } else { raw.to_owned() }
}

/// The value without NUL in any string or key.
pub(crate) fn json(value: Value) -> Value {
    match value {
        Value::String(s) => Value::String(if s.contains('\0') { s.replace('\0', "") } else { s }),
        Value::Array(items) => Value::Array(items.into_iter().map(json).collect()),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(k, v)| (text(&k), json(v))).collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_goes_wherever_it_hides() {
        assert_eq!(text("a\0b"), "ab");
        let value = serde_json::json!({"k\0": ["x\0", {"y": "\0"}], "n": 1});
        assert_eq!(json(value), serde_json::json!({"k": ["x", {"y": ""}], "n": 1}));
    }
}
