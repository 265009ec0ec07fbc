//! Settling against a real PostgreSQL: threads whatever the order and however many workers, fencing, follow-ups.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use smista_domain::{Decision, Message, Priority, RulesetId, Sender, ThreadKeys};
use smista_store::{
    Store,
    settle::{ClaimLimits, Claimed, SettleOptions, Settled, Settlement, Verdict, Watched},
};
use smista_testkit::postgres::TestStore;
use tokio::sync::Barrier;

const LIMITS: ClaimLimits =
    ClaimLimits { count: 200, bytes: 8 << 20, hold: Duration::from_mins(1), alone_from: 2 };

fn options() -> SettleOptions {
    SettleOptions { year: 2026, reopen_within: SignedDuration::from_hours(24 * 30) }
}

fn decision() -> Decision {
    Decision {
        kind: "segnalazione".parse().expect("a kind"),
        sector: "lavori-pubblici".parse().expect("a sector"),
        category: None,
        priority: Priority::Normal,
        tags: Vec::new(),
        fallback: false,
        fallback_reason: None,
        set_aside: None,
        votes: Vec::new(),
        scores: Vec::new(),
        ruleset: RulesetId("0".repeat(64)),
    }
}

/// A message with its own id and what it refers to.
fn message(own: &str, refs: &[&str], sender: &str) -> Message {
    Message {
        sender: Sender { name: None, address: Some(sender.to_owned()) },
        recipients: vec!["urp@example.it".to_owned()],
        subject: "Buca".to_owned(),
        text: "In via Dante".to_owned(),
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: Timestamp::UNIX_EPOCH,
        folder: "INBOX".to_owned(),
        attachments: Vec::new(),
        thread: ThreadKeys {
            own: Some(format!("mid:{own}")),
            refs: refs.iter().map(|r| format!("mid:{r}")).collect(),
            number: None,
            fingerprint: own.to_owned(),
        },
        documents: Vec::new(),
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: Vec::new(),
    }
}

/// Makes `n` waiting deliveries and claims them.
async fn claimed(store: &Store, n: i64) -> Vec<Claimed> {
    sqlx::query!(
        "with made as (
            insert into deliveries (channel, scope, state, received_at, bytes, size)
            select 'email/urp', 'INBOX', 'waiting', now(), '\\x28b52ffd2000010000', 0 from generate_series(1, $1::bigint)
            returning id
         )
         insert into delivery_keys (channel, key, delivery) select 'email/urp', 'INBOX/1/' || id, id from made",
        n
    )
    .execute(store.pool())
    .await
    .expect("inserted");
    let claimed = store.claim_waiting(ClaimLimits { count: 10_000, ..LIMITS }).await.expect("claimed");
    assert_eq!(claimed.len(), usize::try_from(n).expect("small"));
    claimed
}

fn settlement(claimed: &Claimed, message: Message) -> Settlement {
    Settlement {
        delivery: claimed.id,
        attempts: claimed.attempts,
        channel: claimed.channel.clone(),
        reopened: false,
        watched: None,
        verdict: Verdict::Message { message: Box::new(message), decision: Box::new(decision()) },
    }
}

async fn settle_one(store: &Store, message: Message) -> Settled {
    let claimed = claimed(store, 1).await;
    store.settle(&[settlement(&claimed[0], message)], &options()).await.expect("settled")
}

async fn cases(store: &Store) -> i64 {
    sqlx::query_scalar!(r#"select count(*) as "n!" from segnalazioni"#)
        .fetch_one(store.pool())
        .await
        .expect("counted")
}

async fn entry(store: &Store) -> (String, String, i32) {
    let row = sqlx::query!("select state, cause, messages from queue_entries order by segnalazione limit 1")
        .fetch_one(store.pool())
        .await
        .expect("an entry");
    (row.state, row.cause, row.messages)
}

async fn adds_up(store: &Store) {
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_replies_and_their_parent_taken_by_many_workers_at_the_same_instant_make_one_case() {
    let store = TestStore::new().await;
    let claimed = claimed(&store, 31).await;
    let barrier = Arc::new(Barrier::new(claimed.len()));
    let mut workers = tokio::task::JoinSet::new();
    for (n, claim) in claimed.into_iter().enumerate() {
        let (store, barrier) = (store.another().await, barrier.clone());
        let refs: Vec<String> = if n == 0 { vec![] } else { vec!["parent".to_owned()] };
        let refs: Vec<&str> = refs.iter().map(String::as_str).collect();
        let own = if n == 0 { "parent".to_owned() } else { format!("reply{n}") };
        let item = settlement(&claim, message(&own, &refs, "anna@example.it"));
        workers.spawn(async move {
            barrier.wait().await;
            // A deadlock would be `Unavailable`: the pipeline retries, but none is allowed to happen here.
            let settled = store.settle(&[item], &options()).await.expect("settled");
            store.close().await;
            settled
        });
    }
    let mut opened = 0;
    while let Some(settled) = workers.join_next().await {
        opened += settled.expect("no panic").opened;
    }
    assert_eq!((opened, cases(&store).await), (1, 1));
    let (state, _, messages) = entry(&store).await;
    assert_eq!((state.as_str(), messages), ("ready", 31));
    adds_up(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_with_the_same_keys_in_opposite_orders_neither_deadlock_nor_double() {
    let store = TestStore::new().await;
    let claimed = claimed(&store, 200).await;
    let mut workers = tokio::task::JoinSet::new();
    let barrier = Arc::new(Barrier::new(4));
    for (w, part) in claimed.chunks(50).enumerate() {
        // Each of the four workers has one message of each of fifty threads, in its own order.
        let mut items: Vec<Settlement> = part
            .iter()
            .enumerate()
            .map(|(n, c)| {
                settlement(c, message(&format!("w{w}n{n}"), &[&format!("thread{n}")], "anna@example.it"))
            })
            .collect();
        if w % 2 == 1 {
            items.reverse();
        }
        let (store, barrier) = (store.another().await, barrier.clone());
        workers.spawn(async move {
            barrier.wait().await;
            store.settle(&items, &options()).await.expect("settled").opened
        });
    }
    let mut opened = 0;
    while let Some(n) = workers.join_next().await {
        opened += n.expect("no panic");
    }
    assert_eq!((opened, cases(&store).await), (50, 50));
    adds_up(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_worker_has_claimed_meanwhile_is_left_to_it() {
    let store = TestStore::new().await;
    let first = claimed(&store, 1).await;
    sqlx::query!("update deliveries set claimed_until = now() - interval '1 second'")
        .execute(store.pool())
        .await
        .expect("the claim ran out");
    let second = store.claim_waiting(LIMITS).await.expect("claimed again");
    assert_eq!(second[0].attempts, 2);
    let late = store.settle(&[settlement(&first[0], message("a", &[], "a@example.it"))], &options()).await;
    let late = late.expect("left out");
    assert_eq!((late.opened, late.lost), (0, 1));
    let good = store.settle(&[settlement(&second[0], message("a", &[], "a@example.it"))], &options()).await;
    assert_eq!(good.expect("settled").opened, 1);
    let again = store.settle(&[settlement(&second[0], message("a", &[], "a@example.it"))], &options()).await;
    assert_eq!(again.expect("left out").lost, 1);
    assert_eq!(cases(&store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_whose_readers_never_came_back_is_claimed_alone() {
    let store = TestStore::new().await;
    let all = claimed(&store, 5).await;
    let retry = || async {
        sqlx::query!("update deliveries set claimed_until = null")
            .execute(store.pool())
            .await
            .expect("ran out");
        store.claim_waiting(LIMITS).await.expect("claimed")
    };
    assert_eq!(retry().await.len(), 5, "once may be chance");
    let third = retry().await;
    assert_eq!((third.len(), third[0].id, third[0].attempts), (1, all[0].id, 3), "twice is not");
    assert_eq!(store.claim_waiting(LIMITS).await.expect("claimed").len(), 1, "the others, each alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_costs_no_attempt() {
    let store = TestStore::new().await;
    let all = claimed(&store, 3).await;
    let claims: Vec<(i64, i32)> = all.iter().map(|c| (c.id, c.attempts)).collect();
    store.unclaim(&claims, Duration::ZERO).await.expect("given back");
    let again = store.claim_waiting(LIMITS).await.expect("claimed");
    assert_eq!(again.iter().map(|c| c.attempts).collect::<Vec<_>>(), [1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_keeps_to_its_budget_but_takes_one_that_is_larger() {
    let store = TestStore::new().await;
    sqlx::query!(
        "insert into deliveries (channel, scope, state, received_at, bytes, size)
         select 'email/urp', 'INBOX', 'waiting', now(), '\\x28b52ffd2000010000', s
         from unnest(array[0, 0, 0]::bigint[]) as s"
    )
    .execute(store.pool())
    .await
    .expect("inserted");
    // The frame of the bytes says that they are empty; the budget goes by the column.
    sqlx::query!("update deliveries set size = 100").execute(store.pool()).await.expect("sizes");
    let ids = |limit: u64| {
        let store = &store;
        async move {
            let error = store.claim_waiting(ClaimLimits { bytes: limit, ..LIMITS }).await;
            // Sizes that do not fit their bytes cannot be unpacked, or unpack short: the claim itself is what counts here.
            drop(error);
            let n =
                sqlx::query_scalar!(r#"select count(*) as "n!" from deliveries where claimed_until > now()"#)
                    .fetch_one(store.pool())
                    .await
                    .expect("counted");
            sqlx::query!("update deliveries set claimed_until = null, attempts = 0")
                .execute(store.pool())
                .await
                .expect("freed");
            n
        }
    };
    assert_eq!(ids(250).await, 2);
    assert_eq!(ids(10).await, 1, "one that is larger than the budget comes alone");
    assert_eq!(ids(1000).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_letter_again_is_a_double_of_its_number() {
    let store = TestStore::new().await;
    let number = settle_one(&store, message("a", &[], "anna@example.it")).await.numbers[0].1.clone();
    let again = settle_one(&store, message("a", &[], "anna@example.it")).await;
    assert_eq!((again.opened, again.ignored), (0, 1));
    let row = sqlx::query!(
        r#"select d.reason, s.number as "number?" from deliveries d left join segnalazioni s on s.id = d.segnalazione
           where d.outcome = 'ignored'"#
    )
    .fetch_one(store.pool())
    .await
    .expect("the double");
    assert_eq!((row.reason.as_deref(), row.number), (Some("double"), Some(number)));
    adds_up(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_into_a_strangers_case_with_a_number_in_the_subject() {
    let store = TestStore::new().await;
    let number = settle_one(&store, message("a", &[], "anna@example.it")).await.numbers[0].1.clone();
    let with_number = |own: &str, sender: &str| {
        let mut message = message(own, &[], sender);
        message.thread.number = number.parse().ok();
        message
    };
    let stranger = settle_one(&store, with_number("b", "mallory@example.com")).await;
    assert_eq!((stranger.opened, stranger.appended), (1, 0));
    let citizen = settle_one(&store, with_number("c", "anna@example.it")).await;
    assert_eq!((citizen.opened, citizen.appended), (0, 1));
    let related =
        sqlx::query_scalar!("select reason from relations").fetch_all(store.pool()).await.expect("asked");
    assert_eq!(related, ["number-in-subject"]);
    adds_up(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_makes_a_taken_and_an_answered_case_ready_again() {
    for state in ["taken", "answered"] {
        let store = TestStore::new().await;
        settle_one(&store, message("a", &[], "anna@example.it")).await;
        sqlx::query!("update queue_entries set state = $1", state).execute(store.pool()).await.expect("set");
        let settled = settle_one(&store, message("b", &["a"], "anna@example.it")).await;
        assert_eq!((settled.appended, settled.sectors.len()), (1, 1), "{state}");
        assert_eq!(entry(&store).await, ("ready".to_owned(), "follow-up".to_owned(), 2), "{state}");
        adds_up(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_on_a_leased_case_leaves_it_ready_after_a_take_that_has_not_seen_it() {
    let store = TestStore::new().await;
    sqlx::query!("insert into sectors (id, name) values ('lavori-pubblici', 'Lavori')")
        .execute(store.pool())
        .await
        .expect("a sector");
    settle_one(&store, message("a", &[], "anna@example.it")).await;
    let lease =
        store.queue("test").claim("lavori-pubblici", "w", 1, Duration::from_mins(5)).await.expect("claimed");
    settle_one(&store, message("b", &["a"], "anna@example.it")).await;
    assert_eq!(entry(&store).await.0, "leased");
    let taken = store.queue("test").take(lease[0].lease).await.expect("taken");
    assert_eq!((taken.state.as_str(), taken.cause.as_str()), ("ready", "follow-up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_case_is_reopened_for_a_while_and_later_a_related_one_is_opened() {
    let store = TestStore::new().await;
    settle_one(&store, message("a", &[], "anna@example.it")).await;
    let close = |days: i32| {
        let store = &store;
        async move {
            sqlx::query!("update queue_entries set state = 'closed'")
                .execute(store.pool())
                .await
                .expect("closed");
            sqlx::query!(
                "update segnalazioni set closed_at = now() - make_interval(days => $1), outcome = 'fatto'",
                days
            )
            .execute(store.pool())
            .await
            .expect("closed");
        }
    };
    close(29).await;
    let soon = settle_one(&store, message("b", &["a"], "anna@example.it")).await;
    assert_eq!((soon.opened, soon.appended), (0, 1));
    assert_eq!(entry(&store).await, ("ready".to_owned(), "reopened".to_owned(), 2));
    close(31).await;
    let late = settle_one(&store, message("c", &["a"], "anna@example.it")).await;
    assert_eq!((late.opened, late.appended), (1, 0));
    let related =
        sqlx::query_scalar!("select reason from relations").fetch_all(store.pool()).await.expect("asked");
    assert_eq!(related, ["after-close"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_with_nul_enter_without_it() {
    let store = TestStore::new().await;
    let mut message = message("a\0b", &["x\0"], "an\0na@example.it");
    message.subject = "Bu\0ca".to_owned();
    message.text = "\0\0".to_owned();
    message.sender.name = Some("An\0na".to_owned());
    assert_eq!(settle_one(&store, message).await.opened, 1);
    let subject = sqlx::query_scalar!("select subject from segnalazioni").fetch_one(store.pool()).await;
    assert_eq!(subject.expect("a case"), "Buca");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_ends_the_wait_for_the_citizen() {
    let store = TestStore::new().await;
    settle_one(&store, message("a", &[], "anna@example.it")).await;
    sqlx::query!("update queue_entries set not_before = now() + interval '1 day'")
        .execute(store.pool())
        .await
        .expect("set");
    sqlx::query!("update segnalazioni set suspended_at = now()")
        .execute(store.pool())
        .await
        .expect("suspended");
    settle_one(&store, message("b", &["a"], "anna@example.it")).await;
    let waits = sqlx::query_scalar!(
        r#"select (s.suspended_at is not null or e.not_before is not null) as "waits!"
           from segnalazioni s join queue_entries e on e.segnalazione = s.id"#
    )
    .fetch_one(store.pool())
    .await
    .expect("the case");
    assert!(!waits);
}

/// A letter of a sender of whom more than `limit` letters within ten minutes are too many, received at this second.
fn watched(claim: &Claimed, sender: &str, limit: u32, second: i64) -> Settlement {
    let letter = Message {
        received_at: Timestamp::from_second(second).expect("in range"),
        ..message(&format!("flood-{}", claim.id), &[], sender)
    };
    let watched = Some(Watched { sender: sender.to_owned(), limit });
    Settlement { watched, ..settlement(claim, letter) }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_letters_of_one_sender_wait_in_quarantine_however_many_daemons_settle_them() {
    let store = TestStore::new().await;
    let claims = claimed(&store, 200).await;
    let barrier = Arc::new(Barrier::new(4));
    let mut daemons = tokio::task::JoinSet::new();
    for part in claims.chunks(50) {
        let (store, barrier, part) = (store.another().await, barrier.clone(), part.to_vec());
        daemons.spawn(async move {
            barrier.wait().await;
            let mut quarantined = 0;
            for pair in part.chunks(2) {
                let batch: Vec<Settlement> =
                    pair.iter().map(|c| watched(c, "anna@example.it", 60, 1_790_000_000)).collect();
                quarantined += store.settle(&batch, &options()).await.expect("settled").quarantined;
            }
            store.close().await;
            quarantined
        });
    }
    let mut quarantined = 0;
    while let Some(n) = daemons.join_next().await {
        quarantined += n.expect("no panic");
    }
    assert_eq!((quarantined, cases(&store).await), (140, 60));
    let numbers = store.numbers().await.expect("numbers");
    let backlog = numbers.backlog.iter().find(|b| b.channel == "email/urp").expect("the channel");
    assert_eq!((backlog.quarantined, backlog.flooded), (140, 140));
    adds_up(&store).await;

    // A person lets them through: they are read again, and are no flood this time.
    assert_eq!(store.deliveries_retry_all(None).await.expect("retried"), 140);
    let again = store.claim_waiting(ClaimLimits { count: 1000, ..LIMITS }).await.expect("claimed");
    assert!(again.len() == 140 && again.iter().all(Claimed::let_through));
    let batch: Vec<Settlement> = again
        .iter()
        .map(|c| Settlement { watched: None, ..watched(c, "anna@example.it", 60, 1_790_000_000) })
        .collect();
    assert_eq!(store.settle(&batch, &options()).await.expect("settled").opened, 140);
    adds_up(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn years_of_mail_at_once_are_no_flood_and_a_flood_does_not_begin_anew_every_ten_minutes() {
    let store = TestStore::new().await;
    let quarantined = async |seconds: Vec<i64>, sender: &str| {
        let claims = claimed(&store, i64::try_from(seconds.len()).expect("small")).await;
        let batch: Vec<Settlement> =
            claims.iter().zip(seconds).map(|(c, s)| watched(c, sender, 10, s)).collect();
        store.settle(&batch, &options()).await.expect("settled").quarantined
    };
    let begun = 1_790_000_400;
    assert_eq!(begun % 600, 0);
    // Two a day for a year, taken in at once.
    assert_eq!(quarantined((0..730).map(|n| begun - n * 43_200).collect(), "anna@example.it").await, 0);
    // One by one, each in a batch of its own: the eleventh is too many.
    let mut all = Vec::new();
    for second in 0..12 {
        all.push(quarantined(vec![begun + second], "bruno@example.it").await);
    }
    assert_eq!(all, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    assert_eq!(quarantined(vec![begun + 600], "bruno@example.it").await, 1, "it goes on");
    assert_eq!(quarantined(vec![begun + 1200], "bruno@example.it").await, 0, "it is over");
    // What others send meanwhile is theirs.
    assert_eq!(quarantined(vec![begun + 600; 10], "carla@example.it").await, 0);
    adds_up(&store).await;
}
