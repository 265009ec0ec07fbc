//! Facebook and Instagram: from a signed POST to the sector's queue, and what must never get there.

use std::time::Duration;

use serde_json::{Value, json};
use smista_testkit::{
    installation::{Installation, PATIENCE},
    postgres::TestPostgres,
    webhooks::{APP_SECRET, Meta, VERIFY_TOKEN, read_answer, sign},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{database, program};

const PAGE: &str = "104567890123456";
const LIBRARY: &str = "104567890777777";

fn body(page: &str, time: i64, changes: &[Value]) -> Vec<u8> {
    json!({ "object": "page", "entry": [{ "id": page, "time": time, "changes": changes }] })
        .to_string()
        .into_bytes()
}

/// A comment of citizen `n` under a post of the page's.
fn comment(n: usize, text: &str) -> Value {
    json!({ "field": "feed", "value": {
        "item": "comment", "verb": "add", "comment_id": format!("5_{n}"), "post_id": format!("{PAGE}_5"), "message": text,
        "created_time": 1_795_600_000, "from": { "id": format!("9{n}"), "name": format!("Cittadina {n}") },
        "post": { "permalink_url": "https://www.facebook.com/comune/posts/5" },
    } })
}

fn pothole(n: usize) -> Value {
    comment(n, &format!("In via Dante {n} c'è una buca profonda nell'asfalto."))
}

async fn listens(town: &Installation, meta: &Meta) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while meta.connect().await.is_err() {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "nobody listens\n{}", town.logs());
}

/// Sends as Meta does: again until it is answered with 200.
async fn until_taken(town: &Installation, meta: &Meta, body: &[u8]) {
    let wait = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while meta.post(body).await != 200 {
            ticks.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never taken\n{}", town.logs());
}

async fn settled(town: &Installation, channel: &str, delivered: i64) {
    town.until("everything is sorted", || {
        town.count(channel, "delivered") == delivered && town.count(channel, "waiting") == 0
    })
    .await;
}

fn conditions(town: &Installation) -> Vec<(String, String)> {
    let status: Value = serde_json::from_str(&town.run(&["status", "--json"]).out).unwrap_or_default();
    let all = status["daemon"]["conditions"].as_array().cloned().unwrap_or_default();
    all.iter()
        .map(|c| {
            (c["code"].as_str().unwrap_or("").to_owned(), c["subject"].as_str().unwrap_or("").to_owned())
        })
        .collect()
}

fn by_webhook(town: &Installation, channel: &str) -> i64 {
    let status: Value = serde_json::from_str(&town.run(&["status", "--json"]).out).unwrap_or_default();
    let all = status["daemon"]["channels"].as_array().cloned().unwrap_or_default();
    all.iter().find(|c| c["channel"] == channel).and_then(|c| c["webhook"].as_i64()).unwrap_or(-1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_opens_a_case_in_the_queue_of_its_sector_however_often_it_is_sent() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE), ("biblioteca", LIBRARY)]);
    let daemon = town.daemon();
    listens(&town, &meta).await;
    until_taken(&town, &meta, &body(PAGE, 1, &[pothole(1)])).await;
    settled(&town, "meta/comune", 1).await;
    let queue = town.json(&["queue", "list"]);
    assert_eq!(
        (queue[0]["sector"].as_str(), queue.as_array().map(Vec::len)),
        (Some("lavori-pubblici"), Some(1)),
        "{queue}"
    );
    let number = queue[0]["number"].as_str().expect("a number").to_owned();
    let shown = town.run(&["queue", "show", &number]).out;
    assert!(
        shown.contains("Cittadina 1 91")
            && shown.contains("sta qui: https://www.facebook.com/comune/posts/5"),
        "{shown}"
    );

    // Again, under other times, many at once.
    let again: Vec<Vec<u8>> = (0..16).map(|time| body(PAGE, time, &[pothole(1)])).collect();
    let answers = futures(again.iter().map(|body| meta.post(body))).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    assert_eq!(town.count("meta/comune", "delivered"), 1);

    // What follows belongs to the case; somebody else's is a case of its own; what is ours or nobody's is ignored.
    let own = json!({ "field": "feed", "value": { "item": "comment", "verb": "add", "comment_id": "5_90", "post_id": format!("{PAGE}_5"),
        "message": "Grazie della segnalazione", "from": { "id": PAGE } } });
    let like = json!({ "field": "feed", "value": { "item": "like", "verb": "add", "post_id": format!("{PAGE}_5"), "sender_id": 91 } });
    let mut more = pothole(1);
    more["value"]["comment_id"] = json!("5_80");
    more["value"]["message"] = json!("È ancora lì.");
    let mut edited = pothole(1);
    edited["value"]["verb"] = json!("edited");
    edited["value"]["message"] = json!("In via Dante 1 c'è una buca profondissima.");
    let rest =
        body(PAGE, 2, &[more, edited, pothole(2), own, like, json!({ "field": "novelty", "value": {} })]);
    assert_eq!(meta.post(&rest).await, 200);
    settled(&town, "meta/comune", 7).await;
    let row = town.ledger("meta/comune").expect("a row");
    let counts =
        ["opened", "appended", "ignored", "quarantined"].map(|what| row[what].as_i64().unwrap_or(-1));
    assert_eq!(counts, [2, 2, 3, 0], "{row}");
    assert_eq!(row["reasons"], json!({ "own-post": 1, "reaction": 1, "meta-unknown": 1 }));
    let case = town.json(&["queue", "show", &number]);
    let messages =
        case["message_list"].as_array().or_else(|| case["messages"].as_array()).map_or(0, Vec::len);
    assert_eq!(messages, 3, "{case}");

    // The other page has a channel of its own; one POST may be for both.
    let both = json!({ "object": "page", "entry": [
        { "id": LIBRARY, "time": 1, "messaging": [{ "sender": { "id": 91 }, "recipient": { "id": LIBRARY }, "timestamp": 1_795_600_000_000_i64,
            "message": { "mid": "m_1", "text": "La biblioteca è aperta sabato?" } }] },
        { "id": PAGE, "time": 1, "changes": [pothole(3)] },
    ] });
    assert_eq!(meta.post(both.to_string().as_bytes()).await, 200);
    settled(&town, "meta/biblioteca", 1).await;
    settled(&town, "meta/comune", 8).await;
    town.until("status counts them", || {
        by_webhook(&town, "meta/comune") == 8 && by_webhook(&town, "meta/biblioteca") == 1
    })
    .await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

/// All of them at the same time.
async fn futures<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut polled: Vec<_> = all.into_iter().map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        let mut done = true;
        for (one, answer) in &mut polled {
            if answer.is_none() {
                match one.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *answer = Some(value),
                    std::task::Poll::Pending => done = false,
                }
            }
        }
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    polled.into_iter().filter_map(|(_, answer)| answer).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_meta_did_not_sign_or_nobody_can_read_is_refused_and_leaves_nothing() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE), ("biblioteca", LIBRARY)]);
    let daemon = town.daemon();
    listens(&town, &meta).await;
    until_taken(&town, &meta, b"{\"object\":\"page\",\"entry\":[]}").await;

    let good = body(PAGE, 1, &[comment(1, "Xilografia in via Dante")]);
    let status =
        async |more: &str, body: &[u8]| meta.send(more, body).await.map_or(0, |answer| answer.status);
    let signed = |body: &[u8], secret: &str| format!("X-Hub-Signature-256: {}\r\n", sign(body, secret));
    let refused = meta.send("", &good).await.expect("an answer");
    assert_eq!(refused.status, 403);
    assert!(refused.head.contains("application/problem+json"), "{refused:?}");
    let problem: Value = serde_json::from_str(&refused.body).expect("a problem document");
    assert_eq!(
        (&problem["status"], &problem["type"]),
        (&json!(403), &json!("urn:smista:problem:no-signature"))
    );
    assert_eq!(
        status("X-Hub-Signature: sha1=0123456789012345678901234567890123456789\r\n", &good).await,
        403
    );
    assert_eq!(status(&signed(&good, "un altro segreto"), &good).await, 403);
    assert_eq!(status(&signed(b"altro", APP_SECRET), &good).await, 403);
    assert_eq!(status(&signed(&good, APP_SECRET).to_uppercase(), &good).await, 403, "sha256= in lower case");
    assert_eq!(status("", b"").await, 403);
    assert_eq!(meta.post(b"").await, 400);
    assert_eq!(meta.post(b"<html>").await, 400);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(meta.post(deep.as_bytes()).await, 400);
    assert_eq!(meta.post(&vec![b' '; 5 << 20]).await, 413);
    let chunked = format!(
        "POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nX-Hub-Signature-256: x\r\n\r\n\
         {:x}\r\n{}\r\n0\r\n\r\n",
        5 << 20,
        " ".repeat(5 << 20)
    );
    assert_eq!(meta.raw(chunked.as_bytes()).await.map(|answer| answer.status), Some(413));

    let handshake = |token: &str| {
        format!("/webhooks/meta?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=%3Cscript%3E42")
    };
    let token = VERIFY_TOKEN.replace(' ', "+").replace('&', "%26");
    let shaken = meta.get(&handshake(&token)).await.expect("an answer");
    assert_eq!((shaken.status, shaken.body.as_str()), (200, "<script>42"));
    assert!(
        shaken.head.contains("content-type: text/plain") && shaken.head.contains("nosniff"),
        "{shaken:?}"
    );
    for path in [
        handshake("altro"),
        handshake(""),
        "/webhooks/meta".to_owned(),
        handshake(&token).replace("subscribe", "x"),
    ] {
        assert_eq!(meta.get(&path).await.map(|answer| answer.status), Some(403), "{path}");
    }
    for path in ["/", "/healthz", "/metrics", "/webhooks/", "/webhooks/meta/x"] {
        let nothing = meta.get(path).await.expect("an answer");
        assert!(
            nothing.status == 404 && nothing.head.contains("application/problem+json"),
            "{path}: {nothing:?}"
        );
    }
    let put = b"PUT /webhooks/meta HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(meta.raw(put).await.map(|answer| answer.status), Some(405));

    // Signed, but for an account that is nobody's here: Meta need not send it again, and it is kept nowhere.
    assert_eq!(meta.post(&body("999000999", 1, &[comment(1, "Xilografia")])).await, 200);
    let expected = [("webhook-signature", ""), ("webhook-stranger", "999000999"), ("webhook-unreadable", "")];
    let expected = expected.map(|(code, subject)| (code.to_owned(), subject.to_owned()));
    town.until("status says so", || expected.iter().all(|wanted| conditions(&town).contains(wanted))).await;
    assert_eq!((town.count("meta/comune", "delivered"), town.count("meta/biblioteca", "delivered")), (0, 0));
    let log = daemon.log();
    for private in ["Xilografia", "Cittadina", APP_SECRET, VERIFY_TOKEN] {
        assert!(!log.contains(private), "{private} is in the log:\n{log}");
    }
    // After all of it, what is Meta's goes through.
    assert_eq!(meta.post(&good).await, 200);
    settled(&town, "meta/comune", 1).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_meta_is_told_to_send_again() {
    let mut server = TestPostgres::start();
    let store = server.empty_store(server.connect_options()).await;
    let table = format!("url = {:?}\nschema = {:?}\n", server.url(), store.schema().as_str());
    server.stop();
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE)]);
    let daemon = town.daemon();
    listens(&town, &meta).await;
    // Before its database was ever there.
    let first = body(PAGE, 1, &[pothole(1)]);
    let told = meta
        .send(&format!("X-Hub-Signature-256: {}\r\n", sign(&first, APP_SECRET)), &first)
        .await
        .expect("an answer");
    assert_eq!(told.status, 503);
    assert!(told.head.contains("retry-after"), "{told:?}");
    server.start_again();
    until_taken(&town, &meta, &first).await;
    settled(&town, "meta/comune", 1).await;

    server.stop();
    let second = body(PAGE, 1, &[pothole(2)]);
    assert_eq!(meta.post(&second).await, 503);
    town.until("status says so", || conditions(&town).iter().any(|(code, _)| code == "database-away")).await;
    assert_eq!(meta.post(&second).await, 503);
    server.start_again();
    until_taken(&town, &meta, &second).await;
    settled(&town, "meta/comune", 2).await;
    assert_eq!(town.count("meta/comune", "opened"), 2);
    assert_eq!(daemon.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_has_what_it_answered_and_doubles_nothing() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE)]);
    for round in 0..3_usize {
        let daemon = town.daemon();
        listens(&town, &meta).await;
        // Some are answered, the others are cut off with the daemon; Meta sends these again.
        for n in 0..10 {
            until_taken(&town, &meta, &body(PAGE, 1, &[pothole(round * 20 + n)])).await;
        }
        let late: Vec<Vec<u8>> = (10..20).map(|n| body(PAGE, 1, &[pothole(round * 20 + n)])).collect();
        let posts = futures(late.iter().map(|body| meta.post(body)));
        let (answers, ()) = tokio::join!(posts, async { daemon.kill9() });
        assert_eq!(answers.len(), 10);
    }
    let daemon = town.daemon();
    listens(&town, &meta).await;
    for n in 0..60 {
        until_taken(&town, &meta, &body(PAGE, 2, &[pothole(n)])).await;
    }
    settled(&town, "meta/comune", 60).await;
    assert_eq!(town.count("meta/comune", "opened"), 60);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_updates_in_one_post_are_committed_together() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE)]);
    let daemon = town.daemon();
    listens(&town, &meta).await;
    let all: Vec<Value> = (0..1_000).map(pothole).collect();
    until_taken(&town, &meta, &body(PAGE, 1, &all)).await;
    settled(&town, "meta/comune", 1_000).await;
    assert_eq!(town.count("meta/comune", "opened"), 1_000);
    // `now()` is the transaction's beginning.
    let commits: i64 = sqlx::query_scalar("select count(distinct accepted_at) from deliveries")
        .fetch_one(store.pool())
        .await
        .expect("asked");
    assert_eq!(commits, 1);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_slow_is_cut_off_and_who_is_many_is_bounded() {
    let (table, _store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let meta = Meta::of(&town, &[("comune", PAGE)]);
    let daemon = town.daemon();
    listens(&town, &meta).await;
    // Three who never come to an end: nothing, half a head, half a body.
    let (mut idle, mut head, mut half) = (
        meta.connect().await.expect("a connection"),
        meta.connect().await.expect("a connection"),
        meta.connect().await.expect("a connection"),
    );
    head.write_all(b"POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.expect("sent");
    let post = "POST /webhooks/meta HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Hub-Signature-256: x\r\nContent-Length: 100\r\n\r\n{";
    half.write_all(post.as_bytes()).await.expect("sent");
    let ends = async {
        let mut rest = Vec::new();
        let _ = idle.read_to_end(&mut rest).await;
        let _ = head.read_to_end(&mut rest).await;
        read_answer(&mut half).await.map(|answer| answer.status)
    };
    let ended = tokio::time::timeout(PATIENCE, ends).await.expect("all three are cut off");
    assert_eq!(ended, Some(408));

    // More connections than there are places for: those beyond are closed, and once the others have gone, Meta gets through.
    let mut crowd = Vec::new();
    for _ in 0..600 {
        crowd.push(meta.connect().await.expect("a connection"));
    }
    let mut closed = 0;
    let look = async {
        for one in crowd.iter_mut().rev().take(300) {
            let mut rest = Vec::new();
            let _ = one.read_to_end(&mut rest).await;
            closed += 1;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, look).await.is_ok(), "they are held");
    assert_eq!(closed, 300);
    drop(crowd);
    until_taken(&town, &meta, &body(PAGE, 1, &[pothole(1)])).await;
    settled(&town, "meta/comune", 1).await;
    // Somebody who holds a connection does not hold up a stop.
    let _idle = meta.connect().await.expect("a connection");
    assert_eq!(daemon.terminate(), 0);
}
