//! Lock files: the kernel lets go of them when their holder ends, however it ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use super::{Account, PrivateError};

/// A lock that is held until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// The lock for us alone, or `None` when somebody has it.
    pub(super) fn try_exclusive(path: &Path, account: &Account) -> Result<Option<Self>, PrivateError> {
        Self::take(path, account, File::try_lock)
    }

    /// The lock beside others that share it, or `None` when somebody has it alone.
    pub(super) fn try_shared(path: &Path, account: &Account) -> Result<Option<Self>, PrivateError> {
        Self::take(path, account, File::try_lock_shared)
    }

    /// True when nobody has it.
    pub(super) fn is_free(path: &Path, account: &Account) -> Result<bool, PrivateError> {
        Ok(Self::try_shared(path, account)?.is_some())
    }

    fn take(
        path: &Path,
        account: &Account,
        how: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<Option<Self>, PrivateError> {
        let failed = |error: std::io::Error| {
            PrivateError::io("Non si può usare il file di lock", "cannot use the lock file", path, &error)
        };
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
        account.give(path)?;
        match how(&file) {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}
