//! What is taken away from a running daemon: its database, its mail server, the network. It goes on by itself, nothing is
//! passed over, and `status` tells the truth meanwhile.

use smista_testkit::{
    chaos_proxy::ChaosProxy,
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    postgres::TestPostgres,
};

use crate::support::{database, letter, program, reply};

fn state_of(town: &Installation) -> String {
    town.status()["channels"][0]["state"].as_str().unwrap_or("none").to_owned()
}

fn codes(town: &Installation) -> Vec<String> {
    let conditions = town.status()["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().filter_map(|c| c["code"].as_str().map(str::to_owned)).collect()
}

/// Starts a daemon and waits until it has sorted the letters before `n`.
async fn sorted(town: &Installation, n: i64) {
    town.until("everything so far is sorted", || {
        town.ledger("email/urp").is_some_and(|r| r["delivered"] == n && r["waiting"] == 0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_stopped_and_started_under_the_daemon() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let mut server = TestPostgres::start();
    let store = server.empty_store(server.connect_options()).await;
    let database = format!("url = {:?}\nschema = {:?}\n", server.url(), store.schema().as_str());
    let town = Installation::new(
        program(),
        &database,
        Some(&dovecot),
        &[Mailbox::of(&dovecot, "urp").after("seen")],
    );
    let daemon = town.daemon();
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    sorted(&town, 1).await;

    server.stop();
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    town.until("status says that the database is away", || {
        codes(&town).contains(&"database-away".to_owned())
    })
    .await;
    let said = town.run(&["status"]);
    assert!(said.out.contains("database"), "{said:?}");
    let unread =
        dovecot.letters("urp", "INBOX").expect("letters").iter().filter(|(_, f)| !f.contains('S')).count();
    assert_eq!(unread, 1, "nothing is flagged before its commit");

    server.start_again();
    sorted(&town, 2).await;
    town.until("status says that it is over", || codes(&town).is_empty() && state_of(&town) == "caught-up")
        .await;
    server.kill();
    dovecot.deliver("urp", "INBOX", &letter(3)).expect("delivered");
    server.start_again();
    sorted(&town, 3).await;
    assert_eq!(daemon.terminate(), 0);
    store.pool().close().await;
    let store = smista_store::Store::connect(store.options().clone()).await.expect("connected again");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_before_its_database_waits_and_says_so() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let mut server = TestPostgres::start();
    let store = server.empty_store(server.connect_options()).await;
    let database = format!("url = {:?}\nschema = {:?}\n", server.url(), store.schema().as_str());
    server.stop();
    let town = Installation::new(program(), &database, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    let daemon = town.daemon();
    town.until("it says so", || codes(&town).contains(&"database-away".to_owned())).await;
    assert_eq!(town.run(&["queue", "list"]).code, 69);
    server.start_again();
    sorted(&town, 1).await;
    assert_eq!(daemon.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dovecot_stopped_and_started_under_the_daemon() {
    let mut dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, _store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    sorted(&town, 1).await;
    dovecot.stop();
    town.until("status says that it fails", || state_of(&town) == "failing").await;
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    dovecot.launch().await.expect("Dovecot again");
    sorted(&town, 2).await;
    town.until("all is well again", || state_of(&town) == "caught-up" && codes(&town).is_empty()).await;
    assert_eq!(daemon.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_cut_in_the_middle_of_a_fetch() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let proxy = ChaosProxy::start(dovecot.imap).await.expect("a proxy");
    let (table, store) = database().await;
    let large = [letter(0), vec![b'x'; 300_000]].concat();
    for n in 1..=20 {
        let padded = [letter(n), "riempitivo \r\n".repeat(2_000).into_bytes()].concat();
        dovecot.deliver("urp", "INBOX", &padded).expect("delivered");
    }
    dovecot.deliver("urp", "INBOX", &large).expect("delivered");
    let mailbox = Mailbox::of(&dovecot, "urp").plain_on(proxy.port);
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox]);
    // Enough to log in and for a part of the letters; each connection is cut a little later than the one before.
    proxy.limit(Some(60_000));
    let daemon = town.daemon();
    proxy.until_connections(2).await;
    proxy.limit(Some(200_000));
    proxy.until_connections(3).await;
    proxy.limit(None);
    sorted(&town, 21).await;
    assert_eq!(town.count("email/urp", "opened"), 21);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_leaves_a_case_locked_holds_up_nobody_elses_letters() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    sorted(&town, 1).await;

    let mut open = store.pool().begin().await.expect("a transaction");
    sqlx::query!("select id from segnalazioni for update").fetch_all(&mut *open).await.expect("locked");
    dovecot.deliver("urp", "INBOX", &reply(1, 1)).expect("delivered");
    for n in 2..=9 {
        dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
    }
    town.until("the others are sorted", || town.count("email/urp", "opened") == 9).await;
    assert_eq!(town.count("email/urp", "appended"), 0, "its case is still locked");
    assert!(!codes(&town).contains(&"database-away".to_owned()), "the database is there");
    open.rollback().await.expect("let go");
    town.until("then it is appended", || town.count("email/urp", "appended") == 1).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
