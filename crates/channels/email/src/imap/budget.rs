//! How much mail may be in memory at once, between the network and the commit.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget in octets, shared by everything that fetches (one for the whole daemon is best). A letter larger than the
/// budget takes all of it, so that it is alone.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    kilobytes: Arc<Semaphore>,
    total: u32,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(8 * 1024 * 1024)
    }
}

impl MemoryBudget {
    /// A budget of so many octets.
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from((bytes / 1024).clamp(64, 4_000_000)).unwrap_or(64);
        Self { kilobytes: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// What one batch may cost, so that several are on their way at once: one is fetched while another is committed.
    pub(crate) fn share(&self) -> u64 {
        u64::from(self.total) * 1024 / 4
    }

    /// Waits until so many octets are free. They are given back when the permit is dropped.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(self.total);
        // closed never happens: nobody closes it
        Arc::clone(&self.kilobytes).acquire_many_owned(wanted).await.ok()
    }
}
