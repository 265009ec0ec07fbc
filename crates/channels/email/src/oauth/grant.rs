//! The refresh token on disk: one file for each mailbox, `oauth/email-NAME.json` under `state.dir`, for its owner alone.
//!
//! Invariants: whoever renews holds the lock from the reading of the old token to the writing of the new one, so that no token
//! is used by two; room for the new one is made before the provider is asked; the file is replaced as a whole (written, fsync,
//! renamed, fsync of the folder), so that a crash leaves the old one or the new one. docs/adr/0014 says why it is a file.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::error::TokenFault;

/// No grant is larger, in octets. So much room is made on the disk before a token is renewed.
const LARGEST: usize = 64 * 1024;
/// How often the lock is tried.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// A refresh token and what is known of it.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The token.
    pub refresh_token: SecretString,
    /// Whose it is: it is good for this application alone.
    pub client_id: String,
    /// Where it came from: it is sent nowhere else.
    pub token_url: String,
    /// When somebody logged in.
    pub obtained_at: Timestamp,
    /// When it was last used, so that an unused one can be announced before the provider forgets it.
    pub used_at: Timestamp,
    /// When the provider last replaced it.
    pub rotated_at: Option<Timestamp>,
    /// When it ends, if the provider said so.
    pub expires_at: Option<Timestamp>,
}

impl Grant {
    fn to_json(&self) -> Value {
        json!({
            "refresh_token": self.refresh_token.expose_secret(),
            "client_id": self.client_id,
            "token_url": self.token_url,
            "obtained_at": self.obtained_at.to_string(),
            "used_at": self.used_at.to_string(),
            "rotated_at": self.rotated_at.map(|at| at.to_string()),
            "expires_at": self.expires_at.map(|at| at.to_string()),
        })
    }

    fn from_json(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let text = |key: &str| value.get(key)?.as_str();
        let instant = |key: &str| text(key)?.parse().ok();
        Some(Self {
            refresh_token: SecretString::from(text("refresh_token")?),
            client_id: text("client_id")?.to_owned(),
            token_url: text("token_url")?.to_owned(),
            obtained_at: instant("obtained_at")?,
            used_at: instant("used_at")?,
            rotated_at: instant("rotated_at"),
            expires_at: instant("expires_at"),
        })
    }
}

/// Where a mailbox's grant lies.
#[derive(Debug, Clone)]
pub struct GrantFile {
    path: PathBuf,
}

impl GrantFile {
    /// The file of the mailbox `name` (without `email/`).
    pub fn of(state_dir: &Path, name: &str) -> Self {
        Self { path: state_dir.join("oauth").join(format!("email-{name}.json")) }
    }

    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.path.with_extension(extension)
    }

    fn fault(&self, what: &'static str, source: io::Error) -> TokenFault {
        TokenFault::Store { file: self.path.display().to_string(), what, source }
    }

    /// The grant, if there is one. Reads without the lock: what it finds is whole.
    pub fn read(&self) -> Result<Option<Grant>, TokenFault> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        match File::open(&self.path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.fault("read", e)),
        }
        let not_ours = || io::Error::new(io::ErrorKind::InvalidData, "it is not as smista wrote it");
        Grant::from_json(&bytes).map(Some).ok_or_else(|| self.fault("read", not_ours()))
    }

    /// Waits until nobody else renews this grant, for `patience` at most.
    pub(super) async fn lock(&self, patience: Duration) -> Result<Locked<'_>, TokenFault> {
        let lock = self.open_lock().map_err(|e| self.fault("written", e))?;
        let end = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Locked { file: self, _lock: lock }),
                Err(fs::TryLockError::WouldBlock) if Instant::now() < end => {
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(fs::TryLockError::WouldBlock) => {
                    return Err(TokenFault::Locked(self.path.display().to_string()));
                }
                Err(fs::TryLockError::Error(e)) => return Err(self.fault("written", e)),
            }
        }
    }

    fn open_lock(&self) -> io::Result<File> {
        if let Some(dir) = self.path.parent().filter(|dir| !dir.is_dir()) {
            if let Some(state_dir) = dir.parent() {
                fs::create_dir_all(state_dir)?;
            }
            match DirBuilder::new().mode(0o700).create(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => self.give_away(&File::open(dir)?)?,
            }
        }
        let lock = private().create(true).truncate(false).open(self.beside("lock"))?;
        self.give_away(&lock)?;
        Ok(lock)
    }

    /// What root makes (`smista login` as root) belongs to whom the state folder belongs to: the daemon must be able to use it.
    fn give_away(&self, file: &File) -> io::Result<()> {
        let Some(state_dir) = self.path.parent().and_then(Path::parent) else { return Ok(()) };
        let (owner, ours) = (fs::metadata(state_dir)?, file.metadata()?);
        if owner.uid() == ours.uid() || fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(());
        }
        fchown(file, Some(owner.uid()), Some(owner.gid()))
    }
}

fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

/// The right to renew.
#[derive(Debug)]
pub(super) struct Locked<'f> {
    file: &'f GrantFile,
    _lock: File,
}

impl Locked<'_> {
    pub(super) fn read(&self) -> Result<Option<Grant>, TokenFault> {
        self.file.read()
    }

    /// Makes room for the next grant. A full disk or a missing permission shows here, while the old token is still good.
    pub(super) fn prepare(&self) -> Result<Prepared<'_>, TokenFault> {
        let place = self.file.beside("new");
        let made = || {
            let mut new = private().create(true).truncate(true).open(&place)?;
            new.write_all(&vec![b' '; LARGEST])?;
            new.sync_all()?;
            self.file.give_away(&new)?;
            Ok(new)
        };
        match made() {
            Ok(new) => Ok(Prepared { file: self.file, new, place }),
            Err(e) => Err(self.file.fault("written", e)),
        }
    }
}

/// Room for a grant, on the disk already.
#[derive(Debug)]
pub(super) struct Prepared<'l> {
    file: &'l GrantFile,
    new: File,
    place: PathBuf,
}

impl Prepared<'_> {
    /// Puts the grant in the old one's place. `Ok` means durable.
    pub(super) fn commit(mut self, grant: &Grant) -> Result<(), TokenFault> {
        self.write(grant).map_err(|e| self.file.fault("written", e))
    }

    fn write(&mut self, grant: &Grant) -> io::Result<()> {
        let text = grant.to_json().to_string();
        if text.len() > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the token is too long"));
        }
        self.new.rewind()?;
        self.new.write_all(text.as_bytes())?;
        self.new.set_len(text.len().try_into().unwrap_or(0))?;
        self.new.sync_all()?;
        fs::rename(&self.place, &self.file.path)?;
        let dir = self.file.path.parent().unwrap_or(Path::new("/"));
        File::open(dir)?.sync_all()
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        // gone already after a commit
        let _ = fs::remove_file(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn grant(token: &str) -> Grant {
        Grant {
            refresh_token: token.into(),
            client_id: "app".to_owned(),
            token_url: "https://login.example/token".to_owned(),
            obtained_at: Timestamp::UNIX_EPOCH,
            used_at: Timestamp::UNIX_EPOCH,
            rotated_at: None,
            expires_at: Timestamp::from_second(86_400).ok(),
        }
    }

    async fn keep(file: &GrantFile, token: &str) {
        let locked = file.lock(Duration::ZERO).await.expect("free");
        locked.prepare().expect("room").commit(&grant(token)).expect("written");
    }

    #[tokio::test]
    async fn it_is_replaced_as_a_whole_and_its_owners_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = GrantFile::of(dir.path(), "urp");
        assert!(file.read().expect("readable").is_none());
        keep(&file, &"a".repeat(9_000)).await;
        keep(&file, "b").await;
        let found = file.read().expect("readable").expect("a grant");
        assert_eq!((found.refresh_token.expose_secret(), found.expires_at), ("b", grant("b").expires_at));
        assert!(!format!("{:?}", grant("segretissimo")).contains("segretissimo"));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(file.path()), mode(file.path().parent().expect("a folder"))), (0o600, 0o700));
        assert!(!file.beside("new").exists());
    }

    #[tokio::test]
    async fn of_two_who_renew_one_waits_and_what_was_prepared_is_nothing_yet() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = GrantFile::of(dir.path(), "urp");
        keep(&file, "a").await;
        let locked = file.lock(Duration::ZERO).await.expect("free");
        assert!(matches!(file.lock(Duration::ZERO).await, Err(TokenFault::Locked(_))));
        drop(locked.prepare().expect("room"));
        drop(locked);
        let found = file.lock(Duration::ZERO).await.expect("free again").read().expect("readable");
        assert_eq!(found.expect("a grant").refresh_token.expose_secret(), "a");
    }

    #[tokio::test]
    async fn what_stands_in_the_way_shows_before_anybody_is_asked() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = GrantFile::of(dir.path(), "urp");
        keep(&file, "a").await;
        fs::create_dir(file.beside("new")).expect("in the way");
        let locked = file.lock(Duration::ZERO).await.expect("free");
        assert!(matches!(locked.prepare(), Err(TokenFault::Store { what: "written", .. })));
        fs::write(file.path(), "{}").expect("overwritten");
        assert!(matches!(file.read(), Err(TokenFault::Store { what: "read", .. })));
    }
}
