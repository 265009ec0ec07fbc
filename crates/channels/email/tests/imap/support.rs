//! A mailbox on a private Dovecot, and a channel that watches it.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{sync::Arc, time::Duration};

use smista_domain::{Channel as _, ChannelError, ChannelKind, ChannelName};
use smista_email::{
    EmailChannel, EmailSettings, MemoryBudget, Timing,
    config::{After, Login, Password, Start, TlsMode},
};
use smista_testkit::{
    dovecot::{Dovecot, DovecotOptions, PASSWORD},
    memory_intake::MemoryIntake,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The n-th letter, different from every other.
pub fn letter(n: usize) -> Vec<u8> {
    format!(
        "From: cittadino{n}@example.org\r\nTo: urp@example.org\r\nSubject: segnalazione {n}\r\nMessage-ID: <{n}@example.org>\r\n\
         \r\nC'\u{e8} una buca in via Dante {n}.\r\n"
    )
    .into_bytes()
}

/// Times for tests: long enough for a busy machine, short enough for what must fail.
pub fn timing() -> Timing {
    Timing { silence: Duration::from_secs(20), folder_retry: Duration::from_millis(200), ..Timing::default() }
}

/// Settings for a server on this machine.
pub fn settings(port: u16, tls: TlsMode) -> EmailSettings {
    EmailSettings {
        name: ChannelName::new(ChannelKind::Email, "urp").expect("a name"),
        host: "127.0.0.1".to_owned(),
        port,
        tls,
        ca: Vec::new(),
        user: "urp".to_owned(),
        login: Login::Password(Password::Fixed(PASSWORD.into())),
        folders: vec!["INBOX".to_owned()],
        start: Start::All,
        after: After::Keep,
        poll: Duration::from_mins(1),
        max_message_bytes: 26_214_400,
        password_expires: None,
        keep_automatic: false,
        forwards: true,
        flood: 0,
        forms: Vec::new(),
    }
}

pub struct Mailbox {
    pub dovecot: Dovecot,
    pub settings: EmailSettings,
    pub timing: Timing,
    pub intake: MemoryIntake,
}

impl Mailbox {
    pub async fn start() -> Self {
        Self::start_with(&DovecotOptions::default()).await
    }

    pub async fn start_with(options: &DovecotOptions) -> Self {
        let dovecot = Dovecot::start_with(options).await.expect("Dovecot starts");
        let mut settings = settings(dovecot.imaps, TlsMode::Implicit);
        settings.ca = smista_email::imap::tls::certificates(&dovecot.ca_pem()).expect("a certificate");
        let intake = MemoryIntake::new(&settings.name);
        Self { dovecot, settings, timing: timing(), intake }
    }

    pub fn with(mut self, change: impl FnOnce(&mut EmailSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    pub fn deliver_many(&self, folder: &str, n: usize) {
        self.dovecot.deliver_all("urp", folder, (0..n).map(letter)).expect("delivered");
    }

    pub fn channel(&self) -> EmailChannel {
        EmailChannel::with(self.settings.clone(), MemoryBudget::default(), self.timing.clone())
    }

    pub fn run(&self) -> Running {
        Running::start(Arc::new(self.channel()), self.intake.clone())
    }
}

/// A channel at work.
pub struct Running {
    pub intake: MemoryIntake,
    pub stop: CancellationToken,
    pub task: JoinHandle<Result<(), ChannelError>>,
}

impl Running {
    pub fn start(channel: Arc<EmailChannel>, intake: MemoryIntake) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (intake, stop) = (intake.clone(), stop.clone());
            async move { channel.run(intake, stop).await }
        });
        Self { intake, stop, task }
    }

    pub async fn stop(self) -> Result<(), ChannelError> {
        self.stop.cancel();
        self.end().await
    }

    pub async fn end(self) -> Result<(), ChannelError> {
        tokio::time::timeout(Duration::from_mins(1), self.task)
            .await
            .expect("it ends")
            .expect("it does not panic")
    }
}

/// A channel that is started again whenever it ends, as the supervisor does, but without its pauses.
pub struct Supervised {
    stop: CancellationToken,
    task: JoinHandle<Vec<ChannelError>>,
}

impl Supervised {
    pub fn start(settings: EmailSettings, timing: Timing, intake: &MemoryIntake) -> Self {
        let stop = CancellationToken::new();
        let (token, intake) = (stop.clone(), intake.clone());
        let task = tokio::spawn(async move {
            let channel = Arc::new(EmailChannel::with(settings, MemoryBudget::default(), timing));
            let mut errors = Vec::new();
            while !token.is_cancelled() {
                errors.extend(channel.run(intake.clone(), token.clone()).await.err());
                tokio::task::yield_now().await;
            }
            errors
        });
        Self { stop, task }
    }

    /// Every error that ended a run.
    pub async fn stop(self) -> Vec<ChannelError> {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_mins(1), self.task).await.expect("it ends").expect("no panic")
    }
}
