//! The [`Intake`] port: where channels hand over what they got.
//!
//! Invariant: `Ok` from [`Intake::accept`] means that bytes and cursor are committed together, under a lease that was ours
//! when it happened. Each call is one statement and so one transaction (functions of migration 0010): there is no moment at
//! which a crash, a freeze or a cut leaves half of it.

use std::time::Duration;

use bytes::Bytes;
use smista_domain::{
    Accepted, Announced, ChannelName, Cursor, Delivery, DeliveryKey, Digest, Intake, IntakeError, Known,
    Pulse, Upstream, UpstreamTask,
};
use sqlx::{PgConnection, postgres::types::PgInterval, types::JsonValue};
use time::OffsetDateTime;
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{
    Handover, Lease, Result, Store, StoreError, clean,
    connect::Careful,
    handover::{self, Slot},
    packed,
    settle::Claimed,
    sql_time,
};

/// The code that `intake_lease` raises.
const LOST_LEASE: &str = "SM001";

/// Batches beyond this many octets go to the pipeline through the database: it takes large letters one at a time.
const LARGE_BATCH: usize = 4 << 20;

/// No call waits longer than this for the database: beyond it the connection counts as dead.
const PATIENCE: Duration = Duration::from_secs(40);

/// The intake of one channel. Clones are the same intake.
#[derive(Debug, Clone)]
pub struct StoreIntake {
    store: Store,
    channel: ChannelName,
    lease: Option<Lease>,
    pulses: Option<mpsc::Sender<Pulse>>,
    handover: Handover,
    /// Whoever hands over has little time: it does not wait for a place in the pipeline.
    pressed: bool,
}

impl StoreIntake {
    /// The intake of a channel whose lease is ours. What is committed goes to `handover`; pulses are passed on to `pulses` and
    /// dropped while it is full.
    pub fn leased(store: Store, lease: Lease, pulses: mpsc::Sender<Pulse>, handover: Handover) -> Self {
        Self {
            store,
            channel: lease.channel().clone(),
            lease: Some(lease),
            pulses: Some(pulses),
            handover,
            pressed: false,
        }
    }

    /// An intake that asks for no lease, for what comes from people and not from upstream: `smista import`, the desk.
    pub fn unleased(store: Store, channel: ChannelName, handover: Handover) -> Self {
        Self { store, channel, lease: None, pulses: None, handover, pressed: false }
    }

    /// As [`Self::unleased`], for what upstream pushes to us and wants answered within seconds (webhooks): what finds no place in
    /// the pipeline at once goes there through the database.
    pub fn pushed(store: Store, channel: ChannelName, handover: Handover) -> Self {
        Self { pressed: true, ..Self::unleased(store, channel, handover) }
    }

    /// The lease's name, holder and epoch as the functions want them; fails when our own clock says that it is over.
    fn claim(&self) -> Result<(Option<&str>, Option<Uuid>, Option<i64>)> {
        match &self.lease {
            None => Ok((None, None, None)),
            Some(lease) => {
                lease.check()?;
                Ok((Some(lease.channel().as_str()), Some(lease.holder()), Some(lease.epoch())))
            }
        }
    }

    /// Runs a call on a connection, with its time limit, and gives its errors their meaning for a channel.
    async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut PgConnection) -> Result<T>,
    ) -> Result<T, IntakeError> {
        let done = match Careful::of(&self.store.pool).await {
            Ok(connection) => connection.run(PATIENCE, call).await,
            Err(error) => Err(error),
        };
        done.map_err(|error| match (&self.lease, error) {
            (Some(lease), StoreError::Rejected { code, .. }) if code == LOST_LEASE => {
                lease.set_lost();
                lease.lost_error().into()
            }
            (_, error) => error.into(),
        })
    }

    fn must_be_mine(&self, channel: &ChannelName) -> Result<()> {
        if *channel == self.channel {
            Ok(())
        } else {
            Err(StoreError::other(format!("{channel} was handed to the intake of {}", self.channel)))
        }
    }

    /// What must be done before a connection is asked for. `keep`: the raw bytes are still needed.
    async fn pack(&self, batch: Vec<Delivery>, keep: bool) -> Result<Columns> {
        for delivery in &batch {
            self.must_be_mine(&delivery.channel)?;
        }
        if batch.is_empty() {
            return Ok(Columns::default());
        }
        tokio::task::spawn_blocking(move || Columns::of(batch, keep)).await.map_err(StoreError::other)?
    }

    /// Commits a batch; what has a slot is handed over.
    async fn commit(
        &self,
        batch: Vec<Delivery>,
        advance: Option<Cursor>,
        slot: Option<Slot>,
    ) -> Result<Accepted, IntakeError> {
        let columns = self.pack(batch, slot.is_some()).await?;
        let hold = slot.is_some().then(|| PgInterval::try_from(handover::HOLD)).transpose();
        let hold = hold.map_err(StoreError::other)?;
        let (accepted, claimed) = self
            .call(async |connection: &mut PgConnection| {
                self.accept_packed(connection, columns, advance, hold).await
            })
            .await?;
        let handed = if slot.is_some() { claimed.len() } else { 0 };
        if accepted.new > handed {
            self.handover.backlog();
        }
        if let Some(slot) = slot.filter(|_| handed > 0)
            && let Err(claimed) = slot.fill(claimed)
        {
            // The pipeline has stopped. If this fails as well, the claim runs out by itself.
            let claims: Vec<(i64, i32)> = claimed.iter().map(|c| (c.id, c.attempts)).collect();
            let _ = self.store.unclaim(&claims, Duration::ZERO).await;
        }
        Ok(accepted)
    }

    async fn accept_packed(
        &self,
        connection: &mut PgConnection,
        columns: Columns,
        advance: Option<Cursor>,
        hold: Option<PgInterval>,
    ) -> Result<(Accepted, Vec<Claimed>)> {
        let total = columns.keys.len();
        let cursor = CursorColumns::of(advance);
        // As late as can be.
        let (lease, holder, epoch) = self.claim()?;
        let done = sqlx::query!(
            "select made as \"made!\", recognised as \"recognised!\", ns, ids from intake_accept(
               $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
            lease,
            holder,
            epoch,
            self.channel.as_str(),
            &columns.scopes,
            &columns.keys,
            &columns.received,
            &columns.bytes,
            &columns.sizes,
            &columns.sha256s,
            &columns.facts as &[Option<JsonValue>],
            &columns.upstreams as &[&str],
            &columns.dues as &[Option<OffsetDateTime>],
            &columns.recognise,
            cursor.scope,
            cursor.generation,
            cursor.position,
            hold,
        )
        .fetch_one(&mut *connection)
        .await?;
        packed::let_go(connection, columns.bytes.iter().map(Vec::len).sum());
        let new = usize::try_from(done.made).unwrap_or(0);
        let recognised = usize::try_from(done.recognised).unwrap_or(0);
        let places = done.ns.unwrap_or_default().into_iter().zip(done.ids.unwrap_or_default());
        let claimed = places.filter_map(|(n, id)| columns.claimed(&self.channel, n, id)).collect();
        Ok((Accepted { new, recognised, known: total.saturating_sub(new + recognised) }, claimed))
    }

    async fn announce_batch(
        &self,
        connection: &mut PgConnection,
        announced: Vec<Announced>,
        advance: Option<Cursor>,
    ) -> Result<()> {
        for one in &announced {
            self.must_be_mine(&one.channel)?;
        }
        let scopes: Vec<String> = announced.iter().map(|a| clean::text(&a.scope)).collect();
        let keys: Vec<String> = announced.iter().map(|a| clean::text(&a.key.0)).collect();
        let reasons: Vec<String> = announced.iter().map(|a| clean::text(&a.reason)).collect();
        let vanished: Vec<bool> = announced.iter().map(|a| a.vanished).collect();
        let cursor = CursorColumns::of(advance);
        let (lease, holder, epoch) = self.claim()?;
        sqlx::query!(
            "select intake_announce($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text",
            lease,
            holder,
            epoch,
            self.channel.as_str(),
            &scopes,
            &keys,
            &reasons,
            &vanished,
            cursor.scope,
            cursor.generation,
            cursor.position,
        )
        .fetch_one(&mut *connection)
        .await?;
        Ok(())
    }

    async fn read_upstream_due(
        &self,
        connection: &mut PgConnection,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<UpstreamTask>> {
        // What is told upstream may be irrevocable: only its holder may be given tasks.
        if let (Some(lease), Some(holder), Some(epoch)) = self.claim()? {
            sqlx::query!("select intake_lease($1, $2, $3)::text", lease, holder, epoch)
                .fetch_one(&mut *connection)
                .await?;
        }
        let rows = sqlx::query!(
            "select k.key, d.accepted_at, d.sha256 as \"sha256!\", d.size
               from deliveries d join delivery_keys k on k.delivery = d.id
              where d.channel = $1 and d.upstream = 'pending' and d.upstream_due <= now()
                and d.sha256 is not null and starts_with(k.key, $2)
              order by d.upstream_due, d.id limit $3",
            self.channel.as_str(),
            prefix,
            i64::from(limit)
        )
        .fetch_all(&mut *connection)
        .await?;
        rows.into_iter()
            .map(|row| {
                let sha256 = <[u8; 32]>::try_from(row.sha256.as_slice()).map_err(StoreError::other)?;
                Ok(UpstreamTask {
                    key: DeliveryKey(row.key),
                    accepted_at: sql_time::from_sql(row.accepted_at),
                    sha256: Digest(sha256),
                    size: u64::try_from(row.size).unwrap_or(0),
                })
            })
            .collect()
    }
}

impl Intake for StoreIntake {
    async fn accept(&self, batch: Vec<Delivery>, advance: Option<Cursor>) -> Result<Accepted, IntakeError> {
        let octets: usize = batch.iter().map(|delivery| delivery.bytes.len()).sum();
        let slot = match (1..=LARGE_BATCH).contains(&octets) {
            true if self.pressed => self.handover.slot_now(),
            true => self.handover.slot().await,
            false => None,
        };
        if slot.is_none() {
            let accepted = self.commit(batch, advance, None).await?;
            if octets > LARGE_BATCH {
                self.handover.large_bell().notify_one();
            }
            return Ok(accepted);
        }
        let intake = self.clone();
        let done = self.handover.to_its_end(async move { intake.commit(batch, advance, slot).await }).await;
        done.map_err(StoreError::other)?
    }

    async fn cursor(&self, channel: &ChannelName, scope: &str) -> Result<Option<Cursor>, IntakeError> {
        self.call(async |connection: &mut PgConnection| {
            let row = sqlx::query!(
                "select generation, position from cursors where channel = $1 and scope = $2",
                channel.as_str(),
                clean::text(scope)
            )
            .fetch_optional(&mut *connection)
            .await?;
            Ok(row.map(|row| Cursor {
                scope: scope.to_owned(),
                generation: u64::try_from(row.generation).unwrap_or(0),
                position: u64::try_from(row.position).unwrap_or(0),
            }))
        })
        .await
    }

    async fn announce(&self, announced: Vec<Announced>, advance: Option<Cursor>) -> Result<(), IntakeError> {
        self.call(async |connection: &mut PgConnection| {
            self.announce_batch(connection, announced, advance).await
        })
        .await
    }

    async fn due_announced(
        &self,
        channel: &ChannelName,
        scope: &str,
        limit: u32,
    ) -> Result<Vec<Known>, IntakeError> {
        self.call(async |connection: &mut PgConnection| {
            let rows = sqlx::query!(
                "select k.key, d.attempts, d.received_at from deliveries d join delivery_keys k on k.delivery = d.id
                  where d.channel = $1 and d.scope = $2 and d.state = 'announced' and d.not_before <= now()
                  order by d.not_before, d.id limit $3",
                channel.as_str(),
                clean::text(scope),
                i64::from(limit)
            )
            .fetch_all(&mut *connection)
            .await?;
            Ok(rows
                .into_iter()
                .map(|row| Known {
                    key: DeliveryKey(row.key),
                    announced: true,
                    attempts: u32::try_from(row.attempts).unwrap_or(0),
                    size: 0,
                    received_at: sql_time::from_sql(row.received_at),
                    sha256: None,
                })
                .collect())
        })
        .await
    }

    async fn known(&self, channel: &ChannelName, keys: Vec<DeliveryKey>) -> Result<Vec<Known>, IntakeError> {
        let keys = plain(&keys);
        self.call(async |connection: &mut PgConnection| {
            let rows = sqlx::query!(
                "select k.key, d.state = 'announced' as \"announced!\", d.attempts, d.received_at,
                        coalesce((d.facts ->> 'size')::bigint, d.size) as \"size!\",
                        case when d.facts ->> 'truncated' is null then d.sha256 end as sha256
                   from delivery_keys k join deliveries d on d.id = k.delivery
                  where k.channel = $1 and k.key = any($2)",
                channel.as_str(),
                &keys
            )
            .fetch_all(&mut *connection)
            .await?;
            Ok(rows
                .into_iter()
                .map(|row| Known {
                    key: DeliveryKey(row.key),
                    announced: row.announced,
                    // Of a row that has its bytes this counts readings, which are no concern of the channel's.
                    attempts: if row.announced { u32::try_from(row.attempts).unwrap_or(0) } else { 0 },
                    size: u64::try_from(row.size).unwrap_or(0),
                    received_at: sql_time::from_sql(row.received_at),
                    sha256: row.sha256.and_then(|digest| digest.try_into().ok()).map(Digest),
                })
                .collect())
        })
        .await
    }

    async fn upstream_due(
        &self,
        channel: &ChannelName,
        key_prefix: &str,
        limit: u32,
    ) -> Result<Vec<UpstreamTask>, IntakeError> {
        self.call(async |connection: &mut PgConnection| {
            self.must_be_mine(channel)?;
            self.read_upstream_due(connection, &clean::text(key_prefix), limit).await
        })
        .await
    }

    async fn upstream_done(&self, channel: &ChannelName, keys: Vec<DeliveryKey>) -> Result<(), IntakeError> {
        let keys = plain(&keys);
        self.call(async |connection: &mut PgConnection| {
            sqlx::query!(
                "update deliveries set upstream = 'done', upstream_due = null
                  where upstream = 'pending'
                    and id in (select delivery from delivery_keys where channel = $1 and key = any($2))",
                channel.as_str(),
                &keys
            )
            .execute(&mut *connection)
            .await?;
            Ok(())
        })
        .await
    }

    fn pulse(&self, pulse: Pulse) {
        if let Some(pulses) = &self.pulses {
            // Full: somebody is slow to look, and a newer pulse says more than a lost one.
            pulses.try_send(pulse).ok();
        }
    }
}

fn plain(keys: &[DeliveryKey]) -> Vec<String> {
    keys.iter().map(|key| clean::text(&key.0)).collect()
}

/// A batch as the arrays that `intake_accept` takes.
#[derive(Debug, Default)]
struct Columns {
    scopes: Vec<String>,
    keys: Vec<String>,
    received: Vec<OffsetDateTime>,
    bytes: Vec<Vec<u8>>,
    sizes: Vec<i64>,
    sha256s: Vec<Vec<u8>>,
    facts: Vec<Option<JsonValue>>,
    upstreams: Vec<&'static str>,
    dues: Vec<Option<OffsetDateTime>>,
    recognise: Vec<bool>,
    /// The bytes as they came, if they are kept.
    raw: Vec<Bytes>,
}

impl Columns {
    /// Packs and hashes: takes a while, so off the runtime's threads. Unless they are to be kept, each delivery's raw bytes are
    /// let go as soon as they are packed.
    fn of(batch: Vec<Delivery>, keep: bool) -> Result<Self> {
        let (mut columns, mut packer) = (Self::default(), packed::Packer::new()?);
        for delivery in batch {
            columns.sizes.push(i64::try_from(delivery.bytes.len()).map_err(StoreError::other)?);
            columns.sha256s.push(Digest::of(&delivery.bytes).0.to_vec());
            columns.bytes.push(packer.pack(&delivery.bytes)?);
            columns.scopes.push(clean::text(&delivery.scope));
            columns.keys.push(clean::text(&delivery.key.0));
            columns.received.push(sql_time::to_sql(delivery.received_at));
            columns.facts.push(match delivery.facts {
                JsonValue::Null => None,
                facts => Some(clean::json(facts)),
            });
            let (upstream, due) = match delivery.upstream {
                Upstream::Void => ("void", None),
                Upstream::Pending { due } => ("pending", Some(sql_time::to_sql(due))),
                Upstream::Done => ("done", None),
            };
            columns.upstreams.push(upstream);
            columns.dues.push(due);
            columns.recognise.push(delivery.recognise);
            if keep {
                columns.raw.push(delivery.bytes);
            }
        }
        Ok(columns)
    }

    /// The `n`th (from 1) as it would come back from the database, with its first attempt.
    fn claimed(&self, channel: &ChannelName, n: i32, id: i64) -> Option<Claimed> {
        let at = usize::try_from(n).ok()?.checked_sub(1)?;
        Some(Claimed {
            id,
            channel: channel.to_string(),
            scope: self.scopes.get(at)?.clone(),
            bytes: self.raw.get(at)?.clone(),
            damaged: false,
            received_at: sql_time::from_sql(*self.received.get(at)?),
            facts: self.facts.get(at)?.clone().unwrap_or_default(),
            attempts: 1,
        })
    }
}

/// A cursor as the three arguments that the functions take; all null when it stays where it is.
#[derive(Debug, Default)]
struct CursorColumns {
    scope: Option<String>,
    generation: Option<i64>,
    position: Option<i64>,
}

impl CursorColumns {
    fn of(cursor: Option<Cursor>) -> Self {
        cursor.map_or_else(Self::default, |cursor| Self {
            scope: Some(clean::text(&cursor.scope)),
            generation: Some(i64::try_from(cursor.generation).unwrap_or(i64::MAX)),
            position: Some(i64::try_from(cursor.position).unwrap_or(i64::MAX)),
        })
    }
}
