//! The intake port against a real server: committed together, once, and only by the holder.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::unnecessary_wraps,
    reason = "tests; SQL of their own that need not be prepared"
)]

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use smista_domain::{
    Accepted, Announced, ChannelName, Cursor, Delivery, DeliveryKey, Digest, Intake, IntakeError, Upstream,
};
use smista_store::{Handover, LONGEST_LEASE, Lease, StoreIntake};
use smista_testkit::postgres::TestStore;
use tokio::sync::mpsc;
use uuid::Uuid;

struct Desk {
    store: TestStore,
    intake: StoreIntake,
    lease: Lease,
    handover: Handover,
}

async fn desk() -> Desk {
    let store = TestStore::new().await;
    let lease = store.acquire_lease(&channel(), Uuid::now_v7(), "uno", LONGEST_LEASE).await.unwrap().unwrap();
    let handover = Handover::new(0);
    let (pulses, _) = mpsc::channel(4);
    let intake = StoreIntake::leased((*store).clone(), lease.clone(), pulses, handover.clone());
    Desk { store, intake, lease, handover }
}

fn channel() -> ChannelName {
    "email/urp".parse().unwrap()
}

fn letter(key: &str, text: &str) -> Delivery {
    Delivery {
        channel: channel(),
        scope: "INBOX".into(),
        key: DeliveryKey(key.into()),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
        received_at: "2026-11-20T08:00:00Z".parse().unwrap(),
        upstream: Upstream::Void,
        facts: Value::Null,
        recognise: false,
    }
}

fn again(key: &str, text: &str) -> Delivery {
    Delivery { recognise: true, ..letter(key, text) }
}

fn cursor(generation: u64, position: u64) -> Option<Cursor> {
    Some(Cursor { scope: "INBOX".into(), generation, position })
}

fn announced(key: &str, vanished: bool) -> Announced {
    Announced {
        channel: channel(),
        scope: "INBOX".into(),
        key: DeliveryKey(key.into()),
        reason: "FETCH answered NO".into(),
        vanished,
    }
}

fn counts(new: usize, known: usize, recognised: usize) -> Accepted {
    Accepted { new, known, recognised }
}

/// `key state outcome attempts size` of every key, sorted.
async fn rows(desk: &Desk) -> Vec<String> {
    sqlx::query_scalar::<_, String>(
        "select concat_ws(' ', k.key, d.state, d.outcome, d.attempts, d.size)
           from delivery_keys k join deliveries d on d.id = k.delivery order by k.key",
    )
    .fetch_all(desk.store.pool())
    .await
    .unwrap()
}

async fn count(desk: &Desk) -> i64 {
    sqlx::query_scalar("select count(*) from deliveries").fetch_one(desk.store.pool()).await.unwrap()
}

#[tokio::test]
async fn bytes_and_cursor_are_committed_together_and_once() {
    let desk = desk().await;
    let batch = || vec![letter("INBOX/1/1", "uno"), letter("INBOX/1/2", "due"), letter("INBOX/1/2", "due")];
    assert_eq!(desk.intake.accept(batch(), cursor(1, 2)).await.unwrap(), counts(2, 1, 0));
    // The commit was unknown, say: handing over the same again changes nothing.
    assert_eq!(desk.intake.accept(batch(), cursor(1, 2)).await.unwrap(), counts(0, 3, 0));
    assert_eq!(rows(&desk).await, ["INBOX/1/1 waiting 0 3", "INBOX/1/2 waiting 0 3"]);
    assert_eq!(desk.intake.cursor(&channel(), "INBOX").await.unwrap(), cursor(1, 2));
    assert_eq!(desk.intake.cursor(&channel(), "Altro").await.unwrap(), None);
    // The pipeline was woken, and a permit is kept for whoever was not listening.
    tokio::time::timeout(Duration::from_secs(5), desk.handover.bell().notified()).await.unwrap();
}

#[tokio::test]
async fn an_empty_batch_may_move_the_cursor_also_back() {
    let desk = desk().await;
    for (generation, position) in [(1, 500), (1, 20), (2, 0), (u64::from(u32::MAX), u64::from(u32::MAX))] {
        let done = desk.intake.accept(Vec::new(), cursor(generation, position)).await.unwrap();
        assert_eq!(done, Accepted::default());
        assert_eq!(desk.intake.cursor(&channel(), "INBOX").await.unwrap(), cursor(generation, position));
    }
}

#[tokio::test]
async fn rows_keep_the_order_and_the_bytes_of_the_batch() {
    let desk = desk().await;
    let texts: Vec<String> =
        (0..150).map(|n| format!("Subject: {n}\r\n\r\n{}", "x".repeat(n * 37))).collect();
    let batch = texts.iter().enumerate().map(|(n, text)| letter(&format!("INBOX/1/{n}"), text)).collect();
    assert_eq!(desk.intake.accept(batch, cursor(1, 149)).await.unwrap(), counts(150, 0, 0));
    let stored: Vec<(Vec<u8>, i64, Vec<u8>)> =
        sqlx::query_as("select bytes, size, sha256 from deliveries order by id")
            .fetch_all(desk.store.pool())
            .await
            .unwrap();
    assert_eq!(stored.len(), texts.len());
    for ((packed, size, sha256), text) in stored.iter().zip(&texts) {
        assert_eq!(usize::try_from(*size).unwrap(), text.len());
        assert_eq!(zstd::bulk::decompress(packed, text.len()).unwrap(), text.as_bytes());
        assert_eq!(sha256.as_slice(), Digest::of(text.as_bytes()).0);
    }
}

#[tokio::test]
async fn an_empty_letter_and_one_of_25_megabytes_are_letters() {
    let desk = desk().await;
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(25 << 20).collect();
    let big = Delivery { bytes: noise.clone().into(), ..letter("INBOX/1/2", "") };
    desk.intake.accept(vec![letter("INBOX/1/1", ""), big], cursor(1, 2)).await.unwrap();
    let packed: Vec<u8> = sqlx::query_scalar("select bytes from deliveries where size > 0")
        .fetch_one(desk.store.pool())
        .await
        .unwrap();
    assert!(zstd::bulk::decompress(&packed, noise.len()).unwrap() == noise);
}

#[tokio::test]
async fn nul_and_hostile_text_do_not_stop_a_batch() {
    let desk = desk().await;
    let mut odd = letter("INBOX/1/1\0", "x\0y");
    odd.facts = json!({"nome\0": "a\0b", "size": 3});
    let quote = letter("INB'OX/1/\"2\\", "z");
    assert_eq!(desk.intake.accept(vec![odd, quote], None).await.unwrap(), counts(2, 0, 0));
    let facts: Value = sqlx::query_scalar("select facts from deliveries where facts is not null")
        .fetch_one(desk.store.pool())
        .await
        .unwrap();
    assert_eq!(facts, json!({"nome": "ab", "size": 3}));
    // The bytes are as they came.
    let packed: Vec<u8> = sqlx::query_scalar("select bytes from deliveries where size = 3")
        .fetch_one(desk.store.pool())
        .await
        .unwrap();
    assert_eq!(zstd::bulk::decompress(&packed, 3).unwrap(), b"x\0y");
}

#[tokio::test]
async fn a_batch_that_the_database_will_not_take_is_refused_whole() {
    let desk = desk().await;
    // A key too long for an index entry, with little to compress.
    let long: String = std::iter::repeat_with(fastrand::alphanumeric).take(20_000).collect();
    let batch = vec![letter("INBOX/1/1", "uno"), letter(&long, "due")];
    let error = desk.intake.accept(batch, cursor(1, 2)).await.unwrap_err();
    assert!(matches!(error, IntakeError::Refused(_)), "{error}");
    assert_eq!(count(&desk).await, 0);
    assert_eq!(desk.intake.cursor(&channel(), "INBOX").await.unwrap(), None);
}

#[tokio::test]
async fn whoever_lost_the_lease_commits_nothing() {
    let desk = desk().await;
    desk.intake.accept(vec![letter("INBOX/1/1", "uno")], cursor(1, 1)).await.unwrap();
    // Taken over behind its back; by its own clock it still has time.
    sqlx::query("update leases set holder = gen_random_uuid(), epoch = epoch + 1")
        .execute(desk.store.pool())
        .await
        .unwrap();
    desk.lease.check().unwrap();
    let error = desk.intake.accept(vec![letter("INBOX/1/2", "due")], cursor(1, 2)).await.unwrap_err();
    assert!(matches!(error, IntakeError::LostLease { epoch: 1, .. }), "{error}");
    assert!(desk.lease.lost().is_cancelled(), "the channel is stopped at once");
    let error = desk.intake.announce(vec![announced("INBOX/1/3", false)], cursor(1, 3)).await.unwrap_err();
    assert!(matches!(error, IntakeError::LostLease { .. }), "{error}");
    let error = desk.intake.upstream_due(&channel(), "INBOX/1/", 10).await.unwrap_err();
    assert!(matches!(error, IntakeError::LostLease { .. }), "{error}");
    assert_eq!(count(&desk).await, 1);
    assert_eq!(desk.intake.cursor(&channel(), "INBOX").await.unwrap(), cursor(1, 1));
}

#[tokio::test]
async fn a_lease_that_ran_out_is_lost_though_nobody_took_it() {
    let desk = desk().await;
    sqlx::query("update leases set ends_at = clock_timestamp()").execute(desk.store.pool()).await.unwrap();
    let error = desk.intake.accept(vec![letter("INBOX/1/1", "uno")], None).await.unwrap_err();
    assert!(matches!(error, IntakeError::LostLease { .. }), "{error}");
    assert_eq!(count(&desk).await, 0);
}

/// Whoever takes the lease over waits for an accept that has begun: its row is there before the new holder looks.
#[tokio::test]
async fn a_takeover_waits_for_the_accept_in_progress_and_a_renewal_does_not() {
    let desk = desk().await;
    let mut accept = desk.store.pool().begin().await.unwrap();
    sqlx::query("select intake_lease($1, $2, $3)")
        .bind(channel().as_str())
        .bind(desk.lease.holder())
        .bind(desk.lease.epoch())
        .execute(&mut *accept)
        .await
        .unwrap();
    desk.store.renew_lease(&desk.lease).await.unwrap();
    let mut thief = desk.store.pool().begin().await.unwrap();
    sqlx::query("set local lock_timeout = '100ms'").execute(&mut *thief).await.unwrap();
    let taken = sqlx::query("update leases set holder = gen_random_uuid(), epoch = epoch + 1")
        .execute(&mut *thief)
        .await;
    let code = taken.unwrap_err().into_database_error().unwrap().code().unwrap().into_owned();
    assert_eq!(code, "55P03", "lock_not_available");
    accept.commit().await.unwrap();
}

#[tokio::test]
async fn import_asks_for_no_lease() {
    let desk = desk().await;
    let import = StoreIntake::unleased((*desk.store).clone(), channel(), Handover::new(0));
    assert_eq!(import.accept(vec![letter("sha256:ab", "uno")], None).await.unwrap(), counts(1, 0, 0));
    assert_eq!(import.accept(vec![letter("sha256:ab", "uno")], None).await.unwrap(), counts(0, 1, 0));
    let other = Delivery { channel: "email/altro".parse().unwrap(), ..letter("x", "y") };
    assert!(import.accept(vec![other], None).await.is_err(), "another channel's delivery is a mistake");
}

/// The same batch by eight at once (two daemons in doubt, an import started twice): each letter is one row.
#[tokio::test]
async fn at_once_from_many_sides_each_key_is_one_row() {
    let desk = desk().await;
    let accepting: Vec<_> = (0..8)
        .map(|turn| {
            let intake = StoreIntake::unleased((*desk.store).clone(), channel(), Handover::new(0));
            // Overlapping halves, in different orders.
            let mut batch: Vec<Delivery> = (0..60)
                .filter(|n| (n + turn) % 3 != 0)
                .map(|n| letter(&format!("INBOX/1/{n}"), &format!("lettera {n}")))
                .collect();
            if turn % 2 == 0 {
                batch.reverse();
            }
            tokio::spawn(async move { intake.accept(batch, None).await.unwrap().new })
        })
        .collect();
    let mut new = 0;
    for one in accepting {
        new += one.await.unwrap();
    }
    assert_eq!(new, 60);
    assert_eq!(count(&desk).await, 60);
    let without_key: i64 =
        sqlx::query_scalar("select count(*) from deliveries d where not exists (select from delivery_keys where delivery = d.id)")
            .fetch_one(desk.store.pool())
            .await
            .unwrap();
    assert_eq!(without_key, 0);
}

// --- announced rows

#[tokio::test]
async fn what_was_announced_gets_its_bytes_later() {
    let desk = desk().await;
    desk.intake.announce(vec![announced("INBOX/1/7", false)], cursor(1, 7)).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/7 announced 1 0"]);
    assert_eq!(desk.intake.cursor(&channel(), "INBOX").await.unwrap(), cursor(1, 7));
    let known = desk
        .intake
        .known(&channel(), vec![DeliveryKey("INBOX/1/7".into()), DeliveryKey("INBOX/1/8".into())])
        .await
        .unwrap();
    assert_eq!(known.len(), 1);
    assert!(known[0].announced && known[0].attempts == 1);

    assert_eq!(desk.intake.accept(vec![letter("INBOX/1/7", "sette")], None).await.unwrap(), counts(1, 0, 0));
    assert_eq!(rows(&desk).await, ["INBOX/1/7 waiting 0 5"]);
    // Served: to be announced again changes nothing.
    desk.intake
        .announce(vec![announced("INBOX/1/7", false), announced("INBOX/1/7", true)], None)
        .await
        .unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/7 waiting 0 5"]);
}

#[tokio::test]
async fn announced_rows_are_tried_again_less_and_less_often() {
    let desk = desk().await;
    let mut waits = Vec::new();
    for _ in 0..9 {
        desk.intake.announce(vec![announced("INBOX/1/7", false)], None).await.unwrap();
        let wait: f64 =
            sqlx::query_scalar("select extract(epoch from not_before - accepted_at)::float8 from deliveries")
                .fetch_one(desk.store.pool())
                .await
                .unwrap();
        waits.push(wait);
        assert!(desk.intake.due_announced(&channel(), "INBOX", 10).await.unwrap().is_empty(), "not yet due");
        sqlx::query("update deliveries set not_before = now(), accepted_at = now()")
            .execute(desk.store.pool())
            .await
            .unwrap();
        let due = desk.intake.due_announced(&channel(), "INBOX", 10).await.unwrap();
        assert_eq!(due.len(), 1);
        assert!(desk.intake.due_announced(&channel(), "Altro", 10).await.unwrap().is_empty());
        // As if it had been announced just now: the wait is measured from here.
        sqlx::query("update deliveries set accepted_at = now()").execute(desk.store.pool()).await.unwrap();
    }
    let expected = [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3600.0, 3600.0];
    for (wait, expected) in waits.iter().zip(expected) {
        assert!((wait - expected).abs() < 20.0, "{waits:?}");
    }
}

#[tokio::test]
async fn what_vanished_is_settled_and_comes_to_life_again_if_it_is_served_after_all() {
    let desk = desk().await;
    desk.intake.announce(vec![announced("INBOX/1/7", false)], None).await.unwrap();
    let both = vec![announced("INBOX/1/7", true), announced("INBOX/1/8", true)];
    desk.intake.announce(both, cursor(1, 8)).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/7 settled ignored 2 0", "INBOX/1/8 settled ignored 1 0"]);
    assert!(desk.intake.due_announced(&channel(), "INBOX", 10).await.unwrap().is_empty());
    assert_eq!(desk.intake.accept(vec![letter("INBOX/1/7", "sette")], None).await.unwrap(), counts(1, 0, 0));
    assert_eq!(rows(&desk).await, ["INBOX/1/7 waiting 0 5", "INBOX/1/8 settled ignored 1 0"]);
}

// --- a UIDVALIDITY that changed

#[tokio::test]
async fn a_folder_scanned_again_doubles_nothing_and_finds_what_is_new() {
    let desk = desk().await;
    let before = vec![
        letter("INBOX/1/1", "a"),
        letter("INBOX/1/2", "b"),
        letter("INBOX/1/3", "uguali"),
        letter("INBOX/1/4", "uguali"),
    ];
    desk.intake.accept(before, cursor(1, 4)).await.unwrap();
    let after = || {
        vec![
            again("INBOX/2/1", "b"),
            again("INBOX/2/2", "nuova"),
            again("INBOX/2/3", "uguali"),
            again("INBOX/2/4", "a"),
            again("INBOX/2/5", "uguali"),
        ]
    };
    assert_eq!(desk.intake.accept(after(), cursor(2, 5)).await.unwrap(), counts(1, 0, 4));
    assert_eq!(count(&desk).await, 5);
    assert_eq!(desk.intake.accept(after(), cursor(2, 5)).await.unwrap(), counts(0, 5, 0), "again: nothing");
    assert_eq!(count(&desk).await, 5);
    // Each row has at most one key of each generation.
    let most: i64 = sqlx::query_scalar("select max(n) from (select count(*) as n from delivery_keys where key like 'INBOX/2/%' group by delivery) x")
        .fetch_one(desk.store.pool())
        .await
        .unwrap();
    assert_eq!(most, 1);
}

#[tokio::test]
async fn of_equal_letters_each_is_recognised_once_and_a_third_is_new() {
    let desk = desk().await;
    let before = vec![letter("INBOX/1/1", "uguali"), letter("INBOX/1/2", "uguali")];
    desk.intake.accept(before, cursor(1, 2)).await.unwrap();
    // In different batches.
    assert_eq!(desk.intake.accept(vec![again("INBOX/2/1", "uguali")], None).await.unwrap(), counts(0, 0, 1));
    assert_eq!(
        desk.intake
            .accept(vec![again("INBOX/2/2", "uguali"), again("INBOX/2/3", "uguali")], None)
            .await
            .unwrap(),
        counts(1, 0, 1)
    );
    assert_eq!(desk.intake.accept(vec![again("INBOX/2/4", "uguali")], None).await.unwrap(), counts(1, 0, 0));
    assert_eq!(count(&desk).await, 4);
    // And the generation after that.
    let third = (1..=4).map(|n| again(&format!("INBOX/3/{n}"), "uguali")).collect();
    assert_eq!(desk.intake.accept(third, None).await.unwrap(), counts(0, 0, 4));
    assert_eq!(count(&desk).await, 4);
}

#[tokio::test]
async fn the_same_letter_in_another_folder_is_not_this_one() {
    let desk = desk().await;
    desk.intake.accept(vec![letter("INBOX/1/1", "uguali")], None).await.unwrap();
    let elsewhere = Delivery { scope: "Archivio".into(), ..again("Archivio/2/1", "uguali") };
    assert_eq!(desk.intake.accept(vec![elsewhere], None).await.unwrap(), counts(1, 0, 0));
    // And without the wish to recognise, an equal letter is a second one.
    assert_eq!(desk.intake.accept(vec![letter("INBOX/1/2", "uguali")], None).await.unwrap(), counts(1, 0, 0));
}

#[tokio::test]
async fn two_batches_at_once_do_not_recognise_the_same_row() {
    let desk = desk().await;
    let before: Vec<Delivery> = (0..40).map(|n| letter(&format!("INBOX/1/{n}"), "uguali")).collect();
    desk.intake.accept(before, None).await.unwrap();
    let accepting: Vec<_> = (0..4)
        .map(|turn| {
            let intake = desk.intake.clone();
            let batch = (0..12).map(|n| again(&format!("INBOX/2/{}", turn * 12 + n), "uguali")).collect();
            tokio::spawn(async move { intake.accept(batch, None).await.unwrap() })
        })
        .collect();
    let mut all = Accepted::default();
    for one in accepting {
        let one = one.await.unwrap();
        all = counts(all.new + one.new, all.known + one.known, all.recognised + one.recognised);
    }
    assert_eq!(all, counts(8, 0, 40));
}

// --- what upstream must still be told

#[tokio::test]
async fn upstream_is_told_once_it_is_due_and_only_of_this_generation() {
    let desk = desk().await;
    let now: Timestamp = sqlx::query_scalar::<_, time::OffsetDateTime>("select now()")
        .fetch_one(desk.store.pool())
        .await
        .map(|t| Timestamp::from_nanosecond(t.unix_timestamp_nanos()).unwrap())
        .unwrap();
    let pending =
        |key: &str, due: Timestamp| Delivery { upstream: Upstream::Pending { due }, ..letter(key, key) };
    let batch = vec![
        pending("INBOX/1/1", now),
        pending("INBOX/1/2", now - SignedDuration::from_hours(1)),
        pending("INBOX/1/3", now + SignedDuration::from_hours(24 * 30)),
        pending("Altra/1/1", now),
        letter("INBOX/1/4", "keep"),
    ];
    desk.intake.accept(batch, cursor(1, 4)).await.unwrap();
    let due = desk.intake.upstream_due(&channel(), "INBOX/1/", 10).await.unwrap();
    let keys: Vec<&str> = due.iter().map(|task| task.key.0.as_str()).collect();
    assert_eq!(keys, ["INBOX/1/2", "INBOX/1/1"], "oldest first");
    assert_eq!((due[0].sha256, due[0].size), (Digest::of(b"INBOX/1/2"), 9));
    assert_eq!(desk.intake.upstream_due(&channel(), "INBOX/1/", 1).await.unwrap().len(), 1);
    assert!(desk.intake.upstream_due(&channel(), "INBOX/2/", 10).await.unwrap().is_empty());

    desk.intake.upstream_done(&channel(), vec![DeliveryKey("INBOX/1/2".into())]).await.unwrap();
    desk.intake.upstream_done(&channel(), vec![DeliveryKey("INBOX/1/2".into())]).await.unwrap();
    assert_eq!(desk.intake.upstream_due(&channel(), "INBOX/1/", 10).await.unwrap().len(), 1);

    // Under a new UIDVALIDITY: told under the new key; and what is there again although told is told again.
    let once_more = vec![
        Delivery { recognise: true, ..pending("INBOX/2/8", now) },
        Delivery { bytes: Bytes::from_static(b"INBOX/1/1"), recognise: true, ..pending("INBOX/2/9", now) },
        Delivery { bytes: Bytes::from_static(b"INBOX/1/2"), recognise: true, ..pending("INBOX/2/10", now) },
    ];
    assert_eq!(desk.intake.accept(once_more, cursor(2, 10)).await.unwrap(), counts(1, 0, 2));
    let mut keys: Vec<String> = desk
        .intake
        .upstream_due(&channel(), "INBOX/2/", 10)
        .await
        .unwrap()
        .into_iter()
        .map(|task| task.key.0)
        .collect();
    keys.sort();
    assert_eq!(keys, ["INBOX/2/10", "INBOX/2/8", "INBOX/2/9"]);
}
