//! Changes of a page's `feed`, its `ratings`, and `mention`s of it elsewhere.

use serde_json::Value;
use smista_domain::{IgnoreReason, Sender};

use super::{Around, Found, notes};
use crate::{
    split::{person, verb},
    value::{id, text, time},
};

/// Things that a page makes, and that nobody but the page makes unless they carry words.
const PAGE_ITEMS: &[&str] =
    &["album", "event", "milestone", "note", "offer", "life_event", "job", "live_video"];

pub(super) fn read(value: &Value, around: &Around<'_>, mention: bool) -> Found {
    let item = text(value, "item").unwrap_or("post");
    let verb = verb(value);
    let who = person(value);
    let mut found = Found {
        identity: identity(value, item),
        sender: sender(value, who.clone()),
        text: text(value, "message").or_else(|| text(value, "review_text")).unwrap_or_default().to_owned(),
        sent_at: time(value, "created_time"),
        edited: verb == "edited",
        ..Found::default()
    };
    if let (Some(post), Some(who)) = (post(value, &found), &who) {
        found.thread = Some(format!("meta:post:{post}:by:{who}"));
    }
    let permalink = value
        .get("post")
        .and_then(|post| text(post, "permalink_url"))
        .or_else(|| text(value, "permalink_url"));
    if permalink.is_some() {
        found.address(notes::PERMALINK, permalink);
    }
    attachments(value, item, &mut found);
    found.ignored = ignored(value, item, verb, &found, around.is_own(who.as_deref()), mention);
    if found.ignored.is_none() && found.text.is_empty() && !found.has_attachments() {
        found.note(notes::NOT_FETCHED);
    }
    found
}

fn ignored(
    value: &Value,
    item: &str,
    verb: &str,
    found: &Found,
    own: bool,
    mention: bool,
) -> Option<IgnoreReason> {
    let words = !found.text.is_empty();
    let anonymous = found.sender.address.is_none();
    let reason = match (item, verb) {
        ("reaction" | "like", _) => Some(IgnoreReason::Reaction),
        // Stars alone.
        ("rating", "add" | "edited") if !words => Some(IgnoreReason::Reaction),
        (_, "hide" | "unhide" | "mute" | "unmute" | "block" | "unblock" | "follow" | "unfollow") => {
            Some(IgnoreReason::Moderation)
        }
        _ if own => Some(IgnoreReason::OwnPost),
        (_, "remove") => Some(IgnoreReason::Withdrawn),
        _ if words || mention => None,
        (item, _) if PAGE_ITEMS.contains(&item) => Some(IgnoreReason::MetaEvent),
        (_, "add" | "edited") => None,
        _ => Some(IgnoreReason::MetaUnknown),
    };
    // What Meta names no writer of is a person's, unless it bears the sign of what a page publishes.
    let published = value.get("published").is_some() && !matches!(item, "comment" | "post") && !mention;
    reason.or_else(|| (anonymous && published).then_some(IgnoreReason::OwnPost))
}

fn identity(value: &Value, item: &str) -> Option<String> {
    let any = |keys: &[&str]| keys.iter().find_map(|key| id(value, key));
    match item {
        "comment" => any(&["comment_id"]),
        "rating" => any(&["open_graph_story_id", "post_id"]),
        _ => any(&["comment_id", "post_id", "photo_id", "video_id", "share_id", "open_graph_story_id"]),
    }
}

/// The post that it belongs to; of a post itself, its own id.
fn post(value: &Value, found: &Found) -> Option<String> {
    id(value, "post_id").or_else(|| id(value, "parent_id")).or_else(|| found.identity.clone())
}

fn sender(value: &Value, who: Option<String>) -> Sender {
    let from = value.get("from").and_then(|from| text(from, "name"));
    let name = from.or_else(|| text(value, "sender_name")).or_else(|| text(value, "reviewer_name"));
    Sender { name: name.map(|n| n.trim().to_owned()), address: who }
}

fn attachments(value: &Value, item: &str, found: &mut Found) {
    for kind in ["photo", "video"] {
        if let Some(address) = text(value, kind) {
            found.attachment(kind, Some(address));
        }
    }
    for photo in value.get("photos").and_then(Value::as_array).into_iter().flatten() {
        found.attachment("photo", photo.as_str());
    }
    if let Some(link) = text(value, "link") {
        let kind = if matches!(item, "photo" | "video") { item } else { "link" };
        found.attachment(kind, Some(link));
    }
}
