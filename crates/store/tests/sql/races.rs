//! Many at once: every interleaving must end in a state that one of the orders would have given, without a deadlock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use smista_store::{QueueError, RejectionKind, StoreError};
use tokio::task::JoinSet;

use crate::town::{FIVE_MINUTES, Town, refused, run};

/// A deadlock or a serialization failure would be `Unavailable`.
fn no_trouble<T>(result: Result<T, QueueError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(QueueError::Rejected(_)) => None,
        Err(QueueError::Store(StoreError::Unavailable(source))) => panic!("the database gave up: {source}"),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn thirty_two_workers_never_get_one_entry_twice_and_leave_none() {
    let town = Arc::new(Town::new().await);
    let mut expected = town.open("urp", 2_000).await;
    expected.sort();
    // Four pools of ten connections, as four daemons and their sectors' programs would have.
    let pools = [town.another().await, town.another().await, town.another().await, town.another().await];
    let mut workers = JoinSet::new();
    for n in 0..32_usize {
        let store = pools[n % 4].clone();
        workers.spawn(async move {
            let worker = format!("worker {n}");
            let mut mine = Vec::new();
            loop {
                let max = i32::try_from(1 + (n + mine.len()) % 7).expect("small");
                let claimed =
                    store.queue(&worker).claim("urp", &worker, max, FIVE_MINUTES).await.expect("claimed");
                // Others hold what is left, for a moment: only a count can say that nothing is.
                if claimed.is_empty() {
                    return mine;
                }
                for it in claimed {
                    let taken = store.queue(&worker).take(it.lease).await.expect("taken");
                    assert_eq!(
                        (taken.state.as_str(), taken.worker.as_deref()),
                        ("taken", Some(worker.as_str()))
                    );
                    mine.push(it.number);
                }
            }
        });
    }
    let mut got: Vec<String> = workers.join_all().await.into_iter().flatten().collect();
    got.sort();
    assert_eq!(got.len(), 2_000);
    assert_eq!(got, expected);
    town.assert_sound().await;
}

#[tokio::test]
async fn a_follow_up_before_take_leaves_the_entry_ready() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    town.follow_up(&number).await;
    let queue = town.queue("test");
    let entry = queue.take(lease).await.expect("an answer");
    assert_eq!((entry.state.as_str(), entry.cause.as_str(), entry.worker), ("ready", "follow-up", None));
    assert_eq!((entry.messages, entry.seen), (2, 1));
    assert_eq!(queue.take(lease).await.expect("the same answer").state, "ready");
    let it = town.claim_one("urp").await;
    assert_eq!(it.messages.as_array().map(Vec::len), Some(2));
    assert_eq!(queue.take(it.lease).await.expect("taken").state, "taken");
    town.assert_sound().await;
}

#[tokio::test]
async fn a_follow_up_after_take_makes_the_entry_ready_again() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    let queue = town.queue("test");
    assert_eq!(queue.take(lease).await.expect("taken").state, "taken");
    town.follow_up(&number).await;
    let it = town.claim_one("urp").await;
    assert_eq!((it.number.as_str(), it.cause.as_str()), (number.as_str(), "follow-up"));
    assert_eq!(it.messages.as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_answer_that_has_not_seen_the_last_message_leaves_the_entry_ready() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    let queue = town.queue("test");
    queue.take(lease).await.expect("taken");
    town.follow_up(&number).await;
    let entry = queue.answer(&number, "Buongiorno", None).await.expect("answered");
    assert_eq!((entry.state.as_str(), entry.cause.as_str()), ("ready", "follow-up"));
    let it = town.claim_one("urp").await;
    assert_eq!(it.number, number);
    assert_eq!(queue.answer(&number, "Ecco", None).await.expect("answered").state, "answered");
    town.follow_up(&number).await;
    assert_eq!(town.claim_one("urp").await.cause, "follow-up");
    town.assert_sound().await;
}

#[tokio::test]
async fn a_case_is_not_closed_over_a_message_that_nobody_has_read() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let unread = (RejectionKind::WrongState, "unread".to_owned());

    // Whoever holds it.
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    town.follow_up(&number).await;
    assert_eq!(refused(queue.close(&number, "fatto", Some("k")).await), unread);
    assert_eq!(town.events(&number).await, ["opened", "appended"], "nothing was changed");
    // As the hint says: offered again, read, closed, with the same key.
    assert_eq!(queue.take(lease).await.expect("an answer").state, "ready");
    assert_eq!(town.claim_one("urp").await.messages.as_array().map(Vec::len), Some(2));
    assert_eq!(queue.close(&number, "fatto", Some("k")).await.expect("closed").state, "closed");

    // Whoever has taken it.
    let number = town.open_one("urp").await;
    queue.take(town.claim_one("urp").await.lease).await.expect("taken");
    town.follow_up(&number).await;
    assert_eq!(refused(queue.close(&number, "fatto", None).await), unread);
    town.claim_one("urp").await;
    let entry = queue.close(&number, "fatto", None).await.expect("closed");
    assert_eq!((entry.messages, entry.seen), (2, 2));

    // What is already closed and written to again is no different.
    town.follow_up(&number).await;
    assert_eq!(refused(queue.close(&number, "fatto", None).await), unread);

    // Nobody ever claimed it: whoever closes it goes by its number, and history says how much nobody was shown.
    let number = town.open_one("ambiente").await;
    town.follow_up(&number).await;
    assert_eq!(queue.close(&number, "fatto", None).await.expect("closed").state, "closed");
    let unseen: i32 =
        town.value("select (payload ->> 'unseen')::int from history where event = 'closed' order by position desc limit 1").await;
    assert_eq!(unseen, 2);
    town.assert_sound().await;
}

#[tokio::test]
async fn a_lease_that_missed_a_message_comes_back_as_a_follow_up() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    town.claim_one("urp").await;
    town.follow_up(&number).await;
    town.let_leases_run_out().await;
    assert_eq!(town.claim_one("urp").await.cause, "follow-up");
    // And a release with a pause does not keep the citizen waiting.
    town.follow_up(&number).await;
    let lease: uuid::Uuid = town.value("select lease from queue_entries").await;
    let entry =
        town.queue("test").release(lease, "domani", Duration::from_hours(24)).await.expect("released");
    assert_eq!((entry.cause.as_str(), entry.not_before), ("follow-up", None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn follow_ups_against_take_at_the_same_instant() {
    let town = Arc::new(Town::new().await);
    town.open("urp", 40).await;
    let claimed = town.queue("t").claim("urp", "w", 40, FIVE_MINUTES).await.expect("claimed");
    assert_eq!(claimed.len(), 40);
    let mut tasks = JoinSet::new();
    for (n, it) in claimed.into_iter().enumerate() {
        let (lease, number) = (it.lease, it.number);
        let taker = Arc::clone(&town);
        tasks.spawn(async move {
            no_trouble(taker.queue("t").take(lease).await).expect("never stale");
        });
        let writer = Arc::clone(&town);
        tasks.spawn(async move {
            if n % 2 == 0 {
                tokio::task::yield_now().await;
            }
            writer.follow_up(&number).await;
        });
    }
    tasks.join_all().await;
    // Whichever was first: nobody holds a case with a message that he has not seen.
    let ready: i64 = town
        .value("select count(*) from queue_entries where state = 'ready' and cause = 'follow-up' and messages = 2")
        .await;
    assert_eq!(ready, 40);
    town.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_shows_every_message_that_it_counts_as_seen() {
    let town = Arc::new(Town::new().await);
    let numbers = town.open("urp", 6).await;
    let mut writers = JoinSet::new();
    for number in numbers {
        let town = Arc::clone(&town);
        writers.spawn(async move {
            for _ in 0..25 {
                town.follow_up(&number).await;
            }
        });
    }
    let mut checked = 0;
    while !writers.is_empty() {
        for it in town.queue("t").claim("urp", "w", 10, FIVE_MINUTES).await.expect("claimed") {
            let shown = it.messages.as_array().map_or(0, Vec::len);
            let entry = town.queue("t").release(it.lease, "ancora", Duration::ZERO).await.expect("released");
            assert_eq!(usize::try_from(entry.seen).expect("small"), shown, "{}", it.number);
            checked += 1;
        }
        while let Some(ended) = writers.try_join_next() {
            ended.expect("a writer ended well");
        }
    }
    assert!(checked > 6);
    town.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reroutes_against_claims_lose_nothing_and_never_deadlock() {
    let town = Arc::new(Town::new().await);
    let numbers = Arc::new(town.open("ambiente", 120).await);
    let pools = [town.another().await, town.another().await, town.another().await];
    let mut tasks = JoinSet::new();
    for n in 0..24_usize {
        let (store, numbers) = (pools[n % 3].clone(), Arc::clone(&numbers));
        tasks.spawn(async move {
            let mut random = fastrand::Rng::with_seed(u64::try_from(n).expect("small"));
            for _ in 0..40 {
                let queue = store.queue("t");
                let number = &numbers[random.usize(..numbers.len())];
                let sectors = ["ambiente", "lavori-pubblici", "urp"];
                let sector = sectors[random.usize(..3)];
                match random.u8(..8) {
                    0..3 => {
                        no_trouble(queue.reroute(number, sector, "di là", None).await);
                    }
                    3 => {
                        no_trouble(queue.note(number, "nota").await);
                    }
                    4 => {
                        store.sweep().await.expect("swept");
                    }
                    _ => {
                        let claimed = no_trouble(queue.claim(sector, "w", 5, FIVE_MINUTES).await).expect("claimed");
                        for (n, it) in claimed.iter().enumerate() {
                            if n % 2 == 0 {
                                no_trouble(queue.release(it.lease, "indietro", Duration::ZERO).await);
                            } else {
                                run(store.pool(), "update queue_entries set leased_until = now() - interval '1 day' where ctid in
                                      (select ctid from queue_entries where state = 'leased' limit 1 for update skip locked)").await.expect("run out");
                            }
                        }
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    // Every case is still in exactly one queue, and can be worked.
    town.let_leases_run_out().await;
    town.sweep().await.expect("swept");
    let mut got = Vec::new();
    for sector in ["ambiente", "lavori-pubblici", "urp"] {
        for it in town.queue("t").claim(sector, "w", 1_000, FIVE_MINUTES).await.expect("claimed") {
            got.push(it.number);
        }
    }
    got.sort();
    let mut expected = (*numbers).clone();
    expected.sort();
    assert_eq!(got, expected);
    town.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_key_from_many_hands_acts_once() {
    let town = Arc::new(Town::new().await);
    let number = town.open_one("urp").await;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (town, number) = (Arc::clone(&town), number.clone());
        tasks.spawn(async move {
            let answered =
                no_trouble(town.queue("t").answer(&number, "Buongiorno", Some("k")).await).expect("answered");
            let moved = no_trouble(town.queue("t").reroute(&number, "ambiente", "di là", Some("k")).await)
                .expect("moved");
            (answered.state, moved.sector)
        });
    }
    for (state, sector) in tasks.join_all().await {
        assert_eq!((state.as_str(), sector.as_str()), ("answered", "ambiente"));
    }
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for event in town.events(&number).await {
        *count.entry(event).or_default() += 1;
    }
    assert_eq!((count["answered"], count["rerouted"]), (1, 1));
    assert_eq!(town.value::<i64>("select count(*) from outbox").await, 1);
    town.assert_sound().await;
}
