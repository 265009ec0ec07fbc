//! One body of a webhook into deliveries: one piece per change, per message event and per standby event.
//!
//! Invariants: a piece's key is made of what it is about (the identity), what happened to it (the verb) and, where the same can
//! happen several times, of its content (the version), so that the same update under another `time`, with its keys in another order or
//! escaped otherwise, has the same key; every shape of JSON becomes pieces, what is not known under a digest of itself.
//! `docs/reference/meta.md` has the table.

mod key;

pub(crate) use key::{person, verb};

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use smista_domain::DeliveryKey;

use crate::value;

/// More updates in one body are not taken. Meta sends at most 1,000 ("Graph API: Webhooks").
pub const MAX_PIECES: usize = 20_000;

/// One update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What the body says that it is about: `page`, `instagram`, `user` ... Empty where it does not say.
    pub object: String,
    /// The page or account that it is for (`entry.id`). Empty where the body does not say.
    pub account: String,
    /// Where it comes from: the field of a change (`feed`, `comments`), `messaging`, `standby`, else `other`.
    pub scope: String,
    /// When Meta says that it happened (`entry.time`).
    pub time: Option<Timestamp>,
    /// Its key.
    pub key: DeliveryKey,
    /// The update with what its reader needs of its surroundings, as JSON with sorted keys: `object`, `entry` (the id), `time` (as
    /// it came), `via` (`changes`, `messaging`, `standby`, `bare`, `other`) and `item` (the update itself).
    pub bytes: Bytes,
}

/// Why a body cannot be split. Its text holds nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// It is no JSON, is cut off, or is nested more than 127 deep.
    #[error("the body is no JSON, or is nested too deeply (line {line}, column {column})")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// More updates than [`MAX_PIECES`].
    #[error("the body has more than {MAX_PIECES} updates")]
    TooMany,
}

/// Splits a body. Pure; work and memory are linear in its size.
pub fn split(body: &[u8]) -> Result<Vec<Piece>, SplitError> {
    let root: Value = serde_json::from_slice(body)
        .map_err(|e| SplitError::NotJson { line: e.line(), column: e.column() })?;
    let mut pieces = Vec::new();
    match root {
        Value::Object(mut root) if root.get("entry").is_some_and(Value::is_array) => {
            let entries = root.remove("entry");
            let object = root.remove("object").unwrap_or_default();
            for entry in listed(entries) {
                split_entry(&mut pieces, &object, entry)?;
            }
        }
        // As some logs show it: a change without an envelope.
        bare @ Value::Object(_) if bare.get("field").is_some() && bare.get("value").is_some() => {
            let account = bare.get("value").and_then(|v| value::id(v.get("recipient")?, "id"));
            push(
                &mut pieces,
                Origin { object: &Value::Null, account: account.as_deref(), time: None, via: "bare" },
                &bare,
            )?;
        }
        other => push(
            &mut pieces,
            Origin { object: &Value::Null, account: None, time: None, via: "other" },
            &other,
        )?,
    }
    Ok(pieces)
}

/// The elements of a list; anything else is its own only one.
fn listed(value: Option<Value>) -> Vec<Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => vec![other],
    }
}

/// What surrounds an update.
#[derive(Clone, Copy)]
struct Origin<'a> {
    object: &'a Value,
    account: Option<&'a str>,
    time: Option<&'a Value>,
    via: &'static str,
}

fn split_entry(pieces: &mut Vec<Piece>, object: &Value, entry: Value) -> Result<(), SplitError> {
    let account = value::id(&entry, "id");
    let time = entry.get("time").cloned();
    let origin = |via| Origin { object, account: account.as_deref(), time: time.as_ref(), via };
    let mut entry = match entry {
        Value::Object(entry) => entry,
        other => return push(pieces, origin("other"), &other),
    };
    let mut known = false;
    for via in ["changes", "messaging", "standby"] {
        let items = entry.remove(via);
        known |= items.is_some();
        for item in listed(items) {
            push(pieces, origin(via), &item)?;
        }
    }
    if known { Ok(()) } else { push(pieces, origin("other"), &without_time(entry)) }
}

/// An entry of unknown shape: its `time` stands beside it, and must not be part of its digest.
fn without_time(mut entry: Map<String, Value>) -> Value {
    entry.remove("time");
    Value::Object(entry)
}

fn push(pieces: &mut Vec<Piece>, origin: Origin<'_>, item: &Value) -> Result<(), SplitError> {
    if pieces.len() >= MAX_PIECES {
        return Err(SplitError::TooMany);
    }
    let scope = match origin.via {
        "changes" | "bare" => value::text(item, "field").filter(|field| is_word(field)).unwrap_or("other"),
        via => via,
    };
    let scope = scope.to_owned();
    let key = DeliveryKey(key::of(item, origin.via));
    let bytes = json!({
        "object": origin.object, "entry": origin.account, "time": origin.time, "via": origin.via, "item": item,
    });
    pieces.push(Piece {
        object: origin.object.as_str().filter(|object| is_word(object)).unwrap_or_default().to_owned(),
        account: origin.account.unwrap_or_default().to_owned(),
        scope,
        time: origin.time.and_then(value::instant),
        key,
        bytes: bytes.to_string().into(),
    });
    Ok(())
}

/// The name of a field or an object as Meta writes them.
fn is_word(field: &str) -> bool {
    field.len() <= 60 && field.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
