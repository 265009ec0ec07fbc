//! Starting the server under the lock: what an earlier smista left behind is cleared first, and nothing is called ready
//! before it answers.

use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::{sync::watch, time::Instant};

use super::{
    Account, PrivateError, PrivateSettings, ServerBinaries, ServerState,
    cluster::{Cluster, OWNER, SUPERUSER},
    owner_options,
    server::{Server, signal_orphan},
    starting,
};

/// How long what is left of an earlier server may take to go by itself.
const LEFTOVERS: Duration = Duration::from_secs(30);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(20);

/// What came of it.
pub(super) enum Started {
    /// A server of our own, ready.
    Ours(Server),
    /// A living smista's server, although the lock was free.
    Found,
}

/// Makes the data folder if need be, starts the server and waits until it is ready. The caller holds the lock.
pub(super) async fn start(
    cluster: &Cluster,
    settings: &PrivateSettings,
    account: &Account,
    say: &watch::Sender<ServerState>,
) -> Result<Started, PrivateError> {
    let version = cluster.version()?;
    let installed = ServerBinaries::installed(settings.search_path.as_deref());
    let binaries = ServerBinaries::choose(&installed, version)?;
    if version.is_none() {
        say.send_replace(starting("creazione del database (initdb)", "making the database (initdb)"));
        let (cluster, binaries, account) = (cluster.clone(), binaries.clone(), account.clone());
        tokio::task::spawn_blocking(move || cluster.init(&binaries, &account))
            .await
            .map_err(|error| PrivateError::new("init-failed", error.to_string(), error.to_string()))??;
    }
    if let Some(living) = cluster.living() {
        if !living.is_orphan() {
            return Ok(Started::Found);
        }
        clear_orphan(cluster, living.pid, say).await?;
    }
    account.make_private_dir(&cluster.socket_dir)?;
    cluster.bound_log();
    let deadline = Instant::now() + LEFTOVERS;
    loop {
        cluster.disarm_stale_pid(std::process::id())?;
        say.send_replace(starting("avvio di PostgreSQL", "starting PostgreSQL"));
        let log = cluster.log_len();
        let server = Server::spawn(cluster, &binaries, account)?;
        match ready(cluster, &server, log, say).await {
            Ok(()) => return Ok(Started::Ours(server)),
            // Processes of a server that was killed hard are still at work: they end by themselves.
            Err(error) if error.text.en.contains("shared memory") && Instant::now() < deadline => {
                tokio::time::sleep(LOOK * 10).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// A server whose smista was killed: the kernel has told it to stop. Waits for that, then says it again.
async fn clear_orphan(
    cluster: &Cluster,
    pid: u32,
    say: &watch::Sender<ServerState>,
) -> Result<(), PrivateError> {
    say.send_replace(starting(
        "attesa che si fermi il PostgreSQL di uno smista interrotto",
        "waiting for the PostgreSQL of an interrupted smista to stop",
    ));
    let steps = [(None, 5), (Some(Signal::SIGINT), 30), (Some(Signal::SIGQUIT), 10)];
    for (signal, seconds) in steps {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        if let Some(signal) = signal {
            signal_orphan(pid, signal);
        }
        while Instant::now() < deadline {
            if cluster.living().is_none_or(|living| living.pid != pid) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Err(PrivateError::new(
        "start-failed",
        format!(
            "Un vecchio PostgreSQL (processo {pid}) usa ancora {} e non si ferma.",
            cluster.data.display()
        ),
        format!("an old PostgreSQL (process {pid}) still uses {} and does not stop", cluster.data.display()),
    ))
}

/// Whether the server answers right now.
pub(super) async fn answers(cluster: &Cluster) -> bool {
    matches!(attempt(cluster, Duration::from_secs(5)).await, Attempt::Ready)
}

enum Attempt {
    Ready,
    /// It is there, and not ready yet (crash recovery).
    Recovering,
    /// Role or database are missing.
    Bare,
    NotYet,
    Failed(PrivateError),
}

async fn attempt(cluster: &Cluster, patience: Duration) -> Attempt {
    let options = owner_options(cluster);
    match tokio::time::timeout(patience, PgConnection::connect_with(&options)).await {
        Ok(Ok(connection)) => {
            connection.close().await.ok();
            Attempt::Ready
        }
        Ok(Err(sqlx::Error::Database(error))) => match error.code().as_deref() {
            Some("57P03") => Attempt::Recovering,
            Some("28000" | "3D000") => Attempt::Bare,
            // Too many connections is an answer, too.
            Some("53300") => Attempt::Ready,
            _ => Attempt::Failed(failed(&error.to_string())),
        },
        Ok(Err(_)) | Err(_) => Attempt::NotYet,
    }
}

/// Waits until our server answers, however long its crash recovery takes, as long as it lives. `log` is where its part of the
/// log begins.
async fn ready(
    cluster: &Cluster,
    server: &Server,
    log: u64,
    say: &watch::Sender<ServerState>,
) -> Result<(), PrivateError> {
    let begun = Instant::now();
    let mut told = 0;
    loop {
        if let Some(status) = server.ended() {
            return Err(failed(&format!("{status}: {}", cluster.log_tail(log))));
        }
        match attempt(cluster, Duration::from_secs(10)).await {
            Attempt::Ready => return Ok(()),
            Attempt::Bare => furnish(cluster).await?,
            Attempt::Failed(error) => return Err(error),
            Attempt::Recovering | Attempt::NotYet => {}
        }
        let seconds = begun.elapsed().as_secs();
        if seconds >= told + 5 {
            told = seconds;
            tracing::info!(seconds, "PostgreSQL is recovering what it was writing when it was interrupted");
            say.send_replace(starting(
                &format!("PostgreSQL ripristina ciò che stava scrivendo quando fu interrotto ({seconds} s)"),
                &format!("PostgreSQL recovers what it was writing when it was interrupted ({seconds} s)"),
            ));
        }
        tokio::time::sleep(LOOK / 2).await;
    }
}

/// Makes the owner's role, which is no superuser, and the database. Harmless when one of them is there.
async fn furnish(cluster: &Cluster) -> Result<(), PrivateError> {
    let made = async {
        let options = owner_options(cluster).username(SUPERUSER).database("postgres");
        let mut connection = options.connect().await?;
        let roles = sqlx::query_scalar!("select count(*) as \"n!\" from pg_roles where rolname = $1", OWNER)
            .fetch_one(&mut connection)
            .await?;
        if roles == 0 {
            connection.execute("create role smista login").await?;
        }
        let databases =
            sqlx::query_scalar!("select count(*) as \"n!\" from pg_database where datname = $1", OWNER)
                .fetch_one(&mut connection)
                .await?;
        if databases == 0 {
            connection.execute("create database smista owner smista").await?;
        }
        connection.close().await
    };
    made.await.map_err(|error| failed(&error.to_string()))
}

fn failed(said: &str) -> PrivateError {
    PrivateError::new(
        "start-failed",
        format!("PostgreSQL non è partito: {said}"),
        format!("PostgreSQL did not start: {said}"),
    )
}
