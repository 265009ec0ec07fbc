//! Doors to single parsers, for the fuzz targets in `tests/fuzz`: deep at once, where a whole letter would have to be guessed
//! first. No part of what this crate offers.

use smista_domain::{CertificationData, Protocol};

/// `daticert.xml`; `label` is the charset that the part's head declares.
pub fn daticert(file: &[u8], label: Option<&str>) -> Option<CertificationData> {
    super::pec::daticert::read(file, label)
}

/// `segnatura.xml`; `label` as above.
pub fn segnatura(file: &[u8], label: Option<&str>) -> Option<Protocol> {
    super::segnatura::read(file, label)
}

/// A text split into the writer's words, what is quoted, and the signature.
pub fn quote(text: &str, reply: bool) -> [String; 3] {
    let split = super::quote::split(text, reply);
    [split.text, split.quoted, split.signature]
}

/// The text of a document in HTML.
pub fn html(document: &str) -> String {
    super::html::to_text(document)
}

/// The text of bytes in the charset that they are said to be in.
pub fn charset(bytes: &[u8], label: Option<&str>) -> String {
    super::charset::decode(bytes, label).into_owned()
}
