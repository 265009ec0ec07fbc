//! Reads letters: bytes in, [`Reading`] out. Pure and total: no I/O, no clock, no panic, work linear in the size, memory
//! bounded by the settings and one copy of the largest part.
//!
//! Invariant: a letter that a person wrote becomes a message, however broken it is. [`Unreadable`] is only what has no
//! head and no text; [`Reading::Ignored`] only what bears sure signs of a machine (see `automatic`).
//!
//! The stages, each a module: `header` splits the head, `structure` the parts, `unpack` opens what wraps them (S/MIME, `tnef`), `transfer` and `charset` undo
//! encodings, `words`, `params` and `date` read header values, `body` chooses the text and lists attachments (`html`,
//! `clean`, `calendar`), `quote` splits the writer's words from what is quoted (`closing`, `notice`: from what stands below them), `sender` and `thread` say who and what it
//! belongs to, `form` what came through a web form,
//! `forward` whose letter a clerk sends on, `automatic` what no person wrote. Before all of them `pec` takes a letter out of the envelopes of certified
//! mail: what follows sees the citizen's letter, as if it had come by ordinary mail. `segnatura` reads the protocol facts of
//! other administrations; both read XML through `xml`.
//!
//! mail-parser reads addresses, dates, entities and rare charsets. Its MIME splitter is not used, see `structure`.

mod automatic;
mod body;
mod calendar;
mod charset;
mod clean;
mod closing;
mod date;
pub mod form;
mod forward;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod html;
pub mod notes;
mod notice;
mod params;
mod pec;
mod quote;
mod segnatura;
mod sender;
mod structure;
mod thread;
mod tnef;
mod transfer;
mod unpack;
mod words;
mod xml;

use std::borrow::Cow;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use smista_domain::{Delivery, IgnoreReason, Message, Reading, Sender, ThreadKeys, Unreadable};

pub(crate) use date::parse_date;
use quote::Split;
use structure::{Limits, Part};
use unpack::Unpacked;

/// How letters of a mailbox are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSettings {
    /// The mailbox's own addresses: what comes from them is a loop.
    pub own_addresses: Vec<String>,
    /// The administration's domains: lists of these domains are group addresses, not mailing lists.
    pub own_domains: Vec<String>,
    /// The comune's web forms: what comes from them is what citizens filled in.
    pub forms: Vec<form::FormSettings>,
    /// Octets of text (UTF-8) that are kept; the rest stays in the raw bytes.
    pub max_text_bytes: usize,
    /// Parts that are looked at.
    pub max_parts: usize,
    /// Levels of multiparts that are opened.
    pub max_depth: usize,
    /// Automatic mail and mailing lists are messages (with a note) instead of being ignored. Bounces and own mail never are.
    pub keep_automatic: bool,
    /// Of a citizen's letter that a clerk sends on, the citizen is the sender.
    pub forwards: bool,
    /// Authorities that vouch for providers of certified mail. Empty: whose a signature is, is not asked.
    pub pec_authorities: Vec<CertificateDer<'static>>,
    /// Nothing is ignored, bounces and own mail included: a person has said that this letter is one (reopened).
    pub keep_everything: bool,
}

impl Default for ReadSettings {
    fn default() -> Self {
        Self {
            own_addresses: Vec::new(),
            own_domains: Vec::new(),
            forms: Vec::new(),
            max_text_bytes: 1024 * 1024,
            max_parts: 1000,
            max_depth: 30,
            keep_automatic: false,
            forwards: true,
            pec_authorities: Vec::new(),
            keep_everything: false,
        }
    }
}

impl ReadSettings {
    /// True for an address of the administration's own domains, or of a subdomain.
    pub fn is_internal(&self, address: &str) -> bool {
        let Some((_, host)) = address.rsplit_once('@') else { return false };
        let host = host.to_lowercase();
        self.own_domains.iter().map(|d| d.trim_start_matches('@').to_lowercase()).any(|domain| {
            !domain.is_empty()
                && (host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.')))
        })
    }
}

/// A longer subject is cut.
const MAX_SUBJECT: usize = 1000;

/// Reads a delivery of an e-mail channel.
pub fn read(delivery: &Delivery, settings: &ReadSettings) -> Result<Reading, Unreadable> {
    if delivery.bytes.is_empty() {
        return Err(Unreadable("the letter has no bytes".to_owned()));
    }
    let raw = prepare(&delivery.bytes);
    let limits = Limits { parts: settings.max_parts, depth: settings.max_depth };
    let authorities = pec::Authorities { certificates: &settings.pec_authorities, at: delivery.received_at };
    let mut opened = pec::open(raw, limits, &authorities);
    if let Some(receipt) = opened.receipt.take_if(|_| !settings.keep_everything) {
        return Ok(Reading::Ignored {
            reason: pec::reason(&receipt),
            about: receipt.about.clone(),
            receipt: Some(Box::new(receipt)),
        });
    }
    let unpacked = Unpacked::default();
    let (root, trouble) = unpack::parse(&opened.letter, &unpacked, limits);
    let mut content = body::content(&root, settings);
    if root.fields.count == 0 && !printable(&content.text, &opened.letter) {
        return Err(Unreadable("neither a header nor printable text: this is no letter".to_owned()));
    }

    let mut notes: Vec<&'static str> = Vec::new();
    let mut note = |wanted: bool, code: &'static str| {
        if wanted && !notes.contains(&code) {
            notes.push(code);
        }
    };
    let subject = subject(&root, &mut note);
    let (mut sender, sender_missing) = sender::writer(&root.fields);
    if sender_missing && let Some(certified) = opened.certified_sender() {
        sender = Sender { name: sender.name, ..certified };
    }
    let form = form::of(&settings.forms, sender.address.as_deref(), &subject);
    let found = automatic::detect(&root, &subject, sender.address.as_deref(), settings);
    // Of certified mail the certified sender stands.
    let forward = form
        .is_none()
        .then(|| forward::find(&root, &content.text, &subject, &sender, settings))
        .flatten()
        .filter(|_| opened.certified().is_none());
    // One of our mailboxes that sends a citizen's letter on to another is no loop.
    let spared = |found: &automatic::Automatic| {
        form.is_some() || (forward.is_some() && found.reason == IgnoreReason::OwnMail)
    };
    if let Some(found) = found.filter(|found| !spared(found)) {
        return Ok(Reading::Ignored { reason: found.reason, about: found.about, receipt: None });
    }
    let kept = form.is_none() && (settings.keep_automatic || settings.keep_everything) && {
        let strict = ReadSettings { keep_automatic: false, keep_everything: false, ..settings.clone() };
        opened.receipt.is_some()
            || automatic::detect(&root, &subject, sender.address.as_deref(), &strict).is_some()
    };

    note(
        delivery.facts.get("truncated").and_then(serde_json::Value::as_bool) == Some(true),
        notes::TRUNCATED,
    );
    note(content.text.trim().is_empty(), notes::EMPTY);
    note(trouble.parts || opened.trouble.parts, notes::TOO_MANY_PARTS);
    note(trouble.depth || opened.trouble.depth, notes::TOO_DEEP);
    note(trouble.broken || opened.trouble.broken, notes::BROKEN_STRUCTURE);
    note(root.fields.broken || root.fields.count == 0, notes::BROKEN_HEADER);
    note(sender_missing, notes::NO_SENDER);
    note(several_senders(&root), notes::SEVERAL_SENDERS);
    note(form.is_none() && answers_elsewhere(&root, sender.address.as_deref()), notes::REPLY_TO);
    note(kept, notes::AUTOMATIC);
    for code in content.notes.iter().copied().chain(opened.notes(sender.address.as_deref())) {
        note(true, code);
    }

    let (own, names) = opened.identity(&root.fields);
    let mut date = root.fields.get("date").map(words::decode).unwrap_or_default();
    if own.is_none() && date.trim().is_empty() {
        // Nothing tells this letter from another with the same words: the day on which it came does, so that whoever writes
        // the same again months later is heard again.
        date = delivery.received_at.strftime("%F").to_string();
    }
    let fingerprint = thread::fingerprint(&thread::Identity {
        own: own.as_deref(),
        sender: &sender,
        date: &date,
        subject: &subject,
        text: &content.text,
        attachments: &content.digests,
    });
    let mut refs = thread::refs(&root.fields, own.as_deref());
    let mut split = quote::split(&content.text, !refs.is_empty());
    thread::add_names(&mut refs, own.as_deref(), names);
    let mut thread = ThreadKeys { number: thread::number(&subject), refs, own, fingerprint };
    let (mut place, mut filled_in) = (None, None);
    if let Some(form) = form {
        let filled = form::read(form, &content.text, answer_address(&root));
        note(filled.incomplete, notes::FORM_INCOMPLETE);
        // The programs that send forms repeat references and numbers: each letter is a matter of its own.
        (thread.refs, thread.number) = (Vec::new(), None);
        sender = filled.sender.unwrap_or(sender);
        if let Some(text) = filled.text {
            let kept = [text.signature, filled.rest].into_iter().filter(|s| !s.is_empty());
            split = Split { signature: kept.collect::<Vec<_>>().join("\n\n"), ..text };
        }
        (place, filled_in) = (filled.place, Some(filled.form));
    }
    let mut forwarded_by = None;
    if let Some(forward) = forward {
        note(true, notes::FORWARDED);
        thread::add_names(&mut thread.refs, thread.own.as_deref(), forward.refs);
        if let Some(own) = forward.split {
            split = Split { quoted: forward::kept(&forward.words, &sender, &own.quoted), ..own };
        }
        forwarded_by = Some(std::mem::replace(&mut sender, forward.sender));
    }
    for attachment in &mut content.attachments {
        attachment.part.splice(..0, opened.path.iter().copied());
    }
    Ok(Reading::Message(Box::new(Message {
        recipients: sender::recipients(&root.fields),
        sender,
        thread,
        subject,
        text: split.text,
        quoted: split.quoted,
        signature: split.signature,
        sent_at: parse_date(&date),
        received_at: delivery.received_at,
        folder: delivery.scope.clone(),
        attachments: content.attachments,
        documents: Vec::new(),
        place,
        certified: opened.certified(),
        protocol: segnatura::find(&root),
        form: filled_in,
        forwarded_by,
        notes: notes.into_iter().map(str::to_owned).collect(),
    })))
}

/// The content of an attachment, decoded: `part` as [`read`] numbered it. None if there is no such part.
pub fn attachment(raw: &[u8], part: &[u32]) -> Option<Vec<u8>> {
    let defaults = ReadSettings::default();
    let limits = Limits { parts: defaults.max_parts, depth: defaults.max_depth };
    let raw = prepare(raw);
    let unpacked = Unpacked::default();
    let (root, _) = unpack::parse(&raw, &unpacked, limits);
    attachment_in(&root, part, limits)
}

fn attachment_in(root: &Part<'_>, path: &[u32], limits: Limits) -> Option<Vec<u8>> {
    let (part, rest) = root.find(path)?;
    let content = part.transfer().decode(part.body);
    match rest {
        [] => Some(content.into_owned()),
        rest if part.holds_letter() => {
            let content = prepare_cow(content);
            let unpacked = Unpacked::default();
            let (inner, _) = unpack::parse(&content, &unpacked, limits);
            attachment_in(&inner, rest, limits)
        }
        // A uuencoded file within a text.
        [n] => {
            let text = body::transfer_of_text(part).decode(part.body);
            let blocks = transfer::uu_blocks(&text);
            let block = blocks.get(usize::try_from(n.checked_sub(1)?).ok()?)?;
            Some(transfer::uudecode(block.data(&text)))
        }
        _ => None,
    }
}

/// Whatever hides the head: a byte order mark, a whole letter in UTF-16, empty lines before it, bare CR as line ends.
/// Borrowed for every normal letter.
fn prepare(raw: &[u8]) -> Cow<'_, [u8]> {
    if raw.starts_with(&[0xFF, 0xFE]) || raw.starts_with(&[0xFE, 0xFF]) {
        return Cow::Owned(charset::decode(raw, None).into_owned().into_bytes());
    }
    let raw = raw.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(raw);
    let raw = skip_empty_lines(raw);
    let head = raw.get(..4096).unwrap_or(raw);
    if memchr::memchr(b'\n', head).is_none() && memchr::memchr(b'\r', head).is_some() {
        return Cow::Owned(raw.iter().map(|b| if *b == b'\r' { b'\n' } else { *b }).collect());
    }
    Cow::Borrowed(raw)
}

/// The same for what has been decoded: it stays borrowed, or is not copied, where nothing has to be done.
fn prepare_cow(raw: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match raw {
        Cow::Borrowed(raw) => prepare(raw),
        Cow::Owned(raw) => {
            let other = match prepare(&raw) {
                Cow::Borrowed(same) if same.len() == raw.len() => None,
                other => Some(other.into_owned()),
            };
            Cow::Owned(other.unwrap_or(raw))
        }
    }
}

/// Empty lines before a head, also lines of blanks (Gmail's "show original", saved, begins with one), if it is one; before a
/// text they stay.
fn skip_empty_lines(raw: &[u8]) -> &[u8] {
    let white = raw.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ' | b'\t' | 0)).count();
    // Blanks of the line that says something stay its own: a head does not begin with them.
    let lines = raw.get(..white).and_then(|w| w.iter().rposition(|b| matches!(b, b'\r' | b'\n' | 0)));
    let blank = lines.map_or(0, |end| end + 1);
    match raw.get(blank..) {
        Some(rest) if blank > 0 && header::split(rest.get(..8192).unwrap_or(rest)).0.count > 0 => rest,
        _ => raw,
    }
}

/// True for text that a person can read. What is no UTF-8 must be mostly plain letters: any noise is some text in
/// Windows-1252.
fn printable(text: &str, raw: &[u8]) -> bool {
    let utf8 = std::str::from_utf8(raw.get(..10_000).unwrap_or(raw))
        .map_or_else(|e| e.error_len().is_none(), |_| true);
    let (mut letters, mut others) = (0usize, 0usize);
    for c in text.chars().take(10_000) {
        if c.is_ascii_alphanumeric() || (utf8 && c.is_alphanumeric()) {
            letters += 1;
        } else if !c.is_whitespace() && !c.is_ascii_punctuation() {
            others += 1;
        }
    }
    letters > 0 && letters > others
}

fn subject(root: &Part<'_>, note: &mut impl FnMut(bool, &'static str)) -> String {
    let subjects = root.fields.all("subject").map(words::decode);
    let mut subject = subjects.into_iter().find(|s| !s.trim().is_empty()).unwrap_or_default();
    if let Some((at, _)) = subject.char_indices().nth(MAX_SUBJECT) {
        subject.truncate(at);
        note(true, notes::SUBJECT_CUT);
    }
    subject
}

fn several_senders(root: &Part<'_>) -> bool {
    let mut addresses =
        root.fields.all("from").flat_map(|raw| sender::mailboxes(raw, 3)).filter_map(|s| s.address);
    let first = addresses.next();
    addresses.any(|a| Some(a) != first)
}

/// Where an answer should go, if the letter says so.
fn answer_address(root: &Part<'_>) -> Option<Sender> {
    root.fields.all("reply-to").flat_map(|raw| sender::mailboxes(raw, 5)).find(|s| s.address.is_some())
}

fn answers_elsewhere(root: &Part<'_>, address: Option<&str>) -> bool {
    let mut replies =
        root.fields.all("reply-to").flat_map(|raw| sender::mailboxes(raw, 5)).filter_map(|s| s.address);
    replies.any(|a| Some(a.as_str()) != address)
}

/// When the last server on its way received a letter, as its newest Received field says (RFC 5321, section 4.4).
pub(crate) fn received_at(raw: &[u8]) -> Option<Timestamp> {
    let (fields, _) = header::split(raw);
    let value = words::decode(fields.get("received")?);
    parse_date(value.rsplit_once(';')?.1.trim())
}

/// True for bytes that begin with a head: at least one field that every letter has.
pub(crate) fn looks_like_letter(head: &[u8]) -> bool {
    let head = prepare(head);
    let (fields, _) = header::split(&head);
    ["from", "to", "subject", "date", "message-id", "received", "return-path", "content-type"]
        .iter()
        .any(|f| fields.has(f))
}
