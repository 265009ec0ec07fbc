//! What came and what was refused, in numbers: for `status` and for warnings. Holds no content.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use smista_domain::ChannelName;
use tokio::time::Instant;

/// Ids of strangers that are remembered; only Meta can name any, since the signature is looked at first.
const MAX_STRANGERS: usize = 100;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// The verify token of a handshake is not ours.
    VerifyToken,
    /// No signature, or none of this form (an old SHA-1 one alone).
    NoSignature,
    /// A signature that fits none of the app secrets.
    WrongSignature,
    /// No app secret could be read.
    NoSecret,
    /// A body beyond the limit.
    TooLarge,
    /// A body that did not come to its end in time, or broke off.
    TooSlow,
    /// A signed body that is no JSON, is nested too deeply, or has too many updates.
    Unreadable,
    /// More at once than we take.
    Busy,
    /// The database is away, or did not commit in time.
    Database,
}

impl Refusal {
    /// The word for it, as it stands in logs and problem documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyToken => "verify-token",
            Self::NoSignature => "no-signature",
            Self::WrongSignature => "wrong-signature",
            Self::NoSecret => "no-secret",
            Self::TooLarge => "too-large",
            Self::TooSlow => "too-slow",
            Self::Unreadable => "unreadable",
            Self::Busy => "busy",
            Self::Database => "database",
        }
    }
}

/// The numbers of one process, since its start.
#[derive(Debug, Default)]
pub struct Traffic(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    accepted: BTreeMap<ChannelName, u64>,
    refused: BTreeMap<Refusal, (u64, Option<Instant>)>,
    strangers: BTreeMap<String, Instant>,
}

/// What [`Traffic`] has counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// New deliveries, by channel.
    pub accepted: BTreeMap<ChannelName, u64>,
    /// Refused requests, by reason.
    pub refused: BTreeMap<Refusal, u64>,
    /// Reasons for which something was refused lately.
    pub lately: Vec<Refusal>,
    /// Accounts that are not ours and for which something came lately.
    pub strangers: Vec<String>,
}

impl Traffic {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn accepted(&self, channel: &ChannelName, new: usize) {
        *self.lock().accepted.entry(channel.clone()).or_default() += new as u64;
    }

    pub(crate) fn refused(&self, why: Refusal) {
        let mut state = self.lock();
        let (n, last) = state.refused.entry(why).or_default();
        *n += 1;
        *last = Some(Instant::now());
        let n = *n;
        drop(state);
        // Junk from the internet must not fill the journal: the first, the tenth, the hundredth ...
        if n.ilog10() != (n - 1).checked_ilog10().unwrap_or(u32::MAX) {
            tracing::info!(refused = why.as_str(), times = n, "a request to /webhooks/meta was refused");
        }
    }

    pub(crate) fn stranger(&self, account: &str) {
        let mut state = self.lock();
        if state.strangers.len() >= MAX_STRANGERS && !state.strangers.contains_key(account) {
            let oldest = state.strangers.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
            oldest.and_then(|id| state.strangers.remove(&id));
        }
        state.strangers.insert(account.to_owned(), Instant::now());
    }

    /// The numbers; `lately` is what counts as such.
    pub fn snapshot(&self, lately: Duration) -> Snapshot {
        self.at(Instant::now(), lately)
    }

    fn at(&self, now: Instant, lately: Duration) -> Snapshot {
        let state = self.lock();
        let recent = |at: &Instant| now.saturating_duration_since(*at) < lately;
        Snapshot {
            accepted: state.accepted.clone(),
            refused: state.refused.iter().map(|(why, (n, _))| (*why, *n)).collect(),
            lately: state
                .refused
                .iter()
                .filter(|(_, (_, at))| at.as_ref().is_some_and(recent))
                .map(|(why, _)| *why)
                .collect(),
            strangers: state
                .strangers
                .iter()
                .filter(|(_, at)| recent(at))
                .map(|(id, _)| id.clone())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_and_what_was_lately_passes() {
        let (traffic, hour) = (Traffic::default(), Duration::from_hours(1));
        let page: ChannelName = "meta/comune".parse().expect("a name");
        traffic.accepted(&page, 2);
        traffic.accepted(&page, 1);
        traffic.refused(Refusal::WrongSignature);
        traffic.stranger("42");
        let now = traffic.snapshot(hour);
        assert_eq!((now.accepted[&page], now.refused[&Refusal::WrongSignature]), (3, 1));
        assert_eq!((now.lately, now.strangers), (vec![Refusal::WrongSignature], vec!["42".to_owned()]));
        let later = traffic.at(Instant::now() + hour, hour);
        assert_eq!(later.refused[&Refusal::WrongSignature], 1);
        assert!(later.lately.is_empty() && later.strangers.is_empty());
    }

    #[test]
    fn strangers_are_bounded() {
        let traffic = Traffic::default();
        for n in 0..500 {
            traffic.stranger(&n.to_string());
        }
        assert_eq!(traffic.snapshot(Duration::from_hours(1)).strangers.len(), MAX_STRANGERS);
    }
}
