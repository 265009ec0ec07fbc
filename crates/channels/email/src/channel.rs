//! An IMAP mailbox as a channel.
//!
//! Each connection runs in a task of its own, so that even a panic there is a lost connection and no more. Folders are watched
//! side by side, on at most [`CONNECTIONS`] connections. The first connection that is lost ends the run: the supervisor waits
//! and starts again, and the cursors know where to go on.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use smista_domain::{Channel, ChannelError, ChannelName, Intake, Pulse, Remedy, Step};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::EmailSettings,
    imap::{
        Timing,
        budget::MemoryBudget,
        error::{Fault, ImapError},
        quota::Quotas,
        session::{Session, Target, TlsMode},
        suspects::Suspects,
        tls::Trust,
        trouble::Trouble,
        vanished::Accounts,
        watch::{Run, Shared},
    },
    probe::probe,
};

/// Connections for one mailbox: Dovecot allows 10 for a user and address, Gmail 15, Office 365 20, and people use some.
const CONNECTIONS: usize = 4;

/// One mailbox that is watched.
pub struct EmailChannel {
    pub(crate) shared: Arc<Shared>,
}

impl EmailChannel {
    /// A channel with a memory budget of its own.
    pub fn new(settings: EmailSettings) -> Self {
        Self::with(settings, MemoryBudget::default(), Timing::default())
    }

    /// A channel that shares a memory budget with others, and has its own times.
    pub fn with(settings: EmailSettings, budget: MemoryBudget, timing: Timing) -> Self {
        let suspects = Suspects::default();
        let quotas = Quotas::default();
        Self { shared: Arc::new(Shared { settings, timing, budget, suspects, quotas, now: clock }) }
    }

    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.shared.settings.host, self.shared.settings.port)
    }

    fn error(&self, trouble: Trouble, folder: Option<&str>, worked: bool) -> ChannelError {
        trouble.into_channel_error(&self.place(), folder, worked)
    }

    pub(crate) fn target(&self) -> Result<Target, ImapError> {
        let settings = &self.shared.settings;
        let trust = match settings.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => {
                Some(Trust::new(&settings.ca).map_err(|f| ImapError::new("TLS", f))?)
            }
        };
        let password =
            settings.password.load().map_err(|d| ImapError::new("password", Fault::Password(d.text.en)))?;
        Ok(Target {
            host: settings.host.clone(),
            port: settings.port,
            tls: settings.tls,
            trust,
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

/// Every connection of a run, each in its own task. The first one that is lost ends the others.
async fn all<I: Intake>(run: Arc<Run<I>>, target: Target) -> Result<(), (Trouble, Option<String>)> {
    let folders = &run.shared.settings.folders;
    let wanted = CONNECTIONS.min(folders.len()).max(1);
    let mut sessions = Vec::new();
    while sessions.len() < wanted {
        match Session::open(&target).await {
            Ok(session) => sessions.push(session),
            // so many connections and no more: the folders share those that there are
            Err(e) if !sessions.is_empty() && e.fault.is_refusal() && e.fault.passes_by_itself() => {
                let text = format!(
                    "the server allows only {} connection(s) ({e}); folders share them",
                    sessions.len()
                );
                run.intake.pulse(Pulse::Warning { code: "few-connections", text });
                break;
            }
            Err(e) => return Err((e.into(), None)),
        }
    }
    run.intake.pulse(Pulse::Connected);
    let connections = sessions.len();
    let mut tasks = JoinSet::new();
    for (i, session) in sessions.into_iter().enumerate() {
        let mine = folders.iter().skip(i).step_by(connections).cloned().collect();
        tasks.spawn(Arc::clone(&run).watch(session, mine));
    }
    let mut outcome = Ok(());
    while let Some(ended) = tasks.join_next().await {
        // the others take leave
        run.stop.cancel();
        match ended {
            Ok(Err(lost)) if outcome.is_ok() => outcome = Err(lost),
            Ok(_) => {}
            Err(e) => match e.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return outcome,
            },
        }
    }
    outcome
}

impl Channel for EmailChannel {
    fn name(&self) -> &ChannelName {
        &self.shared.settings.name
    }

    fn scopes(&self) -> Vec<String> {
        self.shared.settings.folders.clone()
    }

    async fn run<I: Intake>(&self, intake: I, stop: CancellationToken) -> Result<(), ChannelError> {
        let target = self.target().map_err(|e| self.error(e.into(), None, false))?;
        let run = Arc::new(Run {
            shared: Arc::clone(&self.shared),
            intake,
            worked: AtomicBool::new(false),
            closed: Mutex::default(),
            accounts: Accounts::default(),
            stop: stop.child_token(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(all(Arc::clone(&run), target));
        let mut ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = tasks.join_next() => ended,
        };
        if ended.is_none() {
            // stopped: open work has a little time, then it is dropped
            ended = tokio::time::timeout(self.shared.timing.stop, tasks.join_next()).await.ok().flatten();
        }
        let error = match ended {
            None | Some(Ok(Ok(()))) => return Ok(()),
            Some(_) if stop.is_cancelled() => return Ok(()),
            Some(Ok(Err((trouble, folder)))) => self.error(trouble, folder.as_deref(), false),
            Some(Err(panic)) => ChannelError {
                code: "internal-error",
                text: format!(
                    "{}: an error in smista ended the connection; it is tried again, please report it",
                    self.place()
                ),
                remedy: Remedy::Reconnect,
                worked: false,
                source: Some(Box::new(panic)),
            },
        };
        Err(ChannelError { worked: run.worked.load(Ordering::Relaxed), ..error })
    }

    async fn probe(&self) -> Vec<Step> {
        probe(self).await
    }
}
