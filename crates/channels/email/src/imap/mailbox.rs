//! One folder on one connection: look, fetch, commit, tell.
//!
//! Invariants: the cursor moves only together with what it passes, in order, committed or announced; what is new is found by
//! UID alone, never by \Seen, dates or sequence numbers; fetching and committing overlap, bounded by the memory budget.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
};

use futures::future::{Either, select};
use smista_domain::{Announced, Cursor, Delivery, DeliveryKey, Digest, Intake, IntakeError, Known, Pulse};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    encode::{internal_date, uid_set},
    fetch::{Batch, Scope},
    generation::{Standing, reissued, standing},
    session::{Opened, Session},
    trouble::Trouble,
    vanished::Accounts,
};

/// Announced rows that are tried again in one round.
const DUE: u32 = 50;
/// Letters that are compared by their bytes when a UID may have been given out again.
const SUSPECTS: usize = 5;
/// Keys that the store is asked about at once.
pub(crate) const KNOWN: usize = 600;

/// A folder, and where it hands over.
pub(crate) struct Folder<'a, I> {
    pub(crate) scope: Scope<'a>,
    pub(crate) intake: &'a I,
    /// Which numbers are accounted for.
    pub(crate) accounts: &'a Accounts,
    /// Set when something was committed, or the server had nothing more.
    pub(crate) worked: &'a AtomicBool,
    /// Asked for between two steps of telling, which is not cut off in the middle.
    pub(crate) stop: &'a CancellationToken,
}

impl<I: Intake> Folder<'_, I> {
    /// Opens the folder for reading and finds out where it stands.
    pub(crate) async fn open(&self, session: &mut Session) -> Result<Standing, Trouble> {
        let opened = session.open_folder(self.scope.folder, false).await.map_err(|e| {
            if e.fault.is_refusal() && !e.fault.passes_by_itself() { Trouble::Folder(e) } else { e.into() }
        })?;
        let start = self.scope.settings.start;
        let now = (self.scope.now)();
        let standing =
            standing(self.intake, self.scope.channel, self.scope.folder, start, now, &opened, session)
                .await?;
        let standing = self.reconciled(session, standing, &opened).await?;
        self.account(session, &standing, &opened).await?;
        Ok(Standing { told: self.next_told(opened.next), ..standing })
    }

    /// Where UIDNEXT is below what we have: with everything taken in that this may mean.
    async fn reconciled(
        &self,
        session: &mut Session,
        standing: Standing,
        opened: &Opened,
    ) -> Result<Standing, Trouble> {
        let Some(next) = opened.next.filter(|next| *next <= standing.position) else { return Ok(standing) };
        if self.given_out_again(session, &standing, next).await? {
            let (channel, folder) = (self.scope.channel, self.scope.folder);
            return reissued(self.intake, channel, folder, &standing, opened, session).await;
        }
        self.reconcile(session, &standing, next).await?;
        Ok(standing)
    }

    /// Fetches and commits until the server has nothing above the cursor.
    pub(crate) async fn catch_up(
        &self,
        session: &mut Session,
        standing: &mut Standing,
    ) -> Result<(), Trouble> {
        loop {
            let uids = Self::above(session, standing).await?;
            let told = standing.told.take();
            self.compare(standing, &uids, told).await?;
            if let Some(last) = uids.last().copied() {
                self.fetch_and_commit(session, standing, &uids).await?;
                standing.position = last;
            }
            if standing.position < standing.scan {
                self.advance(standing, standing.scan).await?;
                standing.position = standing.scan;
                continue;
            }
            // EXISTS during the fetch: look again before saying that this was all
            if uids.is_empty() || !session.news {
                break;
            }
        }
        self.worked.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn advance(&self, standing: &Standing, to: u32) -> Result<(), IntakeError> {
        self.intake.accept(Vec::new(), Some(self.cursor(standing, to))).await.map(drop)
    }

    fn cursor(&self, standing: &Standing, position: u32) -> Cursor {
        Cursor {
            scope: self.scope.folder.to_owned(),
            generation: standing.generation,
            position: u64::from(position),
        }
    }

    /// What is above the cursor. `n:*` names at least the last message even if n is beyond it, hence the filter.
    async fn above(session: &mut Session, standing: &Standing) -> Result<Vec<u32>, Trouble> {
        let mut uids = Vec::new();
        let mut from = standing.position;
        // `*` has no meaning in an empty folder, and some servers answer BAD
        if session.exists == Some(0) {
            session.news = false;
            return Ok(uids);
        }
        if let Some(limit) = standing.limit.filter(|_| from < standing.scan) {
            let range = format!("{}:{}", from.saturating_add(1), standing.scan);
            uids = session.find(&range, &limit.search_key()).await?;
            uids.retain(|uid| (from + 1..=standing.scan).contains(uid));
            from = standing.scan;
        }
        let range = format!("{}:*", from.saturating_add(1));
        let mut rest = session.find(&range, "").await?;
        rest.retain(|uid| *uid > from);
        uids.extend(rest);
        Ok(uids)
    }

    /// Fetching and committing side by side. Whichever fails, what had been fetched is committed if the database is well.
    async fn fetch_and_commit(
        &self,
        session: &mut Session,
        standing: &Standing,
        uids: &[u32],
    ) -> Result<(), Trouble> {
        let (out, batches) = mpsc::channel(2);
        let fetch = async {
            let done = self.scope.fetch_all(session, standing, uids, &out).await;
            drop(out);
            done
        };
        let commit = self.commit_all(standing, batches);
        match select(pin!(commit), pin!(fetch)).await {
            // the committing side ends first only when it failed: the connection is left in the middle of an answer
            Either::Left((committed, fetch)) => {
                committed?;
                fetch.await
            }
            Either::Right((fetched, commit)) => {
                commit.await?;
                fetched
            }
        }
    }

    async fn commit_all(
        &self,
        standing: &Standing,
        mut batches: mpsc::Receiver<Batch>,
    ) -> Result<(), Trouble> {
        while let Some(batch) = batches.recv().await {
            let Batch { deliveries, missing, upto, permit } = batch;
            let cursor = self.cursor(standing, upto);
            let only_missing = deliveries.is_empty() && !missing.is_empty();
            if !missing.is_empty() {
                self.announce(missing, only_missing.then(|| cursor.clone())).await?;
            }
            if !only_missing {
                self.accept(deliveries, Some(cursor)).await?;
            }
            drop(permit);
            self.worked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn announce(&self, missing: Vec<Announced>, advance: Option<Cursor>) -> Result<(), IntakeError> {
        let unserved = missing.iter().filter(|m| !m.vanished).count();
        if unserved > 0 {
            self.intake.pulse(Pulse::Warning {
                code: "uid-not-served",
                text: format!(
                    "folder {}: {unserved} message(s) are listed by the server but not served; they are tried again by \
                     themselves ('smista deliveries list' shows them)",
                    self.scope.folder
                ),
            });
        }
        let vanished = missing.len() - unserved;
        self.intake.announce(missing, advance).await?;
        self.lose(vanished).await
    }

    /// Commits; a batch that the database refuses for its contents is halved until the one that it will not take is alone, and
    /// that one is announced.
    async fn accept(&self, deliveries: Vec<Delivery>, advance: Option<Cursor>) -> Result<(), IntakeError> {
        let mut open = vec![deliveries];
        while let Some(mut batch) = open.pop() {
            let cursor = advance.clone().filter(|_| open.is_empty());
            // A letter that is alone may be a large one: its bytes are not held on to while they are packed.
            let handed = match batch.as_mut_slice() {
                [one] => vec![Delivery { bytes: std::mem::take(&mut one.bytes), ..one.clone() }],
                many => many.to_vec(),
            };
            match self.intake.accept(handed, cursor.clone()).await {
                Ok(_) => {}
                Err(IntakeError::Refused(_)) if batch.len() > 1 => {
                    let second = batch.split_off(batch.len() / 2);
                    open.push(second);
                    open.push(batch);
                }
                Err(IntakeError::Refused(why)) => {
                    let Some(one) = batch.pop() else { return Err(IntakeError::Refused(why)) };
                    let announced = Announced {
                        channel: one.channel,
                        scope: one.scope,
                        key: one.key,
                        reason: "the database refuses it".to_owned(),
                        vanished: false,
                    };
                    self.announce(vec![announced], cursor).await?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Tries again what was announced and is due.
    pub(crate) async fn retry_announced(
        &self,
        session: &mut Session,
        standing: &Standing,
    ) -> Result<(), Trouble> {
        let scope = &self.scope;
        let due = self.intake.due_announced(scope.channel, scope.folder, DUE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let (mut uids, mut gone, mut deleted) = (Vec::new(), Vec::new(), 0);
        for known in due {
            match uid_of(&known.key, scope.folder, standing.generation) {
                Some(uid) => uids.push(uid),
                None => gone.push(Announced {
                    channel: scope.channel.clone(),
                    scope: scope.folder.to_owned(),
                    key: known.key,
                    reason: "the server renumbered the folder".to_owned(),
                    vanished: true,
                }),
            }
        }
        uids.sort_unstable();
        let there = if uids.is_empty() { Vec::new() } else { session.find(&uid_set(&uids), "").await? };
        for uid in uids {
            if there.binary_search(&uid).is_err() {
                let reason = "deleted on the server before it could be fetched".to_owned();
                gone.push(scope.announced(standing.generation, uid, reason, true));
                deleted += 1;
                continue;
            }
            match scope.fetch_one(session, standing, uid).await {
                Ok(Ok((delivery, permit))) => {
                    self.accept(vec![delivery], None).await?;
                    drop(permit);
                }
                Ok(Err(missing)) => self.announce(vec![missing], None).await?,
                Err(error) => {
                    // counts the attempt, so that it waits longer next time
                    let reason = "the connection breaks whenever it is fetched".to_owned();
                    self.announce(vec![scope.announced(standing.generation, uid, reason, false)], None)
                        .await?;
                    return Err(error.into());
                }
            }
        }
        if !gone.is_empty() {
            self.intake.announce(gone, None).await?;
            self.lose(deleted).await?;
        }
        Ok(())
    }

    /// UIDNEXT is below what we have. Is one of the UIDs from there on another letter's by now? A server that was restored from a
    /// backup should take another UIDVALIDITY (RFC 3501, 2.3.1.1) and does not always. What looks different (size, date) is compared
    /// by its bytes, since sizes and dates alone are wrong on some servers at all times. Where nothing is left from there on, the
    /// next letters will have UIDs that were others' before.
    async fn given_out_again(
        &self,
        session: &mut Session,
        standing: &Standing,
        next: u32,
    ) -> Result<bool, Trouble> {
        let scope = &self.scope;
        let mut uids = session.find(&format!("{next}:{}", standing.position), "").await?;
        uids.retain(|uid| (next..=standing.position).contains(uid));
        if uids.is_empty() {
            return Ok(true);
        }
        for chunk in uids.chunks(KNOWN) {
            let keys: Vec<DeliveryKey> =
                chunk.iter().map(|uid| scope.key(standing.generation, *uid)).collect();
            let known = self.intake.known(scope.channel, keys).await?;
            let held: HashMap<u32, &Known> = known
                .iter()
                .filter_map(|k| Some((uid_of(&k.key, scope.folder, standing.generation)?, k)))
                .collect();
            let mut suspects: Vec<(u32, Digest)> = Vec::new();
            for letter in scope.sizes(session, chunk).await.map_err(|(e, _)| e)? {
                let Some(known) = held.get(&letter.uid) else { continue };
                let Some(sha256) = known.sha256 else { continue };
                let date = letter.date.as_deref().and_then(internal_date);
                let same = letter.size.is_none_or(|size| size == known.size)
                    && date.is_none_or(|(_, at)| at == known.received_at);
                if !same {
                    suspects.push((letter.uid, sha256));
                }
            }
            // A server that is wrong about all of them is not asked for all of them.
            suspects.truncate(SUSPECTS);
            let uids: Vec<u32> = suspects.iter().map(|(uid, _)| *uid).collect();
            let there = scope.digests(session, &uids).await?;
            if suspects.iter().any(|(uid, held)| there.get(uid).is_some_and(|now| now != held)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// UIDNEXT is below what we have: some servers let it go down under the same UIDVALIDITY. What arrives may then have UIDs
    /// below the cursor, so everything from there on is compared with what we have. The limit of the first start holds here too.
    async fn reconcile(&self, session: &mut Session, standing: &Standing, next: u32) -> Result<(), Trouble> {
        let scope = &self.scope;
        tracing::warn!(channel.name = %scope.channel, imap.uidnext = next, imap.cursor = standing.position,
            "UIDNEXT is below the cursor");
        let mut uids = session.find(&format!("{next}:{}", standing.position), "").await?;
        uids.retain(|uid| (next..=standing.position).contains(uid));
        for chunk in uids.chunks(KNOWN) {
            let keys: Vec<DeliveryKey> =
                chunk.iter().map(|uid| scope.key(standing.generation, *uid)).collect();
            let known = self.intake.known(scope.channel, keys).await?;
            let known: HashSet<DeliveryKey> = known.into_iter().map(|k| k.key).collect();
            let unknown: Vec<u32> = chunk
                .iter()
                .copied()
                .filter(|uid| !known.contains(&scope.key(standing.generation, *uid)))
                .collect();
            if unknown.is_empty() {
                continue;
            }
            for letter in scope.sizes(session, &unknown).await.map_err(|(e, _)| e)? {
                if standing.limit.is_some_and(|limit| limit.excludes(letter.date.as_deref())) {
                    continue;
                }
                match scope.fetch_one(session, standing, letter.uid).await? {
                    Ok((delivery, permit)) => {
                        self.accept(vec![delivery], None).await?;
                        drop(permit);
                    }
                    Err(missing) => self.announce(vec![missing], None).await?,
                }
            }
        }
        Ok(())
    }
}

/// The UID of a key of this folder and generation. Folder names may have slashes: the key is read from its end.
pub(crate) fn uid_of(key: &DeliveryKey, folder: &str, wanted: u64) -> Option<u32> {
    let mut ends = key.0.rsplitn(3, '/');
    let (uid, generation, name) = (ends.next()?, ends.next()?, ends.next()?);
    (name == folder && generation.parse() == Ok(wanted)).then(|| uid.parse().ok())?
}
