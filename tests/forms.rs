//! Many letters from one address: what a web form sends is many citizens, what one sender floods us with waits for a person.

use std::collections::BTreeSet;

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use crate::support::{database, program};

const FORM: &str = "poll_secs = 10\nflood = 20\n\n[[email.form]]\nfrom = \"noreply@comune.gubbio.pg.it\"\nname = \"Nome\"\n\
                    address = \"E-mail\"\nplace = \"Luogo\"\ncategory = \"Categoria\"\ntext = \"Messaggio\"\n\
                    categories = { \"Buche\" = \"strade/buche\" }\n";

/// A form of the site: always the same sender, subject and reference, marked as automatic.
fn form(n: usize) -> Vec<u8> {
    format!(
        "From: Sito <noreply@comune.gubbio.pg.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Segnalazione dal sito\r\n\
         Message-ID: <form-{n}@comune.gubbio.pg.it>\r\nReferences: <form@comune.gubbio.pg.it>\r\n\
         Date: Mon, 23 Nov 2026 08:00:00 +0100\r\nAuto-Submitted: auto-generated\r\nPrecedence: bulk\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nNome: Cittadina {n}\r\nE-mail: cittadina{n}@example.it\r\n\
         Luogo: via Dante {n}\r\nCategoria: Buche\r\nMessaggio: Venite a vedere.\r\n"
    )
    .into_bytes()
}

/// One of a great many letters of one sender.
fn flood(n: usize) -> Vec<u8> {
    format!(
        "From: Allarme <allarme@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Allarme {n}\r\n\
         Message-ID: <allarme-{n}@example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\n\r\nLa pompa {n} e' ferma.\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_from_one_address_are_a_case_each_and_a_flood_waits_until_a_person_lets_it_through() {
    let (forms, alarms) = (200, 70);
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    dovecot.deliver_all("urp", "INBOX", (0..forms).map(form)).expect("delivered");
    let mailbox = Mailbox { more: FORM.to_owned(), ..Mailbox::of(&dovecot, "urp") };
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox]);
    let daemon = town.daemon();
    town.until("every form is a case", || town.count("email/urp", "opened") == 200).await;
    let queue = town.json(&["queue", "list"]);
    let rows = queue.as_array().expect("rows");
    assert!(
        rows.iter().all(|r| r["sector"] == "lavori-pubblici" && r["category"] == "strade/buche"),
        "{queue}"
    );
    let senders: BTreeSet<String> = rows
        .iter()
        .take(20)
        .map(|row| town.json(&["queue", "show", row["number"].as_str().expect("a number")]).to_string())
        .filter_map(|case| case.split("@example.it").next()?.rsplit('"').next().map(str::to_owned))
        .collect();
    assert_eq!(senders.len(), 20, "{senders:?}");

    dovecot.deliver_all("urp", "INBOX", (0..alarms).map(flood)).expect("delivered");
    town.until("the flood has come in", || {
        town.count("email/urp", "delivered") == 270 && town.count("email/urp", "waiting") == 0
    })
    .await;
    let quarantined = town.count("email/urp", "quarantined");
    // Where it begins at the end of ten minutes, the limit counts twice.
    assert!((30..=50).contains(&quarantined), "{quarantined}");
    assert_eq!(town.ledger("email/urp").expect("a row")["reasons"]["flood"], quarantined);
    town.until("status says so", || town.run(&["status", "--json"]).out.contains("\"flood\"")).await;

    assert_eq!(town.run(&["deliveries", "retry", "--all"]).code, 0);
    town.until("all are let through", || town.count("email/urp", "opened") == 270).await;
    town.until("it is over", || !town.run(&["status", "--json"]).out.contains("\"flood\"")).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
