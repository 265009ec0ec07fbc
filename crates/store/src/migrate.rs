//! Migrations: embedded, applied by `smista run` at its start or by `smista migrate`.
//!
//! They only ever expand (a contraction comes a release later), so that an older daemon goes on working on a newer schema:
//! what the database has and this program does not know is left alone.

use std::collections::BTreeSet;

use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _,
    migrate::{MigrateError, Migrator},
};

use crate::{Result, Store, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

impl Store {
    /// Brings the schema up to date, making it if it is missing. Harmless when nothing is to be done and when several
    /// daemons do it at once (they take turns). Returns the numbers of the migrations that were applied now.
    pub async fn migrate(&self) -> Result<Vec<i64>> {
        let mut connection = self.connect_alone().await?;
        // A migration may take long on a large table; it waits for others' migrations, too.
        connection.execute("set statement_timeout = 0").await?;
        check_encoding(&mut connection).await?;
        let schema = self.schema();
        if !schema_exists(&mut connection, schema.as_str()).await? {
            // Only when it is missing: an owner without the right to create schemas may have been given one.
            let made = connection
                .execute(AssertSqlSafe(format!("create schema if not exists {}", schema.quoted())))
                .await;
            match made.map_err(StoreError::from) {
                // Two daemons at once: the other one was faster (`if not exists` does not look under the lock).
                Ok(_) | Err(StoreError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let before = applied(&mut connection).await?;
        let migrator =
            Migrator { migrations: MIGRATIONS.migrations.clone(), ignore_missing: true, ..Migrator::DEFAULT };
        migrator.run_direct(None, &mut connection, false).await.map_err(from_migrate)?;
        let after = applied(&mut connection).await?;
        connection.close().await.ok();
        Ok(after.difference(&before).copied().collect())
    }

    /// Whether the schema has every migration that this program needs. One that is newer is welcome.
    pub async fn check_schema(&self) -> Result<()> {
        let mut connection = self.pool.acquire().await?;
        let have = applied(&mut connection).await?;
        let lacking: Vec<String> = MIGRATIONS
            .iter()
            .map(|m| m.version)
            .filter(|v| !have.contains(v))
            .map(|v| v.to_string())
            .collect();
        if lacking.is_empty() {
            return Ok(());
        }
        let what = if have.is_empty() {
            "not set up yet".to_owned()
        } else {
            format!("older than this program (it lacks migration {})", lacking.join(", "))
        };
        Err(StoreError::SchemaBehind { schema: self.schema().to_string(), what })
    }
}

/// Citizens write in every script: a database that cannot hold them would refuse their letters one by one.
async fn check_encoding(connection: &mut sqlx::PgConnection) -> Result<()> {
    let encoding = sqlx::query_scalar!("select current_setting('server_encoding') as \"it!\"")
        .fetch_one(connection)
        .await?;
    if encoding == "UTF8" {
        return Ok(());
    }
    Err(StoreError::Denied {
        hint: "its encoding must be UTF8: create it with createdb --encoding=UTF8 --template=template0"
            .to_owned(),
        source: format!("server_encoding is {encoding}").into(),
    })
}

async fn schema_exists(connection: &mut sqlx::PgConnection, schema: &str) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        "select exists (select from pg_namespace where nspname = $1) as \"exists!\"",
        schema
    )
    .fetch_one(connection)
    .await?)
}

/// The numbers of the migrations that the schema has.
async fn applied(connection: &mut sqlx::PgConnection) -> Result<BTreeSet<i64>> {
    let table = sqlx::query_scalar!("select to_regclass('_sqlx_migrations') is not null as \"there!\"")
        .fetch_one(&mut *connection)
        .await?;
    if !table {
        return Ok(BTreeSet::new());
    }
    // Unchecked: the table is the migrator's own and need not exist when this is compiled.
    let versions: Vec<i64> = sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await?;
    Ok(versions.into_iter().collect())
}

fn from_migrate(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) => error.into(),
        MigrateError::ExecuteMigration(error, version) => match StoreError::from(error) {
            StoreError::Unavailable(source) => StoreError::Unavailable(source),
            StoreError::Denied { hint, source } => StoreError::Denied { hint, source },
            other => StoreError::other(format!("migration {version} failed: {}", other.chain())),
        },
        MigrateError::VersionMismatch(version) => StoreError::other(format!(
            "migration {version} was applied from another version of this program: restore a backup or ask its makers"
        )),
        other => StoreError::Other(Box::new(other)),
    }
}
