//! From a commit to the pipeline of the same process, without the way through the database.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests; SQL of their own that need not be prepared"
)]

use std::time::Duration;

use bytes::Bytes;
use smista_domain::{Accepted, ChannelName, Delivery, DeliveryKey, Intake, Upstream};
use smista_store::{
    Handover, StoreIntake,
    settle::{ClaimLimits, Claimed},
};
use smista_testkit::postgres::TestStore;

const LIMITS: ClaimLimits =
    ClaimLimits { count: 100, bytes: 4 << 20, hold: Duration::from_secs(20), alone_from: 2 };

struct Desk {
    store: TestStore,
    handover: Handover,
    intake: StoreIntake,
}

async fn desk(slots: usize) -> Desk {
    let store = TestStore::new().await;
    let handover = Handover::new(slots);
    let intake = StoreIntake::unleased((*store).clone(), channel(), handover.clone());
    Desk { store, handover, intake }
}

fn channel() -> ChannelName {
    "email/urp".parse().unwrap()
}

fn letter(n: usize, octets: usize) -> Delivery {
    Delivery {
        channel: channel(),
        scope: "INBOX".into(),
        key: DeliveryKey(format!("INBOX/1/{n}")),
        bytes: Bytes::from(format!("Subject: buca {n}\r\n\r\n{}", "x".repeat(octets))),
        // PostgreSQL keeps microseconds: what is handed over must not know more than what comes back.
        received_at: "2026-11-20T08:00:00.123456789Z".parse().unwrap(),
        upstream: Upstream::Void,
        facts: if n == 2 {
            serde_json::json!({ "size": 9, "note": "a\u{0}b" })
        } else {
            serde_json::Value::Null
        },
        recognise: false,
    }
}

/// `key attempts claimed` of every row.
async fn rows(desk: &Desk) -> Vec<String> {
    sqlx::query_scalar::<_, String>(
        "select concat_ws(' ', k.key, d.attempts, d.claimed_until > now())
           from delivery_keys k join deliveries d on d.id = k.delivery order by k.key",
    )
    .fetch_all(desk.store.pool())
    .await
    .unwrap()
}

fn shape(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|c| format!("{:?}", Claimed { attempts: 0, ..c.clone() })).collect()
}

#[tokio::test]
async fn what_is_handed_over_is_claimed_and_the_same_as_what_the_database_has() {
    let desk = desk(2).await;
    let accepted = desk.intake.accept(vec![letter(1, 0), letter(2, 10)], None).await.unwrap();
    assert_eq!(accepted, Accepted { new: 2, known: 0, recognised: 0 });
    let handed = desk.handover.take().unwrap();
    assert!(desk.handover.take().is_none());
    assert_eq!(rows(&desk).await, ["INBOX/1/1 1 t", "INBOX/1/2 1 t"], "counted before anybody reads them");
    assert!(desk.store.claim_waiting(LIMITS).await.unwrap().is_empty(), "nobody else gets them");

    // Given back (a shutdown), they cost no attempt and are what they were.
    let claims: Vec<(i64, i32)> = handed.iter().map(|c| (c.id, c.attempts)).collect();
    desk.store.unclaim(&claims, Duration::ZERO).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/1 0", "INBOX/1/2 0"]);
    let claimed = desk.store.claim_waiting(LIMITS).await.unwrap();
    assert_eq!(shape(&handed), shape(&claimed));
}

#[tokio::test]
async fn what_comes_again_is_not_handed_over_again() {
    let desk = desk(2).await;
    desk.intake.accept(vec![letter(1, 0)], None).await.unwrap();
    assert_eq!(desk.handover.take().unwrap().len(), 1);
    let accepted = desk.intake.accept(vec![letter(1, 0), letter(3, 0), letter(3, 0)], None).await.unwrap();
    assert_eq!(accepted, Accepted { new: 1, known: 2, recognised: 0 });
    let handed = desk.handover.take().unwrap();
    assert_eq!(handed.len(), 1);
    assert!(handed[0].bytes.starts_with(b"Subject: buca 3"), "its own bytes, not its neighbour's");
    assert_eq!(rows(&desk).await, ["INBOX/1/1 1 t", "INBOX/1/3 1 t"]);
}

/// Without a slot, and what is too large for one, goes through the database; the pipeline is told to look there.
#[tokio::test]
async fn what_has_no_slot_waits_in_the_database() {
    let desk = desk(1).await;
    desk.handover.take_backlog();
    desk.intake.accept(vec![letter(1, 0)], None).await.unwrap();
    assert!(!desk.handover.take_backlog(), "it has the slot");
    // The slot is taken, and nobody frees it.
    desk.intake.accept(vec![letter(2, 0)], None).await.unwrap();
    assert!(desk.handover.take_backlog());
    assert_eq!(desk.handover.take().unwrap().len(), 1);
    desk.intake.accept(vec![letter(3, 5 << 20)], None).await.unwrap();
    assert!(desk.handover.take_backlog());
    assert!(desk.handover.take().is_none());
    assert_eq!(rows(&desk).await, ["INBOX/1/1 1 t", "INBOX/1/2 0", "INBOX/1/3 0"]);
}

/// Nobody is left to take it: at any moment of the commit it ends as a row that anybody can claim at once.
#[tokio::test]
async fn after_the_pipeline_has_stopped_everything_waits_in_the_database() {
    let desk = desk(2).await;
    desk.intake.accept(vec![letter(1, 0)], None).await.unwrap();
    // One that is committing while the pipeline stops: it waits here for a lock.
    let mut holder = desk.store.pool().begin().await.unwrap();
    sqlx::query("lock table delivery_keys in exclusive mode").execute(&mut *holder).await.unwrap();
    let intake = desk.intake.clone();
    let accepting = tokio::spawn(async move { intake.accept(vec![letter(2, 0)], None).await });
    let schema = desk.store.schema().to_string();
    let waiting = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
                     join pg_namespace n on n.oid = c.relnamespace
                    where not l.granted and c.relname = 'delivery_keys' and n.nspname = $1";
    while sqlx::query_scalar::<_, i64>(waiting).bind(&schema).fetch_one(desk.store.pool()).await.unwrap() == 0
    {
        tokio::task::yield_now().await;
    }
    // Whoever asked for it is stopped as well: the commit ends all the same, and is waited for.
    accepting.abort();
    let mut closing = std::pin::pin!(desk.handover.close());
    assert!(futures::poll!(&mut closing).is_pending());
    holder.commit().await.unwrap();
    let left = closing.await;
    assert_eq!(left.len(), 1, "what nobody took comes back to whoever closes");
    let claims: Vec<(i64, i32)> = left.iter().map(|c| (c.id, c.attempts)).collect();
    desk.store.unclaim(&claims, Duration::ZERO).await.unwrap();
    desk.intake.accept(vec![letter(3, 0)], None).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/1 0", "INBOX/1/2 0", "INBOX/1/3 0"]);
    assert_eq!(desk.store.claim_waiting(LIMITS).await.unwrap().len(), 3);
}

/// Only attempts that ended in the reading count against a delivery; whoever else has claimed it meanwhile is left alone.
#[tokio::test]
async fn what_is_read_without_harm_is_not_suspected_any_more() {
    let desk = desk(0).await;
    desk.intake.accept(vec![letter(1, 0)], None).await.unwrap();
    let limits = ClaimLimits { hold: Duration::ZERO, ..LIMITS };
    let mut claimed = Vec::new();
    for _ in 0..4 {
        claimed = desk.store.claim_waiting(limits).await.unwrap();
    }
    let (id, attempts) = (claimed[0].id, claimed[0].attempts);
    assert_eq!(attempts, 4);
    desk.store.survived(&[(id, attempts - 1)]).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/1 4 f"], "the claim before this one has nothing to say");
    desk.store.survived(&[(id, attempts)]).await.unwrap();
    assert_eq!(rows(&desk).await, ["INBOX/1/1 1 f"]);
}
