//! Connecting, migrating and losing the database: what each is called, and that it passes by itself.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests; SQL of their own that need not be prepared"
)]

use std::time::Duration;

use bytes::Bytes;
use smista_domain::{ChannelName, Cursor, Delivery, DeliveryKey, Intake as _, IntakeError, Upstream};
use smista_store::{Handover, SchemaName, Store, StoreError, StoreIntake, StoreOptions};
use smista_testkit::postgres::{TestPostgres, TestPostgresOptions, TestStore};
use sqlx::postgres::PgConnectOptions;

fn options(connect: PgConnectOptions) -> StoreOptions {
    let mut options = StoreOptions::new(connect, SchemaName::default());
    options.acquire_timeout = Duration::from_millis(1500);
    options
}

fn letter(n: usize) -> Delivery {
    Delivery {
        channel: "email/urp".parse().unwrap(),
        scope: "INBOX".into(),
        key: DeliveryKey(format!("INBOX/1/{n}")),
        bytes: Bytes::from(format!("Subject: {n}\r\n\r\n")),
        received_at: "2026-11-20T08:00:00Z".parse().unwrap(),
        upstream: Upstream::Void,
        facts: serde_json::Value::Null,
        recognise: false,
    }
}

#[tokio::test]
async fn every_connection_is_set_to_its_town() {
    let store = TestStore::new().await;
    for connection in [&mut *store.pool().acquire().await.unwrap(), &mut store.connect_alone().await.unwrap()]
    {
        for (setting, expected) in [
            ("search_path", format!("\"{}\", pg_temp", store.schema())),
            ("application_name", "smista".to_owned()),
            ("statement_timeout", "1min".to_owned()),
            ("idle_in_transaction_session_timeout", "30s".to_owned()),
            ("TimeZone", "UTC".to_owned()),
            ("jit", "off".to_owned()),
            ("synchronous_commit", sqlx_default(&store).await),
        ] {
            let value: String = sqlx::query_scalar("select current_setting($1)")
                .bind(setting)
                .fetch_one(&mut *connection)
                .await
                .unwrap();
            assert_eq!(value, expected, "{setting}");
        }
    }
}

/// What the server says of `synchronous_commit` by itself: smista must not change it.
async fn sqlx_default(store: &Store) -> String {
    sqlx::query_scalar("select reset_val from pg_settings where name = 'synchronous_commit'")
        .fetch_one(store.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn many_daemons_migrate_at_once() {
    let server = TestPostgres::shared().await;
    let store = server.empty_store(server.connect_options()).await;
    assert!(matches!(store.check_schema().await, Err(StoreError::SchemaBehind { .. })));
    let migrating: Vec<_> = (0..6)
        .map(|_| {
            let options = store.options().clone();
            tokio::spawn(async move { Store::connect(options).await.unwrap().migrate().await.unwrap().len() })
        })
        .collect();
    let mut applied = Vec::new();
    for one in migrating {
        applied.push(one.await.unwrap());
    }
    assert!(applied.iter().any(|n| *n > 0), "{applied:?}");
    store.check_schema().await.unwrap();
    assert!(store.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_schema_is_welcome_and_an_older_one_is_named() {
    let store = TestStore::new().await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9999, 'of a later release', true, '\\x00', 1)",
    )
    .execute(store.pool())
    .await
    .unwrap();
    store.check_schema().await.unwrap();
    assert!(store.migrate().await.unwrap().is_empty());

    sqlx::query("delete from _sqlx_migrations where version = 10").execute(store.pool()).await.unwrap();
    match store.check_schema().await {
        Err(StoreError::SchemaBehind { what, .. }) => assert!(what.contains("10"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_keeps_us_out_is_told_apart() {
    let server = TestPostgres::shared().await;
    let nobody = Store::connect(options(server.connect_options().username("nessuno"))).await.unwrap_err();
    assert!(matches!(nobody, StoreError::Denied { .. }), "{}", nobody.chain());
    let nowhere = Store::connect(options(server.connect_options().database("nessuno"))).await.unwrap_err();
    assert!(matches!(nowhere, StoreError::Denied { .. }), "{}", nowhere.chain());
    let no_socket =
        Store::connect(options(server.connect_options().socket("/tmp/not-there"))).await.unwrap_err();
    assert!(no_socket.is_transient(), "{}", no_socket.chain());
    let port = smista_testkit::ports::Port::reserve().expect("a port at which nobody listens");
    let closed = format!("postgres://smista@127.0.0.1:{}/smista?sslmode=disable", port.number());
    let closed = Store::connect(options(closed.parse().unwrap())).await.unwrap_err();
    assert!(closed.is_transient(), "{}", closed.chain());
    assert!(closed.chain().contains("refused"), "the reason, not just a time-out: {}", closed.chain());
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused_before_it_is_used() {
    let server = TestPostgres::shared().await;
    server
        .as_superuser("create database latin1 owner smista template template0 encoding 'LATIN1' locale 'C'")
        .await;
    let store = Store::connect(options(server.connect_options().database("latin1"))).await.unwrap();
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{}", error.chain());
    assert!(error.to_string().contains("UTF8"), "{error}");
}

/// Asks until the database answers. What it says until then must be something that passes.
async fn back(store: &Store) {
    while let Err(error) = store.ping().await {
        assert!(error.is_transient(), "{}", error.chain());
    }
}

/// Stopped, killed and started again under the pool: each time it is said, nothing that was accepted is lost, and handing over
/// the same again after a commit that nobody heard of changes nothing.
#[tokio::test]
async fn the_database_goes_and_comes_back() {
    let durable = TestPostgresOptions { durable: true, ..TestPostgresOptions::default() };
    let mut server = tokio::task::spawn_blocking(|| TestPostgres::start_with(durable)).await.unwrap();
    let mut options = options(server.connect_options());
    options.acquire_timeout = Duration::from_millis(500);
    let store = Store::connect_lazy(options);
    back(&store).await;
    store.migrate().await.unwrap();
    let channel: ChannelName = "email/urp".parse().unwrap();
    let intake = StoreIntake::unleased(store.clone(), channel.clone(), Handover::new(0));
    let accept = |n: usize| {
        let cursor = Cursor { scope: "INBOX".into(), generation: 1, position: n as u64 };
        intake.accept((0..=n).map(letter).collect(), Some(cursor))
    };
    for round in 0..3 {
        assert_eq!(accept(round).await.unwrap().new, 1);
        if round == 1 {
            server.stop();
        } else {
            server.kill();
        }
        let error = accept(round + 1).await.unwrap_err();
        assert!(matches!(error, IntakeError::Unavailable(_)), "{error}");
        server.start_again();
        back(&store).await;
        let rows: i64 =
            sqlx::query_scalar("select count(*) from deliveries").fetch_one(store.pool()).await.unwrap();
        assert_eq!(usize::try_from(rows).unwrap(), round + 1);
        let cursor = intake.cursor(&channel, "INBOX").await.unwrap().unwrap();
        assert_eq!(cursor.position, round as u64);
    }
}

#[tokio::test]
async fn over_tcp_too() {
    let tcp = TestPostgresOptions { tcp: true, ..TestPostgresOptions::default() };
    let mut server = tokio::task::spawn_blocking(|| TestPostgres::start_with(tcp)).await.unwrap();
    let port = server.port().unwrap();
    let store = Store::connect_lazy(options(server.tcp_url(port).parse().unwrap()));
    back(&store).await;
    store.migrate().await.unwrap();
    server.stop();
    assert!(store.ping().await.unwrap_err().is_transient());
    server.start_again();
    assert_eq!(server.port(), Some(port));
    back(&store).await;
    store.check_schema().await.unwrap();
}
