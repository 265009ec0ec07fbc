//! Letters that another program took out of the folder before they were fetched: a POP client, a filter, somebody's telephone.
//!
//! A server numbers letters in ascending order and tells the next number (UIDNEXT). A number that was given out since the folder was
//! met, is not listed and has no row here was a letter, and it is gone. Not counted:
//! - what was there, or gone, when this generation of the folder was met (`*gone/INBOX`: (UIDVALIDITY, UID) up to which numbers are accounted for);
//! - what has a row: fetched and then moved or deleted, by us or by others;
//! - numbers above the last letter until UIDNEXT was told a second time: some servers raise it before they list the letter;
//! - a gap of more than [`JUMP`] at once: an administrator raised UIDNEXT (after a restore, say).
//!
//! Few servers skip a number now and then (Exchange numbers what is no letter, too), and people delete spam by hand. So single ones are only
//! logged; from [`SAID_FROM`] on, each at most [`MEMORY`] after the one before, it is a warning, for [`SHOWN`] after the last.
//! The count is kept as a cursor (`*vanished/INBOX`: how many, when the last), so that a restart neither forgets nor repeats it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use smista_domain::{Cursor, DeliveryKey, Intake, IntakeError, Pulse};

use super::{
    generation::{Standing, end},
    mailbox::{Folder, KNOWN},
    session::{Opened, Session},
    trouble::Trouble,
};

/// More numbers than these at once are no letters.
const JUMP: u32 = 10_000;
/// Fewer than these are no warning.
const SAID_FROM: u64 = 3;
/// How long a count goes on after the last that vanished.
const MEMORY: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long the warning stands after the last that vanished.
const SHOWN: SignedDuration = SignedDuration::from_hours(24);

/// One folder's account.
#[derive(Debug, Clone, Copy)]
struct Account {
    generation: u64,
    /// Numbers up to here are accounted for.
    upto: u32,
    /// UIDNEXT as it was told when the folder was last opened, in this run.
    told: Option<u32>,
    lost: u64,
    /// When the last was missed.
    at: Timestamp,
}

/// The accounts of one run.
#[derive(Debug, Default)]
pub(crate) struct Accounts(Mutex<BTreeMap<String, Account>>);

impl Accounts {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Account>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The warning, while one is due.
    pub(crate) fn warning(&self, now: Timestamp) -> Option<Pulse> {
        let said: Vec<String> = self.with(|all| {
            let due = |a: &Account| a.lost >= SAID_FROM && now.duration_since(a.at) < SHOWN;
            all.iter().filter(|(_, a)| due(a)).map(|(folder, a)| in_words(folder, a)).collect()
        });
        (!said.is_empty()).then(|| Pulse::Warning { code: "vanished", text: said.join("; ") })
    }
}

fn in_words(folder: &str, account: &Account) -> String {
    format!(
        "folder {folder}: {} messages vanished before they were fetched (the server had numbered them, and they were gone when they \
         were looked for; the last at {:.0})",
        account.lost, account.at
    )
}

impl<I: Intake> Folder<'_, I> {
    /// Opens the folder's account, or goes on with it.
    pub(crate) async fn account(
        &self,
        session: &mut Session,
        standing: &Standing,
        opened: &Opened,
    ) -> Result<(), Trouble> {
        let (folder, generation) = (self.scope.folder, standing.generation);
        let known = self.accounts.with(|all| all.get(folder).copied());
        if known.is_some_and(|a| a.generation == generation) {
            return Ok(());
        }
        let channel = self.scope.channel;
        let lost = match known {
            Some(known) => (known.lost, known.at),
            None => match self.intake.cursor(channel, &vanished_scope(folder)).await? {
                Some(cursor) => (cursor.generation, instant(cursor.position)),
                None => (0, Timestamp::UNIX_EPOCH),
            },
        };
        let gone = self.intake.cursor(channel, &gone_scope(folder)).await?;
        let upto = if let Some(cursor) = gone.filter(|c| c.generation == generation) {
            u32::try_from(cursor.position).unwrap_or(u32::MAX)
        } else {
            let upto = end(opened, session).await?;
            self.write(gone_scope(folder), generation, u64::from(upto)).await?;
            upto
        };
        let account = Account { generation, upto, told: None, lost: lost.0, at: lost.1 };
        self.accounts.with(|all| all.insert(folder.to_owned(), account));
        Ok(())
    }

    /// Notes UIDNEXT as it was told just now. What was told the time before, or now if that is less: a server that takes back
    /// what it said has not given those numbers out.
    pub(crate) fn next_told(&self, next: Option<u32>) -> Option<u32> {
        let before =
            self.accounts.with(|all| std::mem::replace(&mut all.get_mut(self.scope.folder)?.told, next));
        Some(before?.min(next?))
    }

    /// Compares what is listed above the cursor with the numbers that were given out. `told` is an UIDNEXT that was told some time ago.
    pub(crate) async fn compare(
        &self,
        standing: &Standing,
        uids: &[u32],
        told: Option<u32>,
    ) -> Result<(), IntakeError> {
        let folder = self.scope.folder;
        let Some(account) = self.accounts.with(|all| all.get(folder).copied()) else { return Ok(()) };
        let lower = account.upto.max(standing.position).max(standing.scan);
        let upper = told.map_or(0, |next| next.saturating_sub(1)).max(uids.last().copied().unwrap_or(0));
        if upper <= lower || account.generation != standing.generation {
            return Ok(());
        }
        self.accounts.with(|all| all.insert(folder.to_owned(), Account { upto: upper, ..account }));
        let listed = uids.iter().filter(|uid| (lower + 1..=upper).contains(*uid)).count();
        let gap = (upper - lower).saturating_sub(u32::try_from(listed).unwrap_or(u32::MAX));
        if gap == 0 {
            return Ok(());
        }
        let mut lost = 0;
        if gap > JUMP {
            tracing::warn!(channel.name = %self.scope.channel, imap.gap = gap, "UIDNEXT jumped: not counted as letters");
        } else {
            let keys: Vec<DeliveryKey> = (lower + 1..=upper)
                .filter(|uid| uids.binary_search(uid).is_err())
                .map(|uid| self.scope.key(standing.generation, uid))
                .collect();
            for chunk in keys.chunks(KNOWN) {
                let known = self.intake.known(self.scope.channel, chunk.to_vec()).await?;
                lost += chunk.len().saturating_sub(known.len());
            }
        }
        // the count before the mark: rather said twice than never
        self.lose(lost).await?;
        self.write(gone_scope(folder), standing.generation, u64::from(upper)).await
    }

    /// Counts letters that vanished, for good.
    pub(crate) async fn lose(&self, more: usize) -> Result<(), IntakeError> {
        if more == 0 {
            return Ok(());
        }
        let folder = self.scope.folder;
        let now = (self.scope.now)();
        let added = self.accounts.with(|all| {
            let account = all.get_mut(folder)?;
            let before = if now.duration_since(account.at) > MEMORY { 0 } else { account.lost };
            (account.lost, account.at) = (before + more as u64, now);
            Some(account.lost)
        });
        tracing::warn!(channel.name = %self.scope.channel, imap.folder = folder, imap.vanished = more,
            "messages vanished before they were fetched");
        let Some(lost) = added else { return Ok(()) };
        self.write(vanished_scope(folder), lost, now.as_second().max(0).unsigned_abs()).await
    }

    async fn write(&self, scope: String, generation: u64, position: u64) -> Result<(), IntakeError> {
        self.intake.accept(Vec::new(), Some(Cursor { scope, generation, position })).await.map(drop)
    }
}

fn gone_scope(folder: &str) -> String {
    format!("*gone/{folder}")
}

fn vanished_scope(folder: &str) -> String {
    format!("*vanished/{folder}")
}

fn instant(seconds: u64) -> Timestamp {
    i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).expect("in range")
    }

    #[test]
    fn a_warning_begins_at_three_and_ends_a_day_after_the_last() {
        let accounts = Accounts::default();
        let mut account = Account { generation: 7, upto: 9, told: None, lost: 2, at: at(1000) };
        accounts.with(|all| all.insert("INBOX".to_owned(), account));
        assert_eq!(accounts.warning(at(1000)), None, "one or two happen");
        account.lost = 37;
        accounts.with(|all| all.insert("INBOX".to_owned(), account));
        let Some(Pulse::Warning { code, text }) = accounts.warning(at(1023)) else { panic!("a warning") };
        assert_eq!(code, "vanished");
        assert!(text.starts_with("folder INBOX: 37 messages vanished before they were fetched ("), "{text}");
        assert!(text.contains("1970-02-11T16:00:00Z"), "{text}");
        assert_eq!(accounts.warning(at(1024)), None);
    }
}
