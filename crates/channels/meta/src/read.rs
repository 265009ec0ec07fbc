//! Reads what [`crate::split`] made: bytes in, [`Reading`] out. Pure and total: no I/O, no clock, no panic.
//!
//! Invariant: what a person wrote becomes a message, however little Meta says of it; what is ignored is ignored under a reason
//! that tells what it was. [`Unreadable`] is only what this program did not write itself. `docs/reference/meta.md` has the table.
//!
//! An edit is a follow-up of the message that it changes, with the note `edited`; a removal is ignored as `withdrawn` and changes
//! nothing about what was written. (Both are to change the message itself one day.)

mod event;
mod feed;
mod instagram;
pub mod notes;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use smista_domain::{Delivery, IgnoreReason, Message, Reading, Sender, ThreadKeys, Unreadable};

use crate::value;

/// Octets of text that are kept; the rest stays in the raw bytes. What people may write is far shorter.
const MAX_TEXT: usize = 100_000;
/// Notes with addresses are bounded, and so is each address.
const MAX_ADDRESSES: usize = 50;
const MAX_ADDRESS: usize = 2_000;

/// How what Meta sends is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSettings {
    /// The ids of our pages and accounts: what they write is ours.
    pub own: BTreeSet<String>,
    /// Nothing is ignored: a person has said that this is a message (reopened).
    pub keep_everything: bool,
}

/// What an update says, before it is known whether it is a message.
#[derive(Debug, Default)]
struct Found {
    /// Why it is none.
    ignored: Option<IgnoreReason>,
    /// What it is about: a comment, a post, a message (`mid`).
    identity: Option<String>,
    /// What else is known under the same conversation.
    thread: Option<String>,
    sender: Sender,
    text: String,
    sent_at: Option<Timestamp>,
    edited: bool,
    notes: Vec<String>,
}

impl Found {
    fn ignored(reason: IgnoreReason) -> Self {
        Self { ignored: Some(reason), ..Self::default() }
    }

    fn note(&mut self, code: &str) {
        if !self.notes.iter().any(|known| known == code) {
            self.notes.push(code.to_owned());
        }
    }

    /// Notes an address, if it can be one.
    fn address(&mut self, code: &str, address: Option<&str>) {
        let good = |a: &&str| {
            a.len() <= MAX_ADDRESS
                && (a.starts_with("https://") || a.starts_with("http://"))
                && a.chars().all(|c| c.is_ascii_graphic())
        };
        if self.notes.len() < MAX_ADDRESSES {
            self.note(&format!("{code}{}", address.filter(good).unwrap_or_default()));
        }
    }

    /// Notes something that hangs on the message.
    fn attachment(&mut self, kind: &str, address: Option<&str>) {
        let word = |k: &&str| k.len() <= 40 && k.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let kind = Some(kind).filter(word).unwrap_or("other");
        self.address(&format!("{}{kind}:", notes::ATTACHMENT), address);
    }

    fn has_attachments(&self) -> bool {
        self.notes.iter().any(|note| note.starts_with(notes::ATTACHMENT))
    }
}

/// What a reader needs to know beside the update itself.
struct Around<'a> {
    /// The page or account that it is for.
    account: &'a str,
    own: &'a BTreeSet<String>,
}

impl Around<'_> {
    /// Whether this is one of us.
    fn is_own(&self, person: Option<&str>) -> bool {
        person.is_some_and(|id| id == self.account || self.own.contains(id))
    }
}

/// Reads a delivery of a Meta channel.
pub fn read(delivery: &Delivery, settings: &ReadSettings) -> Result<Reading, Unreadable> {
    let envelope: Value = serde_json::from_slice(&delivery.bytes)
        .map_err(|_| Unreadable("these are not the bytes of an update: no JSON".to_owned()))?;
    let item = envelope
        .get("item")
        .ok_or_else(|| Unreadable("these are not the bytes of an update: no 'item'".to_owned()))?;
    let account = value::id(&envelope, "entry").unwrap_or_default();
    let around = Around { account: &account, own: &settings.own };
    let mut found = match envelope.get("via").and_then(Value::as_str) {
        Some("messaging" | "standby") => event::read(item, &around),
        Some("changes" | "bare") => change(envelope.get("object"), item, &around),
        _ => Found::ignored(IgnoreReason::MetaUnknown),
    };
    if let Some(reason) = found.ignored {
        if !settings.keep_everything {
            let about = found.identity.as_deref().map(own_key);
            return Ok(Reading::Ignored { reason, about, receipt: None });
        }
        found.note(notes::REOPENED);
        if found.text.trim().is_empty() && !found.has_attachments() {
            found.text = serde_json::to_string_pretty(item).unwrap_or_default();
        }
    }
    Ok(Reading::Message(Box::new(message(found, delivery, account))))
}

fn change(object: Option<&Value>, item: &Value, around: &Around<'_>) -> Found {
    let value = item.get("value").unwrap_or(&Value::Null);
    match value::text(item, "field") {
        Some("feed" | "ratings") => feed::read(value, around, false),
        Some("mention") => feed::read(value, around, true),
        Some("comments" | "live_comments") => instagram::comment(value, around),
        Some("mentions") => instagram::mention(value),
        Some("messages") => event::read(value, around),
        // Of users and permissions of the app.
        Some(_) if !matches!(object.and_then(Value::as_str), Some("page" | "instagram") | None) => {
            Found::ignored(IgnoreReason::MetaEvent)
        }
        Some(field) if EVENTS.contains(&field) => Found::ignored(IgnoreReason::MetaEvent),
        _ => Found::ignored(IgnoreReason::MetaUnknown),
    }
}

/// Fields of pages and accounts that nobody writes ("Webhooks reference: page", "Instagram").
const EVENTS: &[&str] = &[
    "story_insights",
    "live_videos",
    "videos",
    "leadgen",
    "name",
    "picture",
    "category",
    "description",
    "about",
    "location",
    "phone",
    "website",
    "hours",
    "email",
    "page_upcoming_change",
    "page_change_proposal",
    "message_template_status_update",
    "messaging_account_linking",
    "messaging_handover",
    "messaging_policy_enforcement",
    "creator_marketplace_projects",
];

fn own_key(identity: &str) -> String {
    format!("meta:{identity}")
}

fn message(mut found: Found, delivery: &Delivery, account: String) -> Message {
    let mut text = std::mem::take(&mut found.text).replace("\r\n", "\n");
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        found.note(notes::TEXT_CUT);
    }
    if text.trim().is_empty() {
        found.note(notes::EMPTY);
    }
    if found.sender.address.is_none() {
        found.note(notes::NO_SENDER);
    }
    if found.edited {
        found.note(notes::EDITED);
    }
    let own = found.identity.as_deref().map(own_key);
    let fingerprint = fingerprint(own.as_deref(), found.edited, &text, &delivery.bytes);
    // The identity is among the references as well: what else speaks of the same comment (an edit, a mention) joins it.
    let refs = own.iter().cloned().chain(found.thread).collect();
    let thread = ThreadKeys { own: own.filter(|_| !found.edited), refs, number: None, fingerprint };
    Message {
        sender: found.sender,
        recipients: Some(account).filter(|id| !id.is_empty()).into_iter().collect(),
        subject: String::new(),
        text,
        quoted: String::new(),
        signature: String::new(),
        sent_at: found.sent_at,
        received_at: delivery.received_at,
        folder: delivery.scope.clone(),
        attachments: Vec::new(),
        documents: Vec::new(),
        thread,
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: found.notes,
    }
}

/// Equal for one text of one identity, whichever way it came (a comment that also mentions us comes twice).
fn fingerprint(own: Option<&str>, edited: bool, text: &str, bytes: &[u8]) -> String {
    let Some(own) = own else { return hex::encode(Sha256::digest(bytes)) };
    let kind = if edited { "edited" } else { "add" };
    hex::encode(Sha256::digest(format!("meta\0{own}\0{kind}\0{}", text.trim())))
}

#[cfg(test)]
mod tests;
