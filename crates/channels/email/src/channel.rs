//! An IMAP mailbox as a channel.
//!
//! Each connection runs in a task of its own, so that even a panic there is a lost connection and no more. Folders are watched
//! side by side, on at most [`CONNECTIONS`] connections. The first connection that is lost ends the run: the supervisor waits
//! and starts again, and the cursors know where to go on.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use smista_domain::{Channel, ChannelError, ChannelName, Intake, Remedy};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::EmailSettings,
    imap::{
        Timing,
        budget::MemoryBudget,
        error::{Fault, ImapError},
        session::{Session, Target, TlsMode},
        suspects::Suspects,
        tls,
        trouble::Trouble,
        watch::{Shared, watch},
    },
};

/// Connections for one mailbox: Dovecot allows 10 for a user and address, Gmail 15, Office 365 20, and people use some.
const CONNECTIONS: usize = 4;

/// One mailbox that is watched.
pub struct EmailChannel {
    shared: Arc<Shared>,
}

impl EmailChannel {
    /// A channel with a memory budget of its own.
    pub fn new(settings: EmailSettings) -> Self {
        Self::with(settings, MemoryBudget::default(), Timing::default())
    }

    /// A channel that shares a memory budget with others, and has its own times.
    pub fn with(settings: EmailSettings, budget: MemoryBudget, timing: Timing) -> Self {
        let suspects = Suspects::default();
        Self { shared: Arc::new(Shared { settings, timing, budget, suspects, now: clock }) }
    }

    fn place(&self) -> String {
        format!("{}:{}", self.shared.settings.host, self.shared.settings.port)
    }

    fn error(&self, trouble: Trouble, folder: Option<&str>, worked: bool) -> ChannelError {
        trouble.into_channel_error(&self.place(), folder, worked)
    }

    fn target(&self) -> Result<Target, ImapError> {
        let settings = &self.shared.settings;
        let config = match settings.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => {
                Some(tls::client_config(&settings.ca).map_err(|f| ImapError::new("TLS", f))?)
            }
        };
        let password =
            settings.password.load().map_err(|d| ImapError::new("password", Fault::Password(d.text.en)))?;
        Ok(Target {
            host: settings.host.clone(),
            port: settings.port,
            tls: settings.tls,
            config,
            user: settings.user.clone(),
            password,
            timing: self.shared.timing.clone(),
        })
    }
}

/// The clock of this room.
#[allow(clippy::disallowed_methods, reason = "the one place where this room reads the clock")]
fn clock() -> Timestamp {
    Timestamp::now()
}

impl Channel for EmailChannel {
    fn name(&self) -> &ChannelName {
        &self.shared.settings.name
    }

    async fn run<I: Intake>(&self, intake: I, stop: CancellationToken) -> Result<(), ChannelError> {
        let target = self.target().map_err(|e| self.error(e.into(), None, false))?;
        let folders = &self.shared.settings.folders;
        let connections = CONNECTIONS.min(folders.len()).max(1);
        let worked = Arc::new(AtomicBool::new(false));
        let ours = stop.child_token();
        let mut tasks = JoinSet::new();
        for i in 0..connections {
            let mine = folders.iter().skip(i).step_by(connections).cloned().collect();
            tasks.spawn(watch(
                Arc::clone(&self.shared),
                target.clone(),
                mine,
                intake.clone(),
                Arc::clone(&worked),
                ours.clone(),
            ));
        }
        let mut outcome = Ok(());
        let mut deadline = None;
        loop {
            let next = async {
                match deadline {
                    None => Ok(tasks.join_next().await),
                    Some(at) => tokio::time::timeout_at(at, tasks.join_next()).await,
                }
            };
            let ended = tokio::select! {
                biased;
                () = stop.cancelled(), if deadline.is_none() => {
                    deadline = Some(tokio::time::Instant::now() + self.shared.timing.stop);
                    continue;
                }
                ended = next => ended,
            };
            match ended {
                // all have ended, or the time for ending is over: the rest is dropped
                Ok(None) | Err(_) => break,
                Ok(Some(Ok(Ok(())))) => {}
                Ok(Some(Ok(Err((trouble, folder))))) if outcome.is_ok() && !stop.is_cancelled() => {
                    outcome = Err(self.error(trouble, folder.as_deref(), false));
                }
                Ok(Some(Err(panic))) if outcome.is_ok() && panic.is_panic() => {
                    outcome = Err(ChannelError {
                        code: "internal-error",
                        text: format!(
                            "{}: an error in smista ended the connection; it is tried again, please report it",
                            self.place()
                        ),
                        remedy: Remedy::Reconnect,
                        worked: false,
                        source: Some(Box::new(panic)),
                    });
                }
                Ok(Some(_)) => {}
            }
            // one is lost: the others take leave too
            if !stop.is_cancelled() {
                ours.cancel();
                deadline = deadline.or(Some(tokio::time::Instant::now() + self.shared.timing.stop));
            }
        }
        outcome.map_err(|e| ChannelError { worked: worked.load(Ordering::Relaxed), ..e })
    }

    async fn probe(&self) -> Result<String, ChannelError> {
        let settings = &self.shared.settings;
        let imap = |e: ImapError| self.error(e.into(), None, false);
        let target = self.target().map_err(imap)?;
        let mut session = Session::connect(&target).await.map_err(imap)?;
        let protection = match (settings.tls, &session.issuer) {
            (TlsMode::None, _) => "unencrypted on this machine".to_owned(),
            (_, Some(issuer)) => format!("TLS, certificate issued by {issuer}"),
            (_, None) => "TLS".to_owned(),
        };
        session.log_in(&target).await.map_err(imap)?;
        let mut found = Vec::new();
        for folder in &settings.folders {
            let opened = session.open_folder(folder, false).await.map_err(|e| {
                let trouble = if e.fault.is_refusal() { Trouble::Folder(e) } else { e.into() };
                self.error(trouble, Some(folder), false)
            })?;
            if opened.validity.is_none() {
                return Err(self.error(Trouble::NoValidity, Some(folder), false));
            }
            found.push(format!("{folder} ({} messages)", opened.exists));
        }
        let idle = if session.can("IDLE") { "IDLE" } else { "no IDLE, polling" };
        session.leave().await;
        Ok(format!("{}: {protection}, logged in, {idle}, {}", self.place(), found.join(", ")))
    }
}
