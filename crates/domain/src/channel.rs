//! The ports between a channel and the rest: what it hands over ([`Intake`]) and what it is ([`Channel`]).
//!
//! Invariant 1 lives here: nothing is acknowledged upstream before [`Intake::accept`] has returned `Ok`.

use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    delivery::{Announced, Delivery, DeliveryKey, Known},
    names::ChannelName,
    text::Text,
};

/// How far a channel has come in one scope (for e-mail a folder): the highest contiguous UID that is committed, announced
/// rows included. Moving it back is harmless.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The scope: for e-mail the folder's name.
    pub scope: String,
    /// The generation of identities: UIDVALIDITY. 0 where there is none.
    pub generation: u64,
    /// The position within the generation: UID.
    pub position: u64,
}

/// What `accept` did with a batch, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Rows made, or announced rows that now have their bytes.
    pub new: usize,
    /// Deliveries whose key was already there: nothing changed.
    pub known: usize,
    /// Deliveries recognised by their bytes after a UIDVALIDITY change: their row gained a key.
    pub recognised: usize,
}

/// Why nothing was accepted. Each says what the caller does now.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Another daemon holds this channel by now: stop at once, tell upstream nothing.
    #[error("the lease on {channel} is held by another daemon (our epoch {epoch} has passed)")]
    LostLease {
        /// The channel.
        channel: ChannelName,
        /// The epoch that we thought was ours.
        epoch: i64,
    },
    /// The database cannot be reached or is shutting down: wait and try again. Nothing was committed, or the commit is
    /// unknown; handing the same batch over again is harmless.
    #[error("the database did not take the batch: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database refused this batch for what is in it: bisect, and quarantine the one that it will not take.
    #[error("the database refused the batch: {0}")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One thing that upstream must still be told about a committed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTask {
    /// The delivery's key of the generation asked for.
    pub key: DeliveryKey,
    /// When it was committed.
    pub accepted_at: Timestamp,
    /// SHA-256 of the bytes that we hold: re-verified before anything irrevocable (delete).
    pub sha256: crate::delivery::Digest,
    /// Size of those bytes in octets.
    pub size: u64,
}

/// Where a channel hands over. `Ok` means durable: bytes and cursor committed together. Only then may upstream be told.
pub trait Intake: Clone + Send + Sync + 'static {
    /// Commits the batch and moves the cursor, in one transaction. Handing over the same again changes nothing.
    fn accept(
        &self,
        batch: Vec<Delivery>,
        advance: Option<Cursor>,
    ) -> impl Future<Output = Result<Accepted, IntakeError>> + Send;

    /// The cursor of a scope, if it ever had one.
    fn cursor(
        &self,
        channel: &ChannelName,
        scope: &str,
    ) -> impl Future<Output = Result<Option<Cursor>, IntakeError>> + Send;

    /// Writes (or counts another failed attempt of) rows for what was announced but not served, together with the cursor.
    fn announce(
        &self,
        announced: Vec<Announced>,
        advance: Option<Cursor>,
    ) -> impl Future<Output = Result<(), IntakeError>> + Send;

    /// Announced rows of a scope whose next attempt is due: to be fetched again.
    fn due_announced(
        &self,
        channel: &ChannelName,
        scope: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Known>, IntakeError>> + Send;

    /// Which of `keys` (at most a few thousand) the store already has: for reconciliation after a fail-over or a doubt.
    fn known(
        &self,
        channel: &ChannelName,
        keys: Vec<DeliveryKey>,
    ) -> impl Future<Output = Result<Vec<Known>, IntakeError>> + Send;

    /// What upstream must still be told and is due now, oldest first; only keys that begin with `key_prefix` (the present
    /// generation: `INBOX/1700000000/`).
    fn upstream_due(
        &self,
        channel: &ChannelName,
        key_prefix: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<UpstreamTask>, IntakeError>> + Send;

    /// Upstream confirmed these (or they are gone there): never to be told again.
    fn upstream_done(
        &self,
        channel: &ChannelName,
        keys: Vec<DeliveryKey>,
    ) -> impl Future<Output = Result<(), IntakeError>> + Send;

    /// A sign of life and what the channel is doing; shown by `status`. Never fails and never waits.
    fn pulse(&self, pulse: Pulse);
}

/// What a channel says of itself while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulse {
    /// Connected and logged in.
    Connected,
    /// Upstream was asked and everything that it had is committed: progress, not just a connection.
    CaughtUp {
        /// The scope that is caught up.
        scope: String,
    },
    /// A scope cannot be opened (a warning says why); it is tried again, and its `CaughtUp` is not to be waited for.
    Closed {
        /// The scope.
        scope: String,
    },
    /// Something worth telling that does not end the run (English, no personal data), with what to do.
    Warning {
        /// Stable word for it, for instance `uid-not-served`.
        code: &'static str,
        /// What happened.
        text: String,
    },
}

/// What an operational error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Connect again (with back-off); it will pass by itself.
    Reconnect,
    /// The database must come back first.
    WaitForDatabase,
    /// Another daemon has the channel.
    Yield,
    /// Only the operator can mend it (password, certificate, folder name); tried again all the same, slowly.
    AskOperator,
}

/// Why a channel's run ended.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ChannelError {
    /// Stable word, for instance `login-refused`, `tls`, `connection-lost`, `timeout`.
    pub code: &'static str,
    /// What happened, where (host, folder, command) and what to do; English, no secret, no personal data.
    pub text: String,
    /// What to do.
    pub remedy: Remedy,
    /// True when something was committed or upstream was found caught up during this run: resets the back-off.
    pub worked: bool,
    /// What lies beneath.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// How a step of a probe went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// It does not work; what comes after it was not tried.
    Error,
}

/// One thing that a probe looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it was, a stable word: for e-mail `settings`, `token`, `dns`, `tcp`, `tls`, `login`, `capabilities`, `folder`, `quota`.
    pub step: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// Of a warning or an error its code, the same as in `status`.
    pub code: Option<&'static str>,
    /// What was found; no secret, no personal data.
    pub text: Text,
    /// What to do about it.
    pub todo: Option<Text>,
}

/// A source that is polled or watched. Runs until stopped or until its connection is spent: the supervisor owns back-off.
pub trait Channel: Send + Sync + 'static {
    /// Its name.
    fn name(&self) -> &ChannelName;
    /// The scopes that a run looks at, each of which says when it is caught up.
    fn scopes(&self) -> Vec<String>;
    /// Runs until `stop` is cancelled (then `Ok`, within a few seconds) or until it cannot go on.
    fn run<I: Intake>(
        &self,
        intake: I,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), ChannelError>> + Send;
    /// Connects, logs in and looks, consuming nothing: for `smista check --connect`. Every step in its order, up to the first
    /// that fails, which is then the last.
    fn probe(&self) -> impl Future<Output = Vec<Step>> + Send;
}
