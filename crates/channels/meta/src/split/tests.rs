#![allow(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]

use serde_json::{Value, json};

use super::*;

fn pieces(body: &Value) -> Vec<Piece> {
    split(body.to_string().as_bytes()).expect("JSON")
}

fn keys(body: &Value) -> Vec<String> {
    pieces(body).into_iter().map(|piece| piece.key.0).collect()
}

fn feed(value: Value) -> Value {
    json!({ "object": "page", "entry": [{ "id": "77", "time": 1_449_135_003, "changes": [{ "field": "feed", "value": value }] }] })
}

fn event(item: Value) -> Value {
    json!({ "object": "page", "entry": [{ "id": 77, "time": 1_458_692_752_478_i64, "messaging": [item] }] })
}

fn comment(verb: &str, message: &str) -> Value {
    json!({ "item": "comment", "verb": verb, "comment_id": "5_6", "post_id": "77_5", "message": message, "from": { "id": 9 } })
}

#[test]
fn one_piece_for_each_update_of_each_entry() {
    let body = json!({ "object": "page", "entry": [
        { "id": "77", "time": 1, "changes": [{ "field": "feed", "value": comment("add", "a") }, { "field": "foo", "value": 1 }] },
        { "id": 78, "messaging": [{ "message": { "mid": "m1" } }], "standby": [{ "message": { "mid": "m2" } }] },
        { "id": "79", "surprise": true },
        "not even an object",
    ] });
    let found = pieces(&body);
    let seen: Vec<(&str, &str)> = found.iter().map(|p| (p.account.as_str(), p.scope.as_str())).collect();
    let expected = [
        ("77", "feed"),
        ("77", "foo"),
        ("78", "messaging"),
        ("78", "standby"),
        ("79", "other"),
        ("", "other"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(found[0].key.0, "feed/comment/5_6/add");
    assert_eq!((found[2].key.0.as_str(), found[3].key.0.as_str()), ("message/m1/add", "message/m2/add"));
    let envelope: Value = serde_json::from_slice(&found[0].bytes).expect("JSON");
    assert_eq!(
        (&envelope["object"], &envelope["entry"], &envelope["via"]),
        (&json!("page"), &json!("77"), &json!("changes"))
    );
    assert_eq!(envelope["item"]["value"]["message"], "a");
}

#[test]
fn what_comes_again_has_the_same_key() {
    let add = feed(comment("add", "è"));
    let mut later = add.clone();
    later["entry"][0]["time"] = json!("1449139999");
    later["entry"][0]["id"] = json!(77);
    assert_eq!(keys(&add), keys(&later));
    assert_ne!(pieces(&add)[0].bytes, pieces(&later)[0].bytes, "the bytes are those of the first");
    // Other order, other escapes, ids as numbers; also for shapes that are known by their digest.
    let one = br#"{"object":"page","entry":[{"id":"77","time":1,"changes":[{"field":"foo","value":{"a":"\u00e8\/","b":2}}]}]}"#;
    let other = r#"{"entry":[{"changes":[{"value":{"b":2,"a":"è/"},"field":"foo"}],"time":2,"id":77}],"object":"page"}"#;
    assert_eq!(split(one).expect("JSON")[0].key, split(other.as_bytes()).expect("JSON")[0].key);
    // An entry of an unknown shape, under another time.
    let entry =
        |time: i64| json!({ "object": "page", "entry": [{ "id": "77", "time": time, "surprise": 1 }] });
    assert_eq!(keys(&entry(1)), keys(&entry(2)));
}

#[test]
fn verbs_and_versions_tell_updates_of_one_thing_apart() {
    let of = |verb: &str, message: &str| keys(&feed(comment(verb, message))).remove(0);
    assert_eq!(of("edit", "b"), of("edited", "b"), "one word for both of Meta's");
    let all = [of("add", "a"), of("edited", "b"), of("edited", "c"), of("remove", ""), of("hide", "a")];
    let unique: std::collections::BTreeSet<&String> = all.iter().collect();
    assert_eq!(unique.len(), all.len(), "{all:?}");

    let reaction = |who: i64, word: &str| {
        keys(&feed(
            json!({ "item": "reaction", "verb": "add", "post_id": "77_5", "reaction_type": word, "from": { "id": who } }),
        ))
    };
    assert_ne!(reaction(1, "wow"), reaction(2, "wow"));
    assert_ne!(reaction(1, "wow"), reaction(1, "sad"));
}

#[test]
fn events_are_known_by_what_they_are_about() {
    for (item, key) in [
        (json!({ "message": { "mid": "m.$c/1" } }), "message/~".to_owned()),
        (json!({ "message": { "mid": "m1", "is_deleted": true } }), "message/m1/remove".to_owned()),
        (
            json!({ "message_edit": { "mid": "m1", "text": "b", "num_edit": 2 } }),
            "message/m1/edited/2".to_owned(),
        ),
        (json!({ "sender": { "id": 9 }, "read": { "watermark": 12 } }), "read/9/12".to_owned()),
        (
            json!({ "sender": { "id": "9" }, "delivery": { "mids": [], "watermark": "12" } }),
            "delivery/9/12".to_owned(),
        ),
        (
            json!({ "sender": { "id": "9" }, "reaction": { "mid": "m1", "action": "react", "reaction": "sad" } }),
            "reaction/m1/9/react/sad".to_owned(),
        ),
        (json!({ "postback": { "mid": "m1", "title": "Inizia" } }), "postback/m1/add".to_owned()),
        (json!({ "optin": { "ref": "x" } }), "messaging/".to_owned()),
    ] {
        let found = keys(&event(item)).remove(0);
        assert!(found.starts_with(&key), "{found} for {key}");
    }
}

#[test]
fn the_dashboards_forms_are_the_same_thing() {
    let direct = json!({ "sender": { "id": "9" }, "recipient": { "id": "77" }, "timestamp": "1", "message": { "mid": "m1", "text": "t" } });
    let change = json!({ "field": "messages", "value": direct });
    let whole = json!({ "object": "instagram", "entry": [{ "id": "77", "changes": [change] }] });
    let [bare] = pieces(&change).try_into().expect("one");
    assert_eq!((bare.account.as_str(), bare.scope.as_str()), ("77", "messages"));
    assert_eq!(keys(&whole), [bare.key.0]);
    assert_eq!(keys(&event(direct)), keys(&whole));
    let [comment] =
        pieces(&json!({ "field": "comments", "value": { "id": "5", "text": "t" } })).try_into().expect("one");
    assert_eq!((comment.account.as_str(), comment.key.0.as_str()), ("", "comment/5/add"));
}

#[test]
fn times_are_seconds_or_milliseconds() {
    let time = |time: Value| {
        pieces(&json!({ "object": "page", "entry": [{ "id": "77", "time": time, "messaging": [{}] }] }))[0]
            .time
    };
    let at = Some(Timestamp::from_second(1_449_135_003).expect("in range"));
    assert_eq!((time(json!(1_449_135_003)), time(json!("1449135003000"))), (at, at));
    assert_eq!((time(json!(null)), time(json!("x"))), (None, None));
}

#[test]
fn what_is_no_json_or_too_much_is_refused() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert_eq!(split(deep(100).as_bytes()).expect("kept").len(), 1);
    for bad in ["", "{", "<html>", "{\"a\":1}x", &deep(200), &deep(1_000_000)] {
        assert!(matches!(split(bad.as_bytes()), Err(SplitError::NotJson { .. })), "{}", bad.len());
    }
    let many = |n: usize| json!({ "object": "page", "entry": [{ "id": "1", "messaging": vec![0; n] }] });
    assert_eq!(pieces(&many(MAX_PIECES)).len(), MAX_PIECES);
    assert_eq!(split(many(MAX_PIECES + 1).to_string().as_bytes()), Err(SplitError::TooMany));
    assert_eq!(pieces(&json!({ "object": "page", "entry": [] })), []);
}
