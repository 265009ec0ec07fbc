//! From the tree of parts to one text and a list of attachments.
//!
//! What is shown as the letter's text is text; everything else is an attachment, in order. Of alternatives, the plain one
//! is read, unless it says nothing and the HTML one does. Work and memory are bounded by the settings.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};
use smista_domain::{Attachment, Digest};

use super::{
    ReadSettings, calendar, charset, clean, html, notes, pec,
    structure::{Limits, Part},
    transfer::{self, Transfer},
    unpack, words,
};

/// HTML is looked at up to this many times the text limit: most of it is markup.
const HTML_FACTOR: usize = 6;
/// Attached letters within attached letters are opened for their text down to here.
const MAX_LETTERS: usize = 4;

/// What a letter consists of.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// All of the text, cleaned, quotes included.
    pub(crate) text: String,
    pub(crate) attachments: Vec<Attachment>,
    /// One digest per attachment, the same for every copy of a letter (text without regard to line ends).
    pub(crate) digests: Vec<Digest>,
    pub(crate) notes: Vec<&'static str>,
}

/// Reads the tree.
pub(crate) fn content(root: &Part<'_>, settings: &ReadSettings) -> Content {
    content_at(root, settings, 0)
}

fn content_at(root: &Part<'_>, settings: &ReadSettings, level: usize) -> Content {
    let mut reader = Reader {
        settings,
        out: Content::default(),
        left: settings.max_text_bytes,
        level,
        packed: Vec::new(),
        texts: Vec::new(),
        invitation: None,
        letter: None,
    };
    let pieces = reader.walk(root, None);
    let mut text = String::new();
    for piece in pieces {
        reader.append(&mut text, piece);
    }
    if text.trim().is_empty() {
        text = reader.fallback(root);
    }
    if text.len() > settings.max_text_bytes {
        // What stands between the pieces counts as well.
        text.truncate(text.floor_char_boundary(settings.max_text_bytes));
        reader.note(notes::TEXT_CUT);
    }
    let mut out = reader.out;
    text.truncate(text.trim_end().len());
    out.text = text;
    out
}

/// Something that belongs to the text.
enum Piece<'a> {
    Part(&'a Part<'a>),
    Done(String),
}

struct Reader<'s, 'a> {
    settings: &'s ReadSettings,
    out: Content,
    /// Bytes of text still allowed.
    left: usize,
    level: usize,
    /// The letter's own text as Outlook packs it, in every form that it has.
    packed: Vec<&'a Part<'a>>,
    /// Text files among the attachments.
    texts: Vec<&'a Part<'a>>,
    /// The first calendar.
    invitation: Option<&'a Part<'a>>,
    /// The first letter among the attachments.
    letter: Option<&'a Part<'a>>,
}

impl<'a> Reader<'_, 'a> {
    fn note(&mut self, code: &'static str) {
        if !self.out.notes.contains(&code) {
            self.out.notes.push(code);
        }
    }

    /// Gathers what is text below `part` and lists the attachments.
    fn walk(&mut self, part: &'a Part<'a>, parent: Option<&'a Part<'a>>) -> Vec<Piece<'a>> {
        if part.is_multipart() && unpack::is_tnef(part) {
            // Its text is the letter's once more, where that has any.
            for child in &part.children {
                if child.is_multipart() {
                    self.walk(child, Some(part));
                } else if child.file_name().is_some() {
                    self.attach(child, Some(part));
                } else {
                    self.packed.push(child);
                }
            }
            return Vec::new();
        }
        if part.is_multipart() {
            let per_child: Vec<Vec<Piece<'a>>> =
                part.children.iter().map(|c| self.walk(c, Some(part))).collect();
            if part.media() == "multipart/alternative" {
                return self.choose(per_child);
            }
            return per_child.into_iter().flatten().collect();
        }
        if part.media().starts_with("multipart/") && part.path.len() < self.settings.max_depth {
            // A multipart without parts: what is in it is read as it stands.
            self.note(notes::BROKEN_STRUCTURE);
            return vec![Piece::Part(part)];
        }
        if shown_as_text(part, parent) {
            return vec![Piece::Part(part)];
        }
        self.attach(part, parent);
        Vec::new()
    }

    /// One of several alternatives.
    fn choose(&mut self, candidates: Vec<Vec<Piece<'a>>>) -> Vec<Piece<'a>> {
        let is_html = |p: &Piece<'_>| matches!(p, Piece::Part(part) if part.media() == "text/html");
        let (mut plain, mut rich) = (None, None);
        for candidate in candidates {
            if candidate.is_empty() {
                continue;
            }
            if candidate.iter().any(is_html) {
                rich = Some(candidate);
            } else if plain.is_none() {
                plain = Some(candidate);
            }
        }
        match (plain, rich) {
            (Some(plain), Some(rich)) => {
                let text = self.join(plain);
                if !placeholder(&text) {
                    return vec![Piece::Done(text)];
                }
                let other = self.join(rich);
                vec![Piece::Done(if other.trim().is_empty() { text } else { other })]
            }
            (plain, rich) => plain.or(rich).unwrap_or_default(),
        }
    }

    fn join(&mut self, pieces: Vec<Piece<'a>>) -> String {
        let mut text = String::new();
        for piece in pieces {
            self.append(&mut text, piece);
        }
        text
    }

    /// Adds a piece to a text, with an empty line between.
    fn append(&mut self, text: &mut String, piece: Piece<'a>) {
        let more = match piece {
            Piece::Part(part) => self.text_of(part),
            Piece::Done(done) => done,
        };
        if more.trim().is_empty() {
            return;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&more);
    }

    /// The text of one part, cleaned, within what is left of the limit.
    fn text_of(&mut self, part: &'a Part<'a>) -> String {
        let is_html =
            matches!(part.media(), "text/html" | "text/enriched" | "text/richtext" | "application/xhtml+xml");
        let limit = self.left.saturating_mul(if is_html { HTML_FACTOR } else { 1 });
        // Encoded, nothing is longer than three times itself.
        let body = part.body.get(..limit.saturating_mul(3)).unwrap_or(part.body);
        let mut cut = body.len() < part.body.len();
        let mut bytes = transfer_of_text(part).decode(body);
        if bytes.len() > limit {
            cut = true;
            match &mut bytes {
                Cow::Owned(owned) => owned.truncate(limit),
                Cow::Borrowed(borrowed) => *borrowed = borrowed.get(..limit).unwrap_or(borrowed),
            }
        }
        if !is_html {
            bytes = self.without_uuencoded(part, bytes);
        }
        let is_html = is_html || (part.media() == "text/plain" && is_document(&bytes));
        let label = match part.content.get("charset") {
            Some(label) => Some(label.to_owned()),
            None if is_html => html::declared_charset(&bytes),
            None => None,
        };
        let text = charset::decode(&bytes, label.as_deref());
        let mut text = if is_html {
            clean::clean(&html::to_text(&text))
        } else if part.content.get("format").is_some_and(|f| f.eq_ignore_ascii_case("flowed")) {
            let delsp = part.content.get("delsp").is_some_and(|d| d.eq_ignore_ascii_case("yes"));
            clean::clean(&clean::unflow(&text, delsp))
        } else {
            clean::clean(&text)
        };
        if text.len() > self.left {
            text.truncate(text.floor_char_boundary(self.left));
            cut = true;
        }
        self.left -= text.len();
        if cut {
            self.note(notes::TEXT_CUT);
        }
        text
    }

    /// Takes uuencoded files out of a text and lists them as attachments.
    fn without_uuencoded<'b>(&mut self, part: &Part<'_>, bytes: Cow<'b, [u8]>) -> Cow<'b, [u8]> {
        if memchr::memmem::find(&bytes, b"begin ").is_none() {
            return bytes;
        }
        let blocks = transfer::uu_blocks(&bytes);
        if blocks.is_empty() {
            return bytes;
        }
        let mut rest = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for (n, block) in (1..).zip(&blocks) {
            rest.extend_from_slice(bytes.get(from..block.whole.start).unwrap_or_default());
            from = block.whole.end;
            let mut path = part.path.clone();
            path.push(n);
            let name = file_name(&words::decode(block.name(&bytes)));
            self.push(path, name, "application/octet-stream", &transfer::uudecode(block.data(&bytes)), false);
        }
        rest.extend_from_slice(bytes.get(from..).unwrap_or_default());
        Cow::Owned(rest)
    }

    fn attach(&mut self, part: &'a Part<'a>, parent: Option<&Part<'_>>) {
        let media = part.media();
        match media {
            _ if unpack::is_tnef(part) => self.note(notes::WINMAIL),
            "application/pgp-encrypted" => self.note(notes::ENCRYPTED),
            "application/pkcs7-mime" | "application/x-pkcs7-mime"
                if part.content.get("smime-type") != Some("certs-only") && unpack::signed(part).is_none() =>
            {
                self.note(notes::ENCRYPTED);
            }
            _ => {}
        }
        if part.is_message() {
            self.letter.get_or_insert(part);
        } else if matches!(media, "text/calendar" | "application/ics") {
            self.invitation.get_or_insert(part);
        } else if media.starts_with("text/") && matches!(media, "text/plain" | "text/html") {
            self.texts.push(part);
        }
        let content = part.transfer().decode(part.body);
        if content.is_empty() && part.file_name().is_none() {
            return;
        }
        let name =
            part.file_name().map(file_name).filter(|n| !n.is_empty()).unwrap_or_else(|| default_name(part));
        let shown = part.disposition.value != "attachment"
            && part.fields.has("content-id")
            && (part.disposition.value == "inline"
                || parent.is_some_and(|p| p.media() == "multipart/related"));
        let inline = media.starts_with("image/") && shown;
        self.push(part.path.clone(), name, media, &content, inline);
    }

    fn push(&mut self, path: Vec<u32>, name: String, media: &str, content: &[u8], inline: bool) {
        let sha256 = Digest::of(content);
        let lines = media.starts_with("text/") || media.starts_with("message/") || media == "application/xml";
        let digest = if lines { digest_of_lines(content) } else { sha256 };
        self.out.digests.push(digest);
        self.out.attachments.push(Attachment {
            name,
            media_type: media.chars().filter(|c| !c.is_control()).collect(),
            size: content.len() as u64,
            sha256,
            part: path,
            inline,
        });
    }

    /// There is no text: what else may hold the writer's words.
    fn fallback(&mut self, root: &'a Part<'a>) -> String {
        for part in std::mem::take(&mut self.packed) {
            let text = self.text_of(part);
            if !text.trim().is_empty() {
                return text;
            }
        }
        let preamble = charset::decode(root.preamble.get(..self.left).unwrap_or(root.preamble), None);
        if let [part] = self.texts.as_slice()
            && part.body.len() <= 200_000
        {
            let part = *part;
            let text = self.text_of(part);
            if !text.trim().is_empty() {
                self.note(notes::TEXT_FROM_ATTACHMENT);
                return text;
            }
        }
        if let Some(invitation) = self.invitation {
            let body = invitation.body.get(..calendar::MAX_FILE * 3).unwrap_or(invitation.body);
            let bytes = invitation.transfer().decode(body);
            let bytes = bytes.get(..calendar::MAX_FILE).unwrap_or(&bytes);
            let file = charset::decode(bytes, invitation.content.get("charset"));
            if let Some(words) = calendar::words(&file) {
                let mut text = clean::clean(&words);
                text.truncate(text.floor_char_boundary(self.left));
                if !text.trim().is_empty() {
                    self.note(notes::TEXT_FROM_CALENDAR);
                    return text;
                }
            }
        }
        if let Some(letter) = self.letter
            && self.level < MAX_LETTERS
        {
            let bytes = letter.transfer().decode(letter.body);
            let limits = Limits { parts: self.settings.max_parts, depth: self.settings.max_depth };
            let opened = pec::open(bytes, limits, &pec::Authorities::NONE);
            let unpacked = unpack::Unpacked::default();
            let (inner, _) = unpack::parse(&opened.letter, &unpacked, limits);
            let text = content_at(&inner, self.settings, self.level + 1).text;
            if !text.trim().is_empty() {
                self.note(notes::TEXT_FROM_MESSAGE);
                return text;
            }
        }
        let preamble = clean::clean(&preamble);
        if !self.out.attachments.is_empty() || preamble.to_lowercase().contains("mime") {
            String::new()
        } else {
            preamble
        }
    }
}

/// How a text is encoded: in base64 only if it can be, and a uuencoded file in it is one file in a text.
pub(crate) fn transfer_of_text(part: &Part<'_>) -> Transfer {
    match part.transfer() {
        Transfer::Base64 if !transfer::plausible_base64(part.body) => Transfer::Identity,
        Transfer::Uuencode => Transfer::Identity,
        other => other,
    }
}

/// True for what mail programs show as the text of a letter.
fn shown_as_text(part: &Part<'_>, parent: Option<&Part<'_>>) -> bool {
    let media = part.media();
    let text = matches!(
        media,
        "text/plain"
            | "text/html"
            | "text/enriched"
            | "text/richtext"
            | "text/markdown"
            | "application/xhtml+xml"
    );
    let Some(parent) = parent else {
        // The whole letter: text of any sort but calendars and cards.
        return text
            || (media.starts_with("text/")
                && !matches!(media, "text/calendar" | "text/vcard" | "text/x-vcard" | "text/csv"));
    };
    let attached = part.disposition.value == "attachment"
        || (part.file_name().is_some()
            && parent.media() != "multipart/alternative"
            && !parent.media().ends_with("/signed"));
    text && !attached
}

/// A text that says only that one should look at the HTML.
fn placeholder(text: &str) -> bool {
    let text = text.trim();
    if !text.chars().any(char::is_alphanumeric) {
        return true;
    }
    if text.chars().count() > 400 {
        return false;
    }
    let lower = text.to_lowercase();
    lower.contains("html")
        && ["client", "visualizz", "format", "support", "browser", "view", "e-mail reader", "programma"]
            .iter()
            .any(|w| lower.contains(w))
}

/// A document in HTML, whatever its label.
fn is_document(bytes: &[u8]) -> bool {
    let head: Vec<u8> = bytes.trim_ascii_start().iter().take(14).map(u8::to_ascii_lowercase).collect();
    head.starts_with(b"<html") || head.starts_with(b"<!doctype html")
}

/// A file name as data: its last component, one line, of bounded length.
fn file_name(declared: &str) -> String {
    let name = declared.rsplit(['/', '\\']).find(|p| !p.trim().is_empty()).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control() && !words::invisible(*c)).collect();
    let name = name.trim().trim_matches('"');
    if matches!(name, "." | "..") {
        return String::new();
    }
    let over = name.chars().count().saturating_sub(200);
    // The end has the extension.
    name.chars().skip(over).collect()
}

/// A name for what has none.
fn default_name(part: &Part<'_>) -> String {
    let extension = match part.media() {
        "message/rfc822" | "message/global" | "message/news" => "eml",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        "text/vcard" | "text/x-vcard" => "vcf",
        "text/csv" => "csv",
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "p7s",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "p7m",
        "application/pgp-signature" => "asc",
        "application/ms-tnef" => "dat",
        _ => "bin",
    };
    let number: Vec<String> = part.path.iter().map(u32::to_string).collect();
    format!("part-{}.{extension}", number.join("-"))
}

/// A digest that is the same for CRLF and LF.
fn digest_of_lines(content: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    for piece in content.split(|b| *b == b'\r') {
        hash.update(piece);
    }
    Digest(hash.finalize().into())
}
