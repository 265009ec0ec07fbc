//! The words of smista as types, and the ports between its rooms. No I/O happens here.
//!
//! A *channel* hands over *deliveries* (bytes that never change). A delivery is *read* into a [`Reading`]; a
//! [`Message`] among them belongs to a *segnalazione* (the case), for which triage makes a [`Decision`]. The
//! glossary (`docs/glossary.md`) has every word once.

pub mod channel;
pub mod decision;
pub mod delivery;
pub mod documents;
pub mod errors;
pub mod message;
pub mod names;
pub mod outcome;
pub mod pec;
pub mod text;

pub use channel::{
    Accepted, Channel, ChannelError, Cursor, Intake, IntakeError, Pulse, Remedy, Step, UpstreamTask, Verdict,
};
pub use decision::{Alternative, Decision, Evidence, Priority, Vote, VoteSubject};
pub use delivery::{Announced, Delivery, DeliveryKey, Digest, Known, Upstream};
pub use documents::{DOCUMENT_CUT, DOCUMENT_SCAN, DOCUMENT_UNREADABLE, DocumentText, document_of_place};
pub use errors::chain;
pub use message::{Attachment, Form, IgnoreReason, Message, Place, Reading, Sender, ThreadKeys, Unreadable};
pub use names::{ChannelKind, ChannelName, InvalidName, KindId, Number, RulesetId, SectorId};
pub use outcome::{DeliveryState, EntryState, Outcome};
pub use pec::{
    CertificationData, Certified, LegalInstant, Party, Protocol, Receipt, ReceiptKind, Seal, Signature,
    Standing, Trust,
};
pub use text::{Lang, Text};
