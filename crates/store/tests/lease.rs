//! Leases against a real server: one holder, growing epochs, and nothing committed by whoever has lost one.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests; SQL of their own that need not be prepared"
)]

use std::{sync::Arc, time::Duration};

use smista_domain::ChannelName;
use smista_store::{LONGEST_LEASE, LeaseEnd, LeaseKeeper, Store, StoreError};
use smista_testkit::postgres::{TestPostgres, TestStore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn channel() -> ChannelName {
    "email/urp".parse().unwrap()
}

/// Lets a lease run out by the database's clock, without waiting for it.
async fn expire(store: &Store) {
    sqlx::query("update leases set ends_at = clock_timestamp() - interval '1 millisecond'")
        .execute(store.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn one_holder_at_a_time_and_epochs_grow() {
    let store = TestStore::new().await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let first = store.acquire_lease(&channel(), a, "uno", LONGEST_LEASE).await.unwrap().expect("free");
    assert_eq!(first.epoch(), 1);
    assert!(
        store.acquire_lease(&channel(), b, "due", LONGEST_LEASE).await.unwrap().is_none(),
        "held by another"
    );

    expire(&store).await;
    let second = store.acquire_lease(&channel(), b, "due", LONGEST_LEASE).await.unwrap().expect("ran out");
    assert_eq!(second.epoch(), 2);
    assert!(matches!(store.renew_lease(&first).await, Err(StoreError::LostLease { epoch: 1, .. })));
    assert!(first.lost().is_cancelled());
    assert!(first.check().is_err());
    store.renew_lease(&second).await.unwrap();
    second.check().unwrap();

    // The one who lost it cannot give it away.
    store.release_lease(&first).await.unwrap();
    assert!(store.acquire_lease(&channel(), a, "uno", LONGEST_LEASE).await.unwrap().is_none());

    // Given back: free at once, and the epoch goes on growing.
    store.release_lease(&second).await.unwrap();
    let third = store.acquire_lease(&channel(), a, "uno", LONGEST_LEASE).await.unwrap().expect("given back");
    assert_eq!(third.epoch(), 3);
}

/// The database's clock was set back by an hour: what a dead holder left behind must not stand for an hour.
#[tokio::test]
async fn a_lease_that_ends_impossibly_late_counts_as_over() {
    let store = TestStore::new().await;
    store.register_channels(&[channel()]).await.unwrap();
    let ends_in = async |interval: &str| {
        sqlx::query("update leases set ends_at = clock_timestamp() + $1::text::interval")
            .bind(interval)
            .execute(store.pool())
            .await
            .unwrap();
    };
    let shown = async || store.channels().await.unwrap()[0].holder.as_ref().map(|h| h.host.clone());
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let first = store.acquire_lease(&channel(), a, "uno", LONGEST_LEASE).await.unwrap().expect("free");

    // A clock that is put right by seconds takes nothing from anybody.
    ends_in("15 seconds").await;
    assert!(store.acquire_lease(&channel(), b, "due", LONGEST_LEASE).await.unwrap().is_none());
    assert_eq!(shown().await.as_deref(), Some("uno"));

    ends_in("1 hour").await;
    assert_eq!(shown().await, None, "nobody holds it");
    // The holder, if it lives: it goes on, with an end that can be.
    store.renew_lease(&first).await.unwrap();
    assert_eq!(shown().await.as_deref(), Some("uno"));

    ends_in("1 hour").await;
    let second = store.acquire_lease(&channel(), b, "due", LONGEST_LEASE).await.unwrap().expect("over");
    assert_eq!(second.epoch(), 2);
    assert_eq!(shown().await.as_deref(), Some("due"));
    assert!(matches!(store.renew_lease(&first).await, Err(StoreError::LostLease { .. })));
}

#[tokio::test]
async fn the_same_holder_again_fences_what_it_ran_before() {
    let store = TestStore::new().await;
    let holder = Uuid::now_v7();
    let before = store.acquire_lease(&channel(), holder, "uno", LONGEST_LEASE).await.unwrap().unwrap();
    let after = store.acquire_lease(&channel(), holder, "uno", LONGEST_LEASE).await.unwrap().unwrap();
    assert_eq!((before.epoch(), after.epoch()), (1, 2));
    assert!(matches!(store.renew_lease(&before).await, Err(StoreError::LostLease { .. })));
    store.renew_lease(&after).await.unwrap();
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_gets_it() {
    let store = TestStore::new().await;
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let store: Store = (*store).clone();
            tokio::spawn(async move {
                store.acquire_lease(&channel(), Uuid::now_v7(), "x", LONGEST_LEASE).await.unwrap().is_some()
            })
        })
        .collect();
    let mut got = 0;
    for one in asking {
        got += usize::from(one.await.unwrap());
    }
    assert_eq!(got, 1);
}

#[tokio::test]
async fn leases_of_different_channels_do_not_meet() {
    let store = TestStore::new().await;
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let other: ChannelName = "email/protocollo".parse().unwrap();
    assert!(store.acquire_lease(&channel(), a, "uno", LONGEST_LEASE).await.unwrap().is_some());
    assert!(store.acquire_lease(&other, b, "due", LONGEST_LEASE).await.unwrap().is_some());
    store.register_channels(&[channel(), other]).await.unwrap();
    let shown: Vec<(String, String)> = store
        .channels()
        .await
        .unwrap()
        .into_iter()
        .map(|c| (c.name, c.holder.map(|h| h.host).unwrap_or_default()))
        .collect();
    assert_eq!(shown, [("email/protocollo".into(), "due".into()), ("email/urp".into(), "uno".into())]);
}

/// The keeper stops what runs under the lease when the lease has been taken over, and says so.
#[tokio::test]
async fn a_keeper_whose_lease_was_taken_over_stops_its_channel() {
    let store = TestStore::new().await;
    let lease = store
        .acquire_lease(&channel(), Uuid::now_v7(), "uno", Duration::from_millis(600))
        .await
        .unwrap()
        .unwrap();
    let keeper = LeaseKeeper::start((*store).clone(), lease, &CancellationToken::new());
    sqlx::query("update leases set holder = gen_random_uuid(), epoch = epoch + 1, ends_at = now() + interval '1 hour'")
        .execute(store.pool())
        .await
        .unwrap();
    keeper.token().cancelled().await;
    assert!(keeper.handle().check().is_err());
    assert!(matches!(keeper.release().await, LeaseEnd::Lost(StoreError::LostLease { .. })));
}

/// No database: the lease cannot be renewed, and its holder stops by its own clock, before the lease has ended.
#[tokio::test]
async fn a_keeper_that_cannot_renew_stops_in_time() {
    let store = TestStore::new().await;
    let away = store.another().await;
    let ttl = Duration::from_millis(900);
    let lease = away.acquire_lease(&channel(), Uuid::now_v7(), "uno", ttl).await.unwrap().unwrap();
    let keeper = LeaseKeeper::start(away.clone(), lease.clone(), &CancellationToken::new());
    away.close().await;
    keeper.token().cancelled().await;
    assert!(matches!(keeper.release().await, LeaseEnd::Lost(_)));
    assert!(lease.check().is_err());
}

/// A database that hangs (a frozen machine, a network that swallows everything) is no different, and passes, too.
#[tokio::test]
async fn a_keeper_whose_database_hangs_stops_in_time() {
    let server = Arc::new(tokio::task::spawn_blocking(TestPostgres::start).await.unwrap());
    let store = TestStore::on(Arc::clone(&server)).await;
    let ttl = Duration::from_millis(900);
    let lease = store.acquire_lease(&channel(), Uuid::now_v7(), "uno", ttl).await.unwrap().unwrap();
    let keeper = LeaseKeeper::start((*store).clone(), lease, &CancellationToken::new());
    server.freeze();
    keeper.token().cancelled().await;
    assert!(matches!(keeper.release().await, LeaseEnd::Lost(_)));
    server.thaw();
    let next = loop {
        match store.acquire_lease(&channel(), Uuid::now_v7(), "due", LONGEST_LEASE).await {
            Ok(Some(lease)) => break lease,
            Ok(None) => {}
            Err(error) => assert!(error.is_transient(), "{}", error.chain()),
        }
    };
    assert_eq!(next.epoch(), 2);
}

/// While its channel winds down the lease is still kept; then it is free at once.
#[tokio::test]
async fn a_keeper_told_to_stop_keeps_the_lease_until_it_is_released() {
    let store = TestStore::new().await;
    let stop = CancellationToken::new();
    let lease = store.acquire_lease(&channel(), Uuid::now_v7(), "uno", LONGEST_LEASE).await.unwrap().unwrap();
    let keeper = LeaseKeeper::start((*store).clone(), lease.clone(), &stop);
    stop.cancel();
    keeper.token().cancelled().await;
    store.renew_lease(&lease).await.unwrap();
    lease.check().unwrap();
    assert!(matches!(keeper.release().await, LeaseEnd::GivenBack));
    assert!(lease.check().is_err());
    let next = store.acquire_lease(&channel(), Uuid::now_v7(), "due", LONGEST_LEASE).await.unwrap();
    assert_eq!(next.expect("free at once").epoch(), 2);
}

/// A process that was frozen: its own clock says that the lease is over, whatever its tasks have noticed.
#[tokio::test]
async fn whoever_wakes_up_too_late_is_told_before_asking_anybody() {
    let store = TestStore::new().await;
    // So short that it is over by our own clock as soon as it is given.
    let lease =
        store.acquire_lease(&channel(), Uuid::now_v7(), "uno", Duration::ZERO).await.unwrap().unwrap();
    assert!(matches!(lease.check(), Err(StoreError::LostLease { .. })));
    assert!(lease.lost().is_cancelled());
}
