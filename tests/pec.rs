//! Certified mail through the whole program: what a provider certifies stands beside the letter, whose signature it is
//! included, and a receipt comes back to the answer that it speaks of.

use smista_testkit::{
    bench::certified::CertifiedMailbox,
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    pec::{Authority, Gestore, How, Post, Shape},
};

use crate::support::{database, program};

const LETTER: Post<'_> = Post {
    from: "anna.rossi@pec.example",
    to: "urp@comune.gubbio.pg.it",
    subject: "Buca in via Dante",
    message_id: "m_1@client.example",
    serial: 1,
    rest: "\r\nIn via Dante c'e' una buca profonda nell'asfalto.\r\n",
};

const ANSWER: Post<'_> = Post {
    from: "urp@comune.gubbio.pg.it",
    to: "anna.rossi@pec.example",
    subject: "Re: Buca in via Dante",
    message_id: "risposta.1@comune.gubbio.pg.it",
    serial: 2,
    rest: "\r\nProvvederemo.\r\n",
};

/// Two rounds of what a real certified mailbox held: every envelope is a case, no receipt is one, and the ledger says of each why.
#[tokio::test(flavor = "multi_thread")]
async fn a_certified_mailbox_adds_up_by_reason() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let mut mailbox = CertifiedMailbox::new(&Authority::new("CA di prova"), 1);
    dovecot.deliver_all("urp", "INBOX", mailbox.by_ref().take(312)).expect("delivered");
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let daemon = town.daemon();
    town.until("all are settled", || {
        town.count("email/urp", "delivered") == 312 && town.count("email/urp", "waiting") == 0
    })
    .await;
    let ledger = town.ledger("email/urp").expect("a row");
    assert_eq!(ledger["opened"], 100, "{ledger}");
    assert_eq!(ledger["reasons"], serde_json::json!(mailbox.ignored));
    assert_eq!(mailbox.ignored.get("pec-accettazione"), Some(&186));
    assert_eq!((ledger["ignored"].as_u64(), ledger["quarantined"].as_u64()), (Some(212), Some(0)));
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_letter_with_its_seal_and_the_receipts_of_its_answer() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let authority = Authority::new("CA di prova");
    let gestore = Gestore::new(Shape::Aruba, &authority, How::Rsa);
    dovecot.deliver_all("urp", "INBOX", [gestore.envelope(&LETTER)]).expect("delivered");
    let pec = "poll_secs = 10\n\n[pec]\nca_file = \"agid.pem\"\n".to_owned();
    let mailbox = Mailbox { more: pec, ..Mailbox::of(&dovecot, "urp") };
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox]);
    std::fs::write(town.config().join("agid.pem"), authority.pem()).expect("written");
    let daemon = town.daemon();
    town.until("the letter is a case", || town.count("email/urp", "opened") == 1).await;

    let queue = town.json(&["queue", "list"]);
    let number = queue[0]["number"].as_str().expect("a number").to_owned();
    let case = town.json(&["queue", "show", &number]);
    let certified = &case["message_list"][0]["certified"];
    assert_eq!(certified["trust"]["result"], "trusted", "{certified}");
    assert_eq!(certified["envelope"]["provider"], "ARUBA PEC S.p.A.");
    let shown = town.run(&["queue", "show", &number]).out;
    assert!(shown.contains("(PEC, 19/09/2026 15:41, ARUBA PEC S.p.A., firma valida del gestore)"), "{shown}");

    assert_eq!(town.run(&["queue", "answer", &number, "Provvederemo."]).code, 0);
    dovecot.deliver_all("urp", "INBOX", [gestore.receipt("accettazione", &ANSWER)]).expect("delivered");
    town.until("it is no case", || town.count("email/urp", "ignored") == 1).await;
    let ignored = town.json(&["deliveries", "list", "--outcome", "ignored"]);
    let id = ignored[0]["id"].to_string();
    let shown = town.run(&["deliveries", "show", &id]).out;
    assert!(
        shown.contains("accettata dal nostro gestore") && shown.contains("in attesa della risposta"),
        "{shown}"
    );

    let answer: i64 =
        sqlx::query_scalar("select id from outbox").fetch_one(store.pool()).await.expect("the answer");
    store.leaves_as(answer, &format!("mid:{}", ANSWER.message_id)).await.expect("it leaves");
    dovecot.deliver_all("urp", "INBOX", [gestore.receipt("errore-consegna", &ANSWER)]).expect("delivered");
    town.until("it did not arrive", || town.json(&["queue", "list"])[0]["cause"] == "undelivered").await;
    let shown = town.run(&["queue", "show", &number]).out;
    assert!(
        shown.contains("risposta non consegnata") && shown.contains("non consegnata, anna.rossi@pec.example"),
        "{shown}"
    );
    assert_eq!(town.json(&["deliveries", "list", "--outcome", "ignored"])[0]["number"], number.as_str());
    assert_eq!(town.ledger("email/urp").expect("a row")["reasons"]["pec-accettazione"], 1);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
