//! The server's process: a child of a thread that lives as long as it does.
//!
//! Invariant: no orphan. The kernel sends the server SIGINT (fast shutdown) when the thread that spawned it ends, and that
//! thread ends only with the server or with this process, however that is ended.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ExitStatus},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};
use tokio::sync::watch;

use super::{
    Account, PrivateError, ServerBinaries,
    cluster::{Cluster, cannot_run, command},
};

/// How long a fast shutdown may take (it writes a checkpoint) before the server is told to drop everything.
const FAST_SHUTDOWN: Duration = Duration::from_secs(30);
/// How long an immediate shutdown may take. What was committed survives it.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(10);

/// A server that we started.
#[derive(Debug)]
pub(super) struct Server {
    process: Arc<Process>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// Shared with the thread that waits for it. The pid is valid while `running`: it is collected under the same lock.
#[derive(Debug)]
struct Process {
    pid: Pid,
    running: Mutex<bool>,
}

impl Process {
    fn signal(&self, signal: Signal) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if *running {
            kill(self.pid, signal).ok();
        }
    }
}

impl Server {
    /// Starts the server. Returns as soon as its process is there, long before it accepts connections.
    pub(super) fn spawn(
        cluster: &Cluster,
        binaries: &ServerBinaries,
        account: &Account,
    ) -> Result<Self, PrivateError> {
        let log = open_log(&cluster.log, account)?;
        let log_again = log
            .try_clone()
            .map_err(|error| PrivateError::io("Non si può aprire", "cannot open", &cluster.log, &error))?;
        let mut start = command(account, &binaries.program("postgres"), Some("INT"));
        start.arg("-D").arg(&cluster.data);
        for setting in settings(&cluster.socket_dir) {
            start.arg("-c").arg(setting);
        }
        start.stdout(log).stderr(log_again);

        let (tell, told) = mpsc::sync_channel::<Result<Arc<Process>, PrivateError>>(1);
        let (end, ended) = watch::channel(None);
        std::thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || {
                let child = match start.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        tell.send(Err(cannot_run(&error))).ok();
                        return;
                    }
                };
                let process = Arc::new(Process { pid: pid_of(&child), running: Mutex::new(true) });
                tell.send(Ok(Arc::clone(&process))).ok();
                let status = wait_for(child, &process);
                end.send(Some(status)).ok();
            })
            .map_err(|error| cannot_run(&error))?;
        let process = told.recv().map_err(|_| {
            PrivateError::new("start-failed", "PostgreSQL non è partito.", "PostgreSQL did not start")
        })??;
        Ok(Self { process, ended })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid.as_raw().unsigned_abs()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        match self.ended.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or_default(),
            // The thread is gone without a word: it panicked; nothing that is known contradicts an end.
            Err(_) => ExitStatus::default(),
        }
    }

    /// Stops it: fast, and if that takes too long at once. Nothing that was committed is lost either way.
    pub(super) async fn stop(mut self) -> Result<(), PrivateError> {
        for (signal, patience) in [(Signal::SIGINT, FAST_SHUTDOWN), (Signal::SIGQUIT, IMMEDIATE_SHUTDOWN)] {
            self.process.signal(signal);
            if tokio::time::timeout(patience, self.wait()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(
                postgres.pid = self.pid(),
                signal = signal.as_str(),
                "the private PostgreSQL is slow to stop"
            );
        }
        let pid = self.pid();
        Err(PrivateError::new(
            "stop-failed",
            format!("PostgreSQL (processo {pid}) non si ferma: controllare il disco."),
            format!("PostgreSQL (process {pid}) does not stop: check the disk"),
        ))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGINT);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// Waits without collecting first, so that nobody signals a number that has become somebody else's.
fn wait_for(mut child: Child, process: &Process) -> ExitStatus {
    while let Err(nix::errno::Errno::EINTR) =
        waitid(Id::Pid(process.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
    {}
    let mut running = process.running.lock().unwrap_or_else(PoisonError::into_inner);
    *running = false;
    child.wait().unwrap_or_else(|_| ExitStatus::from_raw(0))
}

/// Signals a server of which we are not the parent, after its own smista is gone.
pub(super) fn signal_orphan(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        kill(Pid::from_raw(pid), signal).ok();
    }
}

fn open_log(path: &Path, account: &Account) -> Result<fs::File, PrivateError> {
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| PrivateError::io("Non si può aprire", "cannot open", path, &error))?;
    account.give(path)?;
    Ok(file)
}

/// What the server is set to. On the command line, so that it holds whatever stands in the files.
fn settings(socket_dir: &Path) -> Vec<String> {
    let mut settings = vec![format!("unix_socket_directories={}", socket_dir.display())];
    settings.extend(
        [
            "listen_addresses=",
            "port=5432",
            "unix_socket_permissions=0700",
            // Never off: what `accept` called committed must survive the power going away.
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "shared_buffers=128MB",
            "max_connections=50",
            "max_wal_size=1GB",
            "checkpoint_timeout=10min",
            "jit=off",
            // The queue's tables change all the time.
            "autovacuum_naptime=15s",
            // Half-open connections cannot come up on a Unix socket; forgotten ones are smista's own affair.
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=%m [%p] ",
            "log_timezone=UTC",
            // No row, statement or parameter in the log: it would hold what citizens wrote.
            "log_error_verbosity=terse",
            "log_min_error_statement=panic",
            "log_min_messages=warning",
            "log_statement=none",
            "log_min_duration_statement=-1",
            "log_checkpoints=off",
            "log_connections=off",
            "log_disconnections=off",
            "log_autovacuum_min_duration=-1",
        ]
        .map(str::to_owned),
    );
    settings
}
