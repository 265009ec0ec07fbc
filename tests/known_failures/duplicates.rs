//! Letters that come again: nothing is doubled, and nothing that was finished begins anew.

use std::{fs, process::Stdio};

use serde_json::Value;
use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    scripted_imap::{Fault, ScriptedImap},
};

use super::{cases, deliveries, office, scripted, settled, sound};
use crate::{
    cli::path,
    support::{database, letter, program},
};

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_12054_what_was_finished_or_put_away_is_imported_again() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let files: Vec<String> = (1..=2)
        .map(|n| {
            let path = town.path().join(format!("{n}.eml"));
            let list = if n == 2 { &b"List-Id: <notizie.example.it>\r\n"[..] } else { b"" };
            fs::write(&path, [list, &letter(n)].concat()).expect("a letter");
            path.display().to_string()
        })
        .collect();
    let import = ["import", "mail", &files[0], &files[1]];
    assert_eq!(town.json(&import)["new"], 2);
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    town.json(&["queue", "close", &number, "--outcome", "riparata"]);
    let before = town.json(&["deliveries", "list"]);
    assert_eq!(town.json(&import), serde_json::json!({"new": 0, "known": 2, "errors": 0}));
    assert_eq!(town.json(&["deliveries", "list"]), before);
    assert_eq!(town.json(&["queue", "list"]), serde_json::json!([]), "the closed case stays closed");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

/// The letter is taken in, then marking it fails: the error of the report, a refusal, a lost connection.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_1662_two_tickets_of_one_letter_after_an_imap_error() {
    let server = ScriptedImap::start().await.expect("it listens");
    let gone = Fault::Instead("{T} NO Some of the requested messages no longer exist.\r\n");
    for fault in [gone, Fault::Bad, Fault::Eof] {
        server.fault("UID STORE", "", 1, fault);
    }
    for n in 1..=3 {
        server.deliver(&letter(n));
    }
    let office = office(None, &[scripted(&server, "urp").after("seen")]).await;
    let daemon = office.town.daemon();
    let marked = || server.folder("INBOX", |f| f.letters.values().all(|l| l.flags == ["\\Seen"]));
    office.town.until("all are marked in the end", marked).await;
    settled(&office, "email/urp", 3).await;
    assert_eq!(server.fired(), 3);
    assert_eq!(office.town.count("email/urp", "opened"), 3);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// The server ends the connection again and again, and allows one at a time: none is left open, and each letter is taken in once.
#[tokio::test(flavor = "multi_thread")]
async fn n8n_30179_each_letter_thirteen_times_and_connections_leak() {
    let server = ScriptedImap::start().await.expect("it listens");
    server.refuse_logins_beyond(1);
    for n in 1..=6 {
        server.fault("IDLE", "", 1, if n % 2 == 0 { Fault::Bye } else { Fault::Eof });
        server.deliver(&letter(n));
    }
    let office = office(None, &[scripted(&server, "urp")]).await;
    let daemon = office.town.daemon();
    office.town.until("it was cut off six times", || server.fired() == 6).await;
    server.deliver(&letter(7));
    settled(&office, "email/urp", 7).await;
    assert_eq!(office.town.count("email/urp", "opened"), 7);
    let log = daemon.log();
    assert!(!log.contains("login-unavailable") && !log.contains("few-connections"), "{log}");
    assert_eq!(daemon.terminate(), 0);
    let log = server.log();
    let bodies = log.iter().filter(|l| l.contains("BODY.PEEK[]")).count();
    assert!(bodies <= 7, "none was fetched again: {log:?}");
    sound(&office).await;
}

/// One letter of HTML alone, two daemons, one of them killed and started again: one case, and its words are shown.
#[tokio::test(flavor = "multi_thread")]
async fn helpdesk_2310_several_tickets_of_one_letter_and_no_content() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let office = office(Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]).await;
    let state = office.town.path().join("second").display().to_string();
    let first = office.town.daemon_in("run", &[]);
    let second = office.town.daemon_in("run2", &[("SMISTA_STATE__DIR", state.as_str())]);
    let html = "From: Anna <anna@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Segnalazione\r\n\
                Message-ID: <html@example.it>\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\
                Content-Transfer-Encoding: base64\r\n\r\n\
                PHA+SW4gdmlhIERhbnRlIGMmIzM5OyZlZ3JhdmU7IHVuYSA8Yj5idWNhPC9iPi48L3A+\r\n";
    dovecot.deliver("urp", "INBOX", html.as_bytes()).expect("delivered");
    settled(&office, "email/urp", 1).await;
    first.kill9();
    let again = office.town.daemon_in("run", &[]);
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    settled(&office, "email/urp", 2).await;
    let all = cases(&office);
    assert_eq!(all.len(), 2);
    let shown: Vec<&str> = all.iter().filter_map(|case| case["message_list"][0]["text"].as_str()).collect();
    assert!(shown.iter().any(|text| text.contains("c'è una buca")), "{shown:?}");
    for daemon in [second, again] {
        assert_eq!(daemon.terminate(), 0);
    }
    sound(&office).await;
}

/// What delivers does so at least once, and several times at the same moment: here four imports of the same letters.
#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_13359_delivered_at_least_once_and_the_lock_is_gone_before_the_commit() {
    let office = office(None, &[]).await;
    let letters: Vec<Vec<u8>> = (1..=30).map(letter).collect();
    let dir = office.letters("lettere", &letters);
    let import = || {
        let mut command = office.town.command();
        command.args(["import", "mail", "--json", path(&dir)]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program runs")
    };
    let running: Vec<_> = (0..4).map(|_| import()).collect();
    let mut new = 0;
    for child in running {
        let output = child.wait_with_output().expect("its end");
        let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert_eq!(
            said["new"].as_i64().zip(said["known"].as_i64()).map(|(n, k)| n + k),
            Some(30),
            "{output:?}"
        );
        new += said["new"].as_i64().unwrap_or_default();
    }
    assert_eq!(new, 30);
    let row = office.town.ledger("email/import").expect("a row");
    assert_eq!((&row["delivered"], &row["opened"]), (&30.into(), &30.into()), "{row}");
    sound(&office).await;
}

/// To, Cc and Bcc: the same letter on three ways.
#[tokio::test(flavor = "multi_thread")]
async fn znuny_384_one_letter_to_several_of_our_addresses_is_several_tickets() {
    let office = office(None, &[]).await;
    for channel in ["email/urp", "email/tributi", "email/protocollo"] {
        let copy = [format!("Delivered-To: {channel}\r\n").as_bytes(), &letter(1)].concat();
        let dir = office.letters(&channel.replace('/', "-"), &[copy]);
        office.town.json(&["import", "mail", "--channel", channel, path(&dir)]);
    }
    let all = cases(&office);
    assert_eq!(all.len(), 1);
    let doubles = deliveries(&office, "--outcome", "ignored");
    assert_eq!(doubles.len(), 2);
    for row in doubles {
        assert_eq!((&row["reason"], &row["number"]), (&"double".into(), &all[0]["number"]), "{row}");
    }
    sound(&office).await;
}
