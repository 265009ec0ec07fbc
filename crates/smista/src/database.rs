//! Opening the town's database: a server of its own when there is a URL, else the private PostgreSQL.

use smista_domain::Text;
use smista_store::{
    Store, StoreError, StoreOptions,
    private::{PrivatePostgres, PrivateSettings, Role, ServerState},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::exit::{CONFIG, Failure, UNAVAILABLE},
    configuration::Configuration,
    health::{Health, Severity},
};

/// An open database.
pub(crate) struct Database {
    pub(crate) store: Store,
    private: Option<PrivatePostgres>,
}

/// Opens it. Does not migrate.
pub(crate) async fn open(configuration: &Configuration, role: Role) -> Result<Database, Failure> {
    let settings = &configuration.database;
    let url = settings.url().map_err(|found| Failure { code: CONFIG, text: found.text, hint: found.hint })?;
    let (mut options, private) = if let Some(url) = url {
        (StoreOptions::from_url(&url, settings.schema.clone())?, None)
    } else {
        let state = &configuration.town.state;
        let private = PrivatePostgres::attach_or_start(
            PrivateSettings::new(&state.dir, &state.run_dir, state.user.clone()),
            role,
        )
        .await
        .map_err(|error| Failure {
            code: UNAVAILABLE,
            text: Text::new(error.in_lang(smista_domain::Lang::It), error.in_lang(smista_domain::Lang::En)),
            hint: None,
        })?;
        (StoreOptions::new(private.connect_options(), settings.schema.clone()), Some(private))
    };
    options.max_connections = settings.max_connections;
    match Store::connect(options).await {
        Ok(store) => Ok(Database { store, private }),
        Err(error) => {
            if let Some(private) = private {
                private.close().await.ok();
            }
            Err(error.into())
        }
    }
}

/// Connects to what runs already, starting nothing: for `status` and `check --connect`.
pub(crate) async fn find(configuration: &Configuration) -> Result<Database, Failure> {
    let settings = &configuration.database;
    if settings.url().ok().flatten().is_some() {
        return open(configuration, Role::Command).await;
    }
    let state = &configuration.town.state;
    let found =
        PrivatePostgres::running(&PrivateSettings::new(&state.dir, &state.run_dir, state.user.clone()));
    let Some(connect) = found else {
        return Err(Failure::new(
            UNAVAILABLE,
            "il PostgreSQL privato non è in funzione",
            "the private PostgreSQL does not run",
        ));
    };
    let mut options = StoreOptions::new(connect, settings.schema.clone());
    options.max_connections = settings.max_connections;
    Ok(Database { store: Store::connect(options).await?, private: None })
}

/// Brings the schema up to date and makes it fit to be written to: after a dump was restored into a younger cluster, positions
/// of the feed go on from where they were. Gives the migrations that were applied.
pub(crate) async fn prepare(store: &Store) -> Result<Vec<i64>, StoreError> {
    let applied = store.migrate().await?;
    store.align_history().await?;
    store.link_receipts().await?;
    Ok(applied)
}

impl Database {
    /// Closes every connection; then a private server that this process started is shut down.
    pub(crate) async fn close(self) {
        self.store.close().await;
        if let Some(private) = self.private
            && let Err(error) = private.close().await
        {
            tracing::warn!("{error}");
        }
    }

    /// The private server's state, if there is one.
    pub(crate) fn watch(&self) -> Option<watch::Receiver<ServerState>> {
        self.private.as_ref().map(PrivatePostgres::watch)
    }
}

/// Says when the private PostgreSQL is down; it is started again by itself.
pub(crate) async fn watch_private(
    state: Option<watch::Receiver<ServerState>>,
    health: Health,
    stop: CancellationToken,
) {
    let Some(mut state) = state else { return };
    loop {
        let now = state.borrow_and_update().clone();
        match now {
            ServerState::Down(error) => health.raise(
                "private-postgres",
                "",
                Severity::Error,
                Text::new(error.in_lang(smista_domain::Lang::It), error.in_lang(smista_domain::Lang::En)),
                Text::new(
                    "Viene riavviato da solo; se si ripete, guardare il suo registro nella cartella di stato.",
                    "It is started again by itself; if it repeats, look at its log in the state folder.",
                ),
            ),
            ServerState::Starting(_) => {}
            ServerState::Ready { .. } | ServerState::Stopped => health.clear("private-postgres", ""),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}
