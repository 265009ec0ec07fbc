//! Slow, or hungry: the cost of a look grows with what is new, mailboxes are followed side by side, memory is bounded.

use smista_testkit::{
    chaos_proxy::ChaosProxy,
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    scripted_imap::{Fault, ScriptedImap},
};

use super::{cases, office, scripted, settled, sound};
use crate::support::{database, letter, program};

/// As many letters lie in a mailbox as in the report.
const OLD: usize = 878;

/// A mailbox full of old mail, of which only what comes from now on is wanted; looked at over two starts, while five letters
/// come. Every command that the server heard after the first start.
async fn a_full_mailbox(server: &ScriptedImap) -> Vec<String> {
    for n in 0..OLD {
        server.deliver(&letter(n));
    }
    let mailbox = Mailbox { start: "new".to_owned(), ..scripted(server, "urp") };
    let office = office(None, &[mailbox]).await;
    let daemon = office.town.daemon();
    let caught_up = || super::channel(&office, "email/urp")["state"] == "caught-up";
    office.town.until("it is followed", caught_up).await;
    let before = server.log().len();
    for n in 1..=3 {
        server.deliver(&letter(OLD + n));
        settled(&office, "email/urp", n).await;
    }
    assert_eq!(daemon.terminate(), 0);
    for n in 4..=5 {
        server.deliver(&letter(OLD + n));
    }
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 5).await;
    assert_eq!(office.town.count("email/urp", "opened"), 5);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
    server.log().split_off(before)
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_14983_each_look_costs_what_lies_in_the_mailbox() {
    let server = ScriptedImap::start().await.expect("it listens");
    let asked = a_full_mailbox(&server).await;
    for line in asked.iter().filter(|line| line.starts_with("UID ")) {
        let uids = line.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit())).unwrap_or("0");
        let first: usize = uids.split([':', ',']).next().and_then(|n| n.parse().ok()).unwrap_or(0);
        assert!(first > OLD, "no old letter is asked for: {line}");
    }
    let looks = asked.iter().filter(|line| line.starts_with("UID SEARCH")).count();
    assert!((1..=20).contains(&looks), "{asked:?}");
}

/// A server that ends the connection whenever somebody scans what lies there.
#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_14682_looking_for_duplicates_scans_everything_until_the_server_hangs_up() {
    let server = ScriptedImap::start().await.expect("it listens");
    for scan in
        ["UID FETCH 1:", "UID FETCH 1 ", "UID SEARCH ALL", "UID SEARCH UID 1:", "UID SEARCH SINCE", "FETCH"]
    {
        server.fault(scan, "", usize::MAX, Fault::Eof);
    }
    a_full_mailbox(&server).await;
    assert_eq!(server.fired(), 0, "{:?}", server.log());
}

/// Polls and restarts: the octets of each letter come over the line once.
#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_6082_the_providers_bandwidth_is_used_up() {
    let server = ScriptedImap::start().await.expect("it listens");
    let office = office(None, &[scripted(&server, "urp")]).await;
    for n in 1..=4 {
        let large = [letter(n), "riempitivo\r\n".repeat(20_000).into_bytes()].concat();
        server.deliver(&large);
        let daemon = office.town.daemon();
        settled(&office, "email/urp", n).await;
        assert_eq!(daemon.terminate(), 0);
    }
    let bodies: Vec<String> = server.log().into_iter().filter(|line| line.contains("BODY.PEEK[]")).collect();
    assert_eq!(bodies.len(), 4, "{bodies:?}");
    for (n, line) in bodies.iter().enumerate() {
        assert!(line.starts_with(&format!("UID FETCH {} ", n + 1)), "{bodies:?}");
    }
    sound(&office).await;
}

/// Nothing is answered before all of them have called: one after the other, the second would never call.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_4992_fifty_two_mailboxes_one_after_the_other() {
    const MAILBOXES: u16 = 52;
    let server = ScriptedImap::start().await.expect("it listens");
    let proxy = ChaosProxy::start(server.port).await.expect("a proxy");
    proxy.stall();
    let names: Vec<String> = (1..=MAILBOXES).map(|n| format!("ufficio{n}")).collect();
    let mailboxes: Vec<Mailbox> = names
        .iter()
        .map(|name| Mailbox { folders: vec![name.clone()], ..scripted(&server, name).plain_on(proxy.port) })
        .collect();
    for (n, name) in names.iter().enumerate() {
        server.folder(name, |f| f.add(letter(n), "01-Nov-2020 10:00:00 +0100"));
    }
    let office = office(None, &mailboxes).await;
    let daemon = office.town.daemon();
    proxy.until_connections(MAILBOXES.into()).await;
    proxy.resume();
    let opened = || {
        let ledger = office.town.json(&["ledger"]);
        ledger.as_array().expect("rows").iter().filter(|row| row["opened"] == 1).count()
    };
    office.town.until("each has its letter", || opened() == names.len()).await;
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// Large letters wait: four times as many of them take no more memory.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_4343_the_memory_limit_is_reached() {
    const OCTETS: usize = 2_000_000;
    let large = |n: usize| {
        let text = String::from_utf8(letter(n)).expect("UTF-8");
        let head = text.replace("text/plain; charset=utf-8", "multipart/mixed; boundary=b");
        let parts = "--b\r\nContent-Type: text/plain\r\n\r\nUna buca.\r\n--b\r\nContent-Type: image/jpeg\r\n\
                     Content-Transfer-Encoding: base64\r\n\r\n";
        let picture = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRof\r\n";
        [&head, parts, &picture.repeat(OCTETS / picture.len()), "--b--\r\n"].concat().into_bytes()
    };
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let office = office(Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]).await;
    let mut peaks = Vec::new();
    for (from, to) in [(0, 8), (8, 40)] {
        dovecot.deliver_all("urp", "INBOX", (from..to).map(large)).expect("delivered");
        let daemon = office.town.daemon();
        settled(&office, "email/urp", to).await;
        peaks.push(daemon.peak_memory());
        assert_eq!(daemon.terminate(), 0);
    }
    assert_eq!(office.town.count("email/urp", "opened"), 40);
    assert!(peaks[0] > 1 << 20, "measured");
    assert!(peaks[1] * 100 < peaks[0] * 130, "of 8 and of 32 letters: {peaks:?}");
    sound(&office).await;
}

/// A letter with an attachment that no mail server should have let through: its beginning is a case, and the next one comes.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_1356_out_of_memory_on_an_attachment_over_20_mb() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let text = String::from_utf8(letter(1)).expect("UTF-8");
    let head =
        text.replace("Content-Type: text/plain; charset=utf-8", "Content-Type: multipart/mixed; boundary=b");
    let part = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nLa buca del filmato.\r\n--b\r\nContent-Type: video/mp4\r\n\
                Content-Disposition: attachment; filename=buca.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let film = "AAAAIGZ0eXBpc29tAAACAGlzb21pc28yYXZjMW1wNDEAAAAIZnJlZQAAAAhtZGF0AAAAAAAA\r\n".repeat(400_000);
    let whole = [head.as_bytes(), part.as_bytes(), film.as_bytes(), b"--b--\r\n"].concat();
    assert!(film.len() / 4 * 3 > 20_000_000);
    let office = office(Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]).await;
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 1).await;
    let before = daemon.peak_memory();
    dovecot.deliver_all("urp", "INBOX", [whole, letter(3)]).expect("delivered");
    settled(&office, "email/urp", 3).await;
    let more = daemon.peak_memory() - before;
    assert!(more < 10_000_000, "a part of what the letter has: {more}");
    assert_eq!(daemon.terminate(), 0);
    let all = cases(&office);
    assert_eq!(all.len(), 3);
    let cut = all.iter().filter(|case| case["message_list"][0]["notes"].to_string().contains("truncated"));
    assert_eq!(cut.count(), 1);
    sound(&office).await;
}

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
