//! Looking into JSON from outside: ids and times come as strings and as integers, and anything may be missing.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Times from here on are milliseconds: in seconds it would be the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;
/// A longer id is none.
const MAX_ID: usize = 500;

/// A text that is not blank.
pub(crate) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key)?.as_str().filter(|text| !text.trim().is_empty())
}

/// An id: a string or an integer.
pub(crate) fn id(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::String(id) => Some(id.trim().to_owned()).filter(|id| !id.is_empty() && id.len() <= MAX_ID),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// An instant: seconds or milliseconds, as an integer or a string, or RFC 3339 as the Graph API writes it.
pub(crate) fn instant(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => return text.trim().parse().ok(),
        },
        _ => return None,
    };
    let instant = if number >= MILLISECONDS {
        Timestamp::from_millisecond(number)
    } else {
        Timestamp::from_second(number)
    };
    instant.ok().filter(|at| at.as_second() > 0)
}

/// The instant under a key.
pub(crate) fn time(value: &Value, key: &str) -> Option<Timestamp> {
    instant(value.get(key)?)
}

/// A digest of JSON, whatever the order of its keys and its escapes were: `serde_json` sorts keys. 128 bits, in hex.
pub(crate) fn digest(value: &Value) -> String {
    short(value.to_string().as_bytes())
}

/// The first 128 bits of a SHA-256, in hex.
pub(crate) fn short(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    hex::encode(digest.get(..16).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_and_times_are_strings_or_integers() {
        let value = json!({ "a": "12", "b": 12, "c": " ", "d": 1.5, "e": null, "f": "x".repeat(600) });
        assert_eq!((id(&value, "a"), id(&value, "b")), (Some("12".to_owned()), Some("12".to_owned())));
        assert_eq!((id(&value, "c"), id(&value, "e"), id(&value, "f")), (None, None, None));
        let at = Some("2015-12-03T09:30:03Z".parse().expect("an instant"));
        for same in [
            json!(1_449_135_003),
            json!("1449135003"),
            json!(1_449_135_003_000_i64),
            json!("1449135003000"),
            json!("2015-12-03T09:30:03+0000"),
        ] {
            assert_eq!(instant(&same), at, "{same}");
        }
        for none in
            [json!(0), json!(-5), json!(null), json!("presto"), json!(i64::MAX), json!(u64::MAX), json!([])]
        {
            assert_eq!(instant(&none), None, "{none}");
        }
    }

    #[test]
    fn a_digest_does_not_depend_on_order_or_escapes() {
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let (one, other) = (
            parse(r#"{"b":{"y":1,"x":"è/"},"a":2}"#),
            parse(r#"{ "a": 2, "b": { "x": "\u00e8\/", "y": 1 } }"#),
        );
        assert_eq!(digest(&one), digest(&other));
        assert_ne!(digest(&one), digest(&parse(r#"{"a":2}"#)));
    }
}
