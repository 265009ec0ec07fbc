//! Tells sectors that something waits for them: after the commit, coalesced, in a transaction of its own.
//!
//! Invariant 6: a notification is a hint, the table is the truth. Losing one loses nothing; sending it inside the enqueuing
//! transaction would make every commit wait for a database-wide lock.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use smista_store::Store;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Notifications within this time become one.
const COALESCE: Duration = Duration::from_millis(5);

/// Collects sectors that have something ready.
#[derive(Clone, Default)]
pub(crate) struct Notifier {
    dirty: Arc<Mutex<BTreeSet<String>>>,
    wake: Arc<Notify>,
}

impl Notifier {
    /// Something became ready in these sectors.
    pub(crate) fn ready(&self, sectors: impl IntoIterator<Item = String>) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let before = dirty.len();
        dirty.extend(sectors);
        if dirty.len() > before {
            self.wake.notify_one();
        }
    }

    /// Sends until stopped.
    pub(crate) async fn run(self, store: Store, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.wake.notified() => {}
            }
            tokio::time::sleep(COALESCE).await;
            let sectors: Vec<String> =
                std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
                    .into_iter()
                    .collect();
            if let Err(error) = store.notify_sectors(&sectors).await {
                tracing::debug!(
                    error = error.chain(),
                    "a notification was lost; the queues themselves are the truth"
                );
            }
        }
    }
}
