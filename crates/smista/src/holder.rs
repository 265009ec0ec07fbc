//! Who this daemon is among those that share a database.
//!
//! A daemon that was killed leaves its leases behind for up to ten seconds. When it is started again on the same machine it
//! need not wait for itself: its name lies in the state folder, and the lock on that file says that nobody else bears it.
//! A copied folder or a cloned machine would make two daemons of one name, who took each other's leases for ever: the machine
//! stands beside the name, and elsewhere a new one is drawn.
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
        Self::on(state_dir, &machine())
    }

    fn on(state_dir: &Path, machine: &str) -> Self {
        Self::locked(state_dir, machine).unwrap_or_else(|| Self { id: Uuid::now_v7(), _lock: None })
    }

    fn locked(state_dir: &Path, machine: &str) -> Option<Self> {
        fs::create_dir_all(state_dir).ok()?;
        let path = state_dir.join("holder");
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).ok()?;
        file.try_lock().ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let kept = text.split_once('\n').filter(|(_, of)| *of == machine);
        let id = if let Some(id) = kept.and_then(|(id, _)| id.parse().ok()) {
            id
        } else {
            let id = Uuid::now_v7();
            file.set_len(0).ok()?;
            file.rewind().ok()?;
            file.write_all(format!("{id}\n{machine}").as_bytes()).ok()?;
            id
        };
        Some(Self { id, _lock: Some(file) })
    }
}

/// What tells this machine from its clones: they have another hostname, or another machine-id, or (cloned carelessly) neither.
fn machine() -> String {
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    format!("{}\n{}\n", crate::daemon::host(), id.trim())
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

    #[test]
    fn a_copied_folder_gives_another_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let here = Holder::on(dir.path(), "uno\n0a\n").id;
        let clone = Holder::on(dir.path(), "due\n0a\n").id;
        assert_ne!(clone, here, "another hostname");
        assert_eq!(Holder::on(dir.path(), "due\n0a\n").id, clone, "and keeps that one");
        assert_ne!(Holder::on(dir.path(), "due\n0b\n").id, clone, "another machine-id");
        fs::write(dir.path().join("holder"), here.to_string()).expect("written");
        assert_ne!(Holder::on(dir.path(), "uno\n0a\n").id, here, "whose it was is not known");
    }
}
