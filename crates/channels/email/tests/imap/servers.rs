//! What holds for every server, on Dovecot and on Cyrus. Mail is put in, looked at and removed by IMAP alone, as any program does.
//!
//! Quirks of Cyrus 3.6 that these tests pass through: it tells LOGINDISABLED after the login; SELECT of another folder begins with an
//! untagged `OK [CLOSED]`; MOVE is answered with COPYUID in an untagged OK; a folder that is made again has a higher UIDVALIDITY and begins
//! with UID 1; INBOX cannot be deleted; a deleted folder's octets stay in the quota until it is expired.

use std::{collections::BTreeSet, time::Duration};

use smista_domain::{Channel as _, Pulse, Upstream, Verdict};
use smista_email::{
    EmailChannel, EmailSettings, MemoryBudget, Timing,
    config::{After, TlsMode},
    imap::tls::certificates,
};
use smista_testkit::{
    imap_client::ImapClient,
    mail_server::{Kind, MailServer, Options},
    memory_intake::{Contents, MemoryIntake},
};

use crate::support::{Running, letter, settings, timing};

/// A mailbox on one of the servers, and who else is in it.
struct Place {
    _server: MailServer,
    client: ImapClient,
    settings: EmailSettings,
    timing: Timing,
    intake: MemoryIntake,
}

impl Place {
    async fn start(kind: Kind, options: Options) -> Self {
        let server = MailServer::start(kind, options).await.expect("it starts");
        let client = server.client("urp").await.expect("logged in");
        let mut settings = settings(server.imaps(), TlsMode::Implicit);
        settings.ca = certificates(&server.ca_pem()).expect("a certificate");
        let intake = MemoryIntake::new(&settings.name);
        Self { _server: server, client, settings, timing: timing(), intake }
    }

    fn channel(&self) -> EmailChannel {
        EmailChannel::with(self.settings.clone(), MemoryBudget::default(), self.timing.clone())
    }

    fn run(&self) -> Running {
        Running::start(self.channel().into(), self.intake.clone())
    }

    async fn append(&mut self, folder: &str, letters: impl IntoIterator<Item = usize>) {
        for n in letters {
            self.client.append(folder, &letter(n)).await.expect("appended");
        }
    }

    async fn folder(&mut self, name: &str) {
        self.client.run(&format!("CREATE {name}")).await.expect("made");
        self.settings.folders = vec![name.to_owned()];
        self.intake = MemoryIntake::new(&self.settings.name);
    }

    /// The letters of a folder and the flags that all of them have.
    async fn there(&mut self, folder: &str) -> (BTreeSet<Vec<u8>>, BTreeSet<String>) {
        let found = self.client.letters(folder).await.expect("readable");
        let flags = found.iter().flat_map(|(_, flags)| flags.clone()).collect();
        (found.into_iter().map(|(letter, _)| letter).collect(), flags)
    }
}

fn told(c: &Contents, n: usize) -> bool {
    c.committed() == n && c.rows.iter().all(|r| r.upstream == Upstream::Done)
}

fn of(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<Vec<u8>> {
    numbers.into_iter().map(letter).collect()
}

fn texts(contents: &Contents) -> BTreeSet<Vec<u8>> {
    contents.rows.iter().map(|r| r.bytes.to_vec()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_once_and_what_arrives_by_idle() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options::default()).await;
        place.append("INBOX", 0..20).await;
        let steps = place.channel().probe().await;
        let way = ["dns", "tcp", "tls", "login", "capabilities", "folder"];
        assert!(
            steps.iter().map(|s| (s.step, s.verdict)).eq(way.map(|w| (w, Verdict::Ok))),
            "{kind:?} {steps:?}"
        );
        let running = place.run();
        running.intake.until("caught up", |c| c.committed() == 20 && c.caught_up("INBOX") > 0).await;
        // the poll is a minute away: this is IDLE
        place.append("INBOX", [20]).await;
        running.intake.until("it came", |c| c.committed() == 21).await;
        running.stop().await.expect("a stop is no error");
        let running = place.run();
        running.intake.until("caught up again", |c| c.caught_up("INBOX") > 2).await;
        running.stop().await.expect("a stop is no error");
        let contents = place.intake.contents();
        assert_eq!((contents.rows.len(), contents.known), (21, 0), "{kind:?}");
        assert_eq!(texts(&contents), of(0..21), "{kind:?}");
        assert_eq!(place.there("INBOX").await, (of(0..21), BTreeSet::new()), "{kind:?}: nothing is marked");
        assert!(!contents.warned("vanished"), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_idle_by_polling() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options { without_idle: true, ..Options::default() }).await;
        place.settings.poll = Duration::from_millis(100);
        let running = place.run();
        running.intake.until("caught up", |c| c.caught_up("INBOX") > 0).await;
        place.append("INBOX", [1]).await;
        running.intake.until("it came", |c| c.committed() == 1).await;
        running.stop().await.expect("a stop is no error");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_policy() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options::default()).await;
        for (name, after) in [
            ("Tenuta", After::Keep),
            ("Vista", After::Seen),
            ("Spostata", After::Move("Archivio".to_owned())),
            ("Cancellata", After::Delete { days: 0 }),
        ] {
            place.folder(name).await;
            place.append(name, 0..5).await;
            place.settings.after = after.clone();
            let running = place.run();
            let done = |c: &Contents| if after == After::Keep { c.committed() == 5 } else { told(c, 5) };
            running.intake.until(&format!("{kind:?}: told {after:?}"), done).await;
            place.append(name, [5]).await;
            let done = |c: &Contents| if after == After::Keep { c.committed() == 6 } else { told(c, 6) };
            running.intake.until(&format!("{kind:?}: and the later one, {after:?}"), done).await;
            running.stop().await.expect("a stop is no error");
            let seen = BTreeSet::from(["\\Seen".to_owned()]);
            let expected = match after {
                After::Keep => (of(0..6), BTreeSet::new()),
                After::Seen => (of(0..6), seen),
                After::Move(_) | After::Delete { .. } => (BTreeSet::new(), BTreeSet::new()),
            };
            assert_eq!(place.there(name).await, expected, "{kind:?} {after:?}");
            assert!(!place.intake.contents().warned("vanished"), "{kind:?} {after:?}: that was ourselves");
        }
        assert_eq!(place.there("Archivio").await.0, of(0..6), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_made_again_has_another_uidvalidity() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options::default()).await;
        place.folder("Urp").await;
        place.append("Urp", 0..10).await;
        let running = place.run();
        running.intake.until("all came", |c| c.committed() == 10 && c.caught_up("Urp") > 0).await;
        running.stop().await.expect("a stop is no error");
        let before = place.intake.contents().position("Urp").expect("a cursor");

        place.client.run("DELETE Urp").await.expect("deleted");
        place.client.run("CREATE Urp").await.expect("made again");
        place.append("Urp", (0..10).chain([100])).await;
        let running = place.run();
        running.intake.until("the new one came", |c| c.committed() == 11 && c.caught_up("Urp") > 1).await;
        running.stop().await.expect("a stop is no error");
        let contents = place.intake.contents();
        let after = contents.position("Urp").expect("a cursor");
        assert!(
            after.0 != before.0 && contents.warned("uidvalidity-changed"),
            "{kind:?} {before:?} {after:?}"
        );
        assert_eq!((contents.rows.len(), contents.recognised), (11, 10), "{kind:?}");
        assert!(!contents.warned("vanished"), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_nearly_full_is_said_until_it_is_not() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options { quota: Some(100), ..Options::default() }).await;
        place.settings.poll = Duration::from_millis(100);
        place.timing.quota = Duration::ZERO;
        let large = [letter(0), vec![b'x'; 94_000], b"\r\n".to_vec()].concat();
        place.client.append("INBOX", &large).await.expect("appended");
        let running = place.run();
        running.intake.until(&format!("{kind:?}: said"), |c| c.warned("mailbox-nearly-full")).await;
        let said = |c: &Contents| {
            c.pulses.iter().rev().take_while(|p| !matches!(p, Pulse::CaughtUp { .. })).any(
                |p| matches!(p, Pulse::Warning { code: "mailbox-nearly-full", text } if text.contains("of 100 kB")),
            )
        };
        running.intake.until(&format!("{kind:?}: with its numbers"), said).await;
        place.client.empty("INBOX").await.expect("emptied");
        // what is not repeated after a whole round is over
        let quiet = |c: &Contents| {
            let mut rounds = c.pulses.split(|p| matches!(p, Pulse::CaughtUp { .. })).rev();
            rounds.by_ref().take(2).count() == 2
                && c.pulses.rsplit(|p| matches!(p, Pulse::CaughtUp { .. })).take(3).flatten().count() == 0
        };
        running.intake.until(&format!("{kind:?}: over"), quiet).await;
        running.stop().await.expect("a stop is no error");
    }
}

/// A POP client that leaves nothing on the server, while smista is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_vanished_before_they_were_fetched() {
    for kind in Kind::ALL {
        let mut place = Place::start(kind, Options::default()).await;
        place.settings.poll = Duration::from_millis(100);
        place.append("INBOX", 0..5).await;
        place.client.empty("INBOX").await.expect("emptied before we came: no business of ours");
        place.append("INBOX", 5..8).await;
        let running = place.run();
        running.intake.until("caught up", |c| c.committed() == 3 && c.caught_up("INBOX") > 2).await;
        running.stop().await.expect("a stop is no error");
        assert!(!place.intake.contents().warned("vanished"), "{kind:?}");

        place.append("INBOX", 100..137).await;
        place.client.empty("INBOX").await.expect("emptied");
        let running = place.run();
        running.intake.until(&format!("{kind:?}: said"), |c| c.warned("vanished")).await;
        running.stop().await.expect("a stop is no error");
        let contents = place.intake.contents();
        let text = contents.pulses.iter().find_map(|p| match p {
            Pulse::Warning { code: "vanished", text } => Some(text.clone()),
            _ => None,
        });
        let text = text.expect("said");
        assert!(
            text.starts_with("folder INBOX: 37 messages vanished before they were fetched"),
            "{kind:?} {text}"
        );
        assert_eq!(contents.committed(), 3, "{kind:?}");

        // a restart neither forgets nor counts again
        let n = contents.pulses.len();
        let running = place.run();
        running
            .intake
            .until("said again", |c| c.pulses.iter().skip(n).any(|p| matches!(p, Pulse::Warning { .. })))
            .await;
        running.stop().await.expect("a stop is no error");
        let again = place.intake.contents();
        let last = again.pulses.iter().rev().find(|p| matches!(p, Pulse::Warning { .. })).cloned();
        assert_eq!(last, Some(Pulse::Warning { code: "vanished", text }), "{kind:?}");
    }
}
