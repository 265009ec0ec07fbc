//! What a delivery turns out to be once it is read. Reading is pure: bytes in, [`Reading`] out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    delivery::Digest,
    documents::DocumentText,
    names::Number,
    pec::{Certified, Protocol, Receipt, ReceiptKind},
};

/// Who wrote. Personal data: never in logs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// Display name, if any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// What an answer goes to, lower case: an address, a telephone number (E.164), an account id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address: Option<String>,
}

/// Where the matter is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// As it was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub text: Option<String>,
    /// WGS 84, degrees.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lat: Option<f64>,
    /// WGS 84, degrees.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub long: Option<f64>,
}

/// An attachment: where it lies in the delivery's bytes. The content is not copied; it is found again when asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// File name as declared: data, never a path.
    pub name: String,
    /// Media type, lower case, for instance `application/pdf`.
    pub media_type: String,
    /// Decoded size in octets.
    pub size: u64,
    /// SHA-256 of the decoded content.
    #[serde(with = "hex_digest")]
    pub sha256: Digest,
    /// Which part of the message it is: indices into nested messages and parts, as the channel's reader numbers them.
    pub part: Vec<u32>,
    /// True for images that the HTML text shows inline.
    pub inline: bool,
}

mod hex_digest {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use super::Digest;

    pub(super) fn serialize<S: Serializer>(digest: &Digest, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(digest)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(d)?;
        let mut out = [0; 32];
        hex::decode_to_slice(&text, &mut out).map_err(D::Error::custom)?;
        Ok(Digest(out))
    }
}

/// What ties messages together. Every value is already normalised by the channel (for e-mail `mid:<...>` without brackets).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadKeys {
    /// The message's own identity (Message-ID), if it has one.
    pub own: Option<String>,
    /// What it answers, nearest first: In-Reply-To, then References newest first.
    pub refs: Vec<String>,
    /// A number found in the subject (`[2026-000123]`). It joins only if the sender is already on that case.
    pub number: Option<Number>,
    /// Equal for copies of the same letter (over its identity, sender, date, text and attachments): the second is a double.
    pub fingerprint: String,
}

/// What is known of a message that came through a web form of the administration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// The address from which the form's letters come.
    pub from: String,
    /// The category that the citizen chose, in our words where the settings translate it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category: Option<String>,
    /// The citizen's telephone number, as it was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
}

/// Normalised content of one message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who wrote.
    pub sender: Sender,
    /// To whom it was addressed (To and Cc, lower case); the called number; the account.
    pub recipients: Vec<String>,
    /// Subject, decoded, one line. Empty when there is none.
    pub subject: String,
    /// The citizen's own words: without quoted text and signature. What rules see first.
    pub text: String,
    /// What was split off (quoted text), kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub quoted: String,
    /// The signature that was split off, kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// When the writer says it was written (Date header), if that can be read.
    pub sent_at: Option<Timestamp>,
    /// When upstream received it.
    pub received_at: Timestamp,
    /// Folder or page it came in by.
    pub folder: String,
    /// Attachments, in order.
    pub attachments: Vec<Attachment>,
    /// What documents in the attachment say, where the letter itself says nothing. Rules see it as the citizen's own words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<DocumentText>,
    /// What ties it to others.
    pub thread: ThreadKeys,
    /// Where the matter is, if the channel says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What its provider certifies, if it came as certified mail (PEC). None for what a PEC mailbox took in from ordinary mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<Certified>,
    /// The protocol facts of another administration's letter (`segnatura.xml`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The web form that it came through. Its sender is the citizen who filled it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<Form>,
    /// The clerk who sent it on. Its sender is the citizen whose letter it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded_by: Option<Sender>,
    /// What the clerk should know: `text was cut at 1 MB`, `only the first 64 kB were fetched`. Codes, see docs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Why a reading is no message. The word stands in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoreReason {
    /// `Auto-Submitted` other than `no` (RFC 3834), `X-Auto-Response-Suppress`, vacation notices.
    AutoReply,
    /// `Precedence: bulk|list|junk` or `List-Id`.
    MailingList,
    /// A delivery report (RFC 3464).
    Bounce,
    /// A delivery report that speaks of no failure: delayed, delivered, relayed (RFC 3464, section 2.3.3).
    DeliveryNotice,
    /// We wrote it ourselves (our own address or Message-ID): a loop.
    OwnMail,
    /// Certified mail: our letter was accepted by our provider.
    #[serde(rename = "pec-accettazione")]
    PecAccepted,
    /// Certified mail: our letter lies in its recipient's mailbox.
    #[serde(rename = "pec-consegna")]
    PecDelivered,
    /// Certified mail: our letter could not be delivered.
    #[serde(rename = "pec-mancata-consegna")]
    PecNotDelivered,
    /// Certified mail: no delivery was heard of for 12 or 24 hours.
    #[serde(rename = "pec-preavviso")]
    PecLate,
    /// Certified mail: our provider refused our letter.
    #[serde(rename = "pec-non-accettazione")]
    PecNotAccepted,
    /// Certified mail: a provider took a letter in charge.
    #[serde(rename = "pec-presa-in-carico")]
    PecTakenInCharge,
    /// Certified mail: a provider stopped a virus.
    PecVirus,
    /// Certified mail: a receipt of a kind that is not known.
    #[serde(rename = "pec-ricevuta")]
    PecReceipt,
    /// A post or comment of our own page or account.
    OwnPost,
    /// A message that we sent, as Meta tells everybody who listens.
    Echo,
    /// A like, a reaction, stars without words.
    Reaction,
    /// A message of ours was delivered or read.
    Seen,
    /// Who wrote it took it back.
    Withdrawn,
    /// A page's administrator hid, showed or blocked something.
    Moderation,
    /// Something that happened at Meta and that nobody wrote.
    MetaEvent,
    /// Something of Meta's that this version does not know.
    MetaUnknown,
}

impl IgnoreReason {
    /// The word, as it stands in SQL and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AutoReply => "auto-reply",
            Self::MailingList => "mailing-list",
            Self::Bounce => "bounce",
            Self::DeliveryNotice => "delivery-notice",
            Self::OwnMail => "own-mail",
            Self::PecAccepted => "pec-accettazione",
            Self::PecDelivered => "pec-consegna",
            Self::PecNotDelivered => "pec-mancata-consegna",
            Self::PecLate => "pec-preavviso",
            Self::PecNotAccepted => "pec-non-accettazione",
            Self::PecTakenInCharge => "pec-presa-in-carico",
            Self::PecVirus => "pec-virus",
            Self::PecReceipt => "pec-ricevuta",
            Self::OwnPost => "own-post",
            Self::Echo => "echo",
            Self::Reaction => "reaction",
            Self::Seen => "seen",
            Self::Withdrawn => "withdrawn",
            Self::Moderation => "moderation",
            Self::MetaEvent => "meta-event",
            Self::MetaUnknown => "meta-unknown",
        }
    }
}

impl From<&ReceiptKind> for IgnoreReason {
    fn from(kind: &ReceiptKind) -> Self {
        match kind {
            ReceiptKind::Accepted => Self::PecAccepted,
            ReceiptKind::Delivered => Self::PecDelivered,
            ReceiptKind::NotDelivered => Self::PecNotDelivered,
            ReceiptKind::Late => Self::PecLate,
            ReceiptKind::NotAccepted => Self::PecNotAccepted,
            ReceiptKind::TakenInCharge => Self::PecTakenInCharge,
            ReceiptKind::Virus => Self::PecVirus,
            ReceiptKind::Other(_) => Self::PecReceipt,
        }
    }
}

/// What a delivery turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// A message of a person.
    Message(Box<Message>),
    /// No segnalazione, with the reason.
    Ignored {
        /// Why.
        reason: IgnoreReason,
        /// What it speaks of (the bounced Message-ID), for linking.
        about: Option<String>,
        /// What a receipt of certified mail certifies; it belongs to the answer that `about` names.
        receipt: Option<Box<Receipt>>,
    },
}

/// A delivery that cannot be read: it goes to quarantine with this reason (English, no personal data).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);
