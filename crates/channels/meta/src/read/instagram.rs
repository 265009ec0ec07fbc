//! Comments on our Instagram media and mentions of our account. Direct messages are read as Messenger's are.

use serde_json::Value;
use smista_domain::{IgnoreReason, Sender};

use super::{Around, Found, notes};
use crate::value::{id, text, time};

/// `comments`, `live_comments`. They have no verb: edits and removals are not told.
pub(super) fn comment(value: &Value, around: &Around<'_>) -> Found {
    let from = value.get("from").unwrap_or(&Value::Null);
    let who = id(from, "id");
    let media = value.get("media").and_then(|media| id(media, "id")).or_else(|| id(value, "media_id"));
    let mut found = Found {
        identity: id(value, "id").or_else(|| id(value, "comment_id")),
        thread: media.zip(who.clone()).map(|(media, who)| format!("meta:post:{media}:by:{who}")),
        sender: Sender {
            name: text(from, "username").or_else(|| text(from, "name")).map(str::to_owned),
            address: who.clone(),
        },
        text: text(value, "text").unwrap_or_default().to_owned(),
        sent_at: time(value, "created_time").or_else(|| time(value, "timestamp")),
        ..Found::default()
    };
    if around.is_own(who.as_deref()) {
        found.ignored = Some(IgnoreReason::OwnPost);
    } else if found.text.is_empty() {
        found.note(notes::NOT_FETCHED);
    }
    found
}

/// `mentions`: only that there is a comment, or a post, in which our account is named.
pub(super) fn mention(value: &Value) -> Found {
    let mut found = Found {
        identity: id(value, "comment_id").or_else(|| id(value, "media_id")),
        text: text(value, "text").unwrap_or_default().to_owned(),
        ..Found::default()
    };
    if found.identity.is_none() {
        found.ignored = Some(IgnoreReason::MetaUnknown);
    } else if found.text.is_empty() {
        found.note(notes::NOT_FETCHED);
    }
    found
}
