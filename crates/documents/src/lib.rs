//! The words in documents that citizens attach: PDF, DOCX, ODT, RTF, plain text, and any of these inside a CAdES signature
//! (`.p7m`). Bytes in, pages of text out. Pure: no I/O, no clock.
//!
//! Invariants: what a document is follows from its bytes, never from its name; our own code neither panics nor loops on any
//! bytes, and every size that grows with what is *unpacked* has a limit in [`Limits`]. The libraries beneath (PDF above all) may
//! panic, loop and eat memory all the same: a panic costs the page or the document, for the rest the program calls [`text_of`] in
//! a process of its own that may die (docs/adr/0011).
//!
//! Nothing is fetched, run or verified: a signature is taken off, not checked. Pictures are not read: a document of
//! pictures alone is a *scan*, which somebody must look at.
//!
//! Sources: ISO 32000-1 (PDF), ECMA-376 part 1 (DOCX), OASIS OpenDocument 1.3 (ODT), Microsoft RTF 1.9.1, RFC 5652 with
//! ETSI EN 319 122-1 (CAdES) in X.690 (BER).

mod docx;
mod kind;
mod odt;
mod p7m;
mod package;
mod pages;
mod pdf;
mod plain;
mod rtf;
mod xml;

use serde::{Deserialize, Serialize};

pub use kind::Kind;

/// What reading one document may cost. Octets, unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A larger file is not looked at.
    pub file: usize,
    /// Pages that are read; the rest is cut.
    pub pages: usize,
    /// Text that is kept (UTF-8); the rest is cut.
    pub text: usize,
    /// What may be unpacked from a DOCX or ODT, or inflated for one page of a PDF.
    pub unpacked: usize,
    /// Files in a DOCX or ODT.
    pub entries: usize,
    /// Signatures around signatures.
    pub envelopes: usize,
}

impl Default for Limits {
    /// A letter is one to ten pages of 3 kB; a project that is attached to one has hundreds, and its first pages say what it is.
    fn default() -> Self {
        Self { file: 32 << 20, pages: 30, text: 200_000, unpacked: 24 << 20, entries: 2000, envelopes: 4 }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What it is, beneath any signature.
    pub kind: Kind,
    /// The text, page by page; formats without pages are one, or split where the writer's program broke the page. Pages without
    /// text are there, empty.
    pub pages: Vec<String>,
    /// There is more than the limits let through.
    pub truncated: bool,
    /// Pictures and no words: somebody must look at it.
    pub scan: bool,
}

/// Why there is no text. The word stands in logs and in the answer of the reading process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// No format that is read here: an archive, a drawing, a program.
    UnknownFormat,
    /// Word before 2007 (`.doc`), or an Office document under a password: both lie in the same container.
    OldOffice,
    /// Under a password.
    Encrypted,
    /// Not what it says it is, or cut.
    Broken,
    /// Beyond [`Limits::file`].
    TooLarge,
    /// Unpacks to more than the limits, or beyond any proportion.
    Bomb,
    /// Signatures within signatures beyond [`Limits::envelopes`].
    TooDeep,
    /// A signature that lies in a file of its own: what it signs is not inside.
    Detached,
    /// Neither words nor pictures.
    Empty,
    /// The library gave up on it.
    Panicked,
}

impl Unreadable {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownFormat => "unknown-format",
            Self::OldOffice => "old-office",
            Self::Encrypted => "encrypted",
            Self::Broken => "broken",
            Self::TooLarge => "too-large",
            Self::Bomb => "bomb",
            Self::TooDeep => "too-deep",
            Self::Detached => "detached",
            Self::Empty => "empty",
            Self::Panicked => "panicked",
        }
    }
}

/// Reads a document.
pub fn text_of(bytes: &[u8], limits: &Limits) -> Result<Document, Unreadable> {
    if bytes.len() > limits.file {
        return Err(Unreadable::TooLarge);
    }
    let mut unwrapped: Option<Vec<u8>> = None;
    for _ in 0..=limits.envelopes {
        let content = unwrapped.as_deref().unwrap_or(bytes);
        match kind::sniff(content) {
            kind::Found::Signed => unwrapped = Some(p7m::unwrap(content)?),
            kind::Found::Document(kind) => return read(kind, content, limits),
            kind::Found::Not(reason) => return Err(reason),
        }
    }
    Err(Unreadable::TooDeep)
}

/// What a CAdES or S/MIME signature (RFC 5652) wraps; None if the bytes are none, or what is signed is not in them. Nothing is
/// verified. Our own code alone: it may be called anywhere.
pub fn signed_content(bytes: &[u8]) -> Option<Vec<u8>> {
    p7m::is_signed(bytes).then(|| p7m::unwrap(bytes).ok()).flatten()
}

/// The text of an RTF document, its pages one after the other. Our own code alone: it may be called anywhere.
pub fn rtf_text(bytes: &[u8], limits: &Limits) -> String {
    rtf::read(bytes, limits).pages.join("\n")
}

fn read(kind: Kind, bytes: &[u8], limits: &Limits) -> Result<Document, Unreadable> {
    let read = match kind {
        Kind::Pdf => pdf::read(bytes, limits)?,
        Kind::Docx => docx::read(bytes, limits)?,
        Kind::Odt => odt::read(bytes, limits)?,
        Kind::Rtf => rtf::read(bytes, limits),
        Kind::Text => plain::read(bytes, limits),
        Kind::Image => Read { pictures: true, ..Read::default() },
    };
    let letters = read.pages.iter().flat_map(|page| page.chars()).filter(|c| c.is_alphanumeric()).count();
    let scan = read.pictures && letters < SCAN_LETTERS * read.pages.len().max(1);
    if letters == 0 && !scan {
        return Err(Unreadable::Empty);
    }
    Ok(Document { kind, pages: read.pages, truncated: read.truncated, scan })
}

/// Fewer letters than this on a page of pictures are a stamp or a page number, no letter: `Prot. n. 4711 del 03/11/2026`.
const SCAN_LETTERS: usize = 30;

/// What a format's reader hands back.
#[derive(Debug, Default)]
struct Read {
    pages: Vec<String>,
    truncated: bool,
    /// It shows pictures.
    pictures: bool,
}
