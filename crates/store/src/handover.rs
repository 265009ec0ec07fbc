//! The short way from a commit to the pipeline of the same process: a batch that has just been committed is read without being
//! fetched from the database again.
//!
//! Invariants: what is handed over is committed already, *and claimed* by the statement that committed it (its attempt is counted
//! before anything parses the bytes, ADR 4); memory is bounded by the number of slots; nothing depends on it: what finds no slot,
//! or whose process dies, waits in the database and is claimed there, by any daemon.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};
use tokio_util::task::TaskTracker;

use crate::settle::Claimed;

/// How long a batch waits for a slot before it is committed without one. Waiting costs less than reading the bytes back; but a
/// pipeline that stands still must not keep letters from being committed.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long a stop waits for commits that are under way.
const LAST: Duration = Duration::from_secs(3);

/// How long others leave a batch alone that was handed over: longer than it waits for its turn and is read.
pub(crate) const HOLD: Duration = Duration::from_secs(20);

/// The bell and the slots between the intakes and the pipeline of one process. Clones are the same.
#[derive(Debug, Clone)]
pub struct Handover(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wake: Notify,
    large: Notify,
    slots: Arc<Semaphore>,
    batches: Mutex<VecDeque<Batch>>,
    /// Something was committed that was not handed over, or may have been.
    backlog: AtomicBool,
    /// Commits whose batch has a slot.
    under_way: TaskTracker,
}

#[derive(Debug)]
struct Batch {
    claimed: Vec<Claimed>,
    _slot: OwnedSemaphorePermit,
}

/// Room for one batch.
#[derive(Debug)]
pub(crate) struct Slot {
    handover: Handover,
    permit: OwnedSemaphorePermit,
}

impl Slot {
    /// Hands a committed batch over. When there is nobody left to take it, it comes back, to be given back to the database.
    pub(crate) fn fill(self, claimed: Vec<Claimed>) -> Result<(), Vec<Claimed>> {
        let inner = &self.handover.0;
        let mut batches = inner.batches.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that `close` finds the batch or we find that it is closed.
        if inner.slots.is_closed() {
            return Err(claimed);
        }
        batches.push_back(Batch { claimed, _slot: self.permit });
        drop(batches);
        inner.wake.notify_one();
        Ok(())
    }
}

impl Handover {
    /// With room for so many batches at once. 0: everything goes through the database, and only the bell is used.
    pub fn new(slots: usize) -> Self {
        Self(Arc::new(Inner {
            wake: Notify::new(),
            large: Notify::new(),
            slots: Arc::new(Semaphore::new(slots)),
            batches: Mutex::default(),
            // What a process before this one left.
            backlog: AtomicBool::new(true),
            under_way: TaskTracker::new(),
        }))
    }

    /// Rung after each commit that brought something to read. It is only a hint.
    pub fn bell(&self) -> &Notify {
        &self.0.wake
    }

    /// Rung, too, when what was committed may be too large for the ordinary way.
    pub fn large_bell(&self) -> &Notify {
        &self.0.large
    }

    /// Something waits in the database.
    pub fn backlog(&self) {
        self.0.backlog.store(true, Ordering::Release);
        self.0.wake.notify_one();
    }

    /// Whether something may wait in the database; asked before looking there, so that what comes meanwhile is seen next time.
    pub fn take_backlog(&self) -> bool {
        self.0.backlog.swap(false, Ordering::AcqRel)
    }

    /// The batch that has waited longest.
    pub fn take(&self) -> Option<Vec<Claimed>> {
        let mut batches = self.0.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batches.pop_front()?;
        if !batches.is_empty() {
            self.0.wake.notify_one();
        }
        Some(batch.claimed)
    }

    /// Nothing is handed over any more: commits that are under way end first, and give back to the database what they committed.
    /// What nobody took comes back.
    pub async fn close(&self) -> Vec<Claimed> {
        self.0.slots.close();
        self.0.under_way.close();
        // A commit that does not end is without an answer: what it claimed, if anything, comes free by itself.
        let _ = tokio::time::timeout(LAST, self.0.under_way.wait()).await;
        let mut batches = self.0.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.drain(..).flat_map(|batch| batch.claimed).collect()
    }

    /// Brings a commit with a slot to its end, also when whoever asked for it is stopped meanwhile: what it claims must not be
    /// forgotten.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        &self,
        commit: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        self.0.under_way.spawn(commit).await
    }

    /// Room for a batch; none when none comes free soon.
    pub(crate) async fn slot(&self) -> Option<Slot> {
        if let Some(slot) = self.slot_now() {
            return Some(slot);
        }
        let wait = tokio::time::timeout(PATIENCE, Arc::clone(&self.0.slots).acquire_owned());
        let permit = wait.await.ok()?.ok()?;
        Some(Slot { handover: self.clone(), permit })
    }

    /// Room for a batch, if there is any now.
    pub(crate) fn slot_now(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.0.slots).try_acquire_owned().ok()?;
        Some(Slot { handover: self.clone(), permit })
    }
}
