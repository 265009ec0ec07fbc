//! Messenger and Instagram's direct messages: which of its keys is there tells what an event is.

use serde_json::Value;
use smista_domain::{IgnoreReason, Sender};

use super::{Around, Found, notes};
use crate::value::{id, text, time};

/// Events that nobody writes ("Messenger Platform: webhook events").
const EVENTS: &[&str] = &[
    "optin",
    "referral",
    "account_linking",
    "app_roles",
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "policy_enforcement",
    "policy-enforcement",
    "payment",
    "pre_checkout",
    "checkout_update",
    "game_play",
    "customer_information",
    "feedback",
    "response_feedback",
    "message_context",
];

pub(super) fn read(item: &Value, around: &Around<'_>) -> Found {
    let person = |key: &str| item.get(key).and_then(|who| id(who, "id"));
    let who = person("sender");
    let own = around.is_own(who.as_deref());
    // The other side of the conversation: of an echo its recipient.
    let with = if own { person("recipient") } else { who.clone() };
    let account = if around.account.is_empty() {
        person("recipient").unwrap_or_default()
    } else {
        around.account.to_owned()
    };
    let mut found = if let Some(message) = item.get("message").filter(|m| m.is_object()) {
        read_message(message, own)
    } else if let Some(edit) = item.get("message_edit").filter(|e| e.is_object()) {
        let ignored = own.then_some(IgnoreReason::Echo);
        let text = text(edit, "text").unwrap_or_default().to_owned();
        Found { ignored, identity: id(edit, "mid"), text, edited: true, ..Found::default() }
    } else if item.get("reaction").is_some() {
        Found::ignored(IgnoreReason::Reaction)
    } else if item.get("read").is_some() || item.get("delivery").is_some() {
        Found::ignored(IgnoreReason::Seen)
    } else if let Some(postback) = item.get("postback") {
        let text = text(postback, "title").unwrap_or_default().to_owned();
        let ignored = text.is_empty().then_some(IgnoreReason::MetaEvent);
        let mut found = Found { ignored, identity: id(postback, "mid"), text, ..Found::default() };
        found.note(notes::BUTTON);
        found
    } else if EVENTS.iter().any(|kind| item.get(kind).is_some()) {
        Found::ignored(IgnoreReason::MetaEvent)
    } else {
        Found::ignored(IgnoreReason::MetaUnknown)
    };
    found.thread = with.map(|with| format!("meta:with:{account}:{with}"));
    found.sender = Sender { name: None, address: who };
    found.sent_at = time(item, "timestamp");
    found
}

fn read_message(message: &Value, own: bool) -> Found {
    let says = |key: &str| message.get(key).and_then(Value::as_bool) == Some(true);
    let mut found = Found {
        identity: id(message, "mid"),
        text: text(message, "text").unwrap_or_default().to_owned(),
        ..Found::default()
    };
    found.ignored = if own || says("is_echo") || says("is_self") {
        Some(IgnoreReason::Echo)
    } else if says("is_deleted") {
        Some(IgnoreReason::Withdrawn)
    } else {
        None
    };
    if let Some(story) = message.get("reply_to").and_then(|to| to.get("story")) {
        found.note(notes::STORY_REPLY);
        found.attachment("story", text(story, "url"));
    }
    for attachment in message.get("attachments").and_then(Value::as_array).into_iter().flatten() {
        let kind = text(attachment, "type").unwrap_or("other");
        if kind == "story_mention" {
            found.note(notes::STORY_MENTION);
        }
        let address = attachment.get("payload").and_then(|payload| text(payload, "url"));
        found.attachment(kind, address.or_else(|| text(attachment, "url")));
    }
    if says("is_unsupported") {
        found.note(notes::UNSUPPORTED);
    }
    found
}
