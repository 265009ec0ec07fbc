//! The files in a DOCX or ODT: a ZIP archive that nobody trusts.
//!
//! Invariant: at most [`Limits::entries`] files, [`Limits::unpacked`] octets in all, and no file that unpacks to more than
//! [`MAX_RATIO`] times its size; what an archive claims about itself is not believed, only counted against it.

use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use crate::{Kind, Limits, Unreadable};

/// XML of tables that repeat themselves shrinks to a sixtieth; deflate reaches a thousandth with nothing but zeros.
const MAX_RATIO: u64 = 200;
/// Small files may repeat themselves as they like.
const SMALL: u64 = 1 << 20;

pub(crate) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    left: usize,
}

impl<'a> Package<'a> {
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Unreadable> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|_| Unreadable::Broken)?;
        if archive.len() > limits.entries {
            return Err(Unreadable::Bomb);
        }
        Ok(Self { archive, left: limits.unpacked })
    }

    /// A file's content; None if there is none of this name.
    pub(crate) fn file(&mut self, name: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        let Some(index) = self.archive.index_for_name(name) else { return Ok(None) };
        let file = self.archive.by_index_raw(index).map_err(|_| Unreadable::Broken)?;
        if file.encrypted() {
            return Err(Unreadable::Encrypted);
        }
        let packed = file.compressed_size();
        drop(file);
        let proportion = usize::try_from(packed.saturating_mul(MAX_RATIO).max(SMALL)).unwrap_or(usize::MAX);
        let most = self.left.min(proportion);
        let file = self.archive.by_index(index).map_err(|_| Unreadable::Broken)?;
        let mut content = Vec::new();
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let read = file.take(limit).read_to_end(&mut content);
        if content.len() > most {
            return Err(Unreadable::Bomb);
        }
        read.map_err(|_| Unreadable::Broken)?;
        self.left -= content.len();
        Ok(Some(content))
    }

    /// True if there is a file under this folder.
    pub(crate) fn has_any(&self, folder: &str) -> bool {
        self.archive.file_names().any(|name| name.as_ref().is_ok_and(|name| name.starts_with(folder)))
    }
}

/// What an archive is: ODT says so in its first file, uncompressed (OpenDocument 1.3, part 2, section 3.3); DOCX has its
/// content types there or anywhere.
pub(crate) fn kind(bytes: &[u8]) -> Option<Kind> {
    let head = bytes.get(..200).unwrap_or(bytes);
    let has = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    if has(b"mimetypeapplication/vnd.oasis.opendocument.text") {
        return Some(Kind::Odt);
    }
    if has(b"mimetypeapplication/") {
        return None;
    }
    // Names stand as they are before each file and in the directory at the end.
    let somewhere = |word: &[u8]| memchr::memmem::find(bytes, word).is_some();
    if somewhere(b"[Content_Types].xml") && somewhere(b"word/") {
        return Some(Kind::Docx);
    }
    (somewhere(b"content.xml") && somewhere(b"META-INF/manifest.xml")).then_some(Kind::Odt)
}
