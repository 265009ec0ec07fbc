//! One letter in trouble, or one that is not wanted: the others go on.

use std::{fmt::Write as _, fs};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    nasty::nasty,
    scripted_imap::{Fault, ScriptedImap},
};

use super::{cases, channel, deliveries, import, office, scripted, settled, sound};
use crate::support::{database, letter, program};

/// The server's answer about one letter is no IMAP, as in the report (a quoted string that never ends): it is read all the same.
/// Another server hangs up whenever one letter is asked for: the others come, and that one is a row.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_2754_one_letter_that_cannot_be_fetched_blocks_the_mailbox() {
    let (odd, rude) =
        (ScriptedImap::start().await.expect("it listens"), ScriptedImap::start().await.expect("it listens"));
    for n in 1..=6 {
        odd.deliver(&letter(n));
        rude.deliver(&letter(10 + n));
    }
    let broken = Fault::Distort("UID 3 BODY[] {", "UID 3 BODY[] \"\\\"Jetzt {");
    odd.fault("UID FETCH", "BODY.PEEK[]", usize::MAX, broken);
    rude.fault("UID FETCH", "BODY.PEEK[]", usize::MAX, Fault::EofAt("UID 3 BODY[] {"));
    let office = office(None, &[scripted(&odd, "urp"), scripted(&rude, "tributi")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 6).await;
    office.town.until("the others are cases", || office.town.count("email/tributi", "opened") == 5).await;
    let left = deliveries(&office, "--state", "announced");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["source_key"], "INBOX/7/3", "{left:?}");
    // What comes later is not held up, either.
    rude.deliver(&letter(17));
    office.town.until("so is the next one", || office.town.count("email/tributi", "opened") == 6).await;
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// A letter with many PDFs attached, of so many octets each.
fn with_pdfs(n: usize, octets: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Ditta <ditta@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Buca e preventivi {n}\r\n\
         Message-ID: <preventivi-{n}@example.it>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nPer la buca {n}.\r\n"
    );
    let content = "JVBERi0xLjQK".repeat(octets / 9);
    for file in 1..=20 {
        let _ = write!(
            text,
            "--b\r\nContent-Type: application/pdf; name=preventivo{file}.pdf\r\n\
             Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{content}\r\n"
        );
    }
    text.push_str("--b--\r\n");
    text.into_bytes()
}

/// Four such letters in quick succession, beyond the limit and below it, and citizens' replies behind them.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_4293_one_letter_with_large_pdfs_and_no_replies_for_two_days() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let letters = [
        with_pdfs(1, 9_000),
        letter(1),
        with_pdfs(2, 90_000),
        with_pdfs(3, 60_000),
        letter(2),
        with_pdfs(4, 5_000),
        letter(3),
    ];
    dovecot.deliver_all("urp", "INBOX", letters).expect("delivered");
    let mut mailbox = Mailbox::of(&dovecot, "urp");
    mailbox.more.push_str("\nmax_message_bytes = 1000000");
    let office = office(Some(&dovecot), &[mailbox]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 7).await;
    assert_eq!(daemon.terminate(), 0);
    let all = cases(&office);
    assert_eq!(all.len(), 7);
    for case in &all {
        let message = &case["message_list"][0];
        let subject = message["subject"].as_str().expect("a subject");
        let cut = subject.ends_with("preventivi 2") || subject.ends_with("preventivi 3");
        assert_eq!(message["notes"].to_string().contains("truncated"), cut, "{subject}");
        if subject.contains("preventivi") && !cut {
            assert_eq!(message["attachments"].as_array().map(Vec::len), Some(20), "{subject}");
        }
    }
    sound(&office).await;
}

/// The Date of the report, into which the next lines were folded, and one that no calendar has.
#[tokio::test(flavor = "multi_thread")]
async fn freescout_4159_a_bad_date_and_the_other_unread_letters_are_lost() {
    let dated = |n: usize, date: &str| {
        let text = String::from_utf8(letter(n)).expect("UTF-8");
        let bad = text.replace("Date: Mon, 23 Nov 2026 08:00:00 +0100", &format!("Date: {date}"));
        assert_ne!(bad, text);
        bad.into_bytes()
    };
    let folded = "Thu, 1 Aug 2024 10:55:28 +0300\r\n    Precedence: bulk\r\n    Auto-Submitted: auto-replied";
    let letters = [letter(1), dated(2, folded), dated(3, "ieri, 31 Feb 2026 25:61:61"), letter(4)];
    let dovecot = Dovecot::start().await.expect("Dovecot");
    dovecot.deliver_all("urp", "INBOX", letters).expect("delivered");
    let office = office(Some(&dovecot), &[Mailbox::of(&dovecot, "urp").after("seen")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 4).await;
    assert_eq!(office.town.count("email/urp", "opened"), 4);
    let read = |letters: Vec<(Vec<u8>, String)>| letters.iter().filter(|(_, f)| f.contains('S')).count() == 4;
    let all_read = || dovecot.letters("urp", "INBOX").is_ok_and(read);
    office.town.until("read, and all are cases", all_read).await;
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// Octets that no charset has, where the letter says UTF-8, ASCII, nothing or nonsense, in one batch with good letters.
#[tokio::test(flavor = "multi_thread")]
async fn helpdesk_2532_a_decoding_error_kills_the_batch() {
    let bad = |n: usize, charset: &str| {
        let head = format!(
            "From: Ren\u{e9} {n} <rene{n}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: =?{charset}?Q?Buca_=E9_{n}=FF?=\r\n\
             Message-ID: <rotta-{n}@example.it>\r\nContent-Type: text/plain; charset=\"{charset}\"\r\n\r\n"
        );
        [head.as_bytes(), b"La buca \xE9 l\xEC \xFF\xFE\x81 da un mese.\r\n"].concat()
    };
    let charsets = ["utf-8", "us-ascii", "", "x-unknown", "utf-7", "iso-2022-jp"];
    let mut letters: Vec<Vec<u8>> = (1..=3).map(letter).collect();
    letters.extend(charsets.iter().enumerate().map(|(n, charset)| bad(n, charset)));
    letters.push(letter(4));
    let office = office(None, &[]).await;
    assert_eq!(import(&office, &letters)["new"], 10);
    let all = cases(&office);
    assert_eq!(all.len(), 10);
    for case in all {
        let text = case["message_list"][0]["text"].as_str().expect("a text");
        assert!(text.contains("buca") && case["sector"] == "lavori-pubblici", "{case}");
    }
    sound(&office).await;
}

/// The server is strict, was set up anew, and at first has nothing in it.
#[tokio::test(flavor = "multi_thread")]
async fn frappe_42092_another_uidvalidity_and_synchronisation_is_dead() {
    let server = ScriptedImap::start().await.expect("it listens");
    for command in ["UID SEARCH UID 0:", "UID FETCH 0:"] {
        server.fault(command, "", usize::MAX, Fault::Bad);
    }
    for n in 1..=3 {
        server.deliver(&letter(n));
    }
    let office = office(None, &[scripted(&server, "urp")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 3).await;
    assert_eq!(daemon.terminate(), 0);
    let kept = server.folder("INBOX", |f| std::mem::take(&mut f.letters));
    server.folder("INBOX", |f| f.renumber(8));
    let daemon = office.town.daemon();
    let caught_up = || channel(&office, "email/urp")["state"] == "caught-up";
    office.town.until("it is caught up with nothing", caught_up).await;
    server.deliver(&letter(4));
    settled(&office, "email/urp", 4).await;
    assert_eq!(daemon.terminate(), 0);
    // The old letters are there again, under yet other numbers.
    server.folder("INBOX", |f| {
        f.letters.extend(kept.into_iter().map(|(uid, letter)| (uid + 100, letter)));
        f.renumber(9);
    });
    server.deliver(&letter(5));
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 5).await;
    assert_eq!(office.town.count("email/urp", "opened"), 5);
    assert_eq!(server.fired(), 0, "no such request is made");
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// A newsletter of much HTML and many pictures: it is fetched once, whatever is looked at afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn chatwoot_5081_the_same_letter_and_its_attachments_are_fetched_each_minute() {
    let server = ScriptedImap::start().await.expect("it listens");
    let mut newsletter =
        "From: Notizie <notizie@example.com>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Le novit=?\r\n\
         Message-ID: <notizie@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/html\r\n\r\n"
            .to_owned();
    newsletter.push_str(&"<table><tr><td><img src=\"cid:foto\">novit&agrave;</td></tr>".repeat(2_000));
    for _ in 0..40 {
        newsletter
            .push_str("\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        newsletter.push_str(&"/9j/4AAQ".repeat(1_000));
    }
    newsletter.push_str("\r\n--b--\r\n");
    server.deliver(newsletter.as_bytes());
    let office = office(None, &[scripted(&server, "urp")]).await;
    for n in 1..=3 {
        let daemon = office.town.daemon();
        settled(&office, "email/urp", n).await;
        server.deliver(&letter(n));
        settled(&office, "email/urp", n + 1).await;
        assert_eq!(daemon.terminate(), 0);
    }
    let fetched = server.log().iter().filter(|l| l.contains("BODY.PEEK[]") && l.contains(" 1 ")).count();
    assert_eq!(fetched, 1, "{:?}", server.log());
    sound(&office).await;
}

/// A letter that is no letter at all comes first: it waits for a person, the others do not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn camel_1133_a_corrupt_letter_blocks_the_consumer() {
    let server = ScriptedImap::start().await.expect("it listens");
    for (name, bytes) in nasty() {
        if matches!(name, "binary-noise" | "cut-within-head" | "cut-within-base64") {
            server.deliver(&bytes);
            server.deliver(&letter(bytes.len()));
        }
    }
    let office = office(None, &[scripted(&server, "urp")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 6).await;
    let quarantined = deliveries(&office, "--state", "quarantined");
    assert_eq!(quarantined.len(), 1, "{quarantined:?}");
    assert!(quarantined[0]["reason"].is_string(), "{quarantined:?}");
    assert_eq!(office.town.count("email/urp", "opened"), 5);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
}

/// The server copies letters, but lets nobody mark or remove them: they are not copied again and again, and it is said.
#[tokio::test(flavor = "multi_thread")]
async fn osticket_5645_stuck_for_a_week_with_thousands_of_copies_and_no_alarm() {
    let server = ScriptedImap::start().await.expect("it listens");
    server.set_capability("IMAP4rev1 AUTH=PLAIN SASL-IR IDLE UIDPLUS");
    server.fault("UID STORE", "", usize::MAX, Fault::No("NOPERM"));
    for n in 1..=3 {
        server.deliver(&letter(n));
    }
    let office = office(None, &[scripted(&server, "urp").after("move:Fatto")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 3).await;
    office
        .town
        .until("status says so", || office.town.run(&["status"]).out.contains("[after-refused]"))
        .await;
    let rounds = server.count("SELECT");
    server.deliver(&letter(4));
    settled(&office, "email/urp", 4).await;
    office.town.until("it was tried again", || server.count("SELECT") > rounds).await;
    let copies = server.folder("Fatto", |f| f.letters.len());
    assert!(copies <= 4, "{copies} copies of 4 letters");
    assert_eq!(server.folder("INBOX", |f| f.letters.len()), 4);
    assert_eq!(office.town.count("email/urp", "opened"), 4);
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
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
