//! `smista run`: everything that runs, from start to stop.
//!
//! The daemon comes up whatever is missing: while the database is away it answers on its socket and says so, and goes on by
//! itself. SIGTERM ends it within seconds: channels stop fetching, the batch in work is settled or given back, the private
//! PostgreSQL is shut down last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use smista_domain::{Lang, Text};
use smista_email::{EmailChannel, MemoryBudget, Timing};
use smista_settings::Environment;
use smista_store::{Handover, LONGEST_LEASE, Store};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    cli::exit::{FOUND, Failure},
    clock,
    configuration::Configuration,
    database::{self, Database},
    expiries,
    health::{Health, Severity},
    holder::Holder,
    monitor::Monitor,
    notifier::Notifier,
    pipeline::{Pipeline, PipelineSettings, SETTLING},
    status::Speaker,
    supervisor::Supervisor,
    town::Town,
    webhooks,
};

/// How long stopping may take before what is left is abandoned (it is safe: nothing is told upstream before its commit).
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Batches (of 2 MB at most) that wait for the pipeline in memory.
const HANDED_OVER: usize = 4;

/// How long a daemon that cannot answer `status` waits before it tries again.
const SPEAK_AGAIN: Duration = Duration::from_secs(5);

/// The machine's name, for people.
pub(crate) fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|h| h.into_string().ok())
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Cancelled by SIGTERM or SIGINT.
pub(crate) fn stop_on_signals() -> Result<CancellationToken, Failure> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|e| Failure::new(FOUND, e.to_string(), e.to_string()))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("stopping");
            stop.cancel();
        });
    }
    // A terminal that goes away, or a reload that is asked for: rules are read anew at a restart.
    let mut hangups =
        signal(SignalKind::hangup()).map_err(|e| Failure::new(FOUND, e.to_string(), e.to_string()))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP does nothing: restart the daemon for changed files");
        }
    });
    Ok(stop)
}

/// Runs until stopped.
pub(crate) async fn run(configuration: Configuration, environment: Environment) -> Result<(), Failure> {
    let stop = stop_on_signals()?;
    let health = Health::default();
    let (started_at, host) = (clock::now(), host());
    let town_cell: Arc<std::sync::OnceLock<Arc<Town>>> = Arc::default();
    let mut tasks = JoinSet::new();

    let speaker = Speaker {
        health: health.clone(),
        host: host.clone(),
        started_at,
        ruleset: {
            let town = town_cell.clone();
            Box::new(move || town.get().map(|t| t.rules().id().short().to_owned()).unwrap_or_default())
        },
    };
    let run_dir = configuration.town.state.run_dir.clone();
    let holder = Holder::of(&configuration.town.state.dir);
    tasks.spawn(speak(speaker, run_dir, health.clone(), stop.clone()));
    let beats = Arc::new(AtomicU64::new(WAITING));
    tasks.spawn(watchdog(beats.clone(), stop.clone()));
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status("waiting for the database")]);

    let opened: webhooks::Opened = Arc::default();
    if let Some(meta) = configuration.meta.clone() {
        let address = configuration.town.http.public;
        tasks.spawn(webhooks::run(meta, address, opened.clone(), health.clone(), stop.clone()));
    }

    let Some(database) = open(&configuration, &health, &stop).await? else {
        tasks.shutdown().await;
        return Ok(());
    };
    let store = database.store.clone();
    let Some(rules) = activate(&configuration, &store, &environment, &health, &stop).await? else {
        database.close().await;
        return Ok(());
    };
    let town = Arc::new(Town::new(
        configuration.town.comune.time_zone.clone(),
        configuration.town.queue.reopen_days,
        configuration.readings(),
        rules,
    ));
    let _ = town_cell.set(town.clone());

    let (handover, notifier) = (Handover::new(HANDED_OVER), Notifier::default());
    let budget = MemoryBudget::default();
    beats.store(0, Ordering::Relaxed);
    let pipeline = Pipeline {
        store: store.clone(),
        town: town.clone(),
        handover: handover.clone(),
        notifier: notifier.clone(),
        health: health.clone(),
        settings: PipelineSettings::default(),
        settling: Arc::new(Semaphore::new(SETTLING)),
        one_large: budget.large(),
        beats,
    };
    register(&configuration, &store).await;
    let _ = opened.set((store.clone(), handover.clone()));
    // Channels stop first; what they committed is settled by the pipeline until its own stop.
    let channels_stop = stop.child_token();
    let mut channels =
        start_channels(&configuration, &store, &health, &handover, &budget, holder.id, &channels_stop);
    let mailboxes = channels.len();
    tasks.spawn(expiries::keep_alive(configuration.mailboxes.clone(), health.clone(), stop.clone()));
    tasks.spawn(async move { while channels.join_next().await.is_some() {} });
    tasks.spawn(pipeline.run(stop.clone()));
    tasks.spawn(notifier.clone().run(store.clone(), stop.clone()));
    let monitor = Monitor {
        store: store.clone(),
        health: health.clone(),
        notifier,
        town,
        configuration: Arc::new(configuration),
        environment,
    };
    tasks.spawn(monitor.run(stop.clone()));
    tasks.spawn(database::watch_private(database.watch(), health, stop.clone()));

    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("running")]);
    tracing::info!(mailboxes, "running");
    stop.cancelled().await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    if tokio::time::timeout(STOP_WITHIN, async { while tasks.join_next().await.is_some() {} }).await.is_err()
    {
        tracing::warn!("something did not stop in time; it is abandoned, nothing is lost by that");
        tasks.abort_all();
    }
    database.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Makes the rows of channels that are pushed to, so that the ledger shows those, too, that never had anything.
async fn register(configuration: &Configuration, store: &Store) {
    let names: Vec<_> = configuration.meta.iter().flat_map(|m| &m.accounts).map(|a| a.name.clone()).collect();
    if !names.is_empty()
        && let Err(error) = store.register_channels(&names).await
    {
        tracing::info!(error = error.chain(), "not registered yet: the first delivery does it");
    }
}

/// Starts the keeper of every configured channel.
pub(crate) fn start_channels(
    configuration: &Configuration,
    store: &Store,
    health: &Health,
    handover: &Handover,
    budget: &MemoryBudget,
    holder: Uuid,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let supervisor = Supervisor {
        store: store.clone(),
        holder,
        host: host(),
        health: health.clone(),
        handover: handover.clone(),
        lease_ttl: LONGEST_LEASE,
    };
    let mut keepers = JoinSet::new();
    for mailbox in configuration.mailboxes.clone() {
        let channel = Arc::new(EmailChannel::with(mailbox, budget.clone(), Timing::default()));
        keepers.spawn(supervisor.clone().keep(channel, stop.clone()));
    }
    keepers
}

async fn speak(speaker: Speaker, run_dir: std::path::PathBuf, health: Health, stop: CancellationToken) {
    let shown = run_dir.display().to_string();
    // Whoever has the folder now may go: then this one speaks.
    while let Err(error) = speaker.serve(&run_dir, &stop).await {
        health.raise(
            "status-socket",
            "",
            Severity::Warning,
            Text::new(
                format!("`smista status` non può chiedere a questo servizio ({shown}): {error}"),
                format!("`smista status` cannot ask this daemon ({shown}): {error}"),
            ),
            Text::new(
                "Indicare in [state] run_dir una cartella scrivibile e usata da un solo servizio.",
                "Name in [state] run_dir a folder that can be written to and that one daemon uses.",
            ),
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SPEAK_AGAIN) => {}
        }
    }
}

/// Opens the database, waiting for it as long as it takes. `None` when stopped meanwhile.
async fn open(
    configuration: &Configuration,
    health: &Health,
    stop: &CancellationToken,
) -> Result<Option<Database>, Failure> {
    let mut ready_said = false;
    loop {
        let opened = async {
            let database = database::open(configuration, smista_store::private::Role::Daemon).await?;
            match database::prepare(&database.store).await {
                Ok(_) => {}
                Err(error) => {
                    database.close().await;
                    return Err(Failure::from(error));
                }
            }
            Ok(database)
        };
        let result = tokio::select! {
            () = stop.cancelled() => return Ok(None),
            result = opened => result,
        };
        match result {
            Ok(database) => {
                health.clear("database-away", "");
                return Ok(Some(database));
            }
            // A configuration that cannot work is said at once, and systemd shows it.
            Err(failure) if failure.code == crate::cli::exit::CONFIG => return Err(failure),
            Err(failure) => {
                let hint = failure.hint.clone().unwrap_or_else(|| Text::new("", ""));
                health.raise("database-away", "", Severity::Error, failure.text, hint);
                if !ready_said {
                    // Up, and saying what is missing: systemd must not kill a daemon that waits for its database.
                    let _ = sd_notify::notify(&[
                        sd_notify::NotifyState::Ready,
                        sd_notify::NotifyState::Status("the database does not answer; trying again"),
                    ]);
                    ready_said = true;
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        }
    }
}

/// Activates the rules of the files; when these are wrong, the daemon goes on with those that were active before.
async fn activate(
    configuration: &Configuration,
    store: &Store,
    environment: &Environment,
    health: &Health,
    stop: &CancellationToken,
) -> Result<Option<smista_triage::Rules>, Failure> {
    loop {
        match crate::rulesets::activate_or_follow(configuration, store, environment, health).await {
            Ok(rules) => return Ok(Some(rules)),
            Err(failure) if failure.code == crate::cli::exit::UNAVAILABLE => {
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Turns of the pipeline so far; `WAITING` while there is no pipeline yet, because the database is being opened.
pub(crate) type Beats = Arc<AtomicU64>;
const WAITING: u64 = u64::MAX;
/// So many quarters of `WatchdogSec=` may pass without a turn of the pipeline (a statement may take a minute).
const QUARTERS: u32 = 8;

/// Tells systemd that we live: by progress of the pipeline, not by the mere passing of time.
async fn watchdog(beats: Beats, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(limit / 4);
    let (mut last, mut still) = (WAITING, 0_u32);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = beats.load(Ordering::Relaxed);
        still = if now == last && now != WAITING { still + 1 } else { 0 };
        last = now;
        if still < QUARTERS {
            let _ = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]);
        } else {
            tracing::error!("the pipeline does not move any more: no sign of life is sent to systemd");
        }
    }
}

/// The language in which people are spoken to, before the configuration is known.
pub(crate) fn default_language(flag: Option<Lang>, configuration: Option<&Configuration>) -> Lang {
    flag.or_else(|| configuration.map(|c| c.town.comune.language)).unwrap_or_default()
}
