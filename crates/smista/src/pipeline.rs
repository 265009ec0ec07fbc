//! The pipeline: deliveries are claimed, read, decided and settled, in batches, by several workers on any number of daemons.
//!
//! Invariants kept here: one bad message stops only itself (a batch that the database refuses is halved until the bad one is
//! alone, and that one is quarantined); a reader that panics costs its own message only; what a shutdown or an outage
//! interrupts is given back and costs no attempt.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use smista_store::{
    Handover, Store, StoreError,
    settle::{ClaimLimits, Claimed, SettleOptions, Settlement, Verdict},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{health::Health, notifier::Notifier, town::Town};

/// How long a message waits whose case another session holds.
const BUSY: Duration = Duration::from_secs(15);

/// How many workers settle at the same time.
pub(crate) const SETTLING: usize = 2;

/// How long a worker waits for those that are settling. Longer than that takes, unless somebody else's session holds a case:
/// then the others go on beside it.
const TURN: Duration = Duration::from_millis(300);

/// A batch is judged for so long; what is left of it is given back, and costs no attempt. Documents may take seconds each, and the
/// claim on the batch (`ClaimLimits::hold`) must not run out before it is settled.
const JUDGING: Duration = Duration::from_secs(8);

/// How the pipeline works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PipelineSettings {
    /// Workers of this daemon.
    pub(crate) workers: usize,
    /// What one worker claims at once.
    pub(crate) limits: ClaimLimits,
    /// How long an idle worker waits before it looks again (a wake-up is only a hint).
    pub(crate) poll: Duration,
    /// From this many begun readings on, a delivery is quarantined without being read again.
    pub(crate) give_up_after: i32,
}

impl Default for PipelineSettings {
    fn default() -> Self {
        Self {
            workers: 3,
            limits: ClaimLimits { count: 128, bytes: 4 << 20, hold: Duration::from_secs(20), alone_from: 2 },
            poll: Duration::from_secs(2),
            give_up_after: 5,
        }
    }
}

/// What workers share.
#[derive(Clone)]
pub(crate) struct Pipeline {
    pub(crate) store: Store,
    pub(crate) town: Arc<Town>,
    pub(crate) handover: Handover,
    pub(crate) notifier: Notifier,
    pub(crate) health: Health,
    pub(crate) settings: PipelineSettings,
    /// Who may settle: two at a time. More of one process would only wait for each other's thread keys, inside their transactions.
    pub(crate) settling: Arc<Semaphore>,
    /// The lane for large letters, shared with the channels that fetch them.
    pub(crate) one_large: Arc<Semaphore>,
    /// Rises with every turn of a worker: what the watchdog looks at.
    pub(crate) beats: Arc<AtomicU64>,
}

impl Pipeline {
    /// Runs the workers until stopped. One more takes the letters that are large, one at a time.
    pub(crate) async fn run(self, stop: CancellationToken) {
        #[allow(clippy::disallowed_methods, reason = "joined below")]
        let large = tokio::spawn({
            let (worker, stop) = (self.clone(), stop.clone());
            async move { worker.work_large(stop).await }
        });
        let workers: Vec<_> = (0..self.settings.workers)
            .map(|_| {
                let (worker, stop) = (self.clone(), stop.clone());
                #[allow(clippy::disallowed_methods, reason = "joined below")]
                tokio::spawn(async move { worker.work(stop).await })
            })
            .chain([large])
            .collect();
        for worker in workers {
            if worker.await.is_err() {
                tracing::error!("a pipeline worker panicked; the daemon restarts it with itself");
            }
        }
        let left: Vec<(i64, i32)> = self.handover.close().await.iter().map(|c| (c.id, c.attempts)).collect();
        if !left.is_empty() && self.store.unclaim(&left, Duration::ZERO).await.is_err() {
            tracing::info!(deliveries = left.len(), "not given back: their claim runs out by itself");
        }
    }

    /// Works until nothing waits any more: for `import` and `demo`. Gives the number of settled deliveries.
    pub(crate) async fn drain(&self) -> Result<u64, StoreError> {
        let mut settled = 0;
        loop {
            let claimed = self.store.claim_waiting(self.settings.limits).await?;
            if claimed.is_empty() {
                return Ok(settled);
            }
            settled += claimed.len() as u64;
            self.turn(claimed).await?;
        }
    }

    async fn work(&self, stop: CancellationToken) {
        let (mut trouble, mut looked) = (Duration::ZERO, None);
        while !stop.is_cancelled() {
            self.beats.fetch_add(1, Ordering::Relaxed);
            let turn = self.next(&mut looked).await;
            if turn.is_err() {
                // What was claimed waits in the database again.
                self.handover.backlog();
            }
            self.pause(&turn, self.handover.bell(), &mut trouble, &stop).await;
        }
    }

    /// Letters beyond the limit in octets, one at a time, and none while one is being fetched: each is in memory several times
    /// over, on its way in and while it is read.
    async fn work_large(&self, stop: CancellationToken) {
        let mut trouble = Duration::ZERO;
        while !stop.is_cancelled() {
            let turn = async {
                let _alone = tokio::select! {
                    () = stop.cancelled() => return Ok(0),
                    alone = self.one_large.acquire() => alone,
                };
                let claimed = self.store.claim_large(self.settings.limits).await?;
                self.turn(claimed).await
            };
            let turn = turn.await;
            self.pause(&turn, self.handover.large_bell(), &mut trouble, &stop).await;
        }
    }

    /// After a turn: at once to the next one, or waiting for the bell and no longer than the poll, or for the database.
    async fn pause(
        &self,
        turn: &Result<usize, StoreError>,
        bell: &Notify,
        trouble: &mut Duration,
        stop: &CancellationToken,
    ) {
        match turn {
            Ok(done) => {
                self.health.database_back();
                *trouble = Duration::ZERO;
                if *done == 0 {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = bell.notified() => {}
                        () = tokio::time::sleep(self.settings.poll) => {}
                    }
                }
            }
            Err(error) => {
                self.health.database_away(error);
                *trouble = (*trouble * 2).clamp(Duration::from_millis(200), Duration::from_secs(3));
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(*trouble) => {}
                }
            }
        }
    }

    /// The next batch, to its end: what waits in the database is older than what this process has just committed, so it goes
    /// first. Looked for when there may be something, and from time to time (`looked`): other processes commit, too. Gives how
    /// many deliveries it had.
    async fn next(&self, looked: &mut Option<Instant>) -> Result<usize, StoreError> {
        let due = looked.is_none_or(|at| at.elapsed() >= self.settings.poll);
        if self.handover.take_backlog() || due {
            *looked = Some(Instant::now());
            let claimed = self.store.claim_small(self.settings.limits).await?;
            if !claimed.is_empty() {
                // There may be more, for another worker at once.
                self.handover.backlog();
                return self.turn(claimed).await;
            }
        }
        match self.handover.take() {
            Some(claimed) => self.turn(claimed).await,
            None => Ok(0),
        }
    }

    /// One claimed batch, to its end. Gives how many deliveries it had.
    async fn turn(&self, claimed: Vec<Claimed>) -> Result<usize, StoreError> {
        let n = claimed.len();
        if n == 0 {
            return Ok(0);
        }
        let mut claims: Vec<(i64, i32)> = claimed.iter().map(|c| (c.id, c.attempts)).collect();
        let (town, give_up_after) = (self.town.clone(), self.settings.give_up_after);
        let judged = tokio::task::spawn_blocking(move || {
            let (rules, began) = (town.rules(), Instant::now());
            let (mut batch, mut late) = (Vec::with_capacity(claimed.len()), Vec::new());
            for c in claimed {
                if began.elapsed() < JUDGING {
                    batch.push(judge_one(&town, &rules, &c, give_up_after));
                } else {
                    late.push((c.id, c.attempts));
                }
            }
            (batch, late)
        })
        .await;
        let Ok((mut batch, late)) = judged else {
            self.store.unclaim(&claims, Duration::from_secs(1)).await?;
            return Ok(n);
        };
        claims.retain(|claim| !late.contains(claim));
        let result = async {
            self.absolve(&mut batch, &mut claims).await?;
            self.settle(batch).await
        };
        let result = result.await;
        if result.is_err() {
            // Best effort: if the database is away, the claim runs out by itself.
            let _ = self.store.unclaim(&claims, Duration::ZERO).await;
        }
        if !late.is_empty() {
            self.store.unclaim(&late, Duration::ZERO).await?;
            self.handover.backlog();
        }
        result.map(|()| n)
    }

    /// Who was read without harm is no longer suspected of having brought down a reader before: it sat beside a crash, or was being
    /// settled. Nothing to do for nearly all.
    async fn absolve(&self, batch: &mut [Settlement], claims: &mut [(i64, i32)]) -> Result<(), StoreError> {
        let suspected = |attempts: i32| (2..=self.settings.give_up_after).contains(&attempts);
        let suspects: Vec<(i64, i32)> =
            claims.iter().copied().filter(|(_, attempts)| suspected(*attempts)).collect();
        if suspects.is_empty() {
            return Ok(());
        }
        self.store.survived(&suspects).await?;
        let attempts = batch.iter_mut().map(|item| &mut item.attempts);
        for count in attempts.chain(claims.iter_mut().map(|(_, attempts)| attempts)) {
            if suspected(*count) {
                *count = 1;
            }
        }
        Ok(())
    }

    /// Settles; what the database refuses is halved until the one that it will not take is alone.
    async fn settle(&self, batch: Vec<Settlement>) -> Result<(), StoreError> {
        let options = SettleOptions { year: self.town.year(), reopen_within: self.town.reopen_within() };
        let mut left = vec![batch];
        while let Some(mut batch) = left.pop() {
            let turn = tokio::time::timeout(TURN, self.settling.acquire()).await;
            let settled = self.store.settle(&batch, &options).await;
            drop(turn);
            match settled {
                Ok(settled) => {
                    tracing::debug!(
                        opened = settled.opened,
                        appended = settled.appended,
                        ignored = settled.ignored,
                        set_aside = settled.set_aside,
                        quarantined = settled.quarantined,
                        lost = settled.lost,
                        "settled"
                    );
                    self.notifier.ready(settled.sectors);
                }
                Err(StoreError::Refused { code, constraint }) if batch.len() <= 1 => {
                    for item in &mut batch {
                        let already = matches!(item.verdict, Verdict::Quarantined { .. });
                        if already {
                            return Err(StoreError::Refused { code, constraint });
                        }
                        tracing::error!(
                            delivery.id = item.delivery,
                            sqlstate = code,
                            "the database refuses this message: quarantined"
                        );
                        item.verdict = Verdict::Quarantined {
                            reason: format!("the database refused it (SQLSTATE {code})"),
                        };
                    }
                    left.push(batch);
                }
                Err(StoreError::Busy) if batch.len() <= 1 => {
                    tracing::warn!("another session holds the case of a message: it waits a little");
                    let claims: Vec<(i64, i32)> = batch.iter().map(|i| (i.delivery, i.attempts)).collect();
                    self.store.unclaim(&claims, BUSY).await?;
                }
                Err(error @ (StoreError::Refused { .. } | StoreError::Busy)) => {
                    tracing::warn!(
                        batch = batch.len(),
                        error = error.chain(),
                        "a batch was not taken: halving it"
                    );
                    let second = batch.split_off(batch.len() / 2);
                    left.push(second);
                    left.push(batch);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads and decides one delivery. A panic costs this one only.
fn judge_one(town: &Town, rules: &smista_triage::Rules, claimed: &Claimed, give_up_after: i32) -> Settlement {
    let verdict = if claimed.damaged {
        Verdict::Quarantined {
            reason: "its stored bytes cannot be unpacked: the database is damaged".to_owned(),
        }
    } else if claimed.attempts > give_up_after {
        Verdict::Quarantined {
            reason: format!("reading it was begun {} times and never ended", claimed.attempts - 1),
        }
    } else {
        std::panic::catch_unwind(AssertUnwindSafe(|| town.judge(claimed, rules))).unwrap_or_else(|_| {
            tracing::error!(delivery.id = claimed.id, "the reader panicked on this delivery: quarantined");
            Verdict::Quarantined { reason: "the reader panicked on it; please report this".to_owned() }
        })
    };
    Settlement {
        delivery: claimed.id,
        attempts: claimed.attempts,
        channel: claimed.channel.clone(),
        reopened: claimed.reopened(),
        watched: town.watched(claimed, &verdict),
        verdict,
    }
}
