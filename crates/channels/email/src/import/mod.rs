//! Letters from files: `.eml`, mbox, Maildir, and directories of these, as one stream.
//!
//! Files are read one letter at a time, so memory is bounded by the largest letter whatever the size of the mailbox. What
//! cannot be read is an error in the stream, with its place, and does not stop the rest: nothing is left out silently
//! but index files that mail programs keep beside their mailboxes. Symbolic links are not followed, so nothing outside
//! of the given paths is ever read.

mod mbox;
mod walk;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use jiff::Timestamp;
use smista_domain::{DeliveryKey, Digest};

use walk::{Found, Walk};

/// Where a letter lay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// Where its `From ` line begins in an mbox, in octets; None for a file of its own.
    pub offset: Option<u64>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{} (octet {offset})", self.path.display()),
            None => write!(f, "{}", self.path.display()),
        }
    }
}

/// One letter.
#[derive(Debug, Clone)]
pub struct ImportItem {
    /// The letter, without what the container put around it.
    pub bytes: Bytes,
    /// Where it lay.
    pub origin: Origin,
    /// The folder: of a Maildir its name (`INBOX`, `Archivio`), of an mbox the file's name, else the directory's.
    pub folder: String,
    /// When it was received: the newest Received field, else the mbox's `From ` line, else the file's time.
    pub received_at: Option<Timestamp>,
    /// `sha256:` and the hash of the bytes; the n-th equal letter of the same source has `#n` at its end.
    pub key: DeliveryKey,
    /// Octets of the source that this letter took: for progress.
    pub consumed: u64,
}

/// Why something was not imported. The rest goes on.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {kind}")]
pub struct ImportError {
    /// Where.
    pub origin: Origin,
    /// What.
    pub kind: ImportFault,
}

/// What can be wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ImportFault {
    /// It cannot be read: check that it exists and that smista may read it.
    #[error("cannot be read")]
    Io(#[source] io::Error),
    /// The letter is larger than the limit: import it with a higher limit.
    #[error("the letter has more than {limit} octets")]
    TooLarge {
        /// The limit in octets.
        limit: u64,
    },
    /// It is no letter and no mailbox that smista knows (.eml, mbox, Maildir).
    #[error("this is no letter and no mailbox (.eml, mbox or Maildir)")]
    NotMail,
    /// A symbolic link: import its target by its own path, if it is meant.
    #[error("a symbolic link, not followed")]
    Link,
    /// Directories nested more deeply than anybody keeps mail.
    #[error("directories are nested too deeply")]
    TooDeep,
}

/// What there is to import: for progress bars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Files.
    pub files: u64,
    /// Octets in them. [`ImportItem::consumed`] of all items adds up to about this.
    pub bytes: u64,
}

/// How files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportOptions {
    /// A larger letter is an error, in octets.
    pub max_letter_bytes: u64,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self { max_letter_bytes: 64 * 1024 * 1024 }
    }
}

/// Reads one file as one letter.
pub fn eml(path: &Path) -> Result<ImportItem, ImportError> {
    let folder =
        path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let letter = read_eml(path, folder, ImportOptions::default())?;
    Ok(letter.item(1))
}

/// Everything below `paths` (files and directories), in order of name, with default options.
pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Import {
    open_with(paths, ImportOptions::default())
}

/// Everything below `paths`.
pub fn open_with(paths: impl IntoIterator<Item = PathBuf>, options: ImportOptions) -> Import {
    let paths: Vec<PathBuf> = paths.into_iter().collect();
    Import { walk: Walk::new(paths), mbox: None, seen: HashMap::new(), source: 0, options }
}

/// Counts files and octets without reading them.
pub fn estimate(paths: impl IntoIterator<Item = PathBuf>) -> Estimate {
    let mut total = Estimate::default();
    for (_, found) in Walk::new(paths.into_iter().collect()) {
        if let Ok(found) = found {
            total.files += 1;
            total.bytes += found.size;
        }
    }
    total
}

/// The stream of letters.
pub struct Import {
    walk: Walk,
    mbox: Option<mbox::Mbox>,
    /// How often each letter has come in the present source.
    seen: HashMap<[u8; 32], u32>,
    source: usize,
    options: ImportOptions,
}

impl Iterator for Import {
    type Item = Result<ImportItem, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mbox) = &mut self.mbox {
                match mbox.next() {
                    Some(letter) => return Some(letter.map(|letter| self.counted(letter))),
                    None => self.mbox = None,
                }
                continue;
            }
            let (source, found) = self.walk.next()?;
            if source != self.source {
                self.source = source;
                self.seen.clear();
            }
            let found = match found {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            match found.kind {
                walk::Kind::Letter => {
                    let letter = read_eml(&found.path, found.folder, self.options);
                    return Some(letter.map(|letter| self.counted(letter)));
                }
                walk::Kind::Mbox => match mbox::Mbox::open(&found, self.options.max_letter_bytes) {
                    Ok(mbox) => self.mbox = Some(mbox),
                    Err(error) => return Some(Err(io_error(&found, error))),
                },
            }
        }
    }
}

impl Import {
    fn counted(&mut self, letter: Letter) -> ImportItem {
        let count = self.seen.entry(letter.digest.0).and_modify(|n| *n += 1).or_insert(1);
        letter.item(*count)
    }
}

fn io_error(found: &Found, error: io::Error) -> ImportError {
    ImportError { origin: Origin { path: found.path.clone(), offset: None }, kind: ImportFault::Io(error) }
}

/// A letter that has no key yet.
struct Letter {
    bytes: Bytes,
    digest: Digest,
    origin: Origin,
    folder: String,
    received_at: Option<Timestamp>,
    consumed: u64,
}

impl Letter {
    /// `otherwise` is the time where the letter's own head says none.
    fn new(
        bytes: Vec<u8>,
        origin: Origin,
        folder: String,
        otherwise: Option<Timestamp>,
        consumed: u64,
    ) -> Self {
        let received_at = crate::read::received_at(&bytes).or(otherwise);
        Self { digest: Digest::of(&bytes), bytes: bytes.into(), origin, folder, received_at, consumed }
    }

    fn item(self, count: u32) -> ImportItem {
        let suffix = if count > 1 { format!("#{count}") } else { String::new() };
        ImportItem {
            key: DeliveryKey(format!("sha256:{}{suffix}", self.digest)),
            bytes: self.bytes,
            origin: self.origin,
            folder: self.folder,
            received_at: self.received_at,
            consumed: self.consumed,
        }
    }
}

fn read_eml(path: &Path, folder: String, options: ImportOptions) -> Result<Letter, ImportError> {
    let origin = Origin { path: path.to_owned(), offset: None };
    let fail = |kind| ImportError { origin: origin.clone(), kind };
    let file = File::open(path).map_err(|e| fail(ImportFault::Io(e)))?;
    let meta = file.metadata().map_err(|e| fail(ImportFault::Io(e)))?;
    if !meta.is_file() {
        return Err(fail(ImportFault::NotMail));
    }
    let limit = options.max_letter_bytes;
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(limit)).unwrap_or_default());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| fail(ImportFault::Io(e)))?;
    if bytes.len() as u64 > limit {
        return Err(fail(ImportFault::TooLarge { limit }));
    }
    let modified = meta.modified().ok().and_then(|t| Timestamp::try_from(t).ok());
    let consumed = bytes.len() as u64;
    Ok(Letter::new(bytes, origin, folder, modified, consumed))
}
