//! Several daemons on one database and one mailbox: each letter once, and another takes over when the one that fetches is
//! killed or frozen.

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Daemon, Installation, Mailbox},
    postgres::TestStore,
};

use crate::support::{database, letter, program};

/// Which of the two holds the mailbox, by its process: the log of the one that fetches says "connected".
async fn holder(town: &Installation, store: &TestStore, other_than: Option<uuid::Uuid>) -> uuid::Uuid {
    let mut found = None;
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(50));
    let look = async {
        loop {
            ticks.tick().await;
            let now =
                sqlx::query_scalar!("select holder from leases where name = 'email/urp' and ends_at > now()")
                    .fetch_optional(store.pool())
                    .await
                    .expect("asked");
            if now.is_some() && now != other_than {
                return now;
            }
        }
    };
    if let Ok(now) = tokio::time::timeout(smista_testkit::installation::PATIENCE, look).await {
        found = now;
    }
    found.unwrap_or_else(|| panic!("nobody takes over\n{}", town.logs()))
}

struct Two {
    dovecot: Dovecot,
    store: TestStore,
    town: Installation,
    first: Daemon,
    second: Daemon,
    held_by_first: uuid::Uuid,
}

/// The first daemon holds the mailbox, the second waits.
async fn two() -> Two {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let first = town.daemon_in("run", &[]);
    let held_by_first = holder(&town, &store, None).await;
    let state = town.path().join("second").display().to_string();
    let second = town.daemon_in("run2", &[("SMISTA_STATE__DIR", state.as_str())]);
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    town.until("the first letter is sorted", || town.count("email/urp", "opened") == 1).await;
    Two { dovecot, store, town, first, second, held_by_first }
}

async fn all_sorted(two: &Two, n: i64) {
    two.town.until("everything is sorted", || two.town.count("email/urp", "opened") == n).await;
    assert_eq!(two.town.count("email/urp", "delivered"), n);
    assert_eq!(two.store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_takes_over_when_the_one_that_fetches_is_killed() {
    let Two { dovecot, store, town, first, second, held_by_first } = two().await;
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    first.kill9();
    dovecot.deliver("urp", "INBOX", &letter(3)).expect("delivered");
    let next = holder(&town, &store, Some(held_by_first)).await;
    assert_ne!(next, held_by_first);
    town.until("everything is sorted", || town.count("email/urp", "opened") == 3).await;
    assert_eq!(town.count("email/urp", "delivered"), 3);
    assert_eq!(second.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_frozen_and_woken_does_no_harm() {
    let two = two().await;
    two.first.freeze();
    for n in 2..=5 {
        two.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
    }
    holder(&two.town, &two.store, Some(two.held_by_first)).await;
    all_sorted(&two, 5).await;
    two.first.thaw();
    for n in 6..=9 {
        two.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
    }
    all_sorted(&two, 9).await;
    assert_eq!(two.first.terminate(), 0);
    assert_eq!(two.second.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stops_hands_the_mailbox_over() {
    let Two { dovecot, store, town, first, second, held_by_first } = two().await;
    assert_eq!(first.terminate(), 0);
    holder(&town, &store, Some(held_by_first)).await;
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    town.until("everything is sorted", || town.count("email/urp", "opened") == 2).await;
    assert_eq!(second.terminate(), 0);
}
