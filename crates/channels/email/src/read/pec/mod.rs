//! Certified mail (PEC): from the envelope that lies in the mailbox to the letter in it.
//!
//! Source: annex to the decree of 2 November 2005, in English RFC 6109. An envelope is the provider's mail: its own words,
//! `daticert.xml` and, as `postacert.eml`, the letter. Invariants:
//! - the reading of a letter does not depend on the envelopes around it, but for what they certify and their identities:
//!   the same letter by ordinary mail, or through two certified mailboxes, is the same letter;
//! - a receipt (`X-Ricevuta`, tested first) is never a letter, whatever its kind;
//! - an envelope of which nothing can be taken out is read as it stands: nothing is lost;
//! - work is linear: at most [`MAX_ENVELOPES`] are opened, each of them once.
//!
//! Of the outermost envelope and of a receipt the signature is checked (`signature`), and whether the signer is a provider
//! (`trust`), if the settings say whom to trust. Both are facts for people: an envelope is opened whatever they are.

pub(super) mod daticert;
mod signature;
mod trust;

use std::borrow::Cow;

use smista_domain::{
    CertificationData, Certified, IgnoreReason, Party, Receipt, ReceiptKind, Seal, Sender, Standing,
};

use super::{
    header::{self, Fields},
    notes, sender,
    structure::{self, Limits, Part, Trouble},
    thread,
};
pub(super) use trust::Authorities;

/// Envelopes within envelopes that are opened: sent on from mailbox to mailbox. What is deeper is read as it stands.
const MAX_ENVELOPES: usize = 5;

/// What sort of envelope it is (`X-Trasporto`, RFC 6109, sections 3.1.5 and 3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `posta-certificata`: certified mail.
    Transport,
    /// `errore`: ordinary mail that was sent to a certified mailbox, or certified mail that did not pass the checks.
    Anomaly,
    /// A word that was not known when this was written: certifies nothing.
    Other,
}

/// One envelope that was opened.
#[derive(Debug)]
struct Envelope {
    kind: Kind,
    /// Thread key of its Message-ID.
    own: Option<String>,
    /// Thread key of the identity that the letter had before it was put in (`X-Riferimento-Message-ID`).
    was: Option<String>,
    data: Option<CertificationData>,
}

/// A letter, taken out of its envelopes.
#[derive(Debug)]
pub(super) struct Opened<'r> {
    /// The letter as bytes, head and all. What was given, if there is no envelope.
    pub(super) letter: Cow<'r, [u8]>,
    /// Where it lies: the numbers of the parts, as `Attachment.part` continues them.
    pub(super) path: Vec<u32>,
    /// Set if what lies there is a receipt.
    pub(super) receipt: Option<Receipt>,
    /// What was wrong with the envelopes' structure.
    pub(super) trouble: Trouble,
    envelopes: Vec<Envelope>,
    /// The outermost envelope's, if it is a transport envelope.
    seal: Seal,
    /// An envelope without a letter that could be taken out.
    letter_missing: bool,
}

/// Opens envelopes down to the letter.
pub(super) fn open<'r>(raw: Cow<'r, [u8]>, limits: Limits, authorities: &Authorities<'_>) -> Opened<'r> {
    let mut out = Opened {
        letter: raw,
        path: Vec::new(),
        receipt: None,
        trouble: Trouble::default(),
        envelopes: Vec::new(),
        seal: Seal::default(),
        letter_missing: false,
    };
    loop {
        let (fields, _) = header::split(&out.letter);
        if let Some(kind) = receipt_kind(&fields) {
            out.receipt = Some(receipt(&out.letter, kind, out.envelopes.is_empty(), limits, authorities));
            return out;
        }
        let Some(kind) = envelope_kind(&fields) else { return out };
        if out.envelopes.len() >= MAX_ENVELOPES {
            out.trouble.depth = true;
            return out;
        }
        let asked = out.envelopes.is_empty().then_some(authorities);
        let opened = match &out.letter {
            Cow::Borrowed(bytes) => open_one(bytes, kind, asked, limits),
            Cow::Owned(bytes) => open_one(bytes, kind, asked, limits).into_owned(),
        };
        if let Some(seal) = opened.seal {
            out.seal = seal;
        }
        out.trouble.broken |= opened.trouble.broken;
        out.trouble.parts |= opened.trouble.parts;
        out.trouble.depth |= opened.trouble.depth;
        let Some((path, letter)) = opened.letter else {
            // An unknown word and nothing that looks like an envelope: an ordinary letter.
            if kind != Kind::Other {
                out.envelopes.push(opened.envelope);
                out.letter_missing = true;
            }
            return out;
        };
        out.envelopes.push(opened.envelope);
        out.path.extend(path);
        out.letter = letter;
    }
}

/// What one envelope says, and the letter in it with the number of its part.
struct OpenedOne<'x> {
    envelope: Envelope,
    seal: Option<Seal>,
    trouble: Trouble,
    letter: Option<(Vec<u32>, Cow<'x, [u8]>)>,
}

impl OpenedOne<'_> {
    fn into_owned<'y>(self) -> OpenedOne<'y> {
        let Self { envelope, seal, trouble, letter } = self;
        let letter = letter.map(|(path, letter)| (path, Cow::Owned(letter.into_owned())));
        OpenedOne { envelope, seal, trouble, letter }
    }
}

/// Opens one envelope. Its seal is looked at if somebody asks.
fn open_one<'x>(raw: &'x [u8], kind: Kind, asked: Option<&Authorities<'_>>, limits: Limits) -> OpenedOne<'x> {
    let (root, trouble) = structure::parse(raw, limits);
    let leaves = signed_leaves(&root);
    let envelope = Envelope {
        kind,
        own: thread::own(&root.fields),
        was: thread::first_id(&root.fields, "x-riferimento-message-id"),
        data: data(&leaves),
    };
    let letter = letter_part(&leaves, kind).and_then(|part| {
        let content = super::prepare_cow(part.transfer().decode(part.body));
        // What has no head is no letter: the envelope says more.
        (header::split(&content).0.count > 0).then(|| (part.path.clone(), content))
    });
    let asked = asked.filter(|_| kind == Kind::Transport);
    let seal = asked.map(|authorities| signature::check(&root, authorities));
    OpenedOne { envelope, seal, trouble, letter }
}

/// The parts that the provider signed; all of them where there is no signature. What stands beside the signed part is not the
/// provider's.
fn signed_leaves<'a, 'x>(root: &'a Part<'x>) -> Vec<&'a Part<'x>> {
    signature::parts(root).map_or(root, |(signed, _)| signed).leaves()
}

/// The part that holds the letter: by its name, else the letter beside `daticert.xml`, else the first one there is. The
/// last not under a word that nobody knows: it may be anybody's letter, with another one attached.
fn letter_part<'a, 'x>(leaves: &[&'a Part<'x>], kind: Kind) -> Option<&'a Part<'x>> {
    let named = leaves.iter().find(|p| p.holds_letter() && p.is_named("postacert.eml"));
    let parent = |part: &Part<'_>| part.path.split_last().map(|(_, parent)| parent.to_vec());
    let beside = || {
        let facts = leaves.iter().find(|p| is_daticert(p))?;
        leaves.iter().find(|p| p.holds_letter() && parent(p) == parent(facts))
    };
    let any = || leaves.iter().find(|p| kind != Kind::Other && p.holds_letter());
    named.or_else(beside).or_else(any).copied()
}

fn is_daticert(part: &Part<'_>) -> bool {
    part.is_named("daticert.xml")
}

/// The certification data: by name, else any XML file that is some.
fn data(leaves: &[&Part<'_>]) -> Option<CertificationData> {
    let read =
        |part: &&&Part<'_>| daticert::read(&part.transfer().decode(part.body), part.content.get("charset"));
    match leaves.iter().find(|p| is_daticert(p)) {
        Some(part) => read(&part),
        None => leaves
            .iter()
            .filter(|p| matches!(p.media(), "application/xml" | "text/xml"))
            .take(3)
            .find_map(|part| read(&part)),
    }
}

fn envelope_kind(fields: &Fields<'_>) -> Option<Kind> {
    match fields.word("x-trasporto")?.as_str() {
        "" => None,
        "posta-certificata" => Some(Kind::Transport),
        "errore" => Some(Kind::Anomaly),
        _ => Some(Kind::Other),
    }
}

/// The word of `X-Ricevuta`, if there is one.
fn receipt_kind(fields: &Fields<'_>) -> Option<ReceiptKind> {
    let word: String =
        fields.word("x-ricevuta")?.chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    let word = word.trim();
    (!word.is_empty()).then(|| ReceiptKind::from(word.to_owned()))
}

/// What a receipt says.
fn receipt(
    raw: &[u8],
    kind: ReceiptKind,
    direct: bool,
    limits: Limits,
    authorities: &Authorities<'_>,
) -> Receipt {
    let (root, _) = structure::parse(raw, limits);
    let mut data = data(&signed_leaves(&root)).unwrap_or_default();
    let fields = &root.fields;
    if data.sender.is_none() {
        // A notice of a virus names the sender in the head (RFC 6109, section 3.2.3).
        let named = fields.get("x-mittente").and_then(|raw| sender::mailboxes(raw, 1).into_iter().next());
        data.sender =
            named.and_then(|s| s.address).map(|address| Party { address, standing: Standing::Certified });
    }
    let about = thread::first_id(fields, "x-riferimento-message-id")
        .or_else(|| data.message_id.as_deref().and_then(thread::key));
    let extent = fields.word("x-tiporicevuta").map(|w| w.chars().take(60).collect());
    let extent = extent.filter(|w: &String| !w.is_empty());
    Receipt { kind, about, extent, direct, seal: signature::check(&root, authorities), data }
}

/// The reason under which a receipt is ignored.
pub(super) fn reason(receipt: &Receipt) -> IgnoreReason {
    IgnoreReason::from(&receipt.kind)
}

impl Opened<'_> {
    /// The letter's own identity, and further ones by which others may speak of it.
    ///
    /// Providers replace the letter's Message-ID with their own, which is the envelope's and `identificativo` as well; the
    /// one that the writer's program gave stands in `X-Riferimento-Message-ID` and `msgid` (RFC 6109, seen in real mailboxes). It is
    /// the one that a copy by ordinary mail has. Replies cite either.
    pub(super) fn identity(&self, fields: &Fields<'_>) -> (Option<String>, Vec<String>) {
        let own = thread::own(fields);
        let mut names: Vec<String> = Vec::new();
        for envelope in self.envelopes.iter().rev() {
            let id = envelope.data.as_ref().and_then(|d| d.id.as_deref()).and_then(thread::key);
            for name in [id, envelope.own.clone()].into_iter().flatten() {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if own.as_ref().is_some_and(|own| !names.contains(own)) {
            return (own, names);
        }
        let within = self.envelopes.iter().rev();
        let original = (!self.envelopes.is_empty())
            .then(|| thread::first_id(fields, "x-riferimento-message-id"))
            .flatten()
            .into_iter()
            .chain(within.flat_map(|envelope| {
                let id = envelope.data.as_ref().and_then(|d| d.message_id.as_deref());
                [id.and_then(thread::key), envelope.was.clone()].into_iter().flatten()
            }))
            .find(|id| !names.contains(id));
        (original.or(own), names)
    }

    /// What is certified: None unless the outermost envelope is a transport envelope.
    pub(super) fn certified(&self) -> Option<Certified> {
        let (first, rest) = self.envelopes.split_first()?;
        let transport = |e: &&Envelope| e.kind == Kind::Transport;
        transport(&first).then(|| Certified {
            envelope: first.data.clone().unwrap_or_default(),
            seal: self.seal.clone(),
            within: rest.iter().filter(transport).filter_map(|e| e.data.clone()).collect(),
        })
    }

    /// The sender that the innermost certificate names, for a letter that names none. No more than a claim, as From is.
    pub(super) fn certified_sender(&self) -> Option<Sender> {
        let data = self.certified()?;
        let mut parties = data.within.into_iter().rev().chain([data.envelope]);
        let party = parties.find_map(|data| data.sender)?;
        Some(Sender { name: None, address: Some(party.address) })
    }

    /// What a clerk should know about the envelopes.
    pub(super) fn notes(&self, address: Option<&str>) -> Vec<&'static str> {
        let mut out = Vec::new();
        if self.envelopes.iter().any(|e| e.kind != Kind::Transport) {
            out.push(notes::PEC_NOT_CERTIFIED);
        }
        if self.envelopes.iter().any(|e| e.kind == Kind::Transport && e.data.is_none()) {
            out.push(notes::PEC_NO_DATA);
        }
        if self.letter_missing {
            out.push(notes::PEC_NO_LETTER);
        }
        let sender = self.certified().and_then(|c| c.envelope.sender);
        if let (Some(sender), Some(address)) = (sender, address)
            && sender.address != address
            && !self.letter_missing
        {
            out.push(notes::PEC_OTHER_SENDER);
        }
        out
    }
}
