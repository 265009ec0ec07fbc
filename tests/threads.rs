//! Which case a message belongs to, through the whole program.

use serde_json::Value;
use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use crate::support::{database, letter, program, reply};

fn sorted(town: &Installation, channel: &str, n: i64) -> bool {
    town.ledger(channel).is_some_and(|r| r["delivered"] == n && r["waiting"] == 0)
}

fn from(who: &str, id: &str, subject: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "From: {who}\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: {subject}\r\nMessage-ID: <{id}@example.org>\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n{more}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_replies_at_once_through_two_daemons_and_then_their_parent_are_one_case() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let mailboxes = [Mailbox::of(&dovecot, "urp"), Mailbox::of(&dovecot, "tributi")];
    let town = Installation::new(program(), &table, Some(&dovecot), &mailboxes);
    let first = town.daemon_in("run", &[]);
    let state = town.path().join("second").display().to_string();
    let second = town.daemon_in("run2", &[("SMISTA_STATE__DIR", state.as_str())]);
    // Both mailboxes are open before anything comes, so that everything comes at once.
    for mailbox in ["urp", "tributi"] {
        dovecot
            .deliver(mailbox, "INBOX", &letter(if mailbox == "urp" { 100 } else { 200 }))
            .expect("delivered");
    }
    town.until("both mailboxes are followed", || {
        sorted(&town, "email/urp", 1) && sorted(&town, "email/tributi", 1)
    })
    .await;
    for n in 0..10 {
        dovecot.deliver("urp", "INBOX", &reply(n, 1)).expect("delivered");
        dovecot.deliver("tributi", "INBOX", &reply(10 + n, 1)).expect("delivered");
    }
    town.until("all replies are sorted", || {
        sorted(&town, "email/urp", 11) && sorted(&town, "email/tributi", 11)
    })
    .await;
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    town.until("their parent, too", || sorted(&town, "email/urp", 12)).await;
    let sum = |what: &str| town.count("email/urp", what) + town.count("email/tributi", what);
    assert_eq!((sum("opened"), sum("appended")), (3, 20), "{}", town.json(&["ledger"]));
    let queue = town.json(&["queue", "list"]);
    let case = queue.as_array().expect("rows").iter().find(|r| r["messages"] == 21);
    assert!(case.is_some(), "{queue}");
    assert_eq!((first.terminate(), second.terminate()), (0, 0));
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_in_the_subject_joins_for_its_citizen_and_opens_a_related_case_for_a_stranger() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    town.until("the case is open", || sorted(&town, "email/urp", 1)).await;
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();

    let subject = format!("La mia [{number}]");
    let body = "C'è una buca profonda nell'asfalto.";
    let stranger = from("Estranea <estranea@example.net>", "estranea", &subject, "", body);
    let citizen = from("Cittadina 1 <CITTADINA1@example.it>", "stessa", &subject, "", body);
    dovecot.deliver_all("urp", "INBOX", [stranger, citizen]).expect("delivered");
    town.until("both are sorted", || sorted(&town, "email/urp", 3)).await;
    assert_eq!((town.count("email/urp", "opened"), town.count("email/urp", "appended")), (2, 1));
    let case = town.json(&["queue", "show", &number]);
    assert_eq!(case["message_list"].as_array().map(Vec::len), Some(2), "{case}");
    assert_eq!(case["related"][0]["reason"], "number-in-subject", "{case}");
    let shown = town.json(&["queue", "show", case["related"][0]["number"].as_str().expect("a number")]);
    assert_eq!(shown["sender"]["address"], "estranea@example.net", "{shown}");
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

/// The id of the only delivery with this outcome.
fn only(town: &Installation, outcome: &str) -> (String, Value) {
    let rows = town.json(&["deliveries", "list", "--outcome", outcome]);
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
    (rows[0]["id"].to_string(), rows[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ignored_or_set_aside_becomes_a_case_when_a_clerk_says_so() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    let list = "List-Id: <notizie.example.com>\r\nPrecedence: list\r\n";
    let newsletter =
        from("Notizie <notizie@example.com>", "notizie", "Notiziario", list, "Le notizie del mese.");
    let body = "Le offriamo il posizionamento del suo sito sui motori di ricerca.";
    let spam = from("Promo <promo@example.com>", "promo", "Offerta", "", body);
    dovecot.deliver_all("urp", "INBOX", [newsletter, spam]).expect("delivered");
    town.until("both are put away", || sorted(&town, "email/urp", 2)).await;
    let (newsletter, row) = only(&town, "ignored");
    assert_eq!(row["reason"], "mailing-list", "{row}");
    let (spam, row) = only(&town, "set_aside");
    assert_eq!(row["reason"], "pubblicita", "{row}");
    assert_eq!(town.json(&["queue", "list"]), serde_json::json!([]));

    for (n, id) in [(1, newsletter), (2, spam)] {
        assert_eq!(town.run(&["deliveries", "reopen", &id]).code, 0);
        town.until("it is a case", || town.count("email/urp", "opened") == n).await;
        let again = town.run(&["deliveries", "reopen", &id]);
        assert!(again.code == 1 && !again.err.is_empty(), "{again:?}");
    }
    assert_eq!(town.json(&["queue", "list"]).as_array().map(Vec::len), Some(2));
    assert!(sorted(&town, "email/urp", 2), "the ledger counts each once: {:?}", town.ledger("email/urp"));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_a_closed_case_opens_it_again_in_its_sector() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    town.until("the case is open", || sorted(&town, "email/urp", 1)).await;
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    town.json(&["queue", "reroute", &number, "ambiente", "--reason", "è nel parco"]);
    town.json(&["queue", "close", &number, "--outcome", "riparata"]);
    dovecot.deliver("urp", "INBOX", &reply(1, 1)).expect("delivered");
    town.until("the reply is sorted", || sorted(&town, "email/urp", 2)).await;
    let row = &town.json(&["queue", "list"])[0];
    assert_eq!(
        (&row["number"], &row["sector"], &row["state"]),
        (&number.into(), &"ambiente".into(), &"ready".into())
    );
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
