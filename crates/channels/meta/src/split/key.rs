//! The keys of updates: identity, verb, version.

use serde_json::Value;

use crate::value::{digest, id, short, text};

/// The key of an update that came by `via`.
pub(super) fn of(item: &Value, via: &str) -> String {
    let known = match via {
        "messaging" | "standby" => of_event(item),
        "changes" | "bare" => of_change(item),
        _ => None,
    };
    known.unwrap_or_else(|| format!("{}/{}", if via == "standby" { "messaging" } else { via }, digest(item)))
}

/// `None`: nothing in it says what it is about.
fn of_change(item: &Value) -> Option<String> {
    let field = text(item, "field")?;
    let value = item.get("value")?;
    match field {
        "feed" | "mention" | "ratings" => of_feed(field, value),
        "comments" | "live_comments" => {
            Some(join(&["comment", &id(value, "id").or_else(|| id(value, "comment_id"))?, "add"]))
        }
        "mentions" => {
            Some(join(&["mention", &id(value, "comment_id").or_else(|| id(value, "media_id"))?, "add"]))
        }
        // The dashboard's test of direct messages.
        "messages" => of_event(value),
        _ => None,
    }
}

/// Posts, comments, mentions and reviews of a page.
fn of_feed(field: &str, value: &Value) -> Option<String> {
    let item = text(value, "item").unwrap_or("post");
    let any = |keys: &[&str]| keys.iter().find_map(|key| id(value, key));
    let about = match item {
        "comment" => any(&["comment_id"]),
        "rating" => any(&["open_graph_story_id", "post_id"]),
        _ => any(&[
            "comment_id",
            "post_id",
            "photo_id",
            "video_id",
            "share_id",
            "album_id",
            "event_id",
            "open_graph_story_id",
        ]),
    }?;
    let verb = verb(value);
    let person = || person(value).unwrap_or_else(|| "-".to_owned());
    Some(match item {
        "reaction" | "like" => {
            join(&[field, item, &about, verb, &person(), text(value, "reaction_type").unwrap_or("-")])
        }
        _ if verb == "edited" => join(&[field, item, &about, verb, &version(value)]),
        _ => join(&[field, item, &about, verb]),
    })
}

/// What happened, in one word for what Meta has several for.
pub(crate) fn verb(value: &Value) -> &str {
    match text(value, "verb") {
        None => "add",
        Some("edit" | "edited" | "update") => "edited",
        Some("remove" | "delete") => "remove",
        Some(other) => other,
    }
}

/// Who did it: `from`, before Graph 2.11 `sender_id`, of reviews `reviewer_id`.
pub(crate) fn person(value: &Value) -> Option<String> {
    let from = value.get("from").and_then(|from| id(from, "id"));
    from.or_else(|| id(value, "sender_id")).or_else(|| id(value, "reviewer_id"))
}

/// Which of several edits: a digest over what people see.
fn version(value: &Value) -> String {
    let seen =
        ["message", "review_text", "rating", "photo", "photos", "photo_id", "video", "video_id", "link"];
    let seen: Vec<String> =
        seen.iter().map(|key| value.get(key).unwrap_or(&Value::Null).to_string()).collect();
    short(seen.join("\n").as_bytes())
}

/// Messenger and direct messages.
fn of_event(item: &Value) -> Option<String> {
    let sender = || item.get("sender").and_then(|s| id(s, "id")).unwrap_or_else(|| "-".to_owned());
    let mid = |kind: &Value| id(kind, "mid");
    if let Some(message) = item.get("message") {
        let mid = mid(message)?;
        let deleted = message.get("is_deleted").and_then(Value::as_bool) == Some(true);
        return Some(if deleted {
            join(&["message", &mid, "remove"])
        } else {
            join(&["message", &mid, "add"])
        });
    }
    if let Some(edit) = item.get("message_edit") {
        let version = id(edit, "num_edit").unwrap_or_else(|| digest(edit));
        return Some(join(&["message", &mid(edit)?, "edited", &version]));
    }
    if let Some(reaction) = item.get("reaction") {
        let word = |key| text(reaction, key).unwrap_or("-");
        return Some(join(&["reaction", &mid(reaction)?, &sender(), word("action"), word("reaction")]));
    }
    for kind in ["read", "delivery"] {
        if let Some(seen) = item.get(kind) {
            return Some(join(&[kind, &sender(), &id(seen, "watermark").or_else(|| mid(seen))?]));
        }
    }
    if let Some(postback) = item.get("postback") {
        return Some(join(&["postback", &mid(postback)?, "add"]));
    }
    None
}

/// Parts with a slash between them. A part that has one itself, or is long or unprintable, is replaced by its digest.
fn join(parts: &[&str]) -> String {
    let safe = |part: &&str| {
        let plain = part.len() <= 200
            && !part.starts_with('~')
            && part.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if plain { (*part).to_owned() } else { format!("~{}", short(part.as_bytes())) }
    };
    parts.iter().map(safe).collect::<Vec<_>>().join("/")
}
