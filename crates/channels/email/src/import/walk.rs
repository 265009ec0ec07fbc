//! Finds letters and mailboxes below the given paths: names sorted, so that the order is the same every time.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    vec,
};

use super::{ImportError, ImportFault, Origin};

/// Directories below each other.
const MAX_DEPTH: usize = 64;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One letter.
    Letter,
    /// Letters one after the other.
    Mbox,
}

/// A file to import.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) folder: String,
    pub(super) size: u64,
}

/// A directory that is being walked.
struct Frame {
    path: PathBuf,
    names: vec::IntoIter<OsString>,
    folder: String,
    /// `cur` or `new` of a Maildir: every file is a letter.
    letters: bool,
    /// The directory is a Maildir: its `tmp` is left out and its subdirectories are folders.
    maildir: bool,
}

/// The walk: yields which of the given paths it came from, and what was found.
pub(super) struct Walk {
    sources: vec::IntoIter<PathBuf>,
    number: usize,
    stack: Vec<Frame>,
}

impl Walk {
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self { sources: paths.into_iter(), number: 0, stack: Vec::new() }
    }

    /// A path that was given: it may be a link, since the operator named it.
    fn source(&mut self, path: PathBuf) -> Option<Result<Found, ImportError>> {
        match fs::metadata(&path) {
            Err(error) => Some(Err(fault(&path, ImportFault::Io(error)))),
            Ok(meta) if meta.is_dir() => {
                let folder = name_of(&path);
                self.enter(path, folder, false).err().map(Err)
            }
            Ok(meta) if meta.is_file() => Some(match sniff(&path) {
                Err(error) => Err(fault(&path, ImportFault::Io(error))),
                // A file that was named is read, whatever it looks like, unless it is something else for sure.
                Ok(Sniffed::Binary) => Err(fault(&path, ImportFault::NotMail)),
                Ok(Sniffed::Mbox) => {
                    Ok(Found { folder: stem_of(&path), size: meta.len(), kind: Kind::Mbox, path })
                }
                Ok(_) => {
                    let folder = path.parent().map(name_of).unwrap_or_default();
                    Ok(Found { folder, size: meta.len(), kind: Kind::Letter, path })
                }
            }),
            Ok(_) => Some(Err(fault(&path, ImportFault::NotMail))),
        }
    }

    /// Puts a directory on the stack.
    fn enter(&mut self, path: PathBuf, folder: String, letters: bool) -> Result<(), ImportError> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(fault(&path, ImportFault::TooDeep));
        }
        let entries = fs::read_dir(&path).map_err(|e| fault(&path, ImportFault::Io(e)))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|e| fault(&path, ImportFault::Io(e)))?.file_name());
        }
        names.sort_unstable();
        let maildir = !letters && is_maildir(&path);
        let folder =
            if maildir && !self.stack.iter().any(|f| f.maildir) { "INBOX".to_owned() } else { folder };
        self.stack.push(Frame { path, names: names.into_iter(), folder, letters, maildir });
        Ok(())
    }

    /// An entry of the directory on top of the stack.
    fn entry(&mut self, name: &OsString) -> Option<Result<Found, ImportError>> {
        let frame = self.stack.last()?;
        let path = frame.path.join(name);
        let text = name.to_string_lossy();
        let meta = match fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            // Gone since the directory was read: a mail program has moved it. It is found under its new name next time.
            Err(error) => return Some(Err(fault(&path, ImportFault::Io(error)))),
        };
        if meta.is_symlink() {
            return Some(Err(fault(&path, ImportFault::Link)));
        }
        let folder = frame.folder.clone();
        if meta.is_dir() {
            if frame.maildir && text == "tmp" {
                return None;
            }
            let (folder, letters) = if frame.maildir && (text == "cur" || text == "new") {
                (folder, true)
            } else if frame.maildir {
                // Maildir++ names folders `.Archivio.2024`.
                (text.strip_prefix('.').unwrap_or(&text).to_owned(), false)
            } else {
                let name = text.strip_suffix(".sbd").unwrap_or(&text);
                (if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }, false)
            };
            return self.enter(path, folder, letters).err().map(Err);
        }
        if !meta.is_file() {
            return Some(Err(fault(&path, ImportFault::NotMail)));
        }
        if frame.letters {
            return Some(Ok(Found { path, kind: Kind::Letter, folder, size: meta.len() }));
        }
        if is_index(&text) || frame.maildir {
            return None;
        }
        Some(match sniff(&path) {
            Err(error) => Err(fault(&path, ImportFault::Io(error))),
            Ok(Sniffed::Mbox) => {
                let name = stem_of(&path);
                let folder = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                Ok(Found { path, kind: Kind::Mbox, folder, size: meta.len() })
            }
            Ok(Sniffed::Header) => Ok(Found { path, kind: Kind::Letter, folder, size: meta.len() }),
            Ok(Sniffed::Other) if text.to_lowercase().ends_with(".eml") => {
                Ok(Found { path, kind: Kind::Letter, folder, size: meta.len() })
            }
            // An mbox that has been emptied.
            Ok(Sniffed::Empty) => return None,
            Ok(_) => Err(fault(&path, ImportFault::NotMail)),
        })
    }
}

impl Iterator for Walk {
    type Item = (usize, Result<Found, ImportError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = if let Some(frame) = self.stack.last_mut() {
                let Some(name) = frame.names.next() else {
                    self.stack.pop();
                    continue;
                };
                self.entry(&name)
            } else {
                let path = self.sources.next()?;
                self.number += 1;
                self.source(path)
            };
            if let Some(found) = found {
                return Some((self.number, found));
            }
        }
    }
}

fn fault(path: &Path, kind: ImportFault) -> ImportError {
    ImportError { origin: Origin { path: path.to_owned(), offset: None }, kind }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn stem_of(path: &Path) -> String {
    path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() && (path.join("new").is_dir() || path.join("tmp").is_dir())
}

/// What mail programs and servers keep beside their mailboxes.
fn is_index(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, e)| e.to_lowercase());
    name.starts_with('.')
        || name.starts_with("dovecot")
        || name == "subscriptions"
        || name == "maildirfolder"
        || name == "Thumbs.db"
        || name == "desktop.ini"
        || matches!(extension.as_deref(), Some("msf" | "lock" | "idx" | "index" | "cache" | "toc"))
}

/// What the beginning of a file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sniffed {
    Empty,
    Mbox,
    Header,
    Binary,
    Other,
}

fn sniff(path: &Path) -> std::io::Result<Sniffed> {
    let mut head = Vec::with_capacity(4096);
    File::open(path)?.take(4096).read_to_end(&mut head)?;
    Ok(look(&head))
}

fn look(head: &[u8]) -> Sniffed {
    // Outlook's .msg (compound document), zip, PDF, gzip, SQLite: files that stand beside letters.
    const MAGIC: &[&[u8]] = &[
        b"\xD0\xCF\x11\xE0",
        b"PK\x03\x04",
        b"%PDF",
        b"\x1F\x8B",
        b"SQLite format 3",
        b"\xFF\xD8\xFF",
        b"\x89PNG",
        b"!BDN",
        b"\x7FELF",
    ];
    if head.is_empty() {
        Sniffed::Empty
    } else if MAGIC.iter().any(|m| head.starts_with(m)) {
        Sniffed::Binary
    } else if super::mbox::begins_mbox(head) {
        Sniffed::Mbox
    } else if crate::read::looks_like_letter(head) {
        Sniffed::Header
    } else {
        Sniffed::Other
    }
}
