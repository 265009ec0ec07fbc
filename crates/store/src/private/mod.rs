//! The private PostgreSQL of installations without `database.url`: real PostgreSQL from the binaries on the machine, under
//! `state.dir/postgres`, on a Unix socket, with nothing to set up.
//!
//! Invariants: at most one server runs on the data, whoever asks (one lock file, held by the process that started it); the
//! server never outlives that process and never runs as root; a folder that is half made is never taken for data; a living
//! server of another living smista is used, never stopped.
//!
//! Whoever opens it ([`PrivatePostgres::attach_or_start`]) either starts the server or uses the one that runs. When the
//! starter ends, another one that is still there starts it again; so a daemon survives the end of the command whose server
//! it had found. A command that started the server stops it only when the other commands are done, too.

mod account;
mod binaries;
mod cluster;
mod error;
mod lock;
mod server;
mod start;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

pub use account::Account;
pub use binaries::{OLDEST as OLDEST_SERVER, ServerBinaries};
pub use error::PrivateError;
use smista_domain::Text;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use self::{
    cluster::{Cluster, OWNER},
    lock::Lock,
    start::Started,
};

/// Where the private PostgreSQL lives and what it may use.
#[derive(Debug, Clone)]
pub struct PrivateSettings {
    /// Its folder: `state.dir/postgres`.
    pub dir: PathBuf,
    /// Where the socket goes when its path below `dir` would be too long for the kernel.
    pub runtime_dir: PathBuf,
    /// As whom root lets it run (`[state] user`).
    pub user: Option<String>,
    /// Where else than in the distributions' folders binaries are looked for: `$PATH`.
    pub search_path: Option<OsString>,
}

impl PrivateSettings {
    /// The settings for a state folder.
    pub fn new(state_dir: &Path, runtime_dir: &Path, user: Option<String>) -> Self {
        Self {
            dir: state_dir.join("postgres"),
            runtime_dir: runtime_dir.to_owned(),
            user,
            // Not a setting, but where programs are found.
            search_path: std::env::var_os("PATH"),
        }
    }
}

/// Who opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs on: starts the server again when its starter ends, and stops without waiting for others.
    Daemon,
    /// Ends by itself soon; others wait for it.
    Command,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerState {
    /// Being started or waited for: what is going on.
    Starting(Text),
    /// Accepts connections. `ours`: this process started it.
    Ready {
        /// This process started it.
        ours: bool,
    },
    /// Ended or cannot be started; tried again by itself.
    Down(PrivateError),
    /// Stopped because it was told to.
    Stopped,
}

/// The private PostgreSQL, started or found. Close it with [`PrivatePostgres::close`]; when dropped, a server that this process
/// started is told to stop, without waiting.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Cluster,
    state: watch::Receiver<ServerState>,
    stop: CancellationToken,
    keeper: Option<JoinHandle<Result<(), PrivateError>>>,
}

impl PrivatePostgres {
    /// Connects to the running server or starts it, making the data folder if there is none. Returns when it accepts
    /// connections; until then [`ServerState::Starting`] goes to the log (a crash recovery may take minutes).
    pub async fn attach_or_start(settings: PrivateSettings, role: Role) -> Result<Self, PrivateError> {
        let cluster = Cluster::new(&settings.dir, &settings.runtime_dir);
        let (say, mut state) = watch::channel(starting("avvio di PostgreSQL", "starting PostgreSQL"));
        let stop = CancellationToken::new();
        let keeper = Keeper { cluster: cluster.clone(), settings, role, say, stop: stop.clone() };
        let keeper = tokio::spawn(keeper.run());
        let private = Self { cluster, state: state.clone(), stop, keeper: Some(keeper) };
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                ServerState::Ready { .. } => return Ok(private),
                ServerState::Down(error) => {
                    private.close().await.ok();
                    return Err(error);
                }
                ServerState::Stopped => return Err(stopped()),
                ServerState::Starting(text) => tracing::debug!("{}", text.en),
            }
            if state.changed().await.is_err() {
                return Err(stopped());
            }
        }
    }

    /// The address of a server that runs already, started by whom it may; starts nothing. For `smista status`.
    pub fn running(settings: &PrivateSettings) -> Option<PgConnectOptions> {
        let cluster = Cluster::new(&settings.dir, &settings.runtime_dir);
        cluster.pid_file().filter(|file| file.ready).map(|_| owner_options(&cluster))
    }

    /// Address, role and database for [`StoreOptions`](crate::StoreOptions).
    pub fn connect_options(&self) -> PgConnectOptions {
        owner_options(&self.cluster)
    }

    /// How the server is, and every change of that.
    pub fn watch(&self) -> watch::Receiver<ServerState> {
        self.state.clone()
    }

    /// Ends our use of it. A server that this process started is stopped (fast shutdown; up to 40 s), a command's only once
    /// other commands are done with it.
    pub async fn close(mut self) -> Result<(), PrivateError> {
        self.stop.cancel();
        match self.keeper.take() {
            Some(keeper) => keeper.await.unwrap_or_else(|_| Err(stopped())),
            None => Ok(()),
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn owner_options(cluster: &Cluster) -> PgConnectOptions {
    // A server that was started elsewhere may have its socket elsewhere.
    let socket =
        cluster.pid_file().and_then(|file| file.socket_dir).unwrap_or_else(|| cluster.socket_dir.clone());
    PgConnectOptions::new_without_pgpass()
        .socket(socket)
        .port(5432)
        .username(OWNER)
        .database(OWNER)
        .ssl_mode(PgSslMode::Disable)
        .application_name("smista")
}

fn starting(it: &str, en: &str) -> ServerState {
    ServerState::Starting(Text::new(it, en))
}

fn stopped() -> PrivateError {
    PrivateError::new("stopped", "PostgreSQL privato fermato.", "the private PostgreSQL was stopped")
}

/// How long after a server's end it is started again; doubled while that does not help.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How often somebody who found a server looks whether its starter has gone.
const LOOK: Duration = Duration::from_millis(200);
/// How long a command that started the server waits for other commands that use it.
const WAIT_FOR_OTHERS: Duration = Duration::from_mins(5);

/// The task behind a [`PrivatePostgres`].
struct Keeper {
    cluster: Cluster,
    settings: PrivateSettings,
    role: Role,
    say: watch::Sender<ServerState>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) -> Result<(), PrivateError> {
        let mut pause = FIRST_PAUSE;
        let ended = loop {
            let begun = tokio::time::Instant::now();
            let once = self.once().await;
            if begun.elapsed() > Duration::from_mins(1) {
                pause = FIRST_PAUSE;
            }
            match once {
                Ok(()) => break Ok(()),
                Err(error) if self.stop.is_cancelled() => break Err(error),
                // Nothing is wrong: the next turn finds or starts another server.
                Err(error) if error.code == HANDOVER => {
                    tracing::info!("{error}");
                    self.say.send_replace(ServerState::Starting(error.text));
                    pause = Duration::from_millis(50);
                }
                Err(error) => {
                    tracing::error!(code = error.code, "{error}");
                    self.say.send_replace(ServerState::Down(error));
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => break Ok(()),
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(10)),
            }
        };
        self.say.send_replace(ServerState::Stopped);
        ended
    }

    /// Uses the server, its own or another's, until told to stop (`Ok`) or until it is gone (`Err`: try again).
    async fn once(&self) -> Result<(), PrivateError> {
        let account = Account::choose(&self.settings.dir, self.settings.user.as_deref())?;
        account.make_private_dir(&self.settings.dir)?;
        account.check_reach(&self.settings.dir)?;
        loop {
            if let Some(lock) = Lock::try_exclusive(&self.cluster.lock, &account)? {
                let started = tokio::select! {
                    () = self.stop.cancelled() => return Ok(()),
                    started = start::start(&self.cluster, &self.settings, &account, &self.say) => started?,
                };
                match started {
                    Started::Ours(server) => return self.keep_ours(server, lock, &account).await,
                    // A server of a living smista whose lock file somebody has removed: use it, leave it.
                    Started::Found => {
                        drop(lock);
                        return self.use_found(&account, false).await;
                    }
                }
            }
            if start::answers(&self.cluster).await {
                return self.use_found(&account, true).await;
            }
            self.say.send_if_modified(|state| {
                let waiting = starting(
                    "attesa del PostgreSQL che un altro smista avvia o ferma",
                    "waiting for the PostgreSQL that another smista starts or stops",
                );
                let change = *state != waiting;
                *state = waiting;
                change
            });
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK / 4) => {}
            }
        }
    }

    async fn keep_ours(
        &self,
        mut server: server::Server,
        lock: Lock,
        account: &Account,
    ) -> Result<(), PrivateError> {
        tracing::info!(postgres.pid = server.pid(), "the private PostgreSQL is ready");
        self.say.send_replace(ServerState::Ready { ours: true });
        let log = self.cluster.log_len();
        let mut look_at_log = tokio::time::interval(Duration::from_mins(1));
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                status = server.wait() => {
                    let tail = self.cluster.log_tail(log);
                    return Err(PrivateError::new(
                        "ended",
                        format!("PostgreSQL è terminato ({status}) e viene riavviato: {tail}"),
                        format!("PostgreSQL ended ({status}) and is started again: {tail}"),
                    ));
                }
                _ = look_at_log.tick() => self.cluster.bound_log(),
            }
        }
        // Held until the server is down: whoever comes now waits, and then starts it.
        let _others = match self.role {
            Role::Daemon => None,
            Role::Command => self.others_done(account).await?,
        };
        let stopped = server.stop().await;
        drop(lock);
        stopped
    }

    /// Waits until no other command uses the server that we are going to stop.
    async fn others_done(&self, account: &Account) -> Result<Option<Lock>, PrivateError> {
        let deadline = tokio::time::Instant::now() + WAIT_FOR_OTHERS;
        while tokio::time::Instant::now() < deadline {
            if let Some(lock) = Lock::try_exclusive(&self.cluster.users, account)? {
                return Ok(Some(lock));
            }
            tokio::time::sleep(LOOK / 4).await;
        }
        Ok(None)
    }

    /// Uses a server that another smista started, until told to stop or until that one has gone.
    async fn use_found(&self, account: &Account, take_over: bool) -> Result<(), PrivateError> {
        let _in_use = match self.role {
            Role::Daemon => None,
            Role::Command => match Lock::try_shared(&self.cluster.users, account)? {
                Some(lock) => Some(lock),
                None => return Err(going_away()),
            },
        };
        // It may have begun to stop before we said that we use it.
        if !start::answers(&self.cluster).await {
            return Err(going_away());
        }
        self.say.send_replace(ServerState::Ready { ours: false });
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            if take_over && Lock::is_free(&self.cluster.lock, account)? {
                return Err(going_away());
            }
        }
    }
}

/// The code of [`going_away`].
const HANDOVER: &str = "handover";

fn going_away() -> PrivateError {
    PrivateError::new(
        HANDOVER,
        "Lo smista che aveva avviato PostgreSQL è terminato: viene riavviato.",
        "the smista that had started PostgreSQL has ended: it is started again",
    )
}
