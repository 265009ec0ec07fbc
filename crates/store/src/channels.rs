//! What `status` shows of channels, on whichever daemon it is asked: who holds each, how far it has come, and what its holder
//! last said of it.

use jiff::Timestamp;
use smista_domain::ChannelName;
use sqlx::{
    PgConnection,
    types::{Json, JsonValue},
};

use crate::{Result, Store, clean, lease::FARTHEST, sql_time};

/// A channel as the database knows it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// What its holder last said of it.
    pub condition: JsonValue,
    /// When that was said.
    pub updated_at: Timestamp,
    /// Who holds it now, if anybody.
    pub holder: Option<ChannelHolder>,
    /// How far it has come in each of its scopes. (What a channel keeps for itself under a scope that begins with `*` is
    /// left out.)
    pub cursors: Vec<ChannelCursor>,
}

/// Who holds a channel.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChannelHolder {
    /// The daemon.
    pub holder: uuid::Uuid,
    /// The machine it said that it runs on.
    pub host: String,
    /// The lease's epoch.
    pub epoch: i64,
    /// When the lease ends unless it is renewed.
    pub ends_at: Timestamp,
}

/// How far a channel has come in a scope.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChannelCursor {
    /// For e-mail the folder.
    pub scope: String,
    /// For e-mail the UIDVALIDITY.
    pub generation: i64,
    /// For e-mail the UID.
    pub position: i64,
    /// When it last moved.
    pub updated_at: Timestamp,
}

impl Store {
    /// Makes the rows of configured channels, so that `status` and the ledger show those that never had anything, too.
    pub async fn register_channels(&self, names: &[ChannelName]) -> Result<()> {
        let names: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
        self.within(self.patience(), async |connection: &mut PgConnection| {
            sqlx::query!(
                "insert into channels (name) select * from unnest($1::text[]) on conflict do nothing",
                &names
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
    }

    /// Writes what a channel's holder says of it (small JSON, no personal data). The caller does this every few seconds at
    /// most.
    pub async fn set_channel_condition(&self, name: &ChannelName, condition: &JsonValue) -> Result<()> {
        self.within(self.patience(), async |connection: &mut PgConnection| {
            sqlx::query!(
                "insert into channels (name, condition) values ($1, $2)
             on conflict (name) do update set condition = excluded.condition, updated_at = now()",
                name.as_str(),
                clean::json(condition.clone())
            )
            .execute(connection)
            .await?;
            Ok(())
        })
        .await
    }

    /// Every channel that was ever seen, by name.
    pub async fn channels(&self) -> Result<Vec<ChannelStatus>> {
        let ask = async |connection: &mut PgConnection| {
            Ok(sqlx::query!(
            "select c.name, c.first_seen, c.condition, c.updated_at,
                    l.holder as \"holder?\", l.host as \"host?\", l.epoch as \"epoch?\", l.ends_at as \"ends_at?\",
                    coalesce((select jsonb_agg(jsonb_build_object('scope', u.scope, 'generation', u.generation,
                                'position', u.position, 'updated_at', u.updated_at) order by u.scope)
                       from cursors u where u.channel = c.name and not starts_with(u.scope, '*')), '[]') as \"cursors!: Json<Vec<ChannelCursor>>\"
               from channels c left join leases l on l.name = c.name and l.ends_at > clock_timestamp()
                     and l.ends_at <= clock_timestamp() + make_interval(secs => $1)
              order by c.name",
            FARTHEST.as_secs_f64()
        )
        .fetch_all(connection)
        .await?)
        };
        Ok(self
            .within(self.patience(), ask)
            .await?
            .into_iter()
            .map(|row| ChannelStatus {
                name: row.name,
                first_seen: sql_time::from_sql(row.first_seen),
                condition: row.condition,
                updated_at: sql_time::from_sql(row.updated_at),
                holder: match (row.holder, row.host, row.epoch, row.ends_at) {
                    (Some(holder), Some(host), Some(epoch), Some(ends_at)) => {
                        Some(ChannelHolder { holder, host, epoch, ends_at: sql_time::from_sql(ends_at) })
                    }
                    _ => None,
                },
                cursors: row.cursors.0,
            })
            .collect())
    }
}
