//! The feed: in order, resumable, and without holes however late somebody commits.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{Acquire as _, AssertSqlSafe, Executor as _};
use tokio::task::JoinSet;

use crate::town::{FIVE_MINUTES, Town};

#[tokio::test]
async fn everything_that_happened_in_order_and_in_pages() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let number = town.open_one("urp").await;
    queue.note(&number, "nota").await.expect("noted");
    queue.reroute(&number, "ambiente", "di là", None).await.expect("rerouted");
    queue.close(&number, "fatto", None).await.expect("closed");
    let all = town.changes(0, 100).await;
    let events: Vec<(&str, &str, i32)> =
        all.iter().map(|c| (c.event.as_str(), c.sector.as_str(), c.seq)).collect();
    assert_eq!(
        events,
        [("opened", "urp", 1), ("noted", "urp", 2), ("rerouted", "ambiente", 3), ("closed", "ambiente", 4)]
    );
    assert!(all.iter().all(|c| c.number.as_deref() == Some(&number)));
    assert!(all.iter().all(|c| c.payload.as_ref().is_some_and(|p| p.get("result").is_none())));
    let mut paged = Vec::new();
    let mut after = 0;
    loop {
        let page = queue.changes(after, 1).await.expect("changes");
        let Some(last) = page.last() else { break };
        after = last.position;
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn what_commits_late_is_not_passed_over() {
    let town = Town::new().await;
    let numbers = town.open("urp", 2).await;
    let queue = town.queue("test");
    let before = town.changes(0, 100).await.last().expect("some").position;

    let mut late = town.pool().acquire().await.expect("a connection");
    let mut slow = late.begin().await.expect("begun");
    slow.execute(AssertSqlSafe(format!("select note('{}', 'lenta')", numbers[0]))).await.expect("noted");
    queue.note(&numbers[1], "veloce").await.expect("noted");
    // The fast one has committed, with a higher position; it is not shown before the slow one has ended.
    let committed: i64 = town.value("select count(*) from history where event = 'noted'").await;
    assert_eq!(committed, 1);
    assert!(queue.changes(before, 100).await.expect("changes").is_empty());
    slow.commit().await.expect("committed");
    let texts: Vec<String> = town
        .changes(before, 100)
        .await
        .into_iter()
        .map(|c| c.payload.expect("there")["text"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(texts, ["lenta", "veloce"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_beside_many_writers_gets_every_row_once() {
    let town = Arc::new(Town::new().await);
    let numbers = Arc::new(town.open("urp", 24).await);
    let pools = [town.another().await, town.another().await];
    let mut writers = JoinSet::new();
    for n in 0..12_usize {
        let (store, numbers) = (pools[n % 2].clone(), Arc::clone(&numbers));
        writers.spawn(async move {
            for round in 0..25 {
                let mut tx = store.pool().begin().await.expect("begun");
                for half in 0..2 {
                    let number = &numbers[2 * n + half];
                    tx.execute(AssertSqlSafe(format!("select note('{number}', '{round}')")))
                        .await
                        .expect("noted");
                    tokio::task::yield_now().await;
                }
                if round % 5 == 4 { tx.rollback().await } else { tx.commit().await }.expect("ended");
            }
        });
    }
    let mut seen: Vec<i64> = Vec::new();
    let mut after = 0;
    loop {
        let done = writers.is_empty();
        if done {
            town.all_ended().await;
        }
        let page = town.queue("reader").changes(after, 7).await.expect("changes");
        if let Some(last) = page.last() {
            after = last.position;
        } else if done {
            break;
        }
        seen.extend(page.iter().map(|c| c.position));
        while let Some(ended) = writers.try_join_next() {
            ended.expect("a writer ended well");
        }
    }
    let all: Vec<i64> = sqlx::query_scalar("select position from history order by position")
        .fetch_all(town.pool())
        .await
        .expect("positions");
    assert_eq!(seen.len(), 24 + 12 * 20 * 2);
    assert_eq!(seen, all);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len());
    town.assert_sound().await;
}

#[tokio::test]
async fn the_notifier_learns_which_queues_gained_something() {
    let town = Town::new().await;
    let start = town.settled_position().await.expect("a position");
    let number = town.open_one("urp").await;
    town.all_ended().await;
    let (sectors, position) = town.woken(start).await.expect("woken");
    assert_eq!(sectors, ["urp"]);
    let queue = town.queue("test");
    let lease = queue.claim("urp", "w", 1, FIVE_MINUTES).await.expect("claimed").remove(0).lease;
    queue.take(lease).await.expect("taken");
    queue.note(&number, "nota").await.expect("noted");
    town.all_ended().await;
    let (sectors, position) = town.woken(position).await.expect("woken");
    assert!(sectors.is_empty(), "{sectors:?}");
    queue.reroute(&number, "ambiente", "di là", None).await.expect("rerouted");
    town.all_ended().await;
    let (sectors, position) = town.woken(position).await.expect("woken");
    assert_eq!(sectors, ["ambiente"]);
    assert_eq!(town.woken(position).await.expect("woken"), (Vec::new(), position));
}

#[tokio::test]
async fn positions_go_on_growing_after_a_restore_into_a_younger_cluster() {
    let town = Town::new().await;
    let numbers = town.open("urp", 2).await;
    assert_eq!(town.align_history().await.expect("aligned"), 0, "nothing to do here");
    // As if these rows came from a cluster that had seen a thousand million transactions.
    town.run("alter table history disable trigger guard").await;
    town.run("update history set position = position + (1000000000::bigint << 20)").await;
    town.run("alter table history enable trigger guard").await;
    let queue = town.queue("test");
    let offset = town.align_history().await.expect("aligned");
    assert!(offset > 900_000_000, "{offset}");
    assert_eq!(town.align_history().await.expect("aligned"), offset, "once is enough");
    let known = town.changes(0, 100).await;
    assert_eq!(known.len(), 2, "what was restored is shown");
    queue.note(&numbers[0], "dopo").await.expect("noted");
    let new = town.changes(known[1].position, 100).await;
    assert_eq!(new.iter().map(|c| c.event.as_str()).collect::<Vec<_>>(), ["noted"]);
    town.assert_sound().await;
}
