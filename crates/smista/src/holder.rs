//! Who this daemon is among those that share a database.
//!
//! A daemon that was killed leaves its leases behind for up to ten seconds. When it is started again on the same machine it
//! need not wait for itself: its name lies in the state folder, and the lock on that file says that nobody else bears it.
//! (Should that ever be wrong, each lease's epoch still lets only one of them commit.)

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use uuid::Uuid;

/// The daemon's name, for as long as it runs.
pub(crate) struct Holder {
    /// Its id in the table of leases.
    pub(crate) id: Uuid,
    /// The lock, held until the end of the process.
    _lock: Option<File>,
}

impl Holder {
    /// The name that the last daemon with this state folder had, if that one has ended; else a new one.
    pub(crate) fn of(state_dir: &Path) -> Self {
        Self::locked(state_dir).unwrap_or_else(|| Self { id: Uuid::now_v7(), _lock: None })
    }

    fn locked(state_dir: &Path) -> Option<Self> {
        fs::create_dir_all(state_dir).ok()?;
        let path = state_dir.join("holder");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).ok()?;
        file.try_lock().ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let id = if let Ok(id) = text.trim().parse() {
            id
        } else {
            let id = Uuid::now_v7();
            file.set_len(0).ok()?;
            file.rewind().ok()?;
            file.write_all(id.to_string().as_bytes()).ok()?;
            id
        };
        Some(Self { id, _lock: Some(file) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_outlives_its_bearer_and_is_never_borne_twice() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Holder::of(dir.path());
        let beside = Holder::of(dir.path());
        assert_ne!(first.id, beside.id, "two at once");
        let id = first.id;
        drop(first);
        assert_eq!(Holder::of(dir.path()).id, id, "started again");
    }
}
