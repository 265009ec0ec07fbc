#![allow(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]

use proptest::prelude::*;
use serde_json::json;
use smista_domain::{DeliveryKey, Upstream};

use super::*;
use crate::split::split;

const PAGE: &str = "77";

/// Everything of a body, split and read.
fn read_body(body: &[u8], settings: &ReadSettings) -> Vec<Reading> {
    let read_one = |piece: crate::split::Piece| {
        let delivery = Delivery {
            channel: "meta/comune".parse().expect("a name"),
            scope: piece.scope,
            key: piece.key,
            bytes: piece.bytes,
            received_at: Timestamp::UNIX_EPOCH,
            upstream: Upstream::Void,
            facts: Value::Null,
            recognise: false,
        };
        read(&delivery, settings).expect("our own bytes")
    };
    split(body).unwrap_or_default().into_iter().map(read_one).collect()
}

fn settings() -> ReadSettings {
    ReadSettings { own: [PAGE.to_owned(), "88".to_owned()].into(), keep_everything: false }
}

fn one(object: &str, entry: Value) -> Reading {
    let mut entry = entry;
    entry["id"] = json!(PAGE);
    entry["time"] = json!(1_449_135_003);
    let body = json!({ "object": object, "entry": [entry] });
    read_body(body.to_string().as_bytes(), &settings()).remove(0)
}

fn change(field: &str, value: Value) -> Reading {
    one(
        if field.contains("comments") || field == "mentions" { "instagram" } else { "page" },
        json!({ "changes": [{ "field": field, "value": value }] }),
    )
}

fn event(item: Value) -> Reading {
    one("page", json!({ "messaging": [item] }))
}

fn dm(message: Value) -> Reading {
    event(
        json!({ "sender": { "id": 9 }, "recipient": { "id": PAGE }, "timestamp": 1_458_692_752_478_i64, "message": message }),
    )
}

fn message_of(reading: Reading) -> Message {
    match reading {
        Reading::Message(message) => *message,
        Reading::Ignored { reason, .. } => panic!("ignored: {reason:?}"),
    }
}

fn reason_of(reading: Reading) -> IgnoreReason {
    match reading {
        Reading::Ignored { reason, .. } => reason,
        Reading::Message(message) => panic!("a message: {message:?}"),
    }
}

fn comment(verb: &str, text: &str) -> Value {
    json!({
        "item": "comment", "verb": verb, "comment_id": "5_6", "post_id": "77_5", "parent_id": "77_5", "message": text,
        "created_time": 1_449_135_003, "from": { "id": "9", "name": " Anna Neri " },
        "post": { "permalink_url": "https://www.facebook.com/77/posts/5" },
    })
}

#[test]
fn a_comment_is_a_message_of_its_writer_in_the_thread_of_its_post() {
    let message = message_of(change("feed", comment("add", "C'è una buca in via Dante")));
    assert_eq!(message.sender, Sender { name: Some("Anna Neri".to_owned()), address: Some("9".to_owned()) });
    assert_eq!((message.text.as_str(), message.folder.as_str()), ("C'è una buca in via Dante", "feed"));
    assert_eq!(message.recipients, [PAGE]);
    assert_eq!(message.sent_at.map(Timestamp::as_second), Some(1_449_135_003));
    assert_eq!(message.thread.own.as_deref(), Some("meta:5_6"));
    assert_eq!(message.thread.refs, ["meta:5_6", "meta:post:77_5:by:9"]);
    assert_eq!(message.notes, ["permalink:https://www.facebook.com/77/posts/5"]);
    assert_eq!(message.place, None);

    // A later one of the same person under the same post, before Graph 2.11.
    let old = json!({ "item": "comment", "verb": "add", "comment_id": "5_7", "post_id": "77_5", "sender_id": 9, "sender_name": "Anna", "message": "?" });
    let reply = message_of(change("feed", old));
    assert_eq!(reply.thread.refs[1], message.thread.refs[1]);
    assert_eq!(reply.sender.name.as_deref(), Some("Anna"));
}

#[test]
fn posts_of_others_and_photos_are_messages() {
    let post = message_of(change(
        "feed",
        json!({ "item": "post", "verb": "add", "post_id": "77_8", "from": { "id": 9, "name": "Anna" }, "message": "Salve" }),
    ));
    assert_eq!(post.thread.refs, ["meta:77_8", "meta:post:77_8:by:9"]);
    let photo = message_of(change(
        "feed",
        json!({ "item": "photo", "verb": "add", "post_id": "77_9", "photo_id": 3, "from": { "id": 9 }, "link": "https://a.example/1.jpg" }),
    ));
    assert_eq!(photo.notes, ["attachment:photo:https://a.example/1.jpg", "empty"]);
    let several = json!({ "item": "status", "verb": "add", "post_id": "77_9", "from": { "id": 9 }, "photos": ["https://a.example/1", 5, "javascript:alert(1)"] });
    assert_eq!(
        message_of(change("feed", several)).notes,
        ["attachment:photo:https://a.example/1", "attachment:photo:", "empty"]
    );
    let nobody = message_of(change(
        "feed",
        json!({ "item": "comment", "verb": "add", "comment_id": "5_6", "message": "Ecco" }),
    ));
    assert_eq!(nobody.notes, ["no-sender"]);
    assert_eq!(nobody.thread.refs, ["meta:5_6"], "nobody's thread is nobody else's");
}

#[test]
fn an_edit_follows_what_it_changes_and_says_so() {
    let (add, edit) = (
        message_of(change("feed", comment("add", "buca"))),
        message_of(change("feed", comment("edited", "buca!"))),
    );
    assert_eq!((edit.text.as_str(), edit.notes.last().map(String::as_str)), ("buca!", Some("edited")));
    assert_eq!((edit.thread.own, &edit.thread.refs), (None, &add.thread.refs));
    assert_ne!(edit.thread.fingerprint, add.thread.fingerprint);
    // Back to the first words: that is news, too.
    let back = message_of(change("feed", comment("edit", "buca")));
    assert_ne!(back.thread.fingerprint, add.thread.fingerprint);
    let dm = message_of(event(
        json!({ "sender": { "id": 9 }, "message_edit": { "mid": "m1", "text": "nuovo", "num_edit": 1 } }),
    ));
    assert_eq!((dm.text.as_str(), dm.thread.own), ("nuovo", None));
}

#[test]
fn what_is_ours_or_nobodys_is_ignored_under_its_reason() {
    use IgnoreReason::{MetaEvent, MetaUnknown, Moderation, OwnPost, Reaction, Withdrawn};
    let of = |more: Value| {
        let mut value = json!({ "item": "comment", "verb": "add", "comment_id": "5_6", "message": "x", "from": { "id": "9" } });
        for (key, given) in more.as_object().expect("an object") {
            value[key.as_str()] = given.clone();
        }
        reason_of(change("feed", value))
    };
    assert_eq!(of(json!({ "from": { "id": 77 } })), OwnPost);
    assert_eq!(of(json!({ "from": null, "sender_id": "88" })), OwnPost, "another account of ours");
    assert_eq!(
        of(json!({ "from": null, "item": "status", "published": 1 })),
        OwnPost,
        "published, and nobody is named"
    );
    assert_eq!(of(json!({ "verb": "remove" })), Withdrawn);
    assert_eq!(of(json!({ "verb": "hide" })), Moderation);
    assert_eq!(of(json!({ "verb": "unblock", "item": "video" })), Moderation);
    assert_eq!(of(json!({ "item": "like" })), Reaction);
    assert_eq!(of(json!({ "item": "reaction", "verb": "edit" })), Reaction);
    assert_eq!(of(json!({ "item": "event", "message": null })), MetaEvent);
    assert_eq!(of(json!({ "verb": "whirl", "message": null })), MetaUnknown);
    assert_eq!(reason_of(change("foo", json!({ "a": 1 }))), MetaUnknown);
    assert_eq!(reason_of(change("story_insights", json!({ "exits": 1 }))), MetaEvent);
    let user =
        one("user", json!({ "changes": [{ "field": "hometown", "verb": "add", "value": { "page": "9" } }] }));
    assert_eq!(reason_of(user), MetaEvent);
    assert_eq!(reason_of(one("page", json!({ "surprise": 1 }))), MetaUnknown);
    let removed = change("feed", comment("remove", ""));
    let Reading::Ignored { about, .. } = removed else { panic!("a message") };
    assert_eq!(about.as_deref(), Some("meta:5_6"), "what was taken back is named");
}

#[test]
fn reviews_are_messages_when_they_have_words() {
    let of = |item: &str, text: Value| {
        change(
            "ratings",
            json!({ "item": item, "verb": "add", "open_graph_story_id": 4, "reviewer_id": 9, "reviewer_name": "Anna", "rating": 1, "review_text": text }),
        )
    };
    let review = message_of(of("rating", json!("Sportello sempre chiuso")));
    assert_eq!(
        (review.text.as_str(), review.sender.name.as_deref()),
        ("Sportello sempre chiuso", Some("Anna"))
    );
    assert_eq!(reason_of(of("rating", json!(null))), IgnoreReason::Reaction);
    assert_eq!(reason_of(of("like", json!(null))), IgnoreReason::Reaction);
}

#[test]
fn mentions_are_messages_with_or_without_words() {
    let with = json!({ "item": "comment", "verb": "add", "post_id": "1_5", "comment_id": "5_6", "message": "@Comune guardate", "created_time": 1 });
    let message = message_of(change("mention", with));
    assert_eq!((message.text.as_str(), message.notes), ("@Comune guardate", vec!["no-sender".to_owned()]));
    let without =
        json!({ "item": "post", "verb": "add", "post_id": "4_4", "sender_id": 9, "sender_name": "Anna" });
    assert_eq!(message_of(change("mention", without)).notes, ["not-fetched", "empty"]);
    let instagram = message_of(change("mentions", json!({ "media_id": "3", "comment_id": "6" })));
    assert_eq!(instagram.notes, ["not-fetched", "empty", "no-sender"]);
    assert_eq!(instagram.thread.own.as_deref(), Some("meta:6"));
}

#[test]
fn a_comment_that_also_mentions_us_is_one_message() {
    let add = message_of(change("feed", comment("add", "@Comune la buca")));
    let mention = json!({ "item": "comment", "verb": "add", "post_id": "77_5", "comment_id": "5_6", "message": "@Comune la buca " });
    let mention = message_of(change("mention", mention));
    assert_eq!(add.thread.fingerprint, mention.thread.fingerprint);
}

#[test]
fn instagram_comments() {
    for field in ["comments", "live_comments"] {
        let value = json!({ "id": "6", "text": "La fontana perde", "from": { "id": "9", "username": "anna.neri" }, "media": { "id": "3" } });
        let message = message_of(change(field, value));
        assert_eq!(
            (message.sender.name.as_deref(), message.text.as_str()),
            (Some("anna.neri"), "La fontana perde")
        );
        assert_eq!(message.thread.refs, ["meta:6", "meta:post:3:by:9"]);
    }
    let bare = message_of(change("live_comments", json!({ "id": "6", "text": "ciao" })));
    assert_eq!(bare.notes, ["no-sender"]);
    let ours = json!({ "id": "6", "text": "Grazie", "from": { "id": PAGE, "username": "comune" }, "parent_id": "5" });
    assert_eq!(reason_of(change("comments", ours)), IgnoreReason::OwnPost);
}

#[test]
fn direct_messages_belong_to_the_conversation_with_their_writer() {
    let first = message_of(dm(json!({ "mid": "m1", "text": "Buongiorno" })));
    assert_eq!((first.text.as_str(), first.sender.address.as_deref()), ("Buongiorno", Some("9")));
    assert_eq!(first.thread.refs, ["meta:m1", "meta:with:77:9"]);
    assert_eq!(first.sent_at.map(Timestamp::as_second), Some(1_458_692_752));
    // The same through the dashboard and through standby.
    let item = json!({ "sender": { "id": "9" }, "recipient": { "id": PAGE }, "timestamp": "1458692752478", "message": { "mid": "m1", "text": "Buongiorno" } });
    for other in [
        one("instagram", json!({ "changes": [{ "field": "messages", "value": item }] })),
        one("page", json!({ "standby": [item] })),
    ] {
        assert_eq!(message_of(other).thread, first.thread);
    }
    let bare = json!({ "field": "messages", "value": item });
    let bare = read_body(bare.to_string().as_bytes(), &settings()).remove(0);
    assert_eq!(message_of(bare).thread, first.thread);
    let same_words = message_of(dm(json!({ "mid": "m2", "text": "Buongiorno" })));
    assert_ne!(same_words.thread.fingerprint, first.thread.fingerprint, "saying it twice is no double");
}

#[test]
fn what_hangs_on_a_message_is_named_and_not_fetched() {
    let attachments = json!([
        { "type": "image", "payload": { "url": "https://a.example/i?x=1" } }, { "type": "fallback", "url": "https://b.example/" },
        { "type": "fallback", "payload": "BLOB" }, { "type": "location", "payload": { "coordinates": { "lat": 43.3 } } },
        { "type": "story_mention", "payload": { "url": "https://c.example/story" } }, { "type": "È/strano" }, 7,
    ]);
    let message = message_of(dm(json!({ "mid": "m1", "attachments": attachments })));
    assert_eq!(
        message.notes,
        [
            "attachment:image:https://a.example/i?x=1",
            "attachment:fallback:https://b.example/",
            "attachment:fallback:",
            "attachment:location:",
            "story-mention",
            "attachment:story_mention:https://c.example/story",
            "attachment:other:",
            "empty",
        ]
    );
    let reply = message_of(dm(
        json!({ "mid": "m1", "text": "bella", "reply_to": { "story": { "id": "1", "url": "https://c.example/s" } } }),
    ));
    assert_eq!(reply.notes, ["story-reply", "attachment:story:https://c.example/s"]);
    assert_eq!(
        message_of(dm(json!({ "mid": "m1", "is_unsupported": true }))).notes,
        ["unsupported", "empty"]
    );
    let many: Vec<Value> = (0..500)
        .map(|n| json!({ "type": "image", "payload": { "url": format!("https://a.example/{n}") } }))
        .collect();
    assert!(message_of(dm(json!({ "mid": "m1", "attachments": many }))).notes.len() <= MAX_ADDRESSES + 3);
}

#[test]
fn events_that_nobody_wrote() {
    use IgnoreReason::{Echo, MetaEvent, MetaUnknown, Reaction, Seen, Withdrawn};
    assert_eq!(reason_of(dm(json!({ "mid": "m1", "text": "x", "is_echo": true }))), Echo);
    assert_eq!(
        reason_of(event(
            json!({ "sender": { "id": PAGE }, "recipient": { "id": "9" }, "message": { "mid": "m", "text": "x" } })
        )),
        Echo
    );
    assert_eq!(reason_of(dm(json!({ "mid": "m1", "is_deleted": true }))), Withdrawn);
    for (kind, reason) in [
        ("reaction", Reaction),
        ("read", Seen),
        ("delivery", Seen),
        ("referral", MetaEvent),
        ("optin", MetaEvent),
        ("take_thread_control", MetaEvent),
        ("policy-enforcement", MetaEvent),
        ("payment", MetaEvent),
        ("novelty", MetaUnknown),
    ] {
        assert_eq!(
            reason_of(event(json!({ "sender": { "id": 9 }, kind: { "mid": "m1" } }))),
            reason,
            "{kind}"
        );
    }
    assert_eq!(
        reason_of(event(json!({ "postback": { "mid": "m1", "title": "", "payload": "x" } }))),
        MetaEvent
    );
    let pressed = message_of(event(
        json!({ "sender": { "id": 9 }, "postback": { "mid": "m1", "title": "Orari dell'anagrafe?" } }),
    ));
    assert_eq!((pressed.text.as_str(), pressed.notes), ("Orari dell'anagrafe?", vec!["button".to_owned()]));
}

#[test]
fn what_a_person_reopens_is_a_message_whatever_it_is() {
    let kept = ReadSettings { keep_everything: true, ..settings() };
    let reopen = |body: Value| message_of(read_body(body.to_string().as_bytes(), &kept).remove(0));
    let own = json!({ "object": "page", "entry": [{ "id": PAGE, "changes": [{ "field": "feed", "value": {
        "item": "comment", "verb": "add", "comment_id": "5_6", "from": { "id": PAGE }, "message": "Anche da noi" } }] }] });
    let own = reopen(own);
    assert_eq!(own.text, "Anche da noi");
    assert!(own.notes.contains(&notes::REOPENED.to_owned()));
    let odd = reopen(json!({ "object": "page", "entry": [{ "id": PAGE, "surprise": "parole" }] }));
    assert!(odd.text.contains("parole"), "there is something to look at");
}

#[test]
fn what_we_did_not_write_is_unreadable() {
    for bytes in [&b""[..], b"no JSON", b"{}", b"[1]", b"null", &[0xff; 40]] {
        let delivery = Delivery {
            channel: "meta/comune".parse().expect("a name"),
            scope: String::new(),
            key: DeliveryKey(String::new()),
            bytes: bytes::Bytes::copy_from_slice(bytes),
            received_at: Timestamp::UNIX_EPOCH,
            upstream: Upstream::Void,
            facts: Value::Null,
            recognise: false,
        };
        assert!(read(&delivery, &settings()).is_err());
    }
}

/// JSON out of the words that the reader looks for, so that it comes far.
fn nasty() -> impl Strategy<Value = Value> {
    const WORDS: &[&str] = &[
        "object",
        "entry",
        "id",
        "time",
        "changes",
        "messaging",
        "standby",
        "field",
        "value",
        "feed",
        "mention",
        "ratings",
        "comments",
        "live_comments",
        "mentions",
        "messages",
        "item",
        "verb",
        "comment",
        "post",
        "add",
        "edited",
        "remove",
        "from",
        "name",
        "message",
        "comment_id",
        "post_id",
        "text",
        "mid",
        "attachments",
        "type",
        "payload",
        "url",
        "photos",
        "link",
        "sender",
        "recipient",
        "timestamp",
        "read",
        "reaction",
        "postback",
        "title",
        "page",
        "instagram",
        "77",
        "is_echo",
        "reply_to",
        "story",
        "created_time",
        "published",
        "reviewer_id",
        "review_text",
        "https://a.example/",
        "\u{0}\u{202e}è",
        "99999999999999999999",
    ];
    let word = || (0..WORDS.len()).prop_map(|n| WORDS[n].to_owned());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        word().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 120, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word(), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_are_split_and_read_without_harm(body in prop::collection::vec(any::<u8>(), 0..300)) {
        read_body(&body, &settings());
    }

    #[test]
    fn any_json_is_split_and_read_the_same_each_time(entry in nasty(), via in 0..4_usize) {
        let via = ["changes", "messaging", "standby", "x"][via];
        let body = json!({ "object": "page", "entry": [{ "id": PAGE, via: [entry] }, entry] }).to_string();
        for settings in [settings(), ReadSettings { keep_everything: true, ..settings() }] {
            prop_assert_eq!(read_body(body.as_bytes(), &settings), read_body(body.as_bytes(), &settings));
        }
        prop_assert_eq!(split(body.as_bytes()), split(body.as_bytes()));
        let bare = entry.to_string();
        read_body(bare.as_bytes(), &settings());
    }

    #[test]
    fn a_body_that_is_cut_anywhere_is_refused(cut in 0..400_usize) {
        let body = json!({ "object": "page", "entry": [{ "id": PAGE, "changes": [{ "field": "feed", "value": comment("add", "è") }] }] });
        let body = body.to_string();
        prop_assume!(cut < body.len());
        prop_assert!(split(&body.as_bytes()[..cut]).is_err());
    }
}
