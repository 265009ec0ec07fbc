//! What a file is, by its first bytes.

use serde::{Deserialize, Serialize};

use crate::{Unreadable, p7m, package, plain};

/// A format that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Portable Document Format.
    Pdf,
    /// Word since 2007.
    Docx,
    /// OpenDocument text.
    Odt,
    /// Rich Text Format.
    Rtf,
    /// Text without a format.
    Text,
    /// A picture: a photograph or a scan.
    Image,
}

/// What the bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Document(Kind),
    /// Something inside a signature.
    Signed,
    Not(Unreadable),
}

/// Readers look for the header of a PDF in so many octets (ISO 32000-1, annex H, note 13).
const PDF_HEAD: usize = 1024;

pub(crate) fn sniff(bytes: &[u8]) -> Found {
    // First: what is signed stands there as it is, and so does the mark of a PDF.
    if p7m::is_signed(bytes) {
        return Found::Signed;
    }
    let head = bytes.get(..PDF_HEAD).unwrap_or(bytes);
    if memchr::memmem::find(head, b"%PDF-").is_some() {
        return Found::Document(Kind::Pdf);
    }
    if head.starts_with(b"PK\x03\x04") {
        return match package::kind(bytes) {
            Some(kind) => Found::Document(kind),
            None => Found::Not(Unreadable::UnknownFormat),
        };
    }
    if head.trim_ascii_start().starts_with(b"{\\rtf") {
        return Found::Document(Kind::Rtf);
    }
    if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return Found::Not(Unreadable::OldOffice);
    }
    if is_image(head) {
        return Found::Document(Kind::Image);
    }
    if plain::is_text(bytes) { Found::Document(Kind::Text) } else { Found::Not(Unreadable::UnknownFormat) }
}

/// JPEG, PNG, GIF, TIFF (both orders), BMP, WebP, HEIF: what telephones and scanners make.
fn is_image(head: &[u8]) -> bool {
    const MAGIC: [&[u8]; 5] = [b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"GIF8", b"II*\0", b"MM\0*"];
    let at = |from: usize, word: &[u8]| head.get(from..).is_some_and(|rest| rest.starts_with(word));
    let heif = || at(4, b"ftyp") && [&b"heic"[..], b"heix", b"mif1", b"avif"].iter().any(|b| at(8, b));
    let bitmap = || at(0, b"BM") && head.get(6..10) == Some(&[0; 4]);
    MAGIC.iter().any(|magic| head.starts_with(magic))
        || (at(0, b"RIFF") && at(8, b"WEBP"))
        || heif()
        || bitmap()
}
