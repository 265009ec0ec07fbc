//! The letter is in the attachment: where a letter itself says nothing, what its documents say becomes part of the message.
//!
//! Invariants: no document is read in this process (`reader`, `serve`; docs/adr/0011); a document that cannot be read costs only itself, and the
//! letter is settled with a note that says so; what is read and kept of one letter is bounded in documents, octets and time.
//! Whether a letter is looked into depends on the message alone, so a letter that comes again is treated alike.

mod pointing;
mod reader;
pub(crate) mod serve;

use std::time::{Duration, Instant};

use smista_domain::{Attachment, DOCUMENT_CUT, DOCUMENT_SCAN, DOCUMENT_UNREADABLE, DocumentText, Message};
use smista_email::read::notes;

pub(crate) use reader::Readers;

/// Documents of one letter that are read.
const MOST_DOCUMENTS: usize = 5;
/// Text of documents that is kept for one letter, in octets.
const MOST_TEXT: usize = 300_000;
/// All documents of a letter together. A claim is held for 20 seconds, and the letter must be decided and settled within it.
const TIME: Duration = Duration::from_secs(8);

/// Adds what the documents say, if the letter itself says nothing. `content` gives an attachment's octets.
pub(crate) fn look_into(
    message: &mut Message,
    readers: &Readers,
    content: impl Fn(&Attachment) -> Option<Vec<u8>>,
) {
    let wanted = wanted(message);
    let ends = Instant::now() + TIME;
    let mut found = Found { left: MOST_TEXT, ..Found::default() };
    found.cut = wanted.len() > MOST_DOCUMENTS;
    for attachment in wanted.into_iter().take(MOST_DOCUMENTS) {
        let within = ends.saturating_duration_since(Instant::now());
        let read = content(attachment).map(|bytes| readers.read(&bytes, within));
        match read {
            Some(Ok(Ok(document))) => {
                found.scan |= document.scan;
                found.cut |= document.truncated;
                if !document.scan {
                    found.keep(attachment, document.pages);
                }
            }
            Some(Ok(Err(reason))) => {
                tracing::debug!(reason = reason.as_str(), "a document cannot be read");
                found.unreadable = true;
            }
            Some(Err(death)) => {
                tracing::warn!(
                    reason = death.as_str(),
                    "a document took its reader down; its letter goes on without it"
                );
                found.unreadable = true;
            }
            None => found.unreadable = true,
        }
    }
    found.into(message);
}

#[derive(Debug, Default)]
struct Found {
    pages: Vec<DocumentText>,
    left: usize,
    scan: bool,
    unreadable: bool,
    cut: bool,
}

impl Found {
    /// Keeps the pages that say something new: `istanza.pdf` often comes with `istanza.pdf.p7m`.
    fn keep(&mut self, attachment: &Attachment, pages: Vec<String>) {
        for (page, text) in (1u32..).zip(pages) {
            if text.trim().is_empty() || self.pages.iter().any(|known| known.text == text) {
                continue;
            }
            if text.len() > self.left {
                self.cut = true;
                return;
            }
            self.left -= text.len();
            self.pages.push(DocumentText { attachment: attachment.name.clone(), page, text });
        }
    }

    fn into(self, message: &mut Message) {
        let codes =
            [(self.scan, DOCUMENT_SCAN), (self.unreadable, DOCUMENT_UNREADABLE), (self.cut, DOCUMENT_CUT)];
        for (_, code) in codes.into_iter().filter(|(holds, _)| *holds) {
            message.notes.push(code.to_owned());
        }
        message.documents = self.pages;
    }
}

/// The attachments that are looked into, documents before pictures; none if the letter speaks for itself.
fn wanted(message: &Message) -> Vec<&Attachment> {
    let says = pointing::says(&message.text);
    if says == pointing::Says::Enough {
        return Vec::new();
    }
    let taken = message.notes.iter().any(|n| n == notes::TEXT_FROM_ATTACHMENT);
    let all = message.attachments.iter().filter(|a| !a.inline && a.size > 0 && !is_for_programs(a));
    let (pictures, documents): (Vec<_>, Vec<_>) = all
        .filter(|a| !taken || !a.media_type.starts_with("text/"))
        .partition(|a| a.media_type.starts_with("image/"));
    // A photograph beside words is what the words are about; alone it is all that there is.
    if says == pointing::Says::Little { documents } else { [documents, pictures].concat() }
}

/// What programs send each other, beside the letter: protocol facts, signatures, cards, calendars; letters and archives.
fn is_for_programs(attachment: &Attachment) -> bool {
    const ENDINGS: [&str; 14] = [
        ".xml", ".p7s", ".ics", ".vcf", ".asc", ".eml", ".msg", ".zip", ".html", ".htm", ".mp4", ".mov",
        ".mp3", ".xlsx",
    ];
    const MEDIA: [&str; 8] = [
        "text/xml",
        "application/xml",
        "text/calendar",
        "text/html",
        "text/vcard",
        "message/",
        "video/",
        "audio/",
    ];
    let name = attachment.name.to_lowercase();
    MEDIA.iter().any(|media| attachment.media_type.starts_with(media))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || attachment.media_type.contains("pkcs7-signature")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use smista_domain::{Digest, Sender, ThreadKeys};

    use super::*;

    fn message(text: &str, attachments: &[(&str, &str)]) -> Message {
        Message {
            sender: Sender::default(),
            recipients: Vec::new(),
            subject: String::new(),
            text: text.to_owned(),
            quoted: String::new(),
            signature: String::new(),
            sent_at: None,
            received_at: Timestamp::UNIX_EPOCH,
            folder: "INBOX".to_owned(),
            attachments: attachments
                .iter()
                .map(|(name, media)| Attachment {
                    name: (*name).to_owned(),
                    media_type: (*media).to_owned(),
                    size: 1,
                    sha256: Digest([0; 32]),
                    part: Vec::new(),
                    inline: false,
                })
                .collect(),
            form: None,
            forwarded_by: None,
            documents: Vec::new(),
            thread: ThreadKeys::default(),
            place: None,
            certified: None,
            protocol: None,
            notes: Vec::new(),
        }
    }

    fn names(message: &Message) -> Vec<&str> {
        wanted(message).into_iter().map(|a| a.name.as_str()).collect()
    }

    #[test]
    fn documents_are_looked_into_where_the_letter_says_nothing() {
        let attached = [
            ("foto.jpg", "image/jpeg"),
            ("Segnatura.xml", "application/xml"),
            ("istanza.pdf.p7m", "application/pkcs7-mime"),
            ("smime.p7s", "application/pkcs7-signature"),
            ("relazione.docx", "application/octet-stream"),
        ];
        let pointing = message("Si trasmette quanto in oggetto.", &attached);
        assert_eq!(names(&pointing), ["istanza.pdf.p7m", "relazione.docx", "foto.jpg"]);
        let little = message("C'è una buca in via Dante, al 12", &attached);
        assert_eq!(names(&little), ["istanza.pdf.p7m", "relazione.docx"]);
        let enough = message(&"In via Dante c'è una buca profonda. ".repeat(20), &attached);
        assert!(names(&enough).is_empty());
    }

    #[test]
    fn a_page_that_is_known_already_is_not_kept_twice() {
        let letter = message("", &[("a.pdf", "application/pdf"), ("a.pdf.p7m", "application/pkcs7-mime")]);
        let mut found = Found { left: 10, ..Found::default() };
        for attachment in &letter.attachments {
            found.keep(attachment, vec!["buca".to_owned(), "  ".to_owned(), "altro".to_owned()]);
        }
        let kept: Vec<_> = found.pages.iter().map(DocumentText::place).collect();
        assert_eq!(
            (kept, found.cut),
            (vec!["document:a.pdf#1".to_owned(), "document:a.pdf#3".to_owned()], false)
        );
        found.keep(&letter.attachments[0], vec!["troppo lungo".to_owned()]);
        assert!(found.cut);
    }
}
