//! The e-mail channel over a real Dovecot: three mailboxes behind a proxy that can stop in the middle of a letter.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    sync::atomic::{AtomicU32, Ordering},
};

use smista_testkit::{
    chaos_proxy::ChaosProxy,
    conformance::{self, Rig},
    dovecot::{Dovecot, PASSWORD, USERS},
    installation::{Installation, Mailbox},
    nasty::nasty,
};

use crate::support::program;

/// The password after the old one has expired.
const RENEWED: &str = "perché no? 2";
/// Octets of a connection after which the proxy falls silent: all that is said before letters are fetched, and a part of one
/// that is [`LARGE`].
const MIDDLE: u64 = 60_000;
/// Octets of a letter that is handed over by half.
const LARGE: usize = 300_000;

struct Email {
    dovecot: Dovecot,
    proxy: ChaosProxy,
    poisons: Vec<Vec<u8>>,
    /// UIDVALIDITY after the next restore.
    validity: AtomicU32,
}

fn password_file(channel: usize) -> String {
    format!("password-{}", USERS[channel])
}

/// A citizen's letter, with an attachment of so many octets.
fn letter(n: usize, words: &str, attachment: usize) -> Vec<u8> {
    let filler = format!("{}\r\n", "x".repeat(74)).repeat(attachment / 76);
    format!(
        "From: Cittadina {n} <cittadina{n}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Buca numero {n}\r\n\
         Message-ID: <collaudo-{n}@example.it>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a\r\n\r\n{filler}--b--\r\n"
    )
    .into_bytes()
}

impl Rig for Email {
    const CHANNELS: [&'static str; 3] = ["email/urp", "email/tributi", "email/bulk"];
    const REFUSED: &'static str = "login-refused";
    const TELLS: bool = true;

    async fn start() -> Self {
        let dovecot = Dovecot::start().await.expect("Dovecot");
        let proxy = ChaosProxy::start(dovecot.imap).await.expect("a proxy");
        let poisons = nasty().into_iter().map(|(_, bytes)| bytes).collect();
        Self { dovecot, proxy, poisons, validity: AtomicU32::new(1_000) }
    }

    fn equip(&self, town: &Installation) {
        (0..USERS.len()).for_each(|channel| town.secret(&password_file(channel), PASSWORD));
    }

    fn section(&self, channel: usize) -> String {
        let mailbox = Mailbox {
            password_file: password_file(channel),
            ..Mailbox::of(&self.dovecot, USERS[channel]).after("seen")
        };
        mailbox.plain_on(self.proxy.port).section()
    }

    fn put(&self, channel: usize, n: usize, words: &str) {
        self.dovecot.deliver(USERS[channel], "INBOX", &letter(n, words, 0)).expect("delivered");
    }

    fn poisons(&self) -> usize {
        self.poisons.len()
    }

    fn put_poison(&self, channel: usize, kind: usize) {
        self.dovecot.deliver(USERS[channel], "INBOX", &self.poisons[kind]).expect("delivered");
    }

    /// Every letter under another UID.
    async fn again(&mut self, channel: usize) {
        self.dovecot.stop();
        let validity = self.validity.fetch_add(1, Ordering::Relaxed);
        self.dovecot.set_uidvalidity(USERS[channel], "INBOX", validity).expect("renumbered");
        self.dovecot.launch().await.expect("Dovecot again");
    }

    fn told(&self, channel: usize) -> usize {
        let dir = self.dovecot.maildir(USERS[channel], "INBOX").expect("its folder").join("cur");
        let names = fs::read_dir(dir).expect("its letters").flatten().map(|e| e.file_name());
        let seen = |name: OsString| {
            let (letter, flags) = name.to_str()?.rsplit_once(":2,")?;
            flags.contains('S').then(|| letter.to_owned())
        };
        // A set: one that is being renamed may be listed twice.
        names.filter_map(seen).collect::<BTreeSet<String>>().len()
    }

    fn shut(&mut self, _: &Installation, channel: usize) {
        self.dovecot.set_password(USERS[channel], RENEWED).expect("another password");
    }

    fn mend(&mut self, town: &Installation, channel: usize) {
        town.secret(&password_file(channel), RENEWED);
    }

    fn still(&self) {
        self.proxy.stall();
    }

    fn hang(&self, channel: usize, n: usize, words: &str) {
        self.dovecot.deliver(USERS[channel], "INBOX", &letter(n, words, LARGE)).expect("delivered");
        self.proxy.stall_after(Some(MIDDLE));
        self.proxy.cut();
    }

    async fn until_hanging(&self) {
        self.proxy.until_silenced(1).await;
    }

    fn go_on(&self) {
        self.proxy.stall_after(None);
        self.proxy.resume();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn email_killed_between_receive_and_commit() {
    conformance::killed_between_receive_and_commit::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_killed_between_commit_and_telling() {
    conformance::killed_between_commit_and_telling::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_delivered_twice() {
    conformance::delivered_twice::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_no_reader_likes_it() {
    conformance::no_reader_likes_it::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_the_database_refuses_it() {
    conformance::the_database_refuses_it::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_login_refused() {
    conformance::login_refused::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_one_of_many_fails_alone() {
    conformance::one_of_many_fails_alone::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_stopped_while_upstream_hangs() {
    conformance::stopped_while_upstream_hangs::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_stopped_while_the_database_hangs() {
    conformance::stopped_while_the_database_hangs::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_stopped_while_the_network_hangs() {
    conformance::stopped_while_the_network_hangs::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_database_cut() {
    conformance::database_cut::<Email>(program()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn email_database_stalled() {
    conformance::database_stalled::<Email>(program()).await;
}
