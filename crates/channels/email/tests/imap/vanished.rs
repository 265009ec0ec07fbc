//! Numbers that were given out and are not listed: when that is a warning, and when not. By script.

use std::time::Duration;

use smista_domain::Pulse;
use smista_email::{
    EmailChannel, EmailSettings, MemoryBudget,
    config::{After, TlsMode},
};
use smista_testkit::{
    memory_intake::{Contents, MemoryIntake},
    scripted_imap::{Fault, ScriptedImap},
};

use crate::support::{Running, letter, settings, timing};

struct Server {
    imap: ScriptedImap,
    settings: EmailSettings,
    intake: MemoryIntake,
}

impl Server {
    async fn start() -> Self {
        let imap = ScriptedImap::start().await.expect("it listens");
        let mut settings = settings(imap.port, TlsMode::None);
        settings.poll = Duration::from_millis(50);
        let intake = MemoryIntake::new(&settings.name);
        Self { imap, settings, intake }
    }

    fn run(&self) -> Running {
        let channel = EmailChannel::with(self.settings.clone(), MemoryBudget::default(), timing());
        Running::start(channel.into(), self.intake.clone())
    }

    /// A run of a few rounds.
    async fn look(&self) {
        let rounds = self.intake.contents().caught_up("INBOX") + 4;
        let running = self.run();
        running.intake.until("looked", |c| c.caught_up("INBOX") >= rounds).await;
        running.stop().await.expect("a stop is no error");
    }

    /// Letters come, and another program takes them.
    fn come_and_go(&self, n: usize) {
        for _ in 0..n {
            let uid = self.imap.deliver(&letter(9));
            self.imap.folder("INBOX", |f| f.letters.remove(&uid));
        }
    }
}

fn said(contents: &Contents) -> Vec<&str> {
    let mut all: Vec<&str> = contents
        .pulses
        .iter()
        .filter_map(|p| match p {
            Pulse::Warning { code: "vanished", text } => text.split_once(" (").map(|(head, _)| head),
            _ => None,
        })
        .collect();
    all.dedup();
    all
}

#[tokio::test]
async fn single_ones_are_no_warning_until_they_add_up() {
    let server = Server::start().await;
    server.look().await;
    for n in 1..=3 {
        assert_eq!(said(&server.intake.contents()), Vec::<&str>::new(), "{n}");
        server.come_and_go(1);
        server.imap.deliver(&letter(n));
        server.look().await;
    }
    let contents = server.intake.contents();
    assert_eq!(contents.committed(), 3);
    assert_eq!(said(&contents), ["folder INBOX: 3 messages vanished before they were fetched"]);
}

/// Whatever UIDNEXT says: no letter is passed over, and a jump is no loss.
#[tokio::test]
async fn a_number_that_jumps_is_not_thousands_of_letters() {
    let server = Server::start().await;
    server.look().await;
    server.imap.folder("INBOX", |f| f.told_next = Some(4_000_000_000));
    server.look().await;
    server.imap.folder("INBOX", |f| f.told_next = Some(4));
    server.imap.deliver(&letter(1));
    server.look().await;
    let contents = server.intake.contents();
    assert_eq!((contents.committed(), said(&contents)), (1, Vec::new()));
}

/// Replicas that do not agree, say: what is taken back was never given out.
#[tokio::test]
async fn a_number_that_goes_up_and_down_is_no_loss() {
    let server = Server::start().await;
    server.imap.deliver(&letter(0));
    server.look().await;
    server.imap.fault("EXAMINE", "", 1, Fault::Distort("[UIDNEXT 2]", "[UIDNEXT 12]"));
    server.look().await;
    let contents = server.intake.contents();
    assert_eq!((contents.committed(), said(&contents), server.imap.fired()), (1, Vec::new(), 1));
}

#[tokio::test]
async fn servers_that_tell_no_number_show_gaps_between_letters() {
    let server = Server::start().await;
    server.imap.folder("INBOX", |f| f.told_next = None);
    server.imap.deliver(&letter(0));
    server.look().await;
    server.come_and_go(4);
    server.imap.deliver(&letter(1));
    server.look().await;
    let contents = server.intake.contents();
    assert_eq!(contents.committed(), 2);
    assert_eq!(said(&contents), ["folder INBOX: 4 messages vanished before they were fetched"]);
}

/// What we deleted or moved ourselves has a row, even if the cursor is moved back.
#[tokio::test]
async fn what_has_a_row_did_not_vanish() {
    let mut server = Server::start().await;
    server.look().await;
    server.settings.after = After::Delete { days: 0 };
    for n in 0..10 {
        server.imap.deliver(&letter(n));
    }
    server.look().await;
    assert_eq!(server.imap.folder("INBOX", |f| f.letters.len()), 0, "deleted by ourselves");
    let back = smista_domain::Cursor { scope: "INBOX".to_owned(), generation: 7, position: 0 };
    smista_domain::Intake::accept(&server.intake, Vec::new(), Some(back)).await.expect("moved back");
    server.look().await;
    let contents = server.intake.contents();
    assert_eq!((contents.committed(), said(&contents)), (10, Vec::new()));
}

/// Listed, and gone when they were fetched: each has a row, and counts.
#[tokio::test]
async fn gone_between_list_and_fetch() {
    let server = Server::start().await;
    server.look().await;
    for n in 0..5 {
        server.imap.deliver(&letter(n));
    }
    // the first list still has them all
    server.imap.folder("INBOX", |f| f.letters.retain(|uid, _| *uid > 3));
    server.imap.fault("UID SEARCH", "", 1, Fault::Instead("* SEARCH 1 2 3 4 5\r\n{T} OK found\r\n"));
    server.look().await;
    let contents = server.intake.contents();
    assert_eq!(contents.committed(), 2);
    assert_eq!(
        contents.row("INBOX/7/2").map(|r| r.reason.as_str()),
        Some("deleted on the server before it could be fetched")
    );
    assert_eq!(said(&contents), ["folder INBOX: 3 messages vanished before they were fetched"]);
}

/// Quota answers that are none never end a session; a server that refuses is not asked again.
#[tokio::test]
async fn quota_refused_or_nonsense() {
    for fault in [
        Fault::No(""),
        Fault::Bad,
        Fault::Instead("{T} OK done\r\n"),
        Fault::Instead(
            "* QUOTA\r\n* QUOTA \"\" (STORAGE -1 x)\r\n* QUOTA {3}\r\na)b (STORAGE 5)\r\n{T} OK done\r\n",
        ),
        Fault::Instead(
            "* QUOTA \"\" (STORAGE 99999999999999999999999 1 MESSAGE 5 0)\r\n* QUOTA (((\r\n{T} OK done\r\n",
        ),
        Fault::Instead("* QUOTAROOT INBOX\r\n* QUOTA \"x\" ()\r\n{T} OK done\r\n"),
    ] {
        let server = Server::start().await;
        server.imap.set_quota("STORAGE 99 100");
        let what = format!("{fault:?}");
        server.imap.fault("GETQUOTAROOT", "", usize::MAX, fault);
        let running = server.run();
        running.intake.until(&format!("looked despite {what}"), |c| c.caught_up("INBOX") >= 4).await;
        server.imap.deliver(&letter(1));
        running.intake.until("it came", |c| c.committed() == 1).await;
        running.stop().await.expect("a stop is no error");
        assert_eq!(
            (server.imap.fired(), server.imap.count("EXAMINE") > 3),
            (1, true),
            "once, not at each poll: {what}"
        );
        assert!(!server.intake.contents().warned("mailbox-nearly-full"), "{what}");
    }
    // a root that is a literal, and other resources beside
    let server = Server::start().await;
    server.imap.set_quota("STORAGE 1 100");
    let answer = "* QUOTA {3}\r\na)( (X-NUM-FOLDERS 1 2 STORAGE 1 100 message 19 20)\r\n{T} OK done\r\n";
    server.imap.fault("GETQUOTAROOT", "", 1, Fault::Instead(answer));
    let running = server.run();
    running.intake.until("said", |c| c.warned("mailbox-nearly-full")).await;
    running.stop().await.expect("a stop is no error");
}
