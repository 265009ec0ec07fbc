//! How much mail may be in memory at once, between the network and the commit.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget in octets, shared by everything that fetches (one for the whole daemon is best).
///
/// Letters of more than half of it have a lane of their own, in which there is one at a time: so what is in memory stays below the
/// budget plus the largest letter, and a slow connection with a large letter does not keep others from their small ones.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    kilobytes: Arc<Semaphore>,
    total: u32,
    large: Arc<Semaphore>,
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
        let kilobytes = Arc::new(Semaphore::new(total as usize));
        Self { kilobytes, total, large: Arc::new(Semaphore::new(1)) }
    }

    /// The lane of large letters: whoever handles one elsewhere in the process takes it as well.
    pub fn large(&self) -> Arc<Semaphore> {
        Arc::clone(&self.large)
    }

    /// What one batch may cost, so that several are on their way at once: one is fetched while another is committed.
    pub(crate) fn share(&self) -> u64 {
        u64::from(self.total) * 1024 / 4
    }

    /// Waits until so many octets are free. They are given back when the permit is dropped.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        // closed never happens: nobody closes them
        if wanted > self.total / 2 {
            Arc::clone(&self.large).acquire_owned().await.ok()
        } else {
            Arc::clone(&self.kilobytes).acquire_many_owned(wanted).await.ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn large_letters_wait_for_each_other_and_keep_nobody_else_waiting() {
        let budget = MemoryBudget::new(1024 * 1024);
        let large = budget.take(25_000_000).await;
        assert!(budget.take(25_000_000).now_or_never().is_none(), "one at a time");
        let small = budget.take(400_000).now_or_never().expect("not kept waiting");
        let other = budget.take(400_000).now_or_never().expect("there is room for both");
        assert!(budget.take(400_000).now_or_never().is_none(), "the budget is used up");
        drop((small, large));
        assert!(budget.take(400_000).now_or_never().is_some());
        assert!(budget.take(25_000_000).now_or_never().is_some());
        drop(other);
    }
}
