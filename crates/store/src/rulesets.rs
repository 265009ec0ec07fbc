//! Activation: the sectors, kinds, settings and the ruleset of the files become those of the database, in one transaction.
//!
//! Invariant: there is one active ruleset, every decision names one that is kept, and no sector disappears under an open case.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{Result, Store, StoreError};

/// A sector, as the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the columns of the table; each is independent of the others"
)]
pub struct SectorRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The sector that it is part of.
    pub parent: Option<String>,
    /// Its address.
    pub mail: Option<String>,
    /// Its deadline.
    pub deadline: Option<String>,
    /// Only its own people see its cases.
    pub confidential: bool,
    /// Another body.
    pub external: bool,
    /// Gets what nobody else clearly gets.
    pub fallback: bool,
}

/// A kind, as the files have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Within which time it must be answered.
    pub answer_within: Option<String>,
}

/// Everything that is activated together.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    /// The ruleset's id: the SHA-256 over its files.
    pub ruleset: String,
    /// `{path: text}`.
    pub files: Value,
    /// All sectors. Those of the database that are not among them count as removed.
    pub sectors: Vec<SectorRow>,
    /// All kinds, likewise.
    pub kinds: Vec<KindRow>,
    /// Settings that SQL must know, by name: `queue.max_attempts`, `outbox.mode`, `comune.time_zone`. Others are left alone.
    pub settings: Vec<(String, Value)>,
}

/// What activation did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// The ruleset that was active before, if any.
    pub before: Option<String>,
    /// Sectors that exist no more.
    pub removed: Vec<String>,
}

/// Why nothing was activated.
#[derive(Debug, thiserror::Error)]
pub enum ActivationError {
    /// Sectors that the files do not have any more still have open cases: (sector, how many).
    #[error("removed sectors still have open cases: {}; reroute them first", list(.0))]
    OpenEntries(Vec<(String, i64)>),
    /// The database itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ActivationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

fn list(sectors: &[(String, i64)]) -> String {
    sectors.iter().map(|(sector, n)| format!("{sector} ({n})")).collect::<Vec<_>>().join(", ")
}

impl Store {
    /// Activates, or changes nothing. The same again is harmless. Daemons that do it at once take turns.
    pub async fn activate(&self, it: &Activation) -> Result<Activated, ActivationError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("lock table rulesets in share row exclusive mode").execute(&mut *tx).await?;
        let before =
            sqlx::query_scalar!("select id from rulesets where active").fetch_optional(&mut *tx).await?;

        let ids: Vec<String> = it.sectors.iter().map(|s| s.id.clone()).collect();
        let open = self.open_outside(&ids).await?;
        if !open.is_empty() {
            return Err(ActivationError::OpenEntries(open));
        }
        // One fallback at a time: the index would refuse the moment in which two have it.
        sqlx::query!("update sectors set fallback = false where fallback").execute(&mut *tx).await?;
        let removed = sqlx::query_scalar!(
            "update sectors set removed = true where not removed and id <> all($1) returning id",
            &ids
        )
        .fetch_all(&mut *tx)
        .await?;
        // Parents last, so that their order in the files does not matter.
        for s in &it.sectors {
            sqlx::query!(
                "insert into sectors (id, name, mail, deadline, confidential, external, fallback)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (id) do update set name = excluded.name, mail = excluded.mail, deadline = excluded.deadline,
                     confidential = excluded.confidential, external = excluded.external, fallback = excluded.fallback,
                     removed = false",
                s.id,
                s.name,
                s.mail,
                s.deadline,
                s.confidential,
                s.external,
                s.fallback
            )
            .execute(&mut *tx)
            .await?;
        }
        let parents: Vec<Option<String>> = it.sectors.iter().map(|s| s.parent.clone()).collect();
        sqlx::query!(
            "update sectors s set parent = p.parent from unnest($1::text[], $2::text[]) as p(id, parent) where s.id = p.id",
            &ids,
            &parents as &[Option<String>]
        )
        .execute(&mut *tx)
        .await?;

        let kinds: Vec<String> = it.kinds.iter().map(|k| k.id.clone()).collect();
        sqlx::query!("update kinds set removed = true where not removed and id <> all($1)", &kinds)
            .execute(&mut *tx)
            .await?;
        for k in &it.kinds {
            sqlx::query!(
                "insert into kinds (id, name, answer_within) values ($1, $2, $3)
                 on conflict (id) do update set name = excluded.name, answer_within = excluded.answer_within, removed = false",
                k.id,
                k.name,
                k.answer_within
            )
            .execute(&mut *tx)
            .await?;
        }
        for (name, value) in &it.settings {
            sqlx::query!(
                "insert into settings (name, value) values ($1, $2)
                 on conflict (name) do update set value = excluded.value, updated_at = now() where settings.value <> excluded.value",
                name,
                value
            )
            .execute(&mut *tx)
            .await?;
        }
        if before.as_deref() != Some(it.ruleset.as_str()) {
            sqlx::query!("update rulesets set active = false where active").execute(&mut *tx).await?;
            sqlx::query!(
                "insert into rulesets (id, files, active) values ($1, $2, true)
                 on conflict (id) do update set active = true, activated_at = now()",
                it.ruleset,
                it.files
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(Activated { before, removed })
    }

    /// Sectors that are not among `ids` and still have open cases, with their number: an error of `check`.
    pub async fn open_outside(&self, ids: &[String]) -> Result<Vec<(String, i64)>> {
        let rows = sqlx::query!(
            r#"select sector, count(*) as "n!" from queue_entries where state <> 'closed' and sector <> all($1)
               group by sector order by sector"#,
            ids
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|r| (r.sector, r.n)).collect())
    }

    /// The id of the active ruleset.
    pub async fn active_ruleset(&self) -> Result<Option<String>> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!("select id from rulesets where active").fetch_optional(connection).await?)
        })
        .await
    }

    /// The files of a ruleset, `{path: text}`: what its decisions depended on.
    pub async fn ruleset_files(&self, id: &str) -> Result<Option<Value>> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_scalar!("select files from rulesets where id = $1", id)
                .fetch_optional(connection)
                .await?)
        })
        .await
    }

    /// The sectors that are not removed, by id.
    pub async fn sectors(&self) -> Result<Vec<SectorRow>> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            Ok(sqlx::query_as!(
            SectorRow,
            "select id, name, parent, mail, deadline, confidential, external, fallback from sectors where not removed order by id"
        )
        .fetch_all(connection)
        .await?)
        })
        .await
    }
}
