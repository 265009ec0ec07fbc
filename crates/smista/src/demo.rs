//! `smista demo`: the whole line at work on sample letters, with a private PostgreSQL, in a folder of its own.

use std::{
    io::IsTerminal as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use smista_domain::{ChannelName, EntryState, Lang, Outcome};
use smista_email::MemoryBudget;
use smista_settings::Environment;
use smista_store::{DeliveryFilter, Handover, QueueFilter, Store, private::Role};
use smista_triage::Rules;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{
        args::DemoArgs,
        deliveries,
        exit::{CONFIG, FOUND, Failure},
        import,
        queue::{self, Show},
        render::{self, say},
        rules::usable,
    },
    configuration::{self, Configuration},
    daemon, database,
    health::Health,
    notifier::Notifier,
    pipeline::{Pipeline, PipelineSettings},
    rulesets,
    town::Town,
};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Sorts everything that waits, here and now.
pub(crate) async fn sort(store: &Store, configuration: &Configuration, rules: Rules) -> Result<u64, Failure> {
    let town = Town::new(
        configuration.town.comune.time_zone.clone(),
        configuration.town.queue.reopen_days,
        configuration.readings(),
        rules,
    );
    let pipeline = Pipeline {
        store: store.clone(),
        town: Arc::new(town),
        handover: Handover::new(0),
        notifier: Notifier::default(),
        health: Health::default(),
        settings: PipelineSettings::default(),
        settling: Arc::new(Semaphore::new(1)),
        one_large: Arc::new(Semaphore::new(1)),
        beats: Arc::new(AtomicU64::new(0)),
    };
    Ok(pipeline.drain().await?)
}

fn io(error: &std::io::Error, path: &Path) -> Failure {
    let path = path.display();
    Failure::new(FOUND, format!("{path}: {error}"), format!("{path}: {error}"))
}

fn write(root: &Path, files: &[(&str, &[u8])]) -> Result<(), Failure> {
    for (name, content) in files {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| io(&e, parent))?;
        }
        std::fs::write(&path, content).map_err(|e| io(&e, &path))?;
    }
    Ok(())
}

/// A folder that goes away with the demo, unless it was asked for by name.
struct Folder {
    path: PathBuf,
    keep: bool,
}

impl Folder {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let (path, keep) = match keep {
            Some(path) => (path, true),
            None => (std::env::temp_dir().join(format!("smista-demo-{}", std::process::id())), false),
        };
        std::fs::create_dir_all(&path).map_err(|e| io(&e, &path))?;
        let path = path.canonicalize().map_err(|e| io(&e, &path))?;
        if !keep {
            // The private PostgreSQL of root runs as another user, who must be able to reach its own folder below.
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                .map_err(|e| io(&e, &path))?;
        }
        Ok(Self { path, keep })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Runs the demo.
pub(crate) async fn run(
    args: DemoArgs,
    configuration: Option<Configuration>,
    environment: Environment,
    lang: Lang,
    json: bool,
) -> Result<(), Failure> {
    let folder = Folder::new(args.keep)?;
    let (configuration, from_mailbox) = match configuration {
        Some(configuration) => (configuration, true),
        None => (embedded(&folder.path, &environment, lang)?, false),
    };
    let show = Show { lang, json, zone: configuration.town.comune.time_zone.clone() };
    let tell = |it: &str, en: &str| {
        if !json {
            render::complain(say(lang, it, en));
        }
    };
    tell("Avvio un PostgreSQL privato ...", "Starting a private PostgreSQL ...");
    let database = database::open(&configuration, Role::Command).await?;
    let store = database.store.clone();
    let work = async {
        database::prepare(&store).await?;
        let rules =
            rulesets::activate_or_follow(&configuration, &store, &environment, &Health::default()).await?;
        if from_mailbox {
            tell("Ricevo le lettere dalle caselle ...", "Fetching the letters from the mailboxes ...");
            fetch(&configuration, &store).await?;
        } else {
            let letters = folder.path.join("lettere");
            write(&letters, LETTERS)?;
            let channel: ChannelName = import::channel("email/urp")?;
            store.register_channels(std::slice::from_ref(&channel)).await?;
            import::store_letters(&store, &channel, vec![letters], lang).await?;
        }
        tell("Smisto ...", "Sorting ...");
        sort(&store, &configuration, rules).await?;
        print(&store, &show).await
    };
    let mut result = work.await;
    if result.is_ok() && !args.once && !json && std::io::stdin().is_terminal() {
        result = stay(&folder.path, &configuration, lang).await;
    }
    database.close().await;
    result
}

/// Leaves everything as it is until somebody has seen enough, and says how to look at it from another terminal.
async fn stay(folder: &Path, configuration: &Configuration, lang: Lang) -> Result<(), Failure> {
    let stop = daemon::stop_on_signals()?;
    let state = &configuration.town.state;
    let config = folder.join("config");
    render::print(&format!(
        "\n{}\n\n  export SMISTA_CONFIG={} SMISTA_STATE__DIR={} SMISTA_STATE__RUN_DIR={}\n  smista queue list\n  \
         smista explain {}-000001\n  smista queue claim lavori-pubblici\n  smista deliveries list\n  smista ledger\n\n{}",
        say(
            lang,
            "Le code restano qui da provare. In un altro terminale, con lo stesso utente:",
            "The queues stay here to be tried. In another terminal, as the same user:"
        ),
        config.display(),
        state.dir.display(),
        state.run_dir.display(),
        crate::clock::now().to_zoned(configuration.town.comune.time_zone.clone()).year(),
        say(lang, "Ctrl-C termina la demo.", "Ctrl-C ends the demo."),
    ));
    stop.cancelled().await;
    Ok(())
}

/// The embedded configuration, written out so that it can be looked at, with its data beside it.
fn embedded(folder: &Path, environment: &Environment, lang: Lang) -> Result<Configuration, Failure> {
    let dir = folder.join("config");
    write(&dir, DEFAULT_CONFIG)?;
    let (configuration, findings) = configuration::read(dir, environment.clone(), true);
    let mut configuration = usable(configuration, &findings, lang)?;
    if configuration.ruleset.is_none() {
        render::complain(findings.for_people(lang, false).trim_end());
        return Err(Failure::new(
            CONFIG,
            "La configurazione incorporata ha errori.",
            "The embedded configuration is wrong.",
        ));
    }
    configuration.town.state.dir = folder.join("stato");
    configuration.town.state.run_dir = folder.join("run");
    configuration.database = smista_store::DatabaseSettings::default();
    configuration.mailboxes.clear();
    Ok(configuration)
}

/// Runs the mailboxes' channels until each has committed everything that its server holds.
async fn fetch(configuration: &Configuration, store: &Store) -> Result<(), Failure> {
    let health = Health::default();
    let stop = CancellationToken::new();
    let channels = daemon::start_channels(
        configuration,
        store,
        &health,
        &Handover::new(0),
        &MemoryBudget::default(),
        uuid::Uuid::now_v7(),
        &stop,
    );
    let caught_up = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        loop {
            ticks.tick().await;
            let channels = health.channels();
            if !channels.is_empty() && channels.iter().all(|c| c.caught_up_at.is_some()) {
                return Ok(());
            }
            if let Some(error) = channels.iter().find_map(|c| c.error.clone()) {
                return Err(Failure::new(FOUND, error.clone(), error));
            }
        }
    };
    let result = caught_up.await;
    stop.cancel();
    let mut channels = channels;
    while channels.join_next().await.is_some() {}
    result
}

/// The queues with the reason of each route, what became no segnalazione, and the ledger.
async fn print(store: &Store, show: &Show) -> Result<(), Failure> {
    let states = EntryState::ALL.to_vec();
    let rows = store.queue_list(&QueueFilter { sector: None, states, limit: 1000 }).await?;
    let filter = DeliveryFilter {
        outcomes: vec![Outcome::Appended, Outcome::Ignored, Outcome::SetAside],
        limit: 1000,
        ..DeliveryFilter::default()
    };
    let others = store.deliveries_list(&filter).await?;
    let ledger = store.ledger().await?;
    if show.json {
        render::json(&serde_json::json!({ "queue": rows, "deliveries": others, "ledger": ledger }));
    } else {
        queue::print_rows(&rows, show);
        render::print(&format!(
            "\n{}",
            say(show.lang, "Che cosa non ha aperto una segnalazione:", "What opened no segnalazione:")
        ));
        deliveries::print_rows(&others, show);
        render::print("");
        deliveries::print_ledger(&ledger, show);
    }
    if ledger.iter().all(smista_store::LedgerRow::adds_up) { Ok(()) } else { Err(Failure::silent(FOUND)) }
}
