//! One holder per channel: a row with holder, epoch and end, by the database's clock alone.
//!
//! Invariant: two daemons never both believe that a channel is theirs. The one that holds it stops by its own monotonic
//! clock before the database's would let another one in: the end is counted from the moment *before* the request was sent,
//! less a margin. What was already under way is fenced by the epoch, which only grows: `accept` checks it in the
//! transaction that commits (see migration 0010).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use smista_domain::ChannelName;
use sqlx::PgConnection;
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Result, Store, StoreError, connect::Careful};

/// The longest lease: after a crash the channel stands still for that long.
pub const LONGEST: Duration = Duration::from_secs(10);

/// A lease that ends further ahead than this was given before the database's clock was set back: it counts as over, or a dead
/// holder would keep its channel for as long as the clock was wrong. Twice the longest, so that a clock that is put right by
/// a few seconds takes no channel from a living holder (one that does lose it so is fenced by the epoch).
pub(crate) const FARTHEST: Duration = Duration::from_secs(20);

/// A lease that was given to us. Clones are the same lease.
#[derive(Debug, Clone)]
pub struct Lease(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    channel: ChannelName,
    holder: Uuid,
    epoch: i64,
    ttl: Duration,
    /// Until when it is ours by our own clock, margin taken off.
    until: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    fn new(channel: ChannelName, holder: Uuid, epoch: i64, ttl: Duration, sent: Instant) -> Self {
        let until = Mutex::new(sent + ttl - margin(ttl));
        Self(Arc::new(Inner { channel, holder, epoch, ttl, until, lost: CancellationToken::new() }))
    }

    /// The channel that it is for.
    pub fn channel(&self) -> &ChannelName {
        &self.0.channel
    }

    /// Its epoch: every holder's is higher than that of the one before.
    pub fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// Who holds it.
    pub fn holder(&self) -> Uuid {
        self.0.holder
    }

    /// Cancelled as soon as it is known to be lost, given back or run out. What a channel runs under.
    pub fn lost(&self) -> CancellationToken {
        self.0.lost.clone()
    }

    /// Until when it is ours, by our own clock.
    pub fn until(&self) -> Instant {
        *self.0.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Ok` while it is ours by our own clock. A process that was frozen and wakes up is told here that its time is over,
    /// whether or not the task that keeps the lease has had its turn yet.
    pub fn check(&self) -> Result<()> {
        if !self.0.lost.is_cancelled() && Instant::now() < self.until() {
            return Ok(());
        }
        self.0.lost.cancel();
        Err(self.lost_error())
    }

    pub(crate) fn lost_error(&self) -> StoreError {
        StoreError::LostLease { channel: self.0.channel.clone(), epoch: self.0.epoch }
    }

    /// The database says that it is another's by now.
    pub(crate) fn set_lost(&self) {
        self.0.lost.cancel();
    }

    fn extend(&self, sent: Instant) {
        *self.0.until.lock().unwrap_or_else(PoisonError::into_inner) = sent + self.0.ttl - margin(self.0.ttl);
    }
}

/// What is taken off a lease's length for the drift of clocks and for whoever is slow to stop.
fn margin(ttl: Duration) -> Duration {
    ttl / 10
}

/// Why [`Store::keep_lease`] ended.
#[derive(Debug)]
pub enum LeaseEnd {
    /// We were told to stop; it was given back, so that another daemon can have it at once.
    GivenBack,
    /// Another daemon took it over, or it could not be renewed in time.
    Lost(StoreError),
}

impl Store {
    /// Takes the lease on a channel if it is free, has run out, or is this holder's own (then under a new epoch: what still
    /// runs under the old one is fenced). `holder` is drawn once per process; `host` is for people. `ttl` is cut to
    /// [`LONGEST`]. `None`: another daemon has it.
    pub async fn acquire_lease(
        &self,
        channel: &ChannelName,
        holder: Uuid,
        host: &str,
        ttl: Duration,
    ) -> Result<Option<Lease>> {
        let ttl = ttl.min(LONGEST);
        let connection = Careful::of(&self.lease_pool).await?;
        connection.run(LONGEST, async |connection: &mut PgConnection| {
        // Looking first: the statement below waits for whoever is in the middle of an accept.
        let taken = sqlx::query_scalar!(
            "select exists (select from leases where name = $1 and holder <> $2 and ends_at > clock_timestamp()
               and ends_at <= clock_timestamp() + make_interval(secs => $3)) as \"it!\"",
            channel.as_str(),
            holder,
            FARTHEST.as_secs_f64()
        )
        .fetch_one(&mut *connection)
        .await?;
        if taken {
            return Ok(None);
        }
        let sent = Instant::now();
        let row = sqlx::query_scalar!(
            "insert into leases (name, holder, host, epoch, ends_at)
             values ($1, $2, $3, 1, clock_timestamp() + make_interval(secs => $4))
             on conflict (name) do update
               set holder = excluded.holder, host = excluded.host, epoch = leases.epoch + 1, ends_at = excluded.ends_at
               where leases.ends_at <= clock_timestamp() or leases.ends_at > clock_timestamp() + make_interval(secs => $5)
                  or leases.holder = excluded.holder
             returning epoch",
            channel.as_str(),
            holder,
            host,
            ttl.as_secs_f64(),
            FARTHEST.as_secs_f64()
        )
        .fetch_optional(&mut *connection)
        .await;
        let epoch = match row.map_err(StoreError::from) {
            Ok(epoch) => epoch,
            // Two made the row at the same instant, and the other index met the second before the key did: the other has it.
            Err(StoreError::Refused { constraint, .. }) if constraint.as_deref() == Some("leases_epoch") => None,
            Err(error) => return Err(error),
        };
        Ok(epoch.map(|epoch| Lease::new(channel.clone(), holder, epoch, ttl, sent)))
        }).await
    }

    /// Lengthens a lease to its full length from now. [`StoreError::LostLease`] when it is another's by now or has run out.
    pub async fn renew_lease(&self, lease: &Lease) -> Result<()> {
        let connection = Careful::of(&self.lease_pool).await?;
        let sent = Instant::now();
        let renewed = connection
            .run(LONGEST, async |connection: &mut PgConnection| {
                Ok(sqlx::query!(
                    "update leases set ends_at = clock_timestamp() + make_interval(secs => $4)
              where name = $1 and holder = $2 and epoch = $3 and ends_at > clock_timestamp()",
                    lease.channel().as_str(),
                    lease.holder(),
                    lease.epoch(),
                    lease.0.ttl.as_secs_f64()
                )
                .execute(&mut *connection)
                .await?)
            })
            .await?;
        if renewed.rows_affected() == 1 {
            lease.extend(sent);
            Ok(())
        } else {
            lease.set_lost();
            Err(lease.lost_error())
        }
    }

    /// Gives a lease back, so that another daemon need not wait for its end. The row stays: epochs never go back.
    pub async fn release_lease(&self, lease: &Lease) -> Result<()> {
        lease.set_lost();
        let connection = Careful::of(&self.lease_pool).await?;
        connection
            .run(LONGEST, async |connection: &mut PgConnection| {
                sqlx::query!(
            "update leases set ends_at = clock_timestamp() where name = $1 and holder = $2 and epoch = $3
                and ends_at > clock_timestamp()",
            lease.channel().as_str(),
            lease.holder(),
            lease.epoch()
        )
                .execute(&mut *connection)
                .await?;
                Ok(())
            })
            .await
    }

    /// Renews a lease every third of its length until `stop`, then gives it back. Ends by itself, with
    /// [`Lease::lost`] cancelled, when it is lost or could not be renewed in time. Drop it only together with whatever
    /// runs under the lease.
    pub async fn keep_lease(&self, lease: &Lease, stop: &CancellationToken) -> LeaseEnd {
        // However this future ends, also dropped: nobody keeps the lease any more.
        let _lost_at_end = lease.lost().drop_guard();
        let mut pause = lease.0.ttl / 3;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    // A database that is away shall not keep us from stopping: the lease then ends by itself.
                    let released = tokio::time::timeout(Duration::from_secs(1), self.release_lease(lease)).await;
                    tracing::debug!(channel.name = %lease.channel(), released = matches!(released, Ok(Ok(()))), "lease given back");
                    return LeaseEnd::GivenBack;
                }
                () = lease.0.lost.cancelled() => return LeaseEnd::Lost(lease.lost_error()),
                () = tokio::time::sleep(pause) => {}
            }
            let until = lease.until();
            match tokio::time::timeout_at(until, self.renew_lease(lease)).await {
                Ok(Ok(())) => pause = lease.0.ttl / 3,
                Ok(Err(lost @ StoreError::LostLease { .. })) => return LeaseEnd::Lost(lost),
                Ok(Err(error)) => {
                    tracing::warn!(channel.name = %lease.channel(), error = %error.chain(), "the lease could not be renewed, trying again");
                    pause = lease.0.ttl / 10;
                }
                Err(_) => pause = Duration::ZERO,
            }
            if let Err(lost) = lease.check() {
                return LeaseEnd::Lost(lost);
            }
        }
    }
}

/// Keeps a lease in a task of its own, for as long as something runs under it.
#[derive(Debug)]
pub struct LeaseKeeper {
    lease: Lease,
    run: CancellationToken,
    done: CancellationToken,
    task: Option<JoinHandle<LeaseEnd>>,
}

impl LeaseKeeper {
    /// Begins. `stop` ends what runs under the lease ([`LeaseKeeper::token`]), but not the lease: it is kept while that
    /// winds down, until [`LeaseKeeper::release`].
    pub fn start(store: Store, lease: Lease, stop: &CancellationToken) -> Self {
        let (run, done) = (stop.child_token(), CancellationToken::new());
        let task = {
            let (lease, run, done) = (lease.clone(), run.clone(), done.clone());
            // Detached on drop, but then it ends by itself: `done` is cancelled there.
            tokio::spawn(async move {
                let _run_ends_too = run.drop_guard();
                store.keep_lease(&lease, &done).await
            })
        };
        Self { lease, run, done, task: Some(task) }
    }

    /// The lease, for the intake.
    pub fn handle(&self) -> Lease {
        self.lease.clone()
    }

    /// Cancelled when whatever runs under the lease must stop: told so, or the lease is lost.
    pub fn token(&self) -> CancellationToken {
        self.run.clone()
    }

    /// Gives the lease back, and says whether it was still ours.
    pub async fn release(mut self) -> LeaseEnd {
        self.done.cancel();
        match self.task.take() {
            Some(task) => task.await.unwrap_or_else(|error| LeaseEnd::Lost(StoreError::other(error))),
            None => LeaseEnd::GivenBack,
        }
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.run.cancel();
        self.done.cancel();
    }
}
