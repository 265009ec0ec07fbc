//! As whom the private PostgreSQL runs: never as root.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use nix::unistd::{Gid, Uid, User};

use super::PrivateError;

/// Users that are asked for, in this order, when nothing else says whom to take.
const USUAL: [&str; 2] = ["smista", "postgres"];

/// The user as whom the server runs and to whom its folder belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name, for people.
    pub name: String,
    /// User id; never 0.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// True when we are root and must become this user.
    pub switch: bool,
}

impl Account {
    /// Decides as whom to run the server whose folder is `dir` (made already or not).
    ///
    /// Not root: ourselves. Root: whoever owns the data already; else `wanted` (`[state] user`); else the owner of the
    /// folder above; else `smista` or `postgres`.
    pub fn choose(dir: &Path, wanted: Option<&str>) -> Result<Self, PrivateError> {
        let me = Uid::effective();
        let owner = |path: &Path| fs::metadata(path).ok().map(|m| m.uid());
        let data = owner(&dir.join("data")).or_else(|| owner(dir));
        if !me.is_root() {
            if let Some(other) = data.filter(|uid| *uid != me.as_raw()) {
                let name = name_of(other);
                return Err(PrivateError::new(
                    "not-ours",
                    format!(
                        "I dati in {} appartengono all'utente {name}: eseguire smista come {name} o come root.",
                        dir.display()
                    ),
                    format!(
                        "the data in {} belongs to the user {name}: run smista as {name} or as root",
                        dir.display()
                    ),
                ));
            }
            let gid = nix::unistd::getegid();
            return Ok(Self {
                name: name_of(me.as_raw()),
                uid: me.as_raw(),
                gid: gid.as_raw(),
                switch: false,
            });
        }
        if let Some(uid) = data.filter(|uid| *uid != 0)
            && let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid))
        {
            return Ok(Self::of(&user));
        }
        if let Some(name) = wanted {
            return match User::from_name(name) {
                Ok(Some(user)) if !user.uid.is_root() => Ok(Self::of(&user)),
                _ => Err(PrivateError::new(
                    "no-user",
                    format!(
                        "[state] user = \"{name}\": questo utente non esiste, oppure è root, e PostgreSQL non parte come \
                         root. Crearlo: adduser --system --group {name}"
                    ),
                    format!(
                        "[state] user = \"{name}\": there is no such user, or it is root, and PostgreSQL refuses to run as \
                         root: adduser --system --group {name}"
                    ),
                )),
            };
        }
        if let Some(uid) = dir.parent().and_then(owner).filter(|uid| *uid != 0)
            && let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid))
        {
            return Ok(Self::of(&user));
        }
        for name in USUAL {
            if let Ok(Some(user)) = User::from_name(name) {
                return Ok(Self::of(&user));
            }
        }
        Err(PrivateError::new(
            "no-user",
            "PostgreSQL non parte come root, e su questa macchina non c'è un utente smista né postgres. Crearlo: adduser \
             --system --group smista. Oppure indicarne un altro con [state] user.",
            "PostgreSQL refuses to run as root, and this machine has no user smista or postgres: adduser --system --group \
             smista, or name another with [state] user",
        ))
    }

    fn of(user: &User) -> Self {
        Self { name: user.name.clone(), uid: user.uid.as_raw(), gid: user.gid.as_raw(), switch: true }
    }

    /// Makes a folder of this user's that nobody else but root can enter.
    pub fn make_private_dir(&self, dir: &Path) -> Result<(), PrivateError> {
        let failed = |error: std::io::Error| {
            PrivateError::io("Non si può creare la cartella", "cannot make the folder", dir, &error)
        };
        fs::create_dir_all(dir).map_err(failed)?;
        self.give(dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Gives a file or folder that root made to this user.
    pub fn give(&self, path: &Path) -> Result<(), PrivateError> {
        if !self.switch {
            return Ok(());
        }
        nix::unistd::chown(path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid))).map_err(
            |error| {
                PrivateError::io(
                    "Non si può cambiare il proprietario di",
                    "cannot change the owner of",
                    path,
                    &error.into(),
                )
            },
        )
    }

    /// Whether this user can come as far as `dir`: a state folder below /root, say, is out of its reach.
    pub fn check_reach(&self, dir: &Path) -> Result<(), PrivateError> {
        if !self.switch {
            return Ok(());
        }
        for above in dir.ancestors().skip(1).filter(|a| !a.as_os_str().is_empty()) {
            let Ok(meta) = fs::metadata(above) else { continue };
            if !may_enter(meta.mode(), meta.uid() == self.uid, meta.gid() == self.gid) {
                let (above, name) = (above.display(), &self.name);
                return Err(PrivateError::new(
                    "no-access",
                    format!(
                        "L'utente {name}, come il quale gira PostgreSQL, non può entrare in {above}: scegliere un'altra \
                         cartella con [state] dir, per esempio /var/lib/smista."
                    ),
                    format!(
                        "the user {name}, as whom PostgreSQL runs, cannot enter {above}: choose another folder with [state] \
                         dir, for instance /var/lib/smista"
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// The execute bit that counts: the owner's, the group's or everybody's.
fn may_enter(mode: u32, owner: bool, group: bool) -> bool {
    let bit = if owner {
        0o100
    } else if group {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_execute_bit_that_counts() {
        assert!(may_enter(0o700, true, false));
        assert!(!may_enter(0o700, false, true));
        assert!(may_enter(0o710, false, true));
        assert!(!may_enter(0o077, true, true));
        assert!(may_enter(0o755, false, false));
    }

    #[test]
    fn never_root() {
        let dir = tempfile::tempdir().expect("folder");
        match Account::choose(&dir.path().join("postgres"), None) {
            Ok(account) => assert_ne!(account.uid, 0),
            Err(error) => assert_eq!(error.code, "no-user"),
        }
        if Uid::effective().is_root() {
            let error = Account::choose(&dir.path().join("postgres"), Some("root")).expect_err("root");
            assert_eq!(error.code, "no-user");
        }
    }
}
