//! A network that swallows everything gives no error: every call of the daemon's ends all the same.

use std::{future::Future, sync::Arc, time::Duration};

use smista_domain::ChannelName;
use smista_store::{Result, Store, StoreError, StoreOptions};
use smista_testkit::postgres::{TestPostgres, TestStore};
use sqlx::Executor as _;
use tokio::task::JoinSet;

use crate::town::Town;

/// Starts a call on a store of its own task.
fn start<T, F>(
    calls: &mut JoinSet<(&'static str, Result<()>)>,
    name: &'static str,
    store: &Store,
    call: fn(Store) -> F,
) where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let asking = call(store.clone());
    calls.spawn(async move { (name, asking.await.map(|_| ())) });
}

fn urp() -> ChannelName {
    "email/urp".parse().expect("valid")
}

/// Every call waits at the server for somebody's lock when the server falls silent for good.
#[tokio::test]
async fn a_call_does_not_outwait_a_database_that_fell_silent() {
    let server =
        tokio::task::spawn_blocking(|| Arc::new(TestPostgres::start())).await.expect("a server of its own");
    let town = Town::on(TestStore::on(Arc::clone(&server)).await).await;
    let mut options: StoreOptions = town.options().clone();
    // A call waits for as long again, then it gives up.
    options.statement_timeout = Duration::from_secs(2);
    let store = Store::connect(options).await.expect("connected");
    let mut other = town.connect_alone().await.expect("connected");
    other
        .execute("begin; lock table queue_entries, history, deliveries, rulesets, sectors, channels in access exclusive mode")
        .await
        .expect("locked");

    let mut calls = JoinSet::new();
    start(&mut calls, "sweep", &store, |s| async move { s.sweep().await });
    start(&mut calls, "woken", &store, |s| async move { s.woken(0).await });
    start(&mut calls, "align_history", &store, |s| async move { s.align_history().await });
    start(&mut calls, "numbers", &store, |s| async move { s.numbers().await });
    start(&mut calls, "ledger", &store, |s| async move { s.ledger().await });
    start(&mut calls, "active_ruleset", &store, |s| async move { s.active_ruleset().await });
    start(&mut calls, "ruleset_files", &store, |s| async move { s.ruleset_files("a").await });
    start(&mut calls, "sectors", &store, |s| async move { s.sectors().await });
    start(&mut calls, "channels", &store, |s| async move { s.channels().await });
    start(&mut calls, "register_channels", &store, |s| async move { s.register_channels(&[urp()]).await });
    start(&mut calls, "set_channel_condition", &store, |s| async move {
        s.set_channel_condition(&urp(), &serde_json::json!({})).await
    });
    let waiting = "select count(*) from pg_locks where not granted";
    let all_wait = async {
        let n = i64::try_from(calls.len()).expect("few");
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut other).await.expect("asked") < n {
            tokio::task::yield_now().await;
        }
    };
    // The server ends what waits after two seconds by itself: whoever came late meets a frozen server all the same.
    tokio::time::timeout(Duration::from_secs(1), all_wait).await.ok();
    server.freeze();
    let all = async {
        while let Some(ended) = calls.join_next().await {
            let (name, result) = ended.expect("no panic");
            match result {
                Err(StoreError::Unavailable(_)) => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    };
    // Only so that a call that waits for ever is a failure and no test that never ends.
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("every call ends");
    server.thaw();
}
