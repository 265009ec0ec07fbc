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
use smista_settings::Diagnostic;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{EmailSettings, Login},
    imap::{
        Timing,
        budget::MemoryBudget,
        error::{Fault, ImapError},
        quota::Quotas,
        session::{Secret, Session, Target, TlsMode},
        suspects::Suspects,
        tls::Trust,
        trouble::Trouble,
        vanished::Accounts,
        watch::{Run, Shared},
    },
    oauth::{Tokens, endpoint::Patience},
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
        let tokens = tokens(&settings);
        let quotas = Quotas::default();
        Self { shared: Arc::new(Shared { settings, tokens, timing, budget, suspects, quotas, now: clock }) }
    }

    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.shared.settings.host, self.shared.settings.port)
    }

    fn error(&self, trouble: Trouble, folder: Option<&str>, worked: bool) -> ChannelError {
        trouble.into_channel_error(&self.place(), folder, worked)
    }
}

/// The access tokens of a mailbox that takes them: for logging in, and for keeping them alive.
pub fn tokens(settings: &EmailSettings) -> Option<Tokens> {
    settings.oauth().map(|oauth| Tokens::new(oauth.clone(), Patience::default(), clock))
}

impl Shared {
    pub(crate) async fn target(&self) -> Result<Target, Trouble> {
        let settings = &self.settings;
        let trust = match settings.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls => {
                Some(Trust::new(&settings.ca).map_err(|f| ImapError::new("TLS", f))?)
            }
        };
        let (secret, remembered) = match (&settings.login, &self.tokens) {
            (Login::Password(password), _) => {
                let unreadable = |d: Diagnostic| ImapError::new("password", Fault::Password(d.text.en));
                (Secret::Password(password.load().map_err(unreadable)?), false)
            }
            (Login::OAuth(_), Some(tokens)) => {
                let access = tokens.access().await?;
                (Secret::Token(access.token), access.remembered)
            }
            (Login::OAuth(_), None) => return Err(ImapError::new("AUTHENTICATE", Fault::NoBearer).into()),
        };
        Ok(Target {
            host: settings.host.clone(),
            port: settings.port,
            tls: settings.tls,
            trust,
            user: settings.user.clone(),
            secret,
            remembered,
            timing: self.timing.clone(),
        })
    }

    /// Connects and logs in. A token from memory that is refused may have been revoked meanwhile: once, another one is fetched.
    async fn open(&self, target: &mut Target) -> Result<Session, Trouble> {
        let session = Session::connect(target).await?;
        self.log_in(session, target).await
    }

    pub(crate) async fn log_in(&self, mut session: Session, target: &mut Target) -> Result<Session, Trouble> {
        let refused = match session.log_in(target).await {
            Ok(()) => return Ok(session),
            Err(refused) => refused,
        };
        let (Secret::Token(token), Some(tokens)) = (&target.secret, &self.tokens) else {
            return Err(refused.into());
        };
        if !target.remembered || !refused.refuses_token() {
            return Err(refused.into());
        }
        target.secret = Secret::Token(tokens.instead_of(token).await?.token);
        target.remembered = false;
        // servers count failed logins by connection
        let mut session = Session::connect(target).await?;
        session.log_in(target).await?;
        Ok(session)
    }
}

/// The clock of this room.
#[allow(clippy::disallowed_methods, reason = "the one place where this room reads the clock")]
fn clock() -> Timestamp {
    Timestamp::now()
}

/// Every connection of a run, each in its own task. The first one that is lost ends the others.
async fn all<I: Intake>(run: Arc<Run<I>>, mut target: Target) -> Result<(), (Trouble, Option<String>)> {
    let folders = &run.shared.settings.folders;
    let wanted = CONNECTIONS.min(folders.len()).max(1);
    let mut sessions = Vec::new();
    while sessions.len() < wanted {
        match run.shared.open(&mut target).await {
            Ok(session) => sessions.push(session),
            // so many connections and no more: the folders share those that there are
            Err(Trouble::Imap(e))
                if !sessions.is_empty() && e.fault.is_refusal() && e.fault.passes_by_itself() =>
            {
                let text = format!(
                    "the server allows only {} connection(s) ({e}); folders share them",
                    sessions.len()
                );
                run.intake.pulse(Pulse::Warning { code: "few-connections", text });
                break;
            }
            Err(e) => return Err((e, None)),
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
        let target = tokio::select! {
            biased;
            target = self.shared.target() => target.map_err(|e| self.error(e, None, false))?,
            // a token that is being renewed has a little time to reach the disk
            () = async { stop.cancelled().await; tokio::time::sleep(self.shared.timing.stop).await } => {
                return Ok(());
            }
        };
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
