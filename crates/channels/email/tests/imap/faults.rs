//! Each fault at each command: the channel ends with an error or goes on, and afterwards no UID has been passed over.
//!
//! A small supervisor starts the channel again whenever it ends, as the real one does (without its pauses).

use std::time::Duration;

use smista_domain::Upstream;
use smista_email::{
    Timing,
    config::{After, TlsMode},
};
use smista_testkit::{
    memory_intake::{Contents, MemoryIntake, RowState},
    scripted_imap::{Fault, ScriptedImap},
};

use crate::support::{Supervised, letter, settings};

const LETTERS: usize = 5;

/// Silence must be noticed soon here; a machine that is too busy merely connects once more.
fn timing() -> Timing {
    Timing {
        connect: Duration::from_secs(5),
        silence: Duration::from_millis(400),
        done: Duration::from_millis(400),
        folder_retry: Duration::from_millis(50),
        ..Timing::default()
    }
}

async fn server() -> ScriptedImap {
    let server = ScriptedImap::start().await.expect("it listens");
    for n in 0..LETTERS {
        server.deliver(&letter(n));
    }
    server
}

/// Every UID has its row with the right bytes, once, and the cursor is at the last.
fn complete(contents: &Contents, letters: usize) {
    assert_eq!(contents.rows.len(), letters, "one row for each letter");
    for n in 0..letters {
        let row = contents.row(&format!("INBOX/7/{}", n + 1)).expect("no UID is passed over");
        assert_eq!((row.state, row.bytes.as_ref()), (RowState::Committed, letter(n).as_slice()));
    }
    assert_eq!(contents.position("INBOX"), Some((7, letters as u64)));
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::No(""),
        Fault::No("UNAVAILABLE"),
        Fault::PartlyNo,
        Fault::Bad,
        Fault::Bye,
        Fault::Eof,
        Fault::EofMidway,
        Fault::Silence,
        Fault::HalfThenSilence,
        Fault::Junk(b"* WHAT 7 (foo\r\n\r\n* 99 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (UID 3 FLAGS ())\r\n"),
        Fault::Instead("S999 OK not yours\r\n"),
        Fault::Instead("+ what\r\n* BYE\r\n"),
        Fault::Instead("\r\n{T}\r\n{T} HUH\r\n* BYE\r\n"),
    ]
}

/// Fetching, with a fault at `command` the first `times` times.
async fn fetching(command: &str, contains: &str, times: usize, fault: Fault) {
    // where IDLE itself is at fault, the poll beside it must do
    let poll = Duration::from_millis(if matches!(command, "IDLE" | "DONE") { 300 } else { 60_000 });
    let what = format!("{command} {contains} {fault:?}");
    let server = server().await;
    server.fault(command, contains, times, fault);
    let mut settings = settings(server.port, TlsMode::None);
    settings.poll = poll;
    let intake = MemoryIntake::new(&settings.name);
    let channel = Supervised::start(settings, timing(), &intake);
    intake.until(&format!("all letters came: {what}"), |c| c.committed() == LETTERS).await;
    // and what comes later comes as well
    server.deliver(&letter(LETTERS));
    intake
        .until(&format!("the later letter came: {what}"), |c| {
            c.committed() == LETTERS + 1 && c.position("INBOX") == Some((7, LETTERS as u64 + 1))
        })
        .await;
    let errors = channel.stop().await;
    assert!(server.fired() > 0, "the fault occurred: {what}");
    complete(&intake.contents(), LETTERS + 1);
    for error in errors {
        assert!(error.text.contains("127.0.0.1"), "an error says where: {error}");
    }
}

async fn each_fault(command: &'static str, contains: &'static str, times: usize) {
    let runs = faults().into_iter().map(|fault| tokio::spawn(fetching(command, contains, times, fault)));
    for run in runs.collect::<Vec<_>>() {
        run.await.expect("this fault is survived");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn capability() {
    each_fault("CAPABILITY", "", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login() {
    each_fault("AUTHENTICATE", "", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn examine() {
    each_fault("EXAMINE", "", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search() {
    each_fault("UID SEARCH", "", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_sizes() {
    each_fault("UID FETCH", "RFC822.SIZE", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_sizes_again_and_again() {
    each_fault("UID FETCH", "RFC822.SIZE", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_bodies() {
    each_fault("UID FETCH", "BODY.PEEK[]", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_bodies_again_and_again() {
    each_fault("UID FETCH", "BODY.PEEK[]", 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle() {
    each_fault("IDLE", "", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn done() {
    each_fault("DONE", "", 1).await;
}

/// Telling, with a fault at `command`: it is told in the end, and nothing is lost or told before its commit.
async fn telling(after: After, capability: &str, command: &str, fault: Fault) {
    let what = format!("{after:?} {command} {fault:?}");
    let server = server().await;
    server.set_capability(capability);
    server.fault(command, "", 1, fault);
    let mut settings = settings(server.port, TlsMode::None);
    settings.after = after.clone();
    settings.poll = Duration::from_millis(100);
    let intake = MemoryIntake::new(&settings.name);
    let channel = Supervised::start(settings, timing(), &intake);
    intake
        .until(&format!("everything is told: {what}"), |c| {
            c.committed() == LETTERS && c.rows.iter().all(|r| r.upstream == Upstream::Done)
        })
        .await;
    channel.stop().await;
    assert!(server.fired() > 0, "the fault occurred: {what}");
    complete(&intake.contents(), LETTERS);
    let left = server.folder("INBOX", |f| f.letters.clone());
    match after {
        After::Seen => assert!(left.values().all(|l| l.flags == ["\\Seen"]), "{what}"),
        After::Move(target) => {
            assert!(left.is_empty(), "{what}");
            let there = server.folder(&target, |f| f.letters.clone());
            for n in 0..LETTERS {
                assert!(
                    there.values().any(|l| l.bytes == letter(n)),
                    "letter {n} is in its new place: {what}"
                );
            }
        }
        After::Delete { .. } => assert!(left.is_empty(), "{what}"),
        After::Keep => {}
    }
}

async fn each_telling(after: After, capability: &'static str, command: &'static str) {
    let runs = faults()
        .into_iter()
        // these two say nothing new here: what they answer is complete
        .filter(|f| !matches!(f, Fault::PartlyNo))
        .map(|fault| tokio::spawn(telling(after.clone(), capability, command, fault)));
    for run in runs.collect::<Vec<_>>() {
        run.await.expect("this fault is survived");
    }
}

const FULL: &str = "IMAP4rev1 AUTH=PLAIN SASL-IR IDLE MOVE UIDPLUS";
const NO_MOVE: &str = "IMAP4rev1 AUTH=PLAIN IDLE UIDPLUS";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn select_and_store_for_seen() {
    each_telling(After::Seen, FULL, "SELECT").await;
    each_telling(After::Seen, FULL, "UID STORE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r#move() {
    each_telling(After::Move("Archivio".into()), FULL, "UID MOVE").await;
    each_telling(After::Move("Archivio".into()), FULL, "CREATE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copy_store_expunge_for_move() {
    each_telling(After::Move("Archivio".into()), NO_MOVE, "UID COPY").await;
    each_telling(After::Move("Archivio".into()), NO_MOVE, "UID STORE 1:5 -FLAGS").await;
    each_telling(After::Move("Archivio".into()), NO_MOVE, "UID STORE 1:5 +FLAGS").await;
    each_telling(After::Move("Archivio".into()), NO_MOVE, "UID EXPUNGE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_expunge_for_delete() {
    each_telling(After::Delete { days: 0 }, FULL, "UID STORE").await;
    each_telling(After::Delete { days: 0 }, FULL, "UID EXPUNGE").await;
}
