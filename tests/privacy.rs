//! No personal data and no secret in logs and states: letters full of names are run with everything logged that can be, and
//! then every name is looked for.

use std::fs;

use smista_testkit::{
    dovecot::{Dovecot, PASSWORD},
    installation::{Installation, Mailbox},
};

use crate::support::{database, program};

/// What must stay between the citizen and the sector, in lower case.
const PRIVATE: &[&str] = &[
    "ermenegilda",
    "quondamstefano",
    "riservata.example",
    "zibaldone",
    "xilografia",
    "referto-medico",
    "via delle magnolie",
];

/// One of many shapes of a letter with the same person in it.
fn letter(id: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Ermenegilda Quondamstefano <ermenegilda@riservata.example>\r\nTo: urp@comune.gubbio.pg.it\r\n\
         Subject: Zibaldone {id}\r\nMessage-ID: <{id}@riservata.example>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\n\
         {more}\r\n{body}\r\n"
    )
    .into_bytes()
}

fn letters() -> Vec<Vec<u8>> {
    let plain = "Content-Type: text/plain; charset=utf-8\r\n";
    let attached = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    vec![
        letter(
            "uno",
            plain,
            "Una xilografia in via delle Magnolie, accanto a una buca profonda nell'asfalto.",
        ),
        letter(
            "due",
            &format!("In-Reply-To: <uno@riservata.example>\r\n{plain}"),
            "La xilografia è ancora lì.",
        ),
        letter("tre", &format!("Auto-Submitted: auto-replied\r\n{plain}"), "Xilografia: sono assente."),
        letter("quattro", plain, "Xilografia: posizionamento del suo sito sui motori di ricerca."),
        letter(
            "cinque",
            attached,
            "--b\r\nContent-Type: text/plain\r\n\r\nXilografia\r\n--b\r\nContent-Type: application/pdf; \
             name=referto-medico.pdf\r\nContent-Disposition: attachment; filename=referto-medico.pdf\r\n\r\nx\r\n--b--",
        ),
        letter("sei", "Content-Type: text/plain; charset=\"xilografia\"\r\n", "Senza capo né coda."),
        // What the database refuses comes with the whole row in the server's DETAIL.
        letter("sette", plain, "RIFIUTATA: xilografia"),
        [b"\0\xff\xfe Quondamstefano \r\n\r\n".to_vec(), vec![0xFF; 300], b"xilografia".to_vec()].concat(),
        letter("nove", plain, &format!("xilografia {}", "riempitivo\r\n".repeat(10_000))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn with_everything_logged_no_name_word_address_or_secret_is_in_the_log() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    sqlx::query("alter table messages add constraint poison check (text not like 'RIFIUTATA%')")
        .execute(store.pool())
        .await
        .expect("a constraint of the test");
    let table = table.replace("postgres://smista@", "postgres://smista:parola-d-ordine@");
    assert!(table.contains("parola-d-ordine"), "{table}");
    let mut mailbox = Mailbox::of(&dovecot, "urp").after("seen");
    mailbox.more.push_str("\nmax_message_bytes = 100000");
    // One whose login is refused: servers like to repeat what was sent.
    let refused = Mailbox { user: "nessuno".to_owned(), ..Mailbox::of(&dovecot, "tributi") };
    let town = Installation::new(program(), &table, Some(&dovecot), &[mailbox, refused]);
    let all = letters();
    let n = i64::try_from(all.len()).expect("a count");
    dovecot.deliver_all("urp", "INBOX", all).expect("delivered");
    let daemon = town.daemon_in("run", &[("SMISTA_LOG", "debug")]);
    town.until("everything has its outcome", || {
        town.ledger("email/urp").is_some_and(|r| r["delivered"] == n && r["waiting"] == 0)
    })
    .await;
    town.until("the refused login is said", || town.run(&["status", "--json"]).out.contains("login-refused"))
        .await;
    assert!(town.count("email/urp", "quarantined") >= 1, "{:?}", town.ledger("email/urp"));

    let file = town.path().join("imported.eml");
    fs::write(&file, letter("dieci", "", "RIFIUTATA: xilografia")).expect("a letter");
    let path = file.to_str().expect("UTF-8").to_owned();
    let imported = town.command().env("SMISTA_LOG", "debug").args(["import", "mail", &path]).output();
    let imported = imported.expect("runs");
    let mut said = vec![("import", String::from_utf8_lossy(&imported.stderr).into_owned())];
    for command in [&["status"][..], &["status", "--json"], &["ledger"], &["deliveries", "list", "--json"]] {
        let output = town.run(command);
        said.push((command[0], output.out + &output.err));
    }
    let log = daemon.log();
    assert!(log.contains("DEBUG") && log.contains("refuses"), "the log has what it must have:\n{log}");
    assert_eq!(daemon.terminate(), 0);
    said.push(("log", town.logs()));
    said.push(("log", log));
    for (what, text) in said {
        let lower = text.to_lowercase();
        for private in PRIVATE.iter().copied().chain([PASSWORD, "parola-d-ordine"]) {
            let line = lower.lines().find(|line| line.contains(private));
            assert_eq!(line, None, "'{private}' is in {what}");
        }
    }
}
