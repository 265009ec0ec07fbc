//! How full the mailbox is (QUOTA, RFC 2087 and RFC 9208): a full mailbox refuses letters, and nobody here would ever see them.
//!
//! Invariant: this is news for people and nothing depends on it. It is asked after the letters, at most once per
//! [`super::Timing::quota`] and folder; a refusal or nonsense means that nothing is known. (A server that falls silent at the question
//! costs one connection, after the letters have been fetched, and is not asked again before the time has passed.)

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_imap::imap_proto::{Response, rfc2087::QuotaResourceName};
use smista_domain::{Pulse, Text};
use tokio::time::Instant;

use super::{
    encode::mailbox,
    error::{Fault, ImapError},
    session::Session,
};

/// From here on the mailbox is nearly full.
const NEARLY_FULL_PERCENT: u64 = 90;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Units of 1024 octets.
    Storage,
    /// Messages.
    Message,
}

/// How much of one resource is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fullness {
    pub(crate) resource: Resource,
    pub(crate) used: u64,
    /// More than 0.
    pub(crate) limit: u64,
}

impl Fullness {
    /// More than 100 where the limit was lowered afterwards.
    pub(crate) fn percent(&self) -> u64 {
        u64::try_from(u128::from(self.used) * 100 / u128::from(self.limit)).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_nearly_full(&self) -> bool {
        self.percent() >= NEARLY_FULL_PERCENT
    }

    /// In both languages.
    pub(crate) fn text(&self) -> Text {
        let percent = self.percent();
        match self.resource {
            Resource::Storage => {
                let (used, limit) = (size(self.used), size(self.limit));
                Text::new(
                    format!("piena al {percent} %: {used} di {limit}"),
                    format!("{percent} % full: {used} of {limit}"),
                )
            }
            Resource::Message => {
                let Self { used, limit, .. } = self;
                Text::new(
                    format!("piena al {percent} %: {used} messaggi su {limit}"),
                    format!("{percent} % full: {used} of {limit} messages"),
                )
            }
        }
    }
}

/// Units of 1024 octets for people.
fn size(units: u64) -> String {
    if units < 10 * 1024 { format!("{units} kB") } else { format!("{} MB", units / 1024) }
}

impl Session {
    /// How full the mailbox is that the folder belongs to; the fullest of each resource, since a folder may have several quota
    /// roots. Empty: the server does not tell.
    pub(crate) async fn quota(&mut self, folder: &str) -> Result<Vec<Fullness>, ImapError> {
        let mut found: Vec<Fullness> = Vec::new();
        if !self.can("QUOTA") {
            return Ok(found);
        }
        let line = format!("GETQUOTAROOT {}", mailbox(folder));
        let done = self
            .run("GETQUOTAROOT", &line, &mut |heard| {
                let Response::Quota(quota) = heard.response else { return };
                for told in &quota.resources {
                    let resource = match told.name {
                        QuotaResourceName::Storage => Resource::Storage,
                        QuotaResourceName::Message => Resource::Message,
                        QuotaResourceName::Atom(_) => continue,
                    };
                    let new = Fullness { resource, used: told.usage, limit: told.limit };
                    match found.iter_mut().find(|f| f.resource == resource) {
                        // a limit of 0 is said by servers that mean "none"
                        _ if new.limit == 0 => {}
                        Some(old) if old.percent() >= new.percent() => {}
                        Some(old) => *old = new,
                        None => found.push(new),
                    }
                }
            })
            .await;
        match done {
            // announced, but not known: the connection is as it was
            Err(ImapError { fault: fault @ (Fault::No(_) | Fault::Bad(_)), .. }) => {
                tracing::debug!(imap.said = %fault, "the server tells no quota");
                self.forget("QUOTA");
                Ok(Vec::new())
            }
            Err(e) => Err(e),
            Ok(_) => Ok(found),
        }
    }
}

/// What is known of one mailbox's folders, from one run to the next.
#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<BTreeMap<String, (Instant, Vec<Fullness>)>>);

impl Quotas {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, (Instant, Vec<Fullness>)>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// True if it is time to ask about this folder; it counts as asked from now on.
    pub(crate) fn is_due(&self, folder: &str, every: Duration) -> bool {
        self.with(|known| match known.get_mut(folder) {
            Some((asked, _)) if asked.elapsed() < every => false,
            Some((asked, _)) => {
                *asked = Instant::now();
                true
            }
            None => known.insert(folder.to_owned(), (Instant::now(), Vec::new())).is_none(),
        })
    }

    /// What the server said about this folder.
    pub(crate) fn note(&self, folder: &str, told: Vec<Fullness>) {
        self.with(|known| known.insert(folder.to_owned(), (Instant::now(), told)));
    }

    /// The warning, while one is due.
    pub(crate) fn warning(&self) -> Option<Pulse> {
        let fullest = self
            .with(|known| known.values().flat_map(|(_, told)| told).copied().max_by_key(Fullness::percent));
        let fullest = fullest.filter(Fullness::is_nearly_full)?;
        Some(Pulse::Warning {
            code: "mailbox-nearly-full",
            text: format!(
                "the mailbox is {}; make room or have it enlarged, a full mailbox refuses mail",
                fullest.text().en
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(used: u64, limit: u64) -> Fullness {
        Fullness { resource: Resource::Storage, used, limit }
    }

    #[test]
    fn nearly_full_begins_at_ninety() {
        assert!(!storage(899, 1000).is_nearly_full());
        assert!(storage(900, 1000).is_nearly_full());
        assert_eq!(storage(u64::MAX, 1).percent(), u64::MAX, "nonsense is no panic");
        assert_eq!(storage(930 * 1024, 1000 * 1024).text().en, "93 % full: 930 MB of 1000 MB");
        let letters = Fullness { resource: Resource::Message, used: 95, limit: 100 };
        assert_eq!(letters.text().it, "piena al 95 %: 95 messaggi su 100");
    }

    #[tokio::test]
    async fn a_folder_is_not_asked_about_twice_within_the_time() {
        let quotas = Quotas::default();
        assert!(quotas.is_due("INBOX", Duration::from_hours(1)));
        assert!(!quotas.is_due("INBOX", Duration::from_hours(1)), "even if it never answered");
        assert!(quotas.is_due("Altra", Duration::from_hours(1)));
        assert!(quotas.is_due("INBOX", Duration::ZERO));
        quotas.note("INBOX", vec![storage(95, 100)]);
        quotas.note("Altra", vec![storage(10, 100)]);
        assert!(matches!(quotas.warning(), Some(Pulse::Warning { code: "mailbox-nearly-full", .. })));
        quotas.note("INBOX", vec![storage(89, 100)]);
        assert_eq!(quotas.warning(), None);
    }
}
