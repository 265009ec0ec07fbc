//! Mail that other systems lost: what came while they were down, what somebody else had read, what was attached.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    time::{Duration, SystemTime},
};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox, PATIENCE},
    scripted_imap::{Fault, ScriptedImap},
};

use super::{cases, deliveries, import, office, scripted, settled, sound};
use crate::{
    cli::Office,
    support::{database, letter, program},
};

/// Six letters wait, and each is removed once it is taken in: the ones behind it move up.
#[tokio::test(flavor = "multi_thread")]
async fn osticket_6979_every_other_message_is_skipped_and_removed() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    dovecot.deliver_all("urp", "INBOX", (1..=6).map(letter)).expect("delivered");
    let mut mailbox = Mailbox::of(&dovecot, "urp").after("delete");
    mailbox.more.push_str("\ndelete_after_days = 0");
    let office = office(Some(&dovecot), &[mailbox]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 6).await;
    let left = || dovecot.letters("urp", "INBOX").map_or(6, |letters| letters.len());
    office.town.until("all are removed", || left() == 0).await;
    assert_eq!(office.town.count("email/urp", "opened"), 6, "and each of them is a case");
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// While letters are moved away the server says that others are gone; one of those behind is not served yet.
#[tokio::test(flavor = "multi_thread")]
async fn osticket_6972_the_server_renumbers_and_another_letter_is_moved() {
    let server = ScriptedImap::start().await.expect("it listens");
    server.set_capability("IMAP4rev1 AUTH=PLAIN SASL-IR IDLE UIDPLUS");
    for n in 1..=7 {
        server.deliver(&letter(n));
    }
    server.folder("INBOX", |f| f.letters.get_mut(&4).expect("there").withheld = true);
    // Somebody else deletes the first two before anything is moved.
    server.fault("SELECT", "", 1, Fault::No(""));
    server.fault("UID STORE", "", usize::MAX, Fault::Junk(b"* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"));
    let office = office(None, &[scripted(&server, "urp").after("move:Archivio")]).await;
    let daemon = office.town.daemon();
    office.town.until("they are cases", || office.town.count("email/urp", "opened") == 6).await;
    server.folder("INBOX", |f| f.letters.retain(|uid, _| *uid > 2));
    office.town.until("the others are moved", || server.folder("Archivio", |f| f.letters.len()) >= 4).await;
    office.town.until("and gone", || server.folder("INBOX", |f| f.letters.len()) == 1).await;
    let moved: BTreeSet<Vec<u8>> =
        server.folder("Archivio", |f| f.letters.values().map(|l| l.bytes.clone()).collect());
    // Those that were deleted may have been moved before.
    let expected: BTreeSet<Vec<u8>> = [3, 5, 6, 7].into_iter().map(letter).collect();
    assert!(moved.is_superset(&expected) && !moved.contains(&letter(4)));
    let left = server.folder("INBOX", |f| f.letters.clone());
    assert!(left.get(&4).is_some_and(|l| l.flags.is_empty()), "what is no case yet stays as it is: {left:?}");
    assert_eq!(deliveries(&office, "--state", "announced").len(), 1);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// Two letters without a Message-ID, and one with an empty one.
#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_9069_mail_without_message_id_is_skipped() {
    let server = ScriptedImap::start().await.expect("it listens");
    for n in 1..=3 {
        let text = String::from_utf8(letter(n)).expect("UTF-8");
        let id = format!("Message-ID: <buca-{n}@example.it>\r\n");
        server.deliver(text.replace(&id, if n == 3 { "Message-ID:\r\n" } else { "" }).as_bytes());
    }
    let office = office(None, &[scripted(&server, "urp")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 3).await;
    assert_eq!(office.town.count("email/urp", "opened"), 3);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// Waits until a commit of letters is held up by that session of the database.
async fn commit_waits_for(office: &Office, session: i32) {
    let waits = "select exists (select from pg_stat_activity where query like '%intake_accept%' \
                 and $1 = any (pg_blocking_pids(pid)))";
    let asked = || sqlx::query_scalar::<_, bool>(waits).bind(session).fetch_one(office.store.pool());
    let waiting = async { while !asked().await.expect("asked") {} };
    let patient = tokio::time::timeout(PATIENCE, waiting).await;
    assert!(patient.is_ok(), "no letter is fetched\n{}", office.town.logs());
}

/// The letters are fetched, and the database lets nothing be written for a while.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_4888_marked_as_read_and_most_have_no_ticket() {
    let server = ScriptedImap::start().await.expect("it listens");
    let office = office(None, &[scripted(&server, "urp").after("seen")]).await;
    let daemon = office.town.daemon();
    server.deliver(&letter(0));
    settled(&office, "email/urp", 1).await;
    let mut locked = office.store.pool().begin().await.expect("a transaction");
    sqlx::query("lock table deliveries in exclusive mode").execute(&mut *locked).await.expect("locked");
    let session =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *locked).await.expect("its process");
    for n in 1..=9 {
        server.deliver(&letter(n));
    }
    commit_waits_for(&office, session).await;
    let read = || server.folder("INBOX", |f| f.letters.values().filter(|l| !l.flags.is_empty()).count());
    assert!(read() <= 1, "nothing of what is not committed is marked");
    locked.rollback().await.expect("let go");
    settled(&office, "email/urp", 10).await;
    office.town.until("all are marked", || read() == 10).await;
    assert_eq!(office.town.count("email/urp", "opened"), 10, "every letter that is marked is a case");
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// Several mailboxes of one account, each with a folder of its own, beside one that nobody watches.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_3892_marked_as_read_and_fetched_0() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let folders = ["Tributi", "Scuola", "Cimiteri"];
    for (n, folder) in folders.iter().chain(&["INBOX"]).enumerate() {
        dovecot.deliver_all("urp", folder, [letter(2 * n), letter(2 * n + 1)]).expect("delivered");
    }
    let mailbox = |folder: &&str| Mailbox {
        name: folder.to_lowercase(),
        folders: vec![(*folder).to_owned()],
        ..Mailbox::of(&dovecot, "urp")
    };
    let mailboxes: Vec<Mailbox> = folders.iter().map(mailbox).collect();
    let office = office(Some(&dovecot), &mailboxes).await;
    let daemon = office.town.daemon();
    for mailbox in &mailboxes {
        settled(&office, &format!("email/{}", mailbox.name), 2).await;
    }
    assert_eq!(daemon.terminate(), 0);
    for folder in folders.iter().chain(&["INBOX"]) {
        let letters = dovecot.letters("urp", folder).expect("letters");
        assert!(letters.len() == 2 && letters.iter().all(|(_, flags)| flags.is_empty()), "{folder}");
    }
    sound(&office).await;
}

/// The server lists three letters and serves two: it is said, it adds up, and the third one comes when it is served.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_2001_nobody_says_that_fewer_were_fetched_than_are_there() {
    let server = ScriptedImap::start().await.expect("it listens");
    for n in 1..=3 {
        server.deliver(&letter(n));
    }
    server.folder("INBOX", |f| f.letters.get_mut(&2).expect("there").withheld = true);
    let office = office(None, &[scripted(&server, "urp")]).await;
    let daemon = office.town.daemon();
    office
        .town
        .until("status says so", || office.town.run(&["status"]).out.contains("[uid-not-served]"))
        .await;
    office.town.until("two are cases", || office.town.count("email/urp", "opened") == 2).await;
    let row = office.town.ledger("email/urp").expect("a row");
    assert_eq!((&row["delivered"], &row["waiting"]), (&3.into(), &1.into()), "{row}");
    let announced = deliveries(&office, "--state", "announced");
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0]["source_key"], "INBOX/7/2", "{announced:?}");
    server.folder("INBOX", |f| f.letters.get_mut(&2).expect("there").withheld = false);
    office.town.json(&["deliveries", "retry", &announced[0]["id"].to_string()]);
    settled(&office, "email/urp", 3).await;
    assert_eq!(office.town.count("email/urp", "opened"), 3);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// A server that is unwell for a moment, each time in another way: nothing that was answered in part counts as fetched.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_5192_a_letter_is_lost_now_and_then_without_an_error() {
    let server = ScriptedImap::start().await.expect("it listens");
    for (command, contains, fault) in [
        ("UID SEARCH", "", Fault::Instead("{T} NO [SERVERBUG] try again\r\n")),
        ("UID FETCH", "BODY.PEEK[]", Fault::PartlyNo),
        ("UID FETCH", "RFC822.SIZE", Fault::EofMidway),
        ("UID FETCH", "BODY.PEEK[]", Fault::EofMidway),
    ] {
        server.fault(command, contains, 1, fault);
    }
    for n in 1..=5 {
        server.deliver(&letter(n));
    }
    let office = office(None, &[scripted(&server, "urp").after("seen")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 5).await;
    assert_eq!(server.fired(), 4);
    assert_eq!(office.town.count("email/urp", "opened"), 5);
    let log = daemon.log();
    assert!(log.contains("command-refused") && log.contains("connection-lost"), "it is said: {log}");
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// The database takes the letter and will not have its case: no number is given, nothing leaves, and nobody gets that number twice.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_3907_the_automatic_answer_was_sent_and_the_ticket_does_not_exist() {
    let office = office(None, &[]).await;
    let poison = "alter table messages add constraint poison check (subject <> 'Buca numero 1')";
    sqlx::query(poison).execute(office.store.pool()).await.expect("a constraint of the test");
    import(&office, &[letter(1)]);
    assert_eq!(deliveries(&office, "--state", "quarantined").len(), 1);
    assert_eq!(cases(&office), Vec::<serde_json::Value>::new());
    import(&office, &[letter(2)]);
    sqlx::query("alter table messages drop constraint poison")
        .execute(office.store.pool())
        .await
        .expect("mended");
    office.town.json(&["deliveries", "retry", "--all"]);
    import(&office, &[letter(3)]);
    let numbers: BTreeSet<String> = cases(&office).iter().map(|case| case["number"].to_string()).collect();
    assert_eq!(numbers.len(), 3, "each has a number of its own, under which it is shown");
    let leaves =
        sqlx::query_scalar::<_, i64>("select count(*) from outbox").fetch_one(office.store.pool()).await;
    assert_eq!(leaves.expect("counted"), 0, "nothing answers by itself");
    sound(&office).await;
}

/// The server names a letter before it has its bytes: an empty answer is no letter, and nothing is deleted for it.
#[tokio::test(flavor = "multi_thread")]
async fn otrs_694_deleted_from_the_server_though_the_payload_was_empty() {
    let server = ScriptedImap::start().await.expect("it listens");
    for n in 1..=3 {
        server.deliver(&letter(n));
    }
    let empty = Fault::Distort("UID 2 BODY[] {", "UID 2 BODY[] \"\" X-OTHER {");
    server.fault("UID FETCH", "BODY.PEEK[]", usize::MAX, empty);
    let mut mailbox = scripted(&server, "urp").after("delete");
    mailbox.more.push_str("\ndelete_after_days = 0");
    let office = office(None, &[mailbox]).await;
    let daemon = office.town.daemon();
    office.town.until("the others are deleted", || server.folder("INBOX", |f| f.letters.len()) == 1).await;
    let left = server.folder("INBOX", |f| f.letters.clone());
    assert!(left.get(&2).is_some_and(|l| l.bytes == letter(2) && l.flags.is_empty()), "{left:?}");
    assert_eq!(deliveries(&office, "--state", "announced").len(), 1);
    assert_eq!(office.town.count("email/urp", "opened"), 2);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// A daemon is stopped, letters come meanwhile (received so many days ago, read by another client or not), and it starts
/// again: all of them are sorted, once.
async fn what_came_during_a_stop(letters: usize, days_ago: u32, read: bool) {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    dovecot.deliver("urp", "INBOX", &letter(0)).expect("delivered");
    let daemon = town.daemon();
    town.until("the first is sorted", || town.count("email/urp", "opened") == 1).await;
    assert_eq!(daemon.terminate(), 0);

    let at = SystemTime::now() - Duration::from_hours(24) * days_ago;
    for n in 1..=letters {
        dovecot.deliver_at("urp", "INBOX", &letter(n), Some(at)).expect("delivered");
    }
    if read {
        let dir = dovecot.maildir("urp", "INBOX").expect("its folder");
        for entry in fs::read_dir(dir.join("new")).expect("new letters") {
            let path = entry.expect("one").path();
            let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
            fs::rename(&path, dir.join("cur").join(format!("{name}:2,S"))).expect("read by somebody");
        }
    }
    let all = i64::try_from(letters + 1).expect("a count");
    let daemon = town.daemon();
    town.until("all are sorted", || town.count("email/urp", "opened") == all).await;
    assert_eq!(town.count("email/urp", "delivered"), all);
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_10429_down_for_days_and_older_mail_is_never_fetched() {
    what_came_during_a_stop(3, 9, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_6574_only_the_last_ten_letters_after_a_stop() {
    what_came_during_a_stop(35, 0, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn freescout_3406_mail_that_another_client_has_read_is_never_fetched() {
    what_came_during_a_stop(3, 0, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_14590_attachments_beyond_the_fifteenth_are_dropped() {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, None, &[]);
    let mut text = "From: Anna <anna@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Foto\r\nMIME-Version: 1.0\r\n\
                    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nLe foto.\r\n"
        .to_owned();
    for n in 1..=40 {
        let _ = write!(
            text,
            "--b\r\nContent-Type: image/jpeg\r\nContent-Disposition: attachment; filename=foto{n}.jpg\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n/9j/4AAQ\r\n"
        );
    }
    text.push_str("--b--\r\n");
    let file = town.path().join("foto.eml");
    fs::write(&file, text).expect("a letter");
    town.json(&["import", "mail", file.to_str().expect("UTF-8")]);
    let number = town.json(&["queue", "list"])[0]["number"].as_str().expect("a number").to_owned();
    let case = town.json(&["queue", "show", &number]);
    let attachments = case["message_list"][0]["attachments"].as_array().expect("attachments");
    assert_eq!(attachments.len(), 40, "{case}");
    assert!(attachments.iter().any(|a| a["name"] == "foto40.jpg"), "{case}");
    assert_eq!(store.verify().await.expect("verified"), vec![]);
}
