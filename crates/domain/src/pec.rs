//! Certified mail (PEC): what a provider certifies of a letter or of an answer of ours.
//!
//! Invariant: everything here is what a provider's certification data say (`daticert.xml`, annex to the decree of
//! 2 November 2005, in English RFC 6109), and nothing that the writer of a letter says of himself. Lists of words are open:
//! providers add new ones (REM), and what they mean is looked up where they are shown.

use std::fmt;

use jiff::{Timestamp, tz::Offset};
use serde::{Deserialize, Serialize};

/// An instant that has legal effect, in the zone in which the provider certified it. RFC 3339 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LegalInstant {
    /// The instant.
    pub at: Timestamp,
    /// The zone of its certificate, as distance from UTC.
    pub offset: Offset,
}

impl fmt::Display for LegalInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.display_with_offset(self.offset).fmt(f)
    }
}
impl From<LegalInstant> for String {
    fn from(instant: LegalInstant) -> String {
        instant.to_string()
    }
}
impl TryFrom<String> for LegalInstant {
    type Error = jiff::Error;
    fn try_from(text: String) -> Result<Self, jiff::Error> {
        let at: Timestamp = text.parse()?;
        let offset = jiff::fmt::temporal::Pieces::parse(&text)?.to_numeric_offset().unwrap_or(Offset::UTC);
        Ok(Self { at, offset })
    }
}

/// Whether an address is a certified mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// `certificato`: a certified mailbox.
    Certified,
    /// `esterno`: ordinary mail.
    External,
    /// The data do not say.
    Unknown,
}

/// An address in the certification data. Personal data: never in logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The address, lower case.
    pub address: String,
    /// What sort of mailbox it is.
    pub standing: Standing,
}

/// What `daticert.xml` says (RFC 6109, section 4.4). Every field may be absent: providers leave out, and files are broken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificationData {
    /// `postacert@tipo`: `posta-certificata`, `accettazione`, ... As it stands, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `postacert@errore`: `no-dest`, `no-dominio`, `virus`, `altro`, ... None for `nessuno`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `errore-esteso`: the error in the provider's words, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_text: Option<String>,
    /// `mittente`: the mailbox from which it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<Party>,
    /// `destinatari`: to whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Party>,
    /// `gestore-emittente`: the provider that certifies this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// `data`: when, in law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant: Option<LegalInstant>,
    /// `identificativo`: the provider's number of the message, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `msgid`: the Message-ID that the sender gave, as it is written, without brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `consegna`: the mailbox of which a delivery receipt speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_to: Option<String>,
    /// `ricezione`: the mailboxes for which a provider has taken the message in charge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken_for: Vec<String>,
}

/// Whether a provider's signature fits what it signed. It does not say that the signer is a provider: see [`Trust`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "reason")]
pub enum Signature {
    /// The bytes are the ones that were signed with the key of the certificate beside the signature.
    Holds,
    /// They are not: something was changed, on the way or by somebody.
    Broken,
    /// Nothing can be said, for this reason: `no-signature`, `unreadable`, `no-certificate`, `algorithm`, `not-checked`.
    Unchecked(String),
}

impl Default for Signature {
    fn default() -> Self {
        Self::Unchecked("not-checked".to_owned())
    }
}

/// Whether the signer is a provider: its certificate leads to an authority that the settings name (`[pec] ca_file`), and is made
/// out to the address that sent the envelope.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "result", content = "reason")]
pub enum Trust {
    /// It is.
    Trusted,
    /// It is not shown to be, for this reason: `signature` (does not hold, or cannot be checked), `issuer` (no authority of
    /// ours), `expired` (at the time of receipt), `address` (made out to somebody else), `certificate` (anything else).
    Untrusted(String),
    /// The settings name no authority.
    #[default]
    NotAsked,
}

/// What a signature is worth.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Whether it fits the bytes.
    #[serde(default)]
    pub signature: Signature,
    /// Whose it is.
    #[serde(default)]
    pub trust: Trust,
}

/// A letter came as certified mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certified {
    /// What the provider that brought it here certifies: the outermost envelope, the only one that this provider made.
    pub envelope: CertificationData,
    /// What the outermost envelope's signature is worth.
    #[serde(flatten)]
    pub seal: Seal,
    /// What the envelopes within say (a certified letter sent on as it was, from one mailbox to the next), outermost
    /// first. They are part of what the sender of the outermost one handed over: his claim until their signature is checked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<CertificationData>,
}

/// What a receipt says (`X-Ricevuta`). Open: new kinds keep their word.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ReceiptKind {
    /// `accettazione`: the sender's provider took it.
    Accepted,
    /// `avvenuta-consegna`: it lies in the recipient's mailbox.
    Delivered,
    /// `errore-consegna`: it could not be delivered.
    NotDelivered,
    /// `preavviso-errore-consegna`: nothing was heard for 12 or 24 hours.
    Late,
    /// `non-accettazione`: the sender's provider refused it.
    NotAccepted,
    /// `presa-in-carico`: between providers.
    TakenInCharge,
    /// `rilevazione-virus`: between providers.
    Virus,
    /// A kind that was not known when this was written.
    Other(String),
}

impl ReceiptKind {
    /// True if the letter did not and will not reach its recipient.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::NotDelivered | Self::NotAccepted | Self::Virus)
    }

    /// The provider's word.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Accepted => "accettazione",
            Self::Delivered => "avvenuta-consegna",
            Self::NotDelivered => "errore-consegna",
            Self::Late => "preavviso-errore-consegna",
            Self::NotAccepted => "non-accettazione",
            Self::TakenInCharge => "presa-in-carico",
            Self::Virus => "rilevazione-virus",
            Self::Other(word) => word,
        }
    }
}

impl From<String> for ReceiptKind {
    fn from(word: String) -> Self {
        match word.as_str() {
            "accettazione" => Self::Accepted,
            "avvenuta-consegna" => Self::Delivered,
            "errore-consegna" => Self::NotDelivered,
            "preavviso-errore-consegna" => Self::Late,
            "non-accettazione" => Self::NotAccepted,
            "presa-in-carico" => Self::TakenInCharge,
            "rilevazione-virus" => Self::Virus,
            _ => Self::Other(word),
        }
    }
}
impl From<ReceiptKind> for String {
    fn from(kind: ReceiptKind) -> String {
        kind.as_str().to_owned()
    }
}

/// A receipt: what became of a letter that was sent by certified mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What happened.
    pub kind: ReceiptKind,
    /// The thread key of the letter it speaks of (`mid:...`): `X-Riferimento-Message-ID`, else `msgid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// `X-TipoRicevuta`: `completa`, `breve`, `sintetica`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<String>,
    /// False when it came within an anomaly envelope or within another letter's: then its own provider did not hand it over.
    pub direct: bool,
    /// What its signature is worth.
    #[serde(flatten)]
    pub seal: Seal,
    /// What it certifies.
    pub data: CertificationData,
}

/// The protocol facts that another administration wrote beside its letter (`segnatura.xml`): AgID's rules on
/// interoperable protocols, annex C to circular 60/2013 and annex 6 to the guidelines of 2020.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// `CodiceAmministrazione`: the administration's code in the public index (IPA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administration: Option<String>,
    /// `CodiceAOO`: its organisational area.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<String>,
    /// `CodiceRegistro`: the register, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<String>,
    /// `NumeroRegistrazione`, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// `DataRegistrazione`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<jiff::civil::Date>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_keeps_its_zone() {
        let text = "\"2026-09-19T15:41:19+02:00\"";
        let instant: LegalInstant = serde_json::from_str(text).expect("an instant");
        assert_eq!(instant.at.to_string(), "2026-09-19T13:41:19Z");
        assert_eq!(serde_json::to_string(&instant).expect("JSON"), text);
        assert!(serde_json::from_str::<LegalInstant>("\"2026-09-19T15:41:19\"").is_err());
    }

    #[test]
    fn kinds_of_receipts_are_open() {
        for word in [
            "accettazione",
            "avvenuta-consegna",
            "errore-consegna",
            "preavviso-errore-consegna",
            "non-accettazione",
            "presa-in-carico",
            "rilevazione-virus",
            "avvenuta-lettura",
        ] {
            let kind = ReceiptKind::from(word.to_owned());
            assert_eq!(matches!(kind, ReceiptKind::Other(_)), word == "avvenuta-lettura");
            let json = serde_json::to_string(&kind).expect("JSON");
            assert_eq!(json, format!("\"{word}\""));
            assert_eq!(serde_json::from_str::<ReceiptKind>(&json).expect("a kind"), kind);
        }
    }

    #[test]
    fn signatures_are_objects_in_json() {
        let holds = serde_json::to_value(Signature::Holds).expect("JSON");
        assert_eq!(holds, serde_json::json!({ "result": "holds" }));
        let open = serde_json::to_value(Signature::default()).expect("JSON");
        assert_eq!(open, serde_json::json!({ "result": "unchecked", "reason": "not-checked" }));
    }
}
