//! The whole line: from a real mailbox to the sector's queue.

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use crate::support::{database, letter, program, reply};

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_reaches_the_queue_of_its_sector() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    town.until("the letter is sorted", || town.count("email/urp", "opened") == 1).await;

    // Another one while the daemon waits in IDLE.
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    dovecot.deliver("urp", "INBOX", &reply(3, 1)).expect("delivered");
    town.until("both are sorted", || {
        town.count("email/urp", "delivered") == 3 && town.count("email/urp", "waiting") == 0
    })
    .await;
    let queue = town.json(&["queue", "list"]);
    let rows = queue.as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{queue}");
    assert!(rows.iter().all(|r| r["sector"] == "lavori-pubblici"), "{queue}");
    assert_eq!(town.count("email/urp", "appended"), 1);

    let status = town.run(&["status", "--json"]).json();
    assert_eq!(status["daemon"]["channels"][0]["state"], "caught-up", "{status}");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
