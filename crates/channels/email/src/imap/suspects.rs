//! Which letter a connection broke at: kept in memory from one connection to the next (a restart learns it again).

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One suspect per folder.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<HashMap<String, u32>>);

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        // a panic elsewhere leaves a plain number behind, which is sound
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The UID that is fetched alone this time.
    pub(crate) fn of(&self, folder: &str) -> Option<u32> {
        self.lock().get(folder).copied()
    }

    /// The connection broke at this UID. True if it is convicted: it was suspect before, and alone this time.
    pub(crate) fn accuse(&self, folder: &str, uid: u32, alone: bool) -> bool {
        let mut all = self.lock();
        if alone && all.get(folder) == Some(&uid) {
            all.remove(folder);
            return true;
        }
        all.insert(folder.to_owned(), uid);
        false
    }

    /// Everything up to this UID came well.
    pub(crate) fn cleared(&self, folder: &str, upto: u32) {
        let mut all = self.lock();
        if all.get(folder).is_some_and(|uid| *uid <= upto) {
            all.remove(folder);
        }
    }
}
