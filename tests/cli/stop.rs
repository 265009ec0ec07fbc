//! SIGTERM: down within ten seconds, whatever is going on, and nothing is lost or doubled by it.

use std::time::{Duration, Instant};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use super::letter;
use crate::support::{database, program};

#[tokio::test(flavor = "multi_thread")]
async fn stopped_while_hundreds_of_letters_come_in_and_nothing_is_lost() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town =
        Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp").after("seen")]);
    for round in 0..3 {
        let letters: Vec<Vec<u8>> = (1..=400).map(|n| letter(round * 1000 + n)).collect();
        dovecot.deliver_all("urp", "INBOX", letters).expect("delivered");
        let before = town.count("email/urp", "delivered");
        let daemon = town.daemon();
        // In the first rounds as soon as something has come in; in the last one when everything is done.
        town.until("letters come in", || town.count("email/urp", "delivered") > before.max(0)).await;
        if round == 2 {
            town.until("all are sorted", || town.count("email/urp", "opened") == 1200).await;
        }
        let begun = Instant::now();
        assert_eq!(daemon.terminate(), 0);
        assert!(begun.elapsed() < Duration::from_secs(10), "what the command line promises: {}", town.logs());
        assert!(!town.logs().contains("abandoned"), "{}", town.logs());
    }
    assert_eq!(town.count("email/urp", "delivered"), 1200);
    let attempts = sqlx::query_scalar!(r#"select max(attempts) as "n!" from deliveries"#)
        .fetch_one(store.pool())
        .await
        .expect("asked");
    assert_eq!(attempts, 1, "being stopped costs no attempt");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
