//! The channel against a real Dovecot.

use crate::support::{Mailbox, letter};
use smista_email::config::{After, Start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_fetched_once_and_nothing_is_touched() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 300);
    let running = mailbox.run();
    running.intake.until("300 letters are there", |c| c.committed() == 300 && c.caught_up("INBOX") > 0).await;
    running.stop().await.expect("a stop is no error");

    // a second run finds nothing
    let running = mailbox.run();
    running.intake.until("caught up again", |c| c.caught_up("INBOX") > 1).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    assert_eq!((contents.rows.len(), contents.known), (300, 0));
    let sent: std::collections::BTreeSet<Vec<u8>> = (0..300).map(letter).collect();
    let got: std::collections::BTreeSet<Vec<u8>> = contents.rows.iter().map(|r| r.bytes.to_vec()).collect();
    assert_eq!(got, sent);
    let flags = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
    assert!(flags.iter().all(|(_, flags)| flags.is_empty()), "reading must not mark as read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_brings_what_arrives() {
    let mailbox = Mailbox::start().await;
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    for n in 1..=3 {
        mailbox.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
        running.intake.until("it came", |c| c.committed() == n).await;
    }
    running.stop().await.expect("a stop is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_new_takes_in_only_what_comes_later() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 50);
    let mailbox = mailbox.with(|s| s.start = Start::New);
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    mailbox.dovecot.deliver("urp", "INBOX", &letter(99)).expect("delivered");
    running.intake.until("the new one came", |c| c.committed() == 1).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    assert_eq!(contents.rows[0].bytes.as_ref(), letter(99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_delete_at_once() {
    let mailbox = Mailbox::start().await.with(|s| s.after = After::Delete { days: 0 });
    mailbox.deliver_many("INBOX", 20);
    let running = mailbox.run();
    running
        .intake
        .until("told", |c| {
            c.rows.len() == 20 && c.rows.iter().all(|r| r.upstream == smista_domain::Upstream::Done)
        })
        .await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.dovecot.letters("urp", "INBOX").expect("readable").len(), 0);
}
