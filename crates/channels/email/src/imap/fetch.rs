//! From the server into batches: sizes first, then bodies, as much at a time as the budget allows.
//!
//! Invariants: what goes to the committing side is in ascending order of UIDs without a gap (a UID that was not served goes there
//! as *announced*); `BODY.PEEK[]` only, so that nothing is marked as read; a letter over the limit costs 64 kB. A connection that
//! breaks names a suspect: the first letter that had not come. Next time it is fetched alone, and if that breaks too it is
//! announced and passed, so that no letter stops the ones behind it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use smista_domain::{Announced, ChannelName, Delivery, DeliveryKey, Digest, Upstream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{
    budget::MemoryBudget,
    encode::{internal_date, uid_set},
    error::ImapError,
    generation::Standing,
    response::Body,
    session::Session,
    suspects::Suspects,
    trouble::Trouble,
    wire::HEAD,
};
use crate::config::{After, EmailSettings};

/// UIDs whose sizes are asked for at once.
/// (600 UIDs of ten digits fit into the 8,000 octets that any server takes on a line, RFC 7162 4.)
const SIZES: usize = 600;
/// Letters of one batch: what is committed at once.
const BATCH_LETTERS: usize = 128;
/// Octets of one batch, beyond which it is closed.
const BATCH_BYTES: u64 = 2 * 1024 * 1024;
/// Refusals in a row after which the server, not the letters, is what is wrong.
const REFUSALS: usize = 20;

/// What one folder's fetching needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) channel: &'a ChannelName,
    pub(crate) folder: &'a str,
    pub(crate) settings: &'a EmailSettings,
    pub(crate) budget: &'a MemoryBudget,
    pub(crate) suspects: &'a Suspects,
    pub(crate) now: fn() -> Timestamp,
}

/// What is committed at once.
pub(crate) struct Batch {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) missing: Vec<Announced>,
    /// Everything up to here is in this batch or before it.
    pub(crate) upto: u32,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

/// A letter that is to be fetched.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    pub(crate) uid: u32,
    /// RFC822.SIZE; None when the server did not tell.
    pub(crate) size: Option<u64>,
    /// INTERNALDATE.
    pub(crate) date: Option<String>,
}

/// What became of one letter.
enum Outcome {
    Served(Body),
    Vanished,
    Refused(String),
}

impl Scope<'_> {
    pub(crate) fn key(&self, generation: u64, uid: u32) -> DeliveryKey {
        DeliveryKey(format!("{}/{generation}/{uid}", self.folder))
    }

    pub(crate) fn announced(&self, generation: u64, uid: u32, reason: String, vanished: bool) -> Announced {
        Announced {
            channel: self.channel.clone(),
            scope: self.folder.to_owned(),
            key: self.key(generation, uid),
            reason,
            vanished,
        }
    }

    fn max(&self) -> u64 {
        self.settings.max_message_bytes as u64
    }

    fn oversized(&self, letter: &Letter) -> bool {
        letter.size.is_some_and(|size| size > self.max())
    }

    /// What the letter will cost in memory.
    fn cost(&self, letter: &Letter) -> u64 {
        if self.oversized(letter) { HEAD as u64 } else { letter.size.unwrap_or(self.max()) }
    }

    /// Fetches `uids` (ascending) into `out`.
    pub(crate) async fn fetch_all(
        &self,
        session: &mut Session,
        standing: &Standing,
        uids: &[u32],
        out: &mpsc::Sender<Batch>,
    ) -> Result<(), Trouble> {
        let mut refusals = 0;
        for chunk in portions(uids, self.suspects.of(self.folder)) {
            let letters = match self.sizes(session, chunk).await {
                Ok(letters) => letters,
                Err((error, broken_at)) => {
                    self.broke(standing, chunk, broken_at, Vec::new(), None, out).await;
                    return Err(error.into());
                }
            };
            let last = letters.last().map(|l| l.uid);
            let wanted: Vec<Letter> = letters
                .into_iter()
                .filter(|l| {
                    let scanned = l.uid <= standing.scan;
                    !(scanned && standing.limit.is_some_and(|limit| limit.excludes(l.date.as_deref())))
                })
                .collect();
            for batch in self.batches(&wanted) {
                refusals = self.fetch_batch(session, standing, batch, refusals, out).await?;
            }
            // what the limit passes over at the end of the chunk
            if let Some(upto) = last.filter(|last| wanted.last().is_none_or(|l| l.uid < *last)) {
                let nothing = Batch { deliveries: Vec::new(), missing: Vec::new(), upto, permit: None };
                if out.send(nothing).await.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Cuts letters into batches: alike in how they are fetched, and within the limits.
    fn batches<'l>(&self, letters: &'l [Letter]) -> Vec<&'l [Letter]> {
        let mut out = Vec::new();
        let (mut from, mut cost) = (0, 0);
        let most = BATCH_BYTES.min(self.budget.share());
        for (i, letter) in letters.iter().enumerate() {
            let own = self.cost(letter);
            let unlike = letters.get(from).is_some_and(|first| {
                self.oversized(first) != self.oversized(letter)
                    || first.size.is_none()
                    || letter.size.is_none()
            });
            if i > from && (unlike || i - from >= BATCH_LETTERS || cost + own > most) {
                out.extend(letters.get(from..i));
                (from, cost) = (i, 0);
            }
            cost += own;
        }
        out.extend(letters.get(from..).filter(|rest| !rest.is_empty()));
        out
    }

    /// Sizes and dates. A refusal leaves them unknown; a broken connection says at which UID.
    pub(crate) async fn sizes(
        &self,
        session: &mut Session,
        uids: &[u32],
    ) -> Result<Vec<Letter>, (ImapError, Option<u32>)> {
        let mut letters: BTreeMap<u32, Letter> =
            uids.iter().map(|uid| (*uid, Letter { uid: *uid, size: None, date: None })).collect();
        let line = format!("UID FETCH {} (UID RFC822.SIZE INTERNALDATE)", uid_set(uids));
        let done = session
            .run("UID FETCH sizes", &line, &mut |heard| {
                let Some(got) = heard.fetched() else { return };
                if let Some(letter) = got.uid.and_then(|uid| letters.get_mut(&uid)) {
                    letter.size = got.size.or(letter.size);
                    letter.date = got.date.or(letter.date.take());
                }
            })
            .await;
        match done {
            Ok(_) => {}
            Err(e) if e.fault.is_refusal() => {}
            Err(e) => {
                let first = letters.values().find(|l| l.size.is_none()).map(|l| l.uid);
                return Err((e, first));
            }
        }
        Ok(letters.into_values().collect())
    }

    /// Fetches one batch and hands it on. Returns how many refusals there were in a row, at its end.
    async fn fetch_batch(
        &self,
        session: &mut Session,
        standing: &Standing,
        letters: &[Letter],
        mut refusals: usize,
        out: &mpsc::Sender<Batch>,
    ) -> Result<usize, Trouble> {
        let Some(upto) = letters.last().map(|l| l.uid) else { return Ok(refusals) };
        let permit = self.budget.take(letters.iter().map(|l| self.cost(l)).sum()).await;
        let mut outcomes = BTreeMap::new();
        let fetched = self.bodies(session, letters, &mut outcomes).await;
        let fetched = match fetched {
            Ok(()) => self.settle_unserved(session, letters, &mut outcomes, &mut refusals).await,
            Err(e) => Err(e),
        };
        if let Err(error) = fetched {
            let uids: Vec<u32> = letters.iter().map(|l| l.uid).collect();
            let broken_at = letters.iter().find(|l| !outcomes.contains_key(&l.uid)).map(|l| l.uid);
            let before: Vec<Letter> =
                letters.iter().take_while(|l| Some(l.uid) != broken_at).cloned().collect();
            let served = self.batch(standing, &before, outcomes, before.last().map_or(0, |l| l.uid), permit);
            self.broke(standing, &uids, broken_at, vec![served], Some(&error), out).await;
            return Err(error.into());
        }
        self.suspects.cleared(self.folder, upto);
        let batch = self.batch(standing, letters, outcomes, upto, permit);
        // nobody receives any more: the committing side has ended, and says why
        let _ = out.send(batch).await;
        Ok(refusals)
    }

    /// One `UID FETCH` of bodies. A refusal is no error here: what was not served shows by its absence.
    async fn bodies(
        &self,
        session: &mut Session,
        letters: &[Letter],
        outcomes: &mut BTreeMap<u32, Outcome>,
    ) -> Result<(), ImapError> {
        let uids: Vec<u32> = letters.iter().map(|l| l.uid).collect();
        let item = if letters.first().is_some_and(|l| self.oversized(l)) {
            format!("BODY.PEEK[]<0.{HEAD}>")
        } else {
            "BODY.PEEK[]".to_owned()
        };
        let line = format!("UID FETCH {} (UID {item})", uid_set(&uids));
        let done = session
            .run_keeping("UID FETCH", &line, self.settings.max_message_bytes, &mut |heard| {
                let Some(got) = heard.fetched() else { return };
                let (Some(uid), Some(body)) = (got.uid, got.body) else { return };
                let Ok(at) = letters.binary_search_by_key(&uid, |l| l.uid) else { return };
                // an empty answer for a letter that has a size is no letter
                let hollow = body.bytes.is_empty() && letters.get(at).and_then(|l| l.size) != Some(0);
                if !hollow {
                    outcomes.entry(uid).or_insert(Outcome::Served(body));
                }
            })
            .await;
        match done {
            Err(e) if !e.fault.is_refusal() => Err(e),
            _ => Ok(()),
        }
    }

    /// What was announced but not served: is it still there? Then it is asked for alone, once.
    async fn settle_unserved(
        &self,
        session: &mut Session,
        letters: &[Letter],
        outcomes: &mut BTreeMap<u32, Outcome>,
        refusals: &mut usize,
    ) -> Result<(), ImapError> {
        let unserved: Vec<&Letter> = letters.iter().filter(|l| !outcomes.contains_key(&l.uid)).collect();
        if unserved.is_empty() {
            *refusals = 0;
            return Ok(());
        }
        let uids: Vec<u32> = unserved.iter().map(|l| l.uid).collect();
        let there = session.find(&uid_set(&uids), "").await?;
        for letter in unserved {
            if there.binary_search(&letter.uid).is_err() {
                outcomes.insert(letter.uid, Outcome::Vanished);
                continue;
            }
            if letters.len() > 1 {
                self.bodies(session, std::slice::from_ref(letter), outcomes).await?;
            }
            if outcomes.contains_key(&letter.uid) {
                *refusals = 0;
                continue;
            }
            *refusals += 1;
            if *refusals > REFUSALS {
                let said = super::error::ServerText {
                    code: None,
                    text: format!("{REFUSALS} messages in a row are announced but not served"),
                };
                return Err(ImapError::new("UID FETCH", super::error::Fault::No(said)));
            }
            outcomes.insert(letter.uid, Outcome::Refused("announced but not served".to_owned()));
        }
        Ok(())
    }

    fn batch(
        &self,
        standing: &Standing,
        letters: &[Letter],
        mut outcomes: BTreeMap<u32, Outcome>,
        upto: u32,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Batch {
        let mut batch =
            Batch { deliveries: Vec::with_capacity(letters.len()), missing: Vec::new(), upto, permit };
        for letter in letters {
            match outcomes.remove(&letter.uid) {
                Some(Outcome::Served(body)) => batch.deliveries.push(self.delivery(standing, letter, body)),
                Some(Outcome::Vanished) => batch.missing.push(self.announced(
                    standing.generation,
                    letter.uid,
                    "deleted on the server before it could be fetched".to_owned(),
                    true,
                )),
                Some(Outcome::Refused(reason)) => {
                    batch.missing.push(self.announced(standing.generation, letter.uid, reason, false));
                }
                None => batch.missing.push(self.announced(
                    standing.generation,
                    letter.uid,
                    "announced but not served".to_owned(),
                    false,
                )),
            }
        }
        batch
    }

    fn delivery(&self, standing: &Standing, letter: &Letter, body: Body) -> Delivery {
        let now = (self.now)();
        let received_at = letter.date.as_deref().and_then(internal_date).map_or(now, |(_, at)| at);
        let size = letter.size.unwrap_or(0).max(body.length);
        let truncated = self.oversized(letter) || body.length > body.bytes.len() as u64;
        let upstream = match self.settings.after {
            After::Keep => Upstream::Void,
            // of an oversized letter we hold the beginning only: the server's copy stays the only whole one
            After::Delete { .. } if truncated => Upstream::Void,
            After::Seen | After::Move(_) => Upstream::Pending { due: now },
            After::Delete { days } => {
                let wait = jiff::SignedDuration::from_hours(24 * i64::from(days));
                Upstream::Pending { due: now.checked_add(wait).unwrap_or(Timestamp::MAX) }
            }
        };
        Delivery {
            channel: self.channel.clone(),
            scope: self.folder.to_owned(),
            key: self.key(standing.generation, letter.uid),
            bytes: body.bytes,
            received_at,
            upstream,
            facts: if truncated {
                serde_json::json!({ "size": size, "truncated": true })
            } else {
                serde_json::Value::Null
            },
            recognise: letter.uid <= standing.scan,
        }
    }

    /// The connection broke at `broken_at` while `uids` were fetched: hands on what came before it, and remembers the suspect;
    /// if it was alone and suspect already, it is announced and passed.
    async fn broke(
        &self,
        standing: &Standing,
        uids: &[u32],
        broken_at: Option<u32>,
        before: Vec<Batch>,
        error: Option<&ImapError>,
        out: &mpsc::Sender<Batch>,
    ) {
        for batch in before.into_iter().filter(|b| b.upto > 0) {
            let _ = out.send(batch).await;
        }
        // a refusal says that the server is unwell, not which letter
        let Some(uid) = broken_at.filter(|_| !error.is_some_and(|e| e.fault.is_refusal())) else { return };
        let alone = uids.len() == 1;
        if !self.suspects.accuse(self.folder, uid, alone) {
            return;
        }
        let reason = "the connection breaks whenever it is fetched".to_owned();
        let missing = vec![self.announced(standing.generation, uid, reason, false)];
        let _ = out.send(Batch { deliveries: Vec::new(), missing, upto: uid, permit: None }).await;
    }

    /// One letter alone, outside the order: for announced rows. `Ok(Err(..))` says why there is none.
    pub(crate) async fn fetch_one(
        &self,
        session: &mut Session,
        standing: &Standing,
        uid: u32,
    ) -> Result<Result<(Delivery, Option<OwnedSemaphorePermit>), Announced>, ImapError> {
        let mut letters = self.sizes(session, &[uid]).await.map_err(|(e, _)| e)?;
        let Some(letter) = letters.pop() else {
            return Ok(Err(self.announced(standing.generation, uid, "not listed".to_owned(), false)));
        };
        let permit = self.budget.take(self.cost(&letter)).await;
        let mut outcomes = BTreeMap::new();
        let mut refusals = 0;
        self.bodies(session, std::slice::from_ref(&letter), &mut outcomes).await?;
        self.settle_unserved(session, std::slice::from_ref(&letter), &mut outcomes, &mut refusals).await?;
        let mut batch = self.batch(standing, std::slice::from_ref(&letter), outcomes, uid, None);
        Ok(match (batch.deliveries.pop(), batch.missing.pop()) {
            (Some(delivery), _) => Ok((delivery, permit)),
            (None, Some(missing)) => Err(missing),
            (None, None) => Err(self.announced(standing.generation, uid, "not served".to_owned(), false)),
        })
    }

    /// The digests of letters as the server has them now, for the check before they are deleted. What is not served whole has none.
    pub(crate) async fn digests(
        &self,
        session: &mut Session,
        uids: &[u32],
    ) -> Result<BTreeMap<u32, Digest>, ImapError> {
        if uids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let letters: Vec<Letter> =
            uids.iter().map(|uid| Letter { uid: *uid, size: None, date: None }).collect();
        let mut outcomes = BTreeMap::new();
        self.bodies(session, &letters, &mut outcomes).await?;
        let digest = |(uid, outcome)| match outcome {
            Outcome::Served(body) if body.length == body.bytes.len() as u64 => {
                Some((uid, Digest::of(&body.bytes)))
            }
            _ => None,
        };
        Ok(outcomes.into_iter().filter_map(digest).collect())
    }
}

/// UIDs in portions of [`SIZES`], with the suspect alone.
fn portions(uids: &[u32], suspect: Option<u32>) -> Vec<&[u32]> {
    let at = suspect.and_then(|s| uids.binary_search(&s).ok());
    let Some(at) = at else { return uids.chunks(SIZES).collect() };
    let (before, rest) = uids.split_at_checked(at).unwrap_or((uids, &[]));
    let (alone, after) = rest.split_at_checked(1).unwrap_or((rest, &[]));
    before.chunks(SIZES).chain([alone]).chain(after.chunks(SIZES)).collect()
}
