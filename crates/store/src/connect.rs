//! The pool of connections, and what every connection is set to.
//!
//! Invariant: no connection of the pool ever looks at another schema than its town's, talks to a server older than 14, or
//! holds a transaction open while its owner is gone.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Result, SchemaName, StoreError, error::TOO_OLD, settle::Recent};

/// The oldest server that will do: `server_version_num` of 14.0.
const OLDEST_SERVER: u32 = 140_000;

/// How long [`Store::close`] waits for calls that have not ended.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the database is and how it is used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Address, user, password, TLS.
    pub connect: PgConnectOptions,
    /// The town's schema.
    pub schema: SchemaName,
    /// At most that many connections.
    pub max_connections: u32,
    /// How long somebody waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long one statement may take. Migrations and reports set their own.
    pub statement_timeout: Duration,
}

impl StoreOptions {
    /// The defaults for an address.
    pub fn new(connect: PgConnectOptions, schema: SchemaName) -> Self {
        Self {
            connect: connect.application_name("smista"),
            schema,
            max_connections: 16,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_mins(1),
        }
    }

    /// The defaults for a URL (`postgres://user:password@host:port/database?sslmode=verify-full`).
    pub fn from_url(url: &str, schema: SchemaName) -> Result<Self> {
        Ok(Self::new(PgConnectOptions::from_str(url)?, schema))
    }
}

/// The database of one town hall. Cheap to clone; all clones share the pool.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
    /// For leases alone: a renewal must not wait behind the work that it covers.
    pub(crate) lease_pool: PgPool,
    pub(crate) options: StoreOptions,
    /// Whose letters were settled lately.
    pub(crate) recent: Arc<Recent>,
}

impl Store {
    /// Opens the pool and one connection, so that a wrong address, password or server is told at once. Changes nothing.
    pub async fn connect(options: StoreOptions) -> Result<Self> {
        let store = Self::connect_lazy(options);
        store.ping().await?;
        Ok(store)
    }

    /// Opens the pool without a connection: for a daemon that starts while the database is down.
    pub fn connect_lazy(options: StoreOptions) -> Self {
        let pool = Self::open(&options, options.max_connections);
        let lease_pool = Self::open(&options, 2);
        Self { pool, lease_pool, options, recent: Arc::default() }
    }

    fn open(options: &StoreOptions, max_connections: u32) -> PgPool {
        let (schema, statement_timeout) = (options.schema.clone(), options.statement_timeout);
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(options.acquire_timeout)
            .idle_timeout(Duration::from_mins(5))
            .max_lifetime(Duration::from_hours(1))
            .after_connect(move |connection, _| {
                let schema = schema.clone();
                Box::pin(async move { prepare(connection, &schema, statement_timeout).await })
            })
            .connect_lazy_with(options.connect.clone())
    }

    /// The pool: its connections have this town's search path.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How it was opened.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// The town's schema.
    pub fn schema(&self) -> &SchemaName {
        &self.options.schema
    }

    /// Asks the server for a sign of life. When there is none, says why (a pool alone would only say that it timed out).
    pub async fn ping(&self) -> Result<()> {
        let connection = match self.pool.acquire().await {
            Ok(connection) => Careful { connection, well: false },
            // A pool that cannot connect says only that it timed out. Why?
            Err(sqlx::Error::PoolTimedOut) => {
                // The server is well if this succeeds, and all connections of the pool are in use.
                self.connect_alone().await?.close().await.ok();
                return Err(sqlx::Error::PoolTimedOut.into());
            }
            Err(other) => return Err(other.into()),
        };
        let asking = async |connection: &mut PgConnection| {
            sqlx::query_scalar!("select 1 as \"one!\"").fetch_one(connection).await?;
            Ok(())
        };
        connection.run(self.options.acquire_timeout, asking).await
    }

    /// How long a call waits for the database: beyond it the connection counts as dead (a network that swallows everything
    /// gives no error). The server ends each statement after half of that by itself.
    pub(crate) fn patience(&self) -> Duration {
        self.options.statement_timeout.saturating_mul(2)
    }

    /// Makes a call on a connection of the pool, and gives both up after `limit`.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        Careful::of(&self.pool).await?.run(limit, call).await
    }

    /// The server's version in its own words, for instance `15.18 (Debian 15.18-0+deb12u1)`.
    pub async fn server_version(&self) -> Result<String> {
        Ok(sqlx::query_scalar!("select current_setting('server_version') as \"it!\"")
            .fetch_one(&self.pool)
            .await?)
    }

    /// A connection outside the pool, set like those of the pool: for LISTEN, migrations and long reports.
    pub async fn connect_alone(&self) -> Result<PgConnection> {
        let attempt = async {
            let mut connection = PgConnection::connect_with(&self.options.connect).await?;
            prepare(&mut connection, &self.options.schema, self.options.statement_timeout).await?;
            Ok::<_, sqlx::Error>(connection)
        };
        match tokio::time::timeout(self.options.acquire_timeout, attempt).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(StoreError::unavailable("no answer from the database's address in time")),
        }
    }

    /// Closes every connection; whoever still wants one gets [`StoreError::Unavailable`]. A call that does not end (a lock, a
    /// network that swallows everything) is left behind after a second: whether it was done stays unknown, as after a cut.
    pub async fn close(&self) {
        let all = async { tokio::join!(self.pool.close(), self.lease_pool.close()) };
        if tokio::time::timeout(FAREWELL, all).await.is_err() {
            tracing::warn!(
                "a call to the database did not end in time; it is left behind, nothing is lost by that"
            );
        }
    }
}

/// A connection that goes back to the pool only if its call came to an end. One that was given up in the middle is closed: the
/// pool would ask it for a sign of life first, and wait for ever where the network has swallowed the server.
#[derive(Debug)]
pub(crate) struct Careful {
    connection: PoolConnection<Postgres>,
    well: bool,
}

impl Careful {
    /// One of the pool's.
    pub(crate) async fn of(pool: &PgPool) -> Result<Self> {
        Ok(Self { connection: pool.acquire().await?, well: false })
    }

    /// Awaits a call on this connection, at most that long.
    pub(crate) async fn run<T>(
        mut self,
        limit: Duration,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T> {
        let done = tokio::time::timeout(limit, call(&mut self.connection)).await;
        self.well = done.is_ok();
        done.unwrap_or_else(|_| Err(StoreError::unavailable("no answer from the database in time")))
    }
}

impl Drop for Careful {
    fn drop(&mut self) {
        if !self.well {
            self.connection.close_on_drop();
        }
    }
}

/// Sets a fresh connection up: the town's schema, and limits that free what a vanished owner would hold. One round trip.
/// (Not as start-up options: PgBouncer refuses those.)
async fn prepare(
    connection: &mut PgConnection,
    schema: &SchemaName,
    statement_timeout: Duration,
) -> Result<(), sqlx::Error> {
    if let Some(version) = connection.server_version_num()
        && version < OLDEST_SERVER
    {
        return Err(sqlx::Error::Protocol(format!("{TOO_OLD}{}.{}", version / 10_000, version % 10_000)));
    }
    // pg_temp last: a temporary table must not stand in for one of ours (functions inherit this path).
    sqlx::query_scalar!(
        "select set_config('search_path', $1, false) is not null
            and set_config('statement_timeout', $2, false) is not null
            and set_config('idle_in_transaction_session_timeout', '30s', false) is not null
            and set_config('timezone', 'UTC', false) is not null
            and set_config('tcp_keepalives_idle', '20', false) is not null
            and set_config('tcp_keepalives_interval', '5', false) is not null
            and set_config('tcp_keepalives_count', '3', false) is not null
            and set_config('jit', 'off', false) is not null",
        format!("{}, pg_temp", schema.quoted()),
        statement_timeout.as_millis().to_string(),
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}
