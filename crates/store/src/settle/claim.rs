//! Claiming waiting deliveries for reading.

use std::{collections::HashSet, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use sqlx::{PgConnection, postgres::types::PgInterval};

use super::{PATIENCE, Settlement};
use crate::{Store, StoreError, connect::Careful, sql_time};

/// How much to claim at once.
#[derive(Debug, Clone, Copy)]
pub struct ClaimLimits {
    /// At most so many deliveries.
    pub count: u32,
    /// At most so many octets of raw bytes; one that is larger comes alone.
    pub bytes: u64,
    /// How long others leave them alone. Reading a batch takes far less.
    pub hold: Duration,
    /// From this many begun readings on, a delivery is claimed alone.
    pub alone_from: u32,
}

/// One claimed delivery.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// Channel name.
    pub channel: String,
    /// Folder.
    pub scope: String,
    /// Raw bytes, decompressed.
    pub bytes: Bytes,
    /// The stored bytes could not be unpacked: `bytes` is empty, and the delivery must not be taken for an empty one.
    pub damaged: bool,
    /// When upstream received it.
    pub received_at: Timestamp,
    /// Facts beside the bytes.
    pub facts: serde_json::Value,
    /// Readings begun, this one included.
    pub attempts: i32,
}

impl Claimed {
    /// True when a person said that it is a message after all (`smista deliveries reopen`).
    pub fn reopened(&self) -> bool {
        self.fact("reopened")
    }

    /// True when a person let it through: it is part of no flood (`smista deliveries retry` of one that was, or `reopen`).
    pub fn let_through(&self) -> bool {
        self.reopened() || self.fact("let_through")
    }

    fn fact(&self, name: &str) -> bool {
        self.facts.get(name).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}

fn interval(duration: Duration) -> Result<PgInterval, StoreError> {
    PgInterval::try_from(duration).map_err(StoreError::other)
}

impl Store {
    /// Claims what waits, oldest first. Empty when nothing does.
    pub async fn claim_waiting(&self, limits: ClaimLimits) -> Result<Vec<Claimed>, StoreError> {
        self.claim(limits, -1, i64::MAX).await
    }

    /// As [`Store::claim_waiting`], but leaves to others what is larger than `limits.bytes`.
    pub async fn claim_small(&self, limits: ClaimLimits) -> Result<Vec<Claimed>, StoreError> {
        self.claim(limits, -1, i64::try_from(limits.bytes).unwrap_or(i64::MAX)).await
    }

    /// One of those that [`Store::claim_small`] leaves: each costs memory, and whoever takes them must see to it that it takes
    /// one at a time.
    pub async fn claim_large(&self, limits: ClaimLimits) -> Result<Vec<Claimed>, StoreError> {
        let beyond = i64::try_from(limits.bytes).unwrap_or(i64::MAX);
        self.claim(ClaimLimits { count: 1, ..limits }, beyond, i64::MAX).await
    }

    /// What waits and is larger than `beyond` octets and no larger than `largest`.
    async fn claim(
        &self,
        limits: ClaimLimits,
        beyond: i64,
        largest: i64,
    ) -> Result<Vec<Claimed>, StoreError> {
        let hold = interval(limits.hold)?;
        let rows = Careful::of(self.pool()).await?.run(PATIENCE, async |connection| {
            let rows = sqlx::query!(
            r#"
            with picked as (
                select id, size, attempts from deliveries
                where state = 'waiting' and not_before <= now() and (claimed_until is null or claimed_until < now())
                  and size > $6 and size <= $5
                order by id limit $1 for update skip locked
            ), ranked as (
                select id, attempts, row_number() over (order by id) as n, sum(size) over (order by id) as upto,
                       first_value(attempts) over (order by id) as first_attempts
                from picked
            ), taken as (
                select id from ranked
                where n = 1 or (upto <= $2::bigint and attempts < $3 and first_attempts < $3)
            )
            update deliveries d set attempts = d.attempts + 1, claimed_until = now() + $4
            from taken where d.id = taken.id
            returning d.id, d.channel, d.scope, d.bytes, d.size, d.received_at, d.facts, d.attempts
            "#,
            i64::from(limits.count),
            i64::try_from(limits.bytes).unwrap_or(i64::MAX),
            i32::try_from(limits.alone_from).unwrap_or(i32::MAX),
            hold,
            largest,
            beyond,
        )
        .fetch_all(&mut *connection)
        .await?;
            let octets = rows.iter().filter_map(|row| row.bytes.as_ref()).map(Vec::len).sum();
            crate::packed::let_go(connection, octets);
            Ok(rows)
        })
        .await?;
        let mut claimed = Vec::with_capacity(rows.len());
        if rows.is_empty() {
            return Ok(claimed);
        }
        let mut unpacker = crate::packed::Unpacker::new()?;
        for row in rows {
            let (bytes, damaged) = match row.bytes.map(|packed| unpacker.unpack(&packed, row.size)) {
                Some(Ok(bytes)) => (bytes, false),
                Some(Err(error)) => {
                    tracing::error!(
                        delivery.id = row.id,
                        error = error.chain(),
                        "stored bytes cannot be unpacked"
                    );
                    (Bytes::new(), true)
                }
                None => (Bytes::new(), false),
            };
            claimed.push(Claimed {
                id: row.id,
                channel: row.channel,
                scope: row.scope,
                bytes,
                damaged,
                received_at: sql_time::from_sql(row.received_at),
                facts: row.facts.unwrap_or_default(),
                attempts: row.attempts,
            });
        }
        claimed.sort_by_key(|c| c.id);
        Ok(claimed)
    }

    /// These have been read without harm, whatever becomes of their settling: only attempts that ended in the reading count
    /// against a delivery, and it keeps the present one. To be settled with `attempts` = 1 from now on.
    pub async fn survived(&self, claims: &[(i64, i32)]) -> Result<(), StoreError> {
        let (ids, attempts): (Vec<i64>, Vec<i32>) = claims.iter().copied().unzip();
        Careful::of(self.pool())
            .await?
            .run(PATIENCE, async |connection| {
                sqlx::query!(
                    "update deliveries d set attempts = 1 from unnest($1::bigint[], $2::int[]) as c(id, attempts)
                      where d.id = c.id and d.attempts = c.attempts and d.state = 'waiting'",
                    &ids,
                    &attempts,
                )
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    /// Gives claimed deliveries back without counting the attempt (shutdown, database trouble), not before `delay` is over.
    pub async fn unclaim(&self, claims: &[(i64, i32)], delay: Duration) -> Result<(), StoreError> {
        let (ids, attempts): (Vec<i64>, Vec<i32>) = claims.iter().copied().unzip();
        sqlx::query!(
            "update deliveries d set attempts = d.attempts - 1, claimed_until = null, not_before = now() + $3
             from unnest($1::bigint[], $2::int[]) as c(id, attempts)
             where d.id = c.id and d.attempts = c.attempts and d.state = 'waiting'",
            &ids,
            &attempts,
            interval(delay)?,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

/// Locks the batch's deliveries, in order, and tells which are still as we claimed them.
pub(super) async fn still_ours(
    conn: &mut PgConnection,
    batch: &[Settlement],
) -> Result<HashSet<i64>, StoreError> {
    let (ids, attempts): (Vec<i64>, Vec<i32>) = batch.iter().map(|s| (s.delivery, s.attempts)).unzip();
    let ids = sqlx::query_scalar!(
        r#"select d.id from deliveries d join unnest($1::bigint[], $2::int[]) as c(id, attempts)
             on d.id = c.id and d.attempts = c.attempts
           where d.state = 'waiting' order by d.id for update of d"#,
        &ids,
        &attempts,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids.into_iter().collect())
}
