//! One mailbox or one sender in trouble: the others go on.

use std::fs;

use smista_testkit::{
    chaos_proxy::ChaosProxy,
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use crate::support::{database, letter, program};

#[tokio::test(flavor = "multi_thread")]
async fn zammad_5853_a_mailbox_whose_server_is_silent_holds_the_others_up() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let proxy = ChaosProxy::start(dovecot.imap).await.expect("a proxy");
    let (table, _store) = database().await;
    proxy.stall();
    let silent = Mailbox::of(&dovecot, "tributi").plain_on(proxy.port);
    let mailboxes = [silent, Mailbox::of(&dovecot, "urp"), Mailbox::of(&dovecot, "bulk")];
    let town = Installation::new(program(), &table, Some(&dovecot), &mailboxes);
    for user in ["tributi", "urp", "bulk"] {
        dovecot.deliver(user, "INBOX", &letter(user.len())).expect("delivered");
    }
    let daemon = town.daemon();
    proxy.until_connections(1).await;
    for n in 1..=3 {
        dovecot.deliver("urp", "INBOX", &letter(10 + n)).expect("delivered");
    }
    town.until("the others work", || {
        town.count("email/urp", "opened") == 4 && town.count("email/bulk", "opened") == 1
    })
    .await;
    assert_eq!(town.count("email/tributi", "delivered").max(0), 0, "the silent one is silent still");
    proxy.resume();
    proxy.cut();
    town.until("and this one when it speaks", || town.count("email/tributi", "opened") == 1).await;
    assert_eq!(daemon.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn osticket_6441_a_banned_sender_stops_all_fetching() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let rule = "[[rule]]\nid = \"bandito\"\nsender = [\"cittadina2@example.it\"]\nset_aside = \"mittente-bandito\"\n\
                weight = 100\n";
    fs::write(town.config().join("rules/banditi.toml"), rule).expect("a rule");
    for n in 1..=3 {
        dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
    }
    let daemon = town.daemon();
    town.until("the others are sorted", || town.count("email/urp", "opened") == 2).await;
    town.until("the banned one is put away", || town.count("email/urp", "set_aside") == 1).await;
    let row = &town.json(&["deliveries", "list", "--outcome", "set_aside"])[0];
    assert_eq!(row["reason"], "mittente-bandito", "{row}");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

/// Round after round of the same work, with idle times between them: once everything was done a few times, no round needs more
/// memory than the ones before.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_5188_memory_creeps_round_after_round() {
    const WARM: usize = 6;
    const ROUNDS: usize = 18;
    const LETTERS: usize = 40;
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, _store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    let mut warm = 0;
    for round in 0..ROUNDS {
        let letters = (0..LETTERS).map(|n| letter(round * LETTERS + n));
        dovecot.deliver_all("urp", "INBOX", letters).expect("delivered");
        let so_far = i64::try_from((round + 1) * LETTERS).expect("few");
        town.until("the round is sorted", || town.count("email/urp", "opened") == so_far).await;
        if round + 1 == WARM {
            warm = daemon.peak_memory();
        }
    }
    let peak = daemon.peak_memory();
    assert!(warm > 1 << 20, "measured");
    assert!(peak * 100 < warm * 115, "{warm} octets after {WARM} rounds, {peak} after {ROUNDS}");
    assert_eq!(daemon.terminate(), 0);
}
