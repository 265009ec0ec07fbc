//! The channel against a real Dovecot.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use jiff::{SignedDuration, Timestamp};
use smista_domain::{Remedy, Upstream};
use smista_email::config::{After, Login, Password, Start, TlsMode};
use smista_testkit::{chaos_proxy::ChaosProxy, dovecot::DovecotOptions, memory_intake::Contents};

use crate::support::{Mailbox, Supervised, letter};

fn told(c: &Contents, n: usize) -> bool {
    c.committed() == n && c.rows.iter().all(|r| r.upstream == Upstream::Done)
}

fn texts(contents: &Contents) -> BTreeSet<Vec<u8>> {
    contents.rows.iter().map(|r| r.bytes.to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_fetched_once_and_nothing_is_touched() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 1500);
    let running = mailbox.run();
    running
        .intake
        .until("all letters are there", |c| c.committed() == 1500 && c.caught_up("INBOX") > 0)
        .await;
    running.stop().await.expect("a stop is no error");

    // a second run finds nothing
    let running = mailbox.run();
    running.intake.until("caught up again", |c| c.caught_up("INBOX") > 1).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    assert_eq!((contents.rows.len(), contents.known), (1500, 0));
    assert_eq!(texts(&contents), (0..1500).map(letter).collect());
    let flags = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
    assert!(flags.iter().all(|(_, flags)| flags.is_empty()), "reading must not mark as read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_brings_what_arrives() {
    let mailbox = Mailbox::start().await;
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    for n in 1..=3 {
        mailbox.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
        running.intake.until("it came", |c| c.committed() == n).await;
    }
    running.stop().await.expect("a stop is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starttls_with_an_own_ca() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 3);
    let port = mailbox.dovecot.imap;
    let mailbox = mailbox.with(|s| (s.tls, s.port) = (TlsMode::StartTls, port));
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 3).await;
    running.stop().await.expect("a stop is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_checked() {
    let mailbox = Mailbox::start().await;
    let own = mailbox.settings.ca.clone();
    let (other, _, _) = smista_testkit::dovecot::certificates().expect("made");
    let other = smista_email::imap::tls::certificates(other.as_bytes()).expect("a certificate");
    let mailbox = mailbox.with(|s| s.ca = other);
    let error = mailbox.run().end().await.expect_err("another CA");
    assert_eq!((error.code, error.remedy, error.worked), ("tls-untrusted", Remedy::AskOperator, false));

    // the right CA, but the name is not in the certificate
    let mailbox = mailbox.with(|s| (s.ca, s.host) = (own, "127.0.0.2".to_owned()));
    let proxy = std::net::TcpListener::bind(("127.0.0.2", 0)).expect("bound");
    let port = proxy.local_addr().expect("bound").port();
    proxy.set_nonblocking(true).expect("set");
    let proxy = tokio::net::TcpListener::from_std(proxy).expect("listens");
    let imaps = mailbox.dovecot.imaps;
    let forward = tokio::spawn(async move {
        let (mut near, _) = proxy.accept().await.expect("accepted");
        let mut far = tokio::net::TcpStream::connect(("127.0.0.1", imaps)).await.expect("connected");
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let mailbox = mailbox.with(|s| s.port = port);
    let error = mailbox.run().end().await.expect_err("another name");
    assert_eq!(error.code, "tls-name", "{error}");
    forward.abort();

    // a port that does not speak TLS at once
    let imap = mailbox.dovecot.imap;
    let mailbox = mailbox.with(|s| (s.host, s.port) = ("127.0.0.1".to_owned(), imap));
    let error = mailbox.run().end().await.expect_err("no TLS there");
    assert_eq!(error.code, "tls-none", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_asks_the_operator() {
    let mailbox =
        Mailbox::start().await.with(|s| s.login = Login::Password(Password::Fixed("sbagliata".into())));
    let error = mailbox.run().end().await.expect_err("refused");
    assert_eq!((error.code, error.remedy, error.worked), ("login-refused", Remedy::AskOperator, false));
    assert!(error.text.contains("127.0.0.1:") && !format!("{error:?}").contains("sbagliata"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_seen() {
    let mailbox = Mailbox::start().await.with(|s| s.after = After::Seen);
    mailbox.deliver_many("INBOX", 700);
    let running = mailbox.run();
    running.intake.until("told", |c| told(c, 700)).await;
    mailbox.dovecot.deliver("urp", "INBOX", &letter(700)).expect("delivered");
    running.intake.until("the later one is told, too", |c| told(c, 701)).await;
    running.stop().await.expect("a stop is no error");
    let letters = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
    assert_eq!(letters.len(), 701);
    assert!(letters.iter().all(|(_, flags)| flags == "S"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_move_makes_the_folder() {
    for capability in [None, Some("IMAP4rev1 IDLE UIDPLUS AUTH=PLAIN".to_owned())] {
        let mailbox = Mailbox::start_with(&DovecotOptions { capability, ..DovecotOptions::default() }).await;
        let mailbox = mailbox.with(|s| s.after = After::Move("Già letti".into()));
        mailbox.deliver_many("INBOX", 30);
        let running = mailbox.run();
        running.intake.until("told", |c| told(c, 30)).await;
        running.stop().await.expect("a stop is no error");
        assert_eq!(mailbox.dovecot.letters("urp", "INBOX").expect("readable").len(), 0);
        let there = mailbox.dovecot.letters("urp", "Gi&AOA- letti").expect("readable");
        let there: BTreeSet<Vec<u8>> = there.into_iter().map(|(letter, _)| letter).collect();
        assert_eq!(there, (0..30).map(letter).collect());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_delete_waits_its_days_and_spares_what_is_held_in_part() {
    let mailbox = Mailbox::start().await.with(|s| {
        s.after = After::Delete { days: 3 };
        s.max_message_bytes = 100_000;
    });
    mailbox.deliver_many("INBOX", 20);
    let large = [letter(99), vec![b'x'; 150_000]].concat();
    mailbox.dovecot.deliver("urp", "INBOX", &large).expect("delivered");
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.committed() == 21 && c.caught_up("INBOX") > 0).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.dovecot.letters("urp", "INBOX").expect("readable").len(), 21, "not yet");

    let accepted = mailbox.intake.contents().rows[0].accepted_at;
    mailbox.intake.set_now(accepted + SignedDuration::from_hours(24 * 3 + 1));
    let running = mailbox.run();
    running
        .intake
        .until("told", |c| c.rows.iter().filter(|r| r.upstream == Upstream::Done).count() == 20)
        .await;
    running.stop().await.expect("a stop is no error");
    let left = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
    assert_eq!(left.len(), 1, "the oversized letter stays: we hold only its beginning");
    assert_eq!(left[0].0, large);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_before_its_commit() {
    for after in [After::Seen, After::Move("Archivio".into()), After::Delete { days: 0 }] {
        let mailbox = Mailbox::start().await.with(|s| s.after = after.clone());
        mailbox.deliver_many("INBOX", 10);
        mailbox.intake.close_gate();
        let running = mailbox.run();
        running.intake.until("logged in", |c| !c.pulses.is_empty()).await;
        running.intake.until_waiting(1).await;
        let untouched = |mailbox: &Mailbox| {
            let letters = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
            letters.len() == 10 && letters.iter().all(|(_, flags)| flags.is_empty())
        };
        assert!(untouched(&mailbox), "{after:?}");
        // stopped in the middle of a commit: still untouched
        running.stop().await.expect("a stop is no error");
        assert!(untouched(&mailbox), "{after:?}");
        mailbox.intake.let_through(1000);
        let running = mailbox.run();
        running.intake.until("told", |c| told(c, 10)).await;
        running.stop().await.expect("a stop is no error");
        assert!(!untouched(&mailbox), "{after:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_tells_nothing() {
    let mailbox = Mailbox::start().await.with(|s| s.after = After::Delete { days: 0 });
    mailbox.deliver_many("INBOX", 10);
    mailbox.intake.lose_lease();
    let error = mailbox.run().end().await.expect_err("another daemon has it");
    assert_eq!((error.code, error.remedy), ("lease-lost", Remedy::Yield));
    assert_eq!(mailbox.dovecot.letters("urp", "INBOX").expect("readable").len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_goes_away_and_comes_back() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 500);
    mailbox.intake.unavailable(true);
    let error = mailbox.run().end().await.expect_err("no database");
    assert_eq!((error.code, error.remedy), ("database", Remedy::WaitForDatabase));
    mailbox.intake.unavailable(false);
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 500).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.intake.contents().known, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_database_refuses_is_announced_and_the_others_come() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 200);
    mailbox.intake.announced_due(false);
    mailbox.intake.refuse(b"<77@example.org>");
    mailbox.intake.refuse(b"<150@example.org>");
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    assert_eq!((contents.committed(), contents.announced()), (198, 2));
    assert_eq!(contents.position("INBOX").map(|p| p.1), Some(200));
}

/// The server is restored from a backup that is older than what we have, and keeps its UIDVALIDITY: what arrives then gets UIDs
/// that other letters had. Whether we look before it arrives or after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uids_that_are_given_out_again_after_a_restore_lose_nothing() {
    for arrives_first in [true, false] {
        let mut mailbox = Mailbox::start().await;
        mailbox.deliver_many("INBOX", 3);
        let running = mailbox.run();
        running.intake.until("all came", |c| c.committed() == 3 && c.caught_up("INBOX") > 0).await;
        running.stop().await.expect("a stop is no error");
        mailbox.dovecot.stop();
        let backup = mailbox.dovecot.back_up("urp").expect("copied");
        mailbox.dovecot.launch().await.expect("started");
        for n in [3, 4] {
            mailbox.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
        }
        let running = mailbox.run();
        running.intake.until("all came", |c| c.committed() == 5 && c.caught_up("INBOX") > 1).await;
        running.stop().await.expect("a stop is no error");
        let before = mailbox.intake.contents().position("INBOX").expect("a cursor");

        mailbox.dovecot.stop();
        mailbox.dovecot.restore("urp", &backup).expect("restored");
        mailbox.dovecot.launch().await.expect("started");
        if arrives_first {
            mailbox.dovecot.deliver("urp", "INBOX", &letter(10)).expect("delivered");
        }
        let running = mailbox.run();
        running.intake.until("seen", |c| c.warned("uids-reissued") && c.caught_up("INBOX") > 2).await;
        for n in 11..14 {
            mailbox.dovecot.deliver("urp", "INBOX", &letter(n)).expect("delivered");
        }
        let new = if arrives_first { 4 } else { 3 };
        running.intake.until("the new ones came", |c| c.committed() == 5 + new).await;
        running.stop().await.expect("a stop is no error");
        // and looking once more is no third time
        let running = mailbox.run();
        running.intake.until("caught up", |c| c.caught_up("INBOX") > 4).await;
        running.stop().await.expect("a stop is no error");
        let contents = mailbox.intake.contents();
        assert_eq!((contents.rows.len(), contents.recognised), (5 + new, 3));
        let expected = (0..5).chain(if arrives_first { 10..14 } else { 11..14 }).map(letter).collect();
        assert_eq!(texts(&contents), expected);
        let after = contents.position("INBOX").expect("a cursor");
        assert_eq!(after, ((1 << 32) + before.0, 3 + new as u64));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_uidvalidity_doubles_nothing() {
    let mut mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 400);
    // two equal letters are two
    mailbox.dovecot.deliver("urp", "INBOX", &letter(7)).expect("delivered");
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 401 && c.caught_up("INBOX") > 0).await;
    running.stop().await.expect("a stop is no error");

    mailbox.dovecot.stop();
    mailbox.dovecot.set_uidvalidity("urp", "INBOX", 4_000_000_000).expect("set");
    mailbox.dovecot.deliver("urp", "INBOX", &letter(1000)).expect("delivered");
    // and the same letter a third time, under the new numbers
    mailbox.dovecot.deliver("urp", "INBOX", &letter(7)).expect("delivered");
    mailbox.dovecot.launch().await.expect("started");
    let running = mailbox.run();
    running.intake.until("the new ones came", |c| c.committed() == 403 && c.caught_up("INBOX") > 1).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    assert_eq!((contents.rows.len(), contents.recognised), (403, 401));
    assert!(contents.warned("uidvalidity-changed"));
    assert_eq!(contents.position("INBOX"), Some((4_000_000_000, 403)));

    // what arrives afterwards is new whatever its bytes
    let running = mailbox.run();
    mailbox.dovecot.deliver("urp", "INBOX", &letter(3)).expect("delivered");
    running.intake.until("it came", |c| c.committed() == 404).await;
    running.stop().await.expect("a stop is no error");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_with_a_date() {
    let mailbox = Mailbox::start().await;
    let day = |text: &str| -> SystemTime { text.parse::<Timestamp>().expect("an instant").into() };
    for (n, at) in
        ["2026-10-30T12:00:00Z", "2026-11-03T12:00:00Z", "2026-10-01T12:00:00Z", "2026-11-05T12:00:00Z"]
            .iter()
            .enumerate()
    {
        mailbox.dovecot.deliver_at("urp", "INBOX", &letter(n), Some(day(at))).expect("delivered");
    }
    let mailbox = mailbox.with(|s| s.start = Start::Since(jiff::civil::date(2026, 11, 1)));
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    // what comes later comes, whatever its date
    mailbox
        .dovecot
        .deliver_at("urp", "INBOX", &letter(9), Some(day("2020-01-01T12:00:00Z")))
        .expect("delivered");
    running.intake.until("it came", |c| c.committed() == 3).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(texts(&mailbox.intake.contents()), [1, 3, 9].into_iter().map(letter).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_new_takes_in_only_what_comes_later() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 50);
    let mailbox = mailbox.with(|s| s.start = Start::New);
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    running.stop().await.expect("a stop is no error");
    mailbox.dovecot.deliver("urp", "INBOX", &letter(99)).expect("delivered");
    let running = mailbox.run();
    running.intake.until("the new one came", |c| c.committed() == 1).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.intake.contents().rows[0].bytes.as_ref(), letter(99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_letter_costs_its_beginning() {
    let mailbox = Mailbox::start().await.with(|s| s.max_message_bytes = 100_000);
    let large = [letter(0), vec![b'x'; 300_000]].concat();
    mailbox.dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    mailbox.dovecot.deliver("urp", "INBOX", &large).expect("delivered");
    mailbox.dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 3).await;
    running.stop().await.expect("a stop is no error");
    let contents = mailbox.intake.contents();
    let row = contents.rows.iter().find(|r| !r.facts.is_null()).expect("one has facts");
    assert_eq!(row.facts, serde_json::json!({ "size": large.len(), "truncated": true }));
    assert_eq!(row.bytes.as_ref(), &large[..65_536]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_side_by_side_and_one_that_is_missing() {
    let mailbox = Mailbox::start().await;
    let folders = ["INBOX", "Tributi", "Anagrafe", "Citt&AOA-", "Scuola", "Cimiteri"];
    for (n, folder) in folders.iter().enumerate() {
        mailbox.dovecot.deliver("urp", folder, &letter(n)).expect("delivered");
    }
    let named = ["INBOX", "Tributi", "Manca", "Anagrafe", "Città", "Scuola", "Cimiteri"];
    let mailbox = mailbox.with(|s| {
        s.folders = named.iter().map(|f| (*f).to_owned()).collect();
        s.poll = Duration::from_millis(200);
    });
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 6 && c.warned("folder-missing")).await;
    for (n, folder) in folders.iter().enumerate() {
        mailbox.dovecot.deliver("urp", folder, &letter(10 + n)).expect("delivered");
    }
    running.intake.until("the later ones, too", |c| c.committed() == 12).await;
    // the folder is made at last
    mailbox.dovecot.deliver("urp", "Manca", &letter(50)).expect("delivered");
    running.intake.until("and that of the missing one", |c| c.committed() == 13).await;
    running.stop().await.expect("a stop is no error");

    let alone = mailbox.with(|s| s.folders = vec!["Nessuna".to_owned()]);
    let error = alone.run().end().await.expect_err("nothing to watch");
    assert_eq!((error.code, error.remedy), ("folder-missing", Remedy::AskOperator));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dovecot_stops_and_starts() {
    let mut mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 20);
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    mailbox.dovecot.stop();
    let error = running.end().await.expect_err("the server is gone");
    assert_eq!(
        (error.code, error.remedy, error.worked),
        ("connection-lost", Remedy::Reconnect, true),
        "{error}"
    );
    let error = mailbox.run().end().await.expect_err("the server is still gone");
    assert_eq!((error.code, error.worked), ("connect", false), "{error}");
    mailbox.dovecot.deliver("urp", "INBOX", &letter(20)).expect("delivered");
    mailbox.dovecot.launch().await.expect("started");
    let running = mailbox.run();
    running.intake.until("it goes on", |c| c.committed() == 21).await;
    mailbox.dovecot.kill();
    running.end().await.expect_err("the server is killed");
    mailbox.dovecot.launch().await.expect("started");
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 2).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.intake.contents().rows.len(), 21);
}

/// Each connection ends after some octets, in the middle of a FETCH: every letter comes, once, and none is passed over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_is_cut_in_the_middle_of_a_fetch() {
    let mailbox = Mailbox::start().await;
    let letters = |n: usize| [letter(n), vec![b'x'; 20_000]].concat();
    mailbox.dovecot.deliver_all("urp", "INBOX", (0..300).map(letters)).expect("delivered");
    let proxy = ChaosProxy::start(mailbox.dovecot.imaps).await.expect("listens");
    proxy.limit(Some(700_000));
    let mailbox = mailbox.with(|s| s.port = proxy.port);
    let channel = Supervised::start(mailbox.settings.clone(), mailbox.timing.clone(), &mailbox.intake);
    mailbox.intake.until("all came", |c| c.committed() == 300).await;
    proxy.limit(None);
    proxy.cut();
    mailbox.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    let errors = channel.stop().await;
    assert!(errors.iter().any(|e| e.worked), "what came before a cut is kept");
    let contents = mailbox.intake.contents();
    assert_eq!((contents.rows.len(), contents.position("INBOX").map(|p| p.1)), (300, Some(300)));
    assert_eq!(texts(&contents), (0..300).map(letters).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_noticed() {
    let mailbox = Mailbox::start().await;
    let proxy = ChaosProxy::start(mailbox.dovecot.imaps).await.expect("listens");
    let mut mailbox = mailbox.with(|s| {
        s.port = proxy.port;
        s.poll = Duration::from_millis(300);
    });
    mailbox.timing.done = Duration::from_millis(300);
    mailbox.timing.silence = Duration::from_secs(2);
    let running = mailbox.run();
    running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
    proxy.stall();
    let error = running.end().await.expect_err("a dead connection");
    assert_eq!((error.code, error.remedy), ("timeout", Remedy::Reconnect), "{error}");
    // stopping does not wait for a dead server
    let running = mailbox.run();
    running.stop().await.expect("a stop is no error");
}

/// People read the mailbox with other programs: what they have read comes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_have_read_comes_as_well() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 5);
    let dir = mailbox.dovecot.maildir("urp", "INBOX").expect("a folder");
    for entry in std::fs::read_dir(dir.join("new")).expect("readable") {
        let file = entry.expect("readable");
        let name = file.file_name().into_string().expect("text");
        std::fs::rename(file.path(), dir.join("cur").join(format!("{name}:2,S"))).expect("moved");
    }
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 5).await;
    running.stop().await.expect("a stop is no error");
}

/// The connection stays, but in the middle of a letter nothing comes any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fetch_that_hangs_is_given_up() {
    let mailbox = Mailbox::start().await;
    let large = |n: usize| [letter(n), vec![b'x'; 1_000_000]].concat();
    mailbox.dovecot.deliver_all("urp", "INBOX", (0..4).map(large)).expect("delivered");
    let proxy = ChaosProxy::start(mailbox.dovecot.imaps).await.expect("listens");
    proxy.stall_after(Some(2_500_000));
    let mut mailbox = mailbox.with(|s| s.port = proxy.port);
    mailbox.timing.silence = Duration::from_secs(1);
    let error = mailbox.run().end().await.expect_err("it hangs");
    assert_eq!((error.code, error.remedy, error.worked), ("timeout", Remedy::Reconnect, true), "{error}");
    proxy.stall_after(None);
    let running = mailbox.run();
    running.intake.until("all came", |c| c.committed() == 4).await;
    running.stop().await.expect("a stop is no error");
    assert_eq!(mailbox.intake.contents().rows.len(), 4);
}
