//! What mailboxes are like: renumbered, full of old mail, several of them, with another certificate authority.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use smista_testkit::{
    dovecot::{Dovecot, PASSWORD},
    imap_client::ImapClient,
    installation::{Installation, Mailbox},
};

use crate::support::{database, letter, program};

fn sorted(town: &Installation, channel: &str, n: i64) -> bool {
    town.ledger(channel).is_some_and(|r| r["delivered"] == n && r["waiting"] == 0)
}

fn channels(town: &Installation) -> Vec<Value> {
    town.status()["channels"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_uidvalidity_doubles_nothing_and_the_new_letter_is_found() {
    let mut dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    for n in 1..=30 {
        dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
    }
    // Two genuinely equal letters.
    dovecot.deliver("urp", "INBOX", &letter(7)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    town.until("all are sorted", || sorted(&town, "email/urp", 31)).await;
    assert_eq!((town.count("email/urp", "opened"), town.count("email/urp", "ignored")), (30, 1));

    dovecot.stop();
    dovecot.set_uidvalidity("urp", "INBOX", 4_242).expect("renumbered");
    dovecot.deliver("urp", "INBOX", &letter(31)).expect("delivered");
    dovecot.launch().await.expect("Dovecot again");
    town.until("the new one is found", || sorted(&town, "email/urp", 32)).await;
    assert_eq!((town.count("email/urp", "opened"), town.count("email/urp", "ignored")), (31, 1));

    // Once more, while no daemon runs.
    assert_eq!(daemon.terminate(), 0);
    dovecot.stop();
    dovecot.set_uidvalidity("urp", "INBOX", 5_151).expect("renumbered");
    dovecot.deliver("urp", "INBOX", &letter(32)).expect("delivered");
    dovecot.launch().await.expect("Dovecot again");
    let daemon = town.daemon();
    town.until("the new one is found", || sorted(&town, "email/urp", 33)).await;
    assert_eq!((town.count("email/urp", "opened"), town.count("email/urp", "ignored")), (32, 1));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_years_of_old_mail_open_no_case_and_nothing_leaves() {
    let mut dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let now = SystemTime::now();
    for n in 0..400_u64 {
        let at = now - Duration::from_hours(24 * 7) * u32::try_from(n + 1).expect("small");
        dovecot
            .deliver_at("urp", "INBOX", &letter(usize::try_from(n).expect("small")), Some(at))
            .expect("delivered");
    }
    let mailbox = Mailbox { start: "new".to_owned(), ..Mailbox::of(&dovecot, "urp") };
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox.after("seen")]);
    let daemon = town.daemon();
    town.until("it is caught up", || channels(&town).iter().any(|c| c["state"] == "caught-up")).await;
    dovecot.deliver("urp", "INBOX", &letter(1000)).expect("delivered");
    town.until("the new one is sorted", || sorted(&town, "email/urp", 1)).await;
    assert_eq!(daemon.terminate(), 0);

    dovecot.deliver("urp", "INBOX", &letter(1001)).expect("delivered");
    let daemon = town.daemon();
    town.until("what came meanwhile is sorted", || sorted(&town, "email/urp", 2)).await;
    dovecot.stop();
    dovecot.set_uidvalidity("urp", "INBOX", 4_242).expect("renumbered");
    dovecot.launch().await.expect("Dovecot again");
    dovecot.deliver("urp", "INBOX", &letter(1002)).expect("delivered");
    town.until("the newest one is sorted", || town.count("email/urp", "opened") >= 3).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!((town.count("email/urp", "opened"), town.count("email/urp", "delivered")), (3, 3));
    let leaves = sqlx::query_scalar!(r#"select count(*) as "n!" from outbox"#).fetch_one(store.pool()).await;
    assert_eq!(leaves.expect("counted"), 0);
    let touched =
        dovecot.letters("urp", "INBOX").expect("letters").iter().filter(|(_, f)| f.contains('S')).count();
    assert!(touched <= 3, "old letters are not flagged either: {touched}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_that_another_program_empties_is_said_also_after_a_restart() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, _store) = database().await;
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    town.until("it is sorted", || sorted(&town, "email/urp", 1)).await;
    assert_eq!(daemon.terminate(), 0);

    let mut other = ImapClient::log_in(dovecot.imap, "urp", PASSWORD).await.expect("logged in");
    for n in 2..39 {
        other.append("INBOX", &letter(n)).await.expect("appended");
    }
    other.empty("INBOX").await.expect("emptied");
    dovecot.deliver("urp", "INBOX", &letter(39)).expect("delivered");
    for _ in 0..2 {
        let daemon = town.daemon();
        town.until("status says so", || {
            let said = town.run(&["status"]);
            said.out.contains("37 messages vanished before they were fetched") && said.out.contains("POP")
        })
        .await;
        town.until("the other one is sorted", || sorted(&town, "email/urp", 2)).await;
        assert_eq!(daemon.terminate(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starttls_and_a_wrong_certificate_authority() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let other = Dovecot::start().await.expect("another Dovecot, with another CA");
    let (table, _store) = database().await;
    let starttls = Mailbox { port: dovecot.imap, tls: "starttls".to_owned(), ..Mailbox::of(&dovecot, "urp") };
    let wrong = Mailbox { port: other.imaps, ..Mailbox::of(&dovecot, "tributi") };
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    other.deliver("tributi", "INBOX", &letter(2)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[starttls, wrong]);
    let daemon = town.daemon();
    town.until("over STARTTLS", || sorted(&town, "email/urp", 1)).await;
    town.until("the unknown CA is said", || {
        channels(&town).iter().any(|c| c["channel"] == "email/tributi" && c["state"] == "failing")
    })
    .await;
    assert!(town.count("email/tributi", "delivered") <= 0, "nothing came over an untrusted connection");
    let connect = town.run(&["check", "--connect"]);
    assert_eq!(connect.code, 69, "{connect:?}");
    assert!(connect.out.contains("email/urp") && connect.out.contains("email/tributi"), "{connect:?}");
    assert!(connect.out.contains("[tls-untrusted]") && connect.out.contains("ca_file"), "{connect:?}");
    assert!(connect.out.contains("emesso da CA di prova di smista"), "{connect:?}");
    let connect = town.run(&["check", "--connect", "--lang", "en", "--json"]);
    let documents = serde_json::Deserializer::from_str(&connect.out).into_iter::<serde_json::Value>();
    let documents: Vec<serde_json::Value> = documents.collect::<Result<_, _>>().expect("JSON");
    let steps = documents.last().and_then(|d| d.as_array()).expect("a list of steps");
    let said = |subject: &str| -> Vec<(String, String)> {
        let of_it = steps.iter().filter(|s| s["subject"] == subject);
        of_it.map(|s| (s["step"].to_string(), s["verdict"].to_string())).collect()
    };
    let well = |step: &str| (format!("\"{step}\""), "\"ok\"".to_owned());
    let way = ["dns", "tcp", "tls", "login", "capabilities", "folder"];
    assert_eq!(said("email/urp"), way.map(well), "{connect:?}");
    assert_eq!(
        said("email/tributi").last().map(|(step, verdict)| (step.as_str(), verdict.as_str())),
        Some(("\"tls\"", "\"error\""))
    );
    assert_eq!(daemon.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_letter_to_two_of_our_mailboxes_is_one_case() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let mailboxes = [Mailbox::of(&dovecot, "urp"), Mailbox::of(&dovecot, "tributi")];
    let town = Installation::new(program(), &table, Some(&dovecot), &mailboxes);
    let through = |hop: &str| [format!("Received: from {hop}\r\n").into_bytes(), letter(1)].concat();
    dovecot.deliver("urp", "INBOX", &through("a.example")).expect("delivered");
    dovecot.deliver("tributi", "INBOX", &through("b.example")).expect("delivered");
    let daemon = town.daemon();
    town.until("both are sorted", || sorted(&town, "email/urp", 1) && sorted(&town, "email/tributi", 1))
        .await;
    let opened = town.count("email/urp", "opened") + town.count("email/tributi", "opened");
    let ignored = town.count("email/urp", "ignored") + town.count("email/tributi", "ignored");
    assert_eq!((opened, ignored), (1, 1));
    let doubles = town.json(&["deliveries", "list", "--outcome", "ignored"]);
    assert_eq!(doubles[0]["reason"], "double", "{doubles}");
    assert!(doubles[0]["number"].as_str().is_some_and(|n| n.starts_with("20")), "{doubles}");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_is_too_large_opens_a_case_with_a_note() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let mut mailbox = Mailbox::of(&dovecot, "urp");
    mailbox.more.push_str("\nmax_message_bytes = 200000");
    let large = [letter(1), "riempitivo\r\n".repeat(50_000).into_bytes()].concat();
    dovecot.deliver("urp", "INBOX", &large).expect("delivered");
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox]);
    let daemon = town.daemon();
    town.until("both are sorted", || sorted(&town, "email/urp", 2)).await;
    assert_eq!(town.count("email/urp", "opened"), 2);
    assert_eq!(daemon.terminate(), 0);
    let notes = sqlx::query_scalar!("select notes from messages where subject = 'Buca numero 1'")
        .fetch_one(store.pool())
        .await
        .expect("the message");
    assert!(notes.as_array().is_some_and(|n| n.iter().any(|n| n == "truncated")), "{notes}");
}
