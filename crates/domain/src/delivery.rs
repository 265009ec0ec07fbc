//! Deliveries: what a channel handed over, as bytes that never change.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::names::ChannelName;

/// What identifies a delivery within its channel; unique there. E-mail: `FOLDER/UIDVALIDITY/UID`; an imported letter:
/// `sha256:...`; Meta: identity, verb, version (docs/reference/meta.md). A delivery may gain further keys (the same letter under a new UID after a UIDVALIDITY change).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryKey(pub String);

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SHA-256 over raw bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Whether upstream must still be told that we have it (\Seen, moved, deleted): retried until done, survives a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upstream {
    /// Nothing to tell (any more): the policy is `keep`, or the letter is gone upstream.
    Void,
    /// To be told, not before the given instant (`delete_after_days`).
    Pending {
        /// The first instant at which upstream may be told.
        due: Timestamp,
    },
    /// Told, and upstream confirmed it.
    Done,
}

/// One thing that a channel hands over.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it came in.
    pub channel: ChannelName,
    /// The part of the channel that has a cursor of its own: for e-mail the folder.
    pub scope: String,
    /// What identifies it within the channel.
    pub key: DeliveryKey,
    /// The raw bytes, exactly as received.
    pub bytes: Bytes,
    /// When upstream received it (IMAP INTERNALDATE), or when we did.
    pub received_at: Timestamp,
    /// What upstream must be told once this is committed.
    pub upstream: Upstream,
    /// Facts that are not in the bytes, as small JSON: `{"size": octets on the server, "truncated": true}` when only the
    /// beginning of an oversized letter was fetched. Null when there are none.
    pub facts: serde_json::Value,
    /// True while a folder is scanned again after its UIDVALIDITY changed: a row with the same bytes, in this channel and
    /// scope, that has no key of the present UIDVALIDITY yet is *recognised* (gets this key) instead of a second row
    /// being made.
    pub recognise: bool,
}

/// Something that upstream announced (a UID in SEARCH) but did not serve. It is a row without bytes, with retries of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The channel.
    pub channel: ChannelName,
    /// The folder.
    pub scope: String,
    /// Its key, the same that the delivery will have once it is served.
    pub key: DeliveryKey,
    /// Why it could not be fetched, in English, without personal data.
    pub reason: String,
    /// True when upstream says that it exists no more: the row is settled as ignored (`vanished`).
    pub vanished: bool,
}

/// A row that the store already has for a channel: what reconciliation compares with upstream's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The key.
    pub key: DeliveryKey,
    /// True while only announced (no bytes yet).
    pub announced: bool,
    /// How often serving it has failed.
    pub attempts: u32,
    /// What upstream said of its size, in octets; 0 while only announced.
    pub size: u64,
    /// When upstream received it.
    pub received_at: Timestamp,
    /// Over all of its bytes; none while only announced, or when we hold its beginning only.
    pub sha256: Option<Digest>,
}
