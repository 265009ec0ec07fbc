//! What documents in the attachment said, as the message keeps it: decisions are made again from the stored message, and the
//! reading of a document is not a thing that can be repeated at will (it runs under limits, in a process that may die).

use serde::{Deserialize, Serialize};

/// One page of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentText {
    /// The attachment's name.
    pub attachment: String,
    /// The page, from 1.
    pub page: u32,
    /// What stands there.
    pub text: String,
}

impl DocumentText {
    /// Its place, as evidence names it: `document:istanza.pdf#2`.
    pub fn place(&self) -> String {
        format!("{DOCUMENT_PLACE}{}#{}", self.attachment, self.page)
    }
}

/// How the place of a document begins.
const DOCUMENT_PLACE: &str = "document:";

/// Name and page of a document's place; None for other places.
pub fn document_of_place(place: &str) -> Option<(&str, &str)> {
    place.strip_prefix(DOCUMENT_PLACE)?.rsplit_once('#')
}

/// Note: the letter says nothing itself, and a document of it is only pictures.
pub const DOCUMENT_SCAN: &str = "document-scan";
/// Note: the letter says nothing itself, and a document of it could not be read.
pub const DOCUMENT_UNREADABLE: &str = "document-unreadable";
/// Note: of a document, or of several, only the beginning was read.
pub const DOCUMENT_CUT: &str = "document-cut";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_names_attachment_and_page() {
        let page = DocumentText { attachment: "all. #1.pdf".to_owned(), page: 2, text: String::new() };
        assert_eq!(page.place(), "document:all. #1.pdf#2");
        assert_eq!(document_of_place(&page.place()), Some(("all. #1.pdf", "2")));
        assert_eq!(document_of_place("text"), None);
    }
}
