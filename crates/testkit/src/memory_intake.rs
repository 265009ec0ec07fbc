//! An `Intake` without a database, with the same promises: keys are unique, a batch goes in whole or not at all together with
//! its cursor, announced rows wait for their bytes, known letters are recognised one by one. Faults can be switched on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use smista_domain::{
    Accepted, Announced, ChannelName, Cursor, Delivery, DeliveryKey, Digest, Intake, IntakeError, Known,
    Pulse, Upstream, UpstreamTask,
};
use tokio::sync::{Semaphore, watch};

/// The longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Has no bytes yet.
    Announced,
    /// Has its bytes.
    Committed,
    /// Was announced and is gone upstream.
    Vanished,
}

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// Folder.
    pub scope: String,
    /// Every key that it has.
    pub keys: Vec<DeliveryKey>,
    /// Its state.
    pub state: RowState,
    /// Its bytes (empty while announced, or when bytes are not kept).
    pub bytes: Bytes,
    /// Their digest.
    pub sha256: Digest,
    /// Size in octets.
    pub size: u64,
    /// As the channel said.
    pub received_at: Timestamp,
    /// As the channel said.
    pub facts: serde_json::Value,
    /// What upstream must be told.
    pub upstream: Upstream,
    /// When it was committed.
    pub accepted_at: Timestamp,
    /// Attempts that failed, while announced.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub reason: String,
}

/// Everything that was handed over.
#[derive(Debug, Default, Clone)]
pub struct Contents {
    /// Rows, oldest first.
    pub rows: Vec<Row>,
    /// Cursors by scope.
    pub cursors: HashMap<String, Cursor>,
    /// Pulses, oldest first.
    pub pulses: Vec<Pulse>,
    /// Letters that came again under a known key.
    pub known: usize,
    /// Letters that were recognised by their bytes.
    pub recognised: usize,
    /// How many batches were accepted.
    pub batches: usize,
    /// The largest batch, in octets.
    pub largest_batch: usize,
    by_key: HashMap<DeliveryKey, usize>,
}

impl Contents {
    /// Rows that have their bytes.
    pub fn committed(&self) -> usize {
        self.rows.iter().filter(|r| r.state == RowState::Committed).count()
    }

    /// Rows without bytes.
    pub fn announced(&self) -> usize {
        self.rows.iter().filter(|r| r.state == RowState::Announced).count()
    }

    /// The row of a key.
    pub fn row(&self, key: &str) -> Option<&Row> {
        self.rows.get(*self.by_key.get(&DeliveryKey(key.to_owned()))?)
    }

    /// How often a scope was caught up.
    pub fn caught_up(&self, scope: &str) -> usize {
        self.pulses.iter().filter(|p| matches!(p, Pulse::CaughtUp { scope: s } if s == scope)).count()
    }

    /// True if there was a warning of this code.
    pub fn warned(&self, code: &str) -> bool {
        self.pulses.iter().any(|p| matches!(p, Pulse::Warning { code: c, .. } if *c == code))
    }

    /// Where a scope's cursor stands.
    pub fn position(&self, scope: &str) -> Option<(u64, u64)> {
        self.cursors.get(scope).map(|c| (c.generation, c.position))
    }
}

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "switches, each by itself")]
struct Faults {
    lost_lease: bool,
    unavailable: bool,
    refused: Vec<Vec<u8>>,
    announced_wait: bool,
    now: Option<Timestamp>,
    forget_bytes: bool,
    panic: bool,
}

struct Inner {
    channel: ChannelName,
    contents: Mutex<Contents>,
    faults: Mutex<Faults>,
    changed: watch::Sender<u64>,
    gate: Semaphore,
    /// How often `accept` was called.
    calls: watch::Sender<usize>,
}

/// An intake in memory. Clones share their contents.
#[derive(Clone)]
pub struct MemoryIntake(Arc<Inner>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryIntake {
    /// An empty intake for a channel.
    pub fn new(channel: &ChannelName) -> Self {
        Self(Arc::new(Inner {
            channel: channel.clone(),
            contents: Mutex::default(),
            faults: Mutex::default(),
            changed: watch::Sender::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            calls: watch::Sender::new(0),
        }))
    }

    /// What is in it now.
    pub fn contents(&self) -> Contents {
        lock(&self.0.contents).clone()
    }

    /// Waits until `done` holds of the contents.
    ///
    /// # Panics
    /// When it does not within a minute: with what there was.
    #[allow(clippy::panic, reason = "a test that waits for ever must fail")]
    pub async fn until(&self, what: &str, done: impl Fn(&Contents) -> bool) {
        let mut changes = self.0.changed.subscribe();
        let wait = async {
            while !done(&lock(&self.0.contents)) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            let now = lock(&self.0.contents);
            let pulses: Vec<_> = now.pulses.iter().rev().take(5).collect();
            panic!(
                "waited in vain until {what}: {} committed, {} announced, cursors {:?}, last pulses {pulses:?}",
                now.committed(),
                now.announced(),
                now.cursors,
            );
        }
    }

    /// From now on another daemon holds the channel.
    pub fn lose_lease(&self) {
        lock(&self.0.faults).lost_lease = true;
    }

    /// The database goes away, or comes back.
    pub fn unavailable(&self, yes: bool) {
        lock(&self.0.faults).unavailable = yes;
    }

    /// Letters that contain `marker` are refused by the database.
    pub fn refuse(&self, marker: &[u8]) {
        lock(&self.0.faults).refused.push(marker.to_vec());
    }

    /// Whether announced rows are due for another attempt (they are, unless told otherwise).
    pub fn announced_due(&self, due: bool) {
        lock(&self.0.faults).announced_wait = !due;
    }

    /// The next `accept` panics, as a fault in the program would.
    pub fn panic_once(&self) {
        lock(&self.0.faults).panic = true;
    }

    /// Sets the clock.
    pub fn set_now(&self, now: Timestamp) {
        lock(&self.0.faults).now = Some(now);
    }

    /// Keeps no bytes: for measuring.
    pub fn forget_bytes(&self) {
        lock(&self.0.faults).forget_bytes = true;
    }

    /// From now on every `accept` waits for [`Self::let_through`].
    pub fn close_gate(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Lets so many calls of `accept` through.
    pub fn let_through(&self, calls: usize) {
        self.0.gate.add_permits(calls);
    }

    /// Waits until `accept` has been called so often.
    ///
    /// # Panics
    /// When it is not within a minute.
    pub async fn until_waiting(&self, calls: usize) {
        let mut seen = self.0.calls.subscribe();
        let called = tokio::time::timeout(PATIENCE, seen.wait_for(|n| *n >= calls)).await;
        assert!(called.is_ok(), "waited in vain for {calls} calls of accept");
    }

    fn now(&self) -> Timestamp {
        #[allow(clippy::disallowed_methods, reason = "stands for the database's clock")]
        lock(&self.0.faults).now.unwrap_or_else(Timestamp::now)
    }

    fn check(&self) -> Result<(), IntakeError> {
        let faults = lock(&self.0.faults);
        if faults.lost_lease {
            return Err(IntakeError::LostLease { channel: self.0.channel.clone(), epoch: 1 });
        }
        if faults.unavailable {
            return Err(IntakeError::Unavailable("switched off by the test".into()));
        }
        Ok(())
    }

    fn change<T>(&self, work: impl FnOnce(&mut Contents) -> T) -> T {
        let out = work(&mut lock(&self.0.contents));
        self.0.changed.send_modify(|n| *n += 1);
        out
    }
}

fn present_generation(key: &DeliveryKey) -> &str {
    key.0.rfind('/').and_then(|at| key.0.get(..=at)).unwrap_or("")
}

fn take_in(contents: &mut Contents, delivery: Delivery, now: Timestamp, forget: bool, tally: &mut Accepted) {
    let size = delivery.bytes.len() as u64;
    let sha256 = if forget { Digest([0; 32]) } else { Digest::of(&delivery.bytes) };
    let bytes = if forget { Bytes::new() } else { delivery.bytes };
    if let Some(row) = contents.by_key.get(&delivery.key).and_then(|at| contents.rows.get_mut(*at)) {
        if row.state == RowState::Announced {
            row.state = RowState::Committed;
            (row.bytes, row.sha256, row.size) = (bytes, sha256, size);
            (row.facts, row.upstream, row.accepted_at) = (delivery.facts, delivery.upstream, now);
            tally.new += 1;
        } else {
            tally.known += 1;
        }
        return;
    }
    if delivery.recognise {
        let generation = present_generation(&delivery.key).to_owned();
        let same = contents.rows.iter().position(|r| {
            r.state == RowState::Committed
                && r.scope == delivery.scope
                && r.sha256 == sha256
                && !r.keys.iter().any(|k| k.0.starts_with(&generation))
        });
        if let Some((at, row)) = same.and_then(|at| Some((at, contents.rows.get_mut(at)?))) {
            row.keys.push(delivery.key.clone());
            contents.by_key.insert(delivery.key, at);
            tally.recognised += 1;
            return;
        }
    }
    contents.by_key.insert(delivery.key.clone(), contents.rows.len());
    contents.rows.push(Row {
        scope: delivery.scope,
        keys: vec![delivery.key],
        state: RowState::Committed,
        bytes,
        sha256,
        size,
        received_at: delivery.received_at,
        facts: delivery.facts,
        upstream: delivery.upstream,
        accepted_at: now,
        attempts: 0,
        reason: String::new(),
    });
    tally.new += 1;
}

fn known(row: &Row, key: DeliveryKey) -> Known {
    let announced = row.state == RowState::Announced;
    let truncated = row.facts.get("truncated").is_some();
    let said = row.facts.get("size").and_then(serde_json::Value::as_u64);
    Known {
        key,
        announced,
        attempts: row.attempts,
        size: said.unwrap_or(row.size),
        received_at: row.received_at,
        sha256: (!announced && !truncated).then_some(row.sha256),
    }
}

impl Intake for MemoryIntake {
    async fn accept(&self, batch: Vec<Delivery>, advance: Option<Cursor>) -> Result<Accepted, IntakeError> {
        self.0.calls.send_modify(|n| *n += 1);
        if let Ok(permit) = self.0.gate.acquire().await {
            permit.forget();
            // an open gate does not run out
            if self.0.gate.available_permits() > Semaphore::MAX_PERMITS / 2 {
                self.0.gate.add_permits(1);
            }
        }
        self.check()?;
        let panics = std::mem::take(&mut lock(&self.0.faults).panic);
        assert!(!panics, "as the test asked for");
        let (refused, forget) = {
            let faults = lock(&self.0.faults);
            let contains = |bytes: &[u8], m: &Vec<u8>| bytes.windows(m.len()).any(|w| w == m.as_slice());
            let refused = batch.iter().any(|d| faults.refused.iter().any(|m| contains(&d.bytes, m)));
            (refused, faults.forget_bytes)
        };
        if refused {
            return Err(IntakeError::Refused("marked by the test".into()));
        }
        let now = self.now();
        Ok(self.change(|contents| {
            let mut tally = Accepted::default();
            let octets = batch.iter().map(|d| d.bytes.len()).sum();
            contents.largest_batch = contents.largest_batch.max(octets);
            contents.batches += 1;
            for delivery in batch {
                take_in(contents, delivery, now, forget, &mut tally);
            }
            contents.known += tally.known;
            contents.recognised += tally.recognised;
            if let Some(cursor) = advance {
                contents.cursors.insert(cursor.scope.clone(), cursor);
            }
            tally
        }))
    }

    async fn cursor(&self, _: &ChannelName, scope: &str) -> Result<Option<Cursor>, IntakeError> {
        self.check()?;
        Ok(lock(&self.0.contents).cursors.get(scope).cloned())
    }

    async fn announce(&self, announced: Vec<Announced>, advance: Option<Cursor>) -> Result<(), IntakeError> {
        self.check()?;
        let now = self.now();
        self.change(|contents| {
            for one in announced {
                let state = if one.vanished { RowState::Vanished } else { RowState::Announced };
                if let Some(row) = contents.by_key.get(&one.key).and_then(|at| contents.rows.get_mut(*at)) {
                    if row.state == RowState::Announced {
                        row.state = state;
                        row.attempts += 1;
                        row.reason = one.reason;
                    }
                    continue;
                }
                contents.by_key.insert(one.key.clone(), contents.rows.len());
                contents.rows.push(Row {
                    scope: one.scope,
                    keys: vec![one.key],
                    state,
                    bytes: Bytes::new(),
                    sha256: Digest::of(b""),
                    size: 0,
                    received_at: now,
                    facts: serde_json::Value::Null,
                    upstream: Upstream::Void,
                    accepted_at: now,
                    attempts: 1,
                    reason: one.reason,
                });
            }
            if let Some(cursor) = advance {
                contents.cursors.insert(cursor.scope.clone(), cursor);
            }
        });
        Ok(())
    }

    async fn due_announced(
        &self,
        _: &ChannelName,
        scope: &str,
        limit: u32,
    ) -> Result<Vec<Known>, IntakeError> {
        self.check()?;
        if lock(&self.0.faults).announced_wait {
            return Ok(Vec::new());
        }
        let contents = lock(&self.0.contents);
        let due = contents.rows.iter().filter(|r| r.state == RowState::Announced && r.scope == scope);
        Ok(due.take(limit as usize).filter_map(|r| Some(known(r, r.keys.last()?.clone()))).collect())
    }

    async fn known(&self, _: &ChannelName, keys: Vec<DeliveryKey>) -> Result<Vec<Known>, IntakeError> {
        self.check()?;
        let contents = lock(&self.0.contents);
        let row = |key: &DeliveryKey| contents.rows.get(*contents.by_key.get(key)?);
        Ok(keys
            .into_iter()
            .filter_map(|key| {
                let row = row(&key)?;
                Some(known(row, key))
            })
            .collect())
    }

    async fn upstream_due(
        &self,
        _: &ChannelName,
        key_prefix: &str,
        limit: u32,
    ) -> Result<Vec<UpstreamTask>, IntakeError> {
        self.check()?;
        let now = self.now();
        let contents = lock(&self.0.contents);
        Ok(contents
            .rows
            .iter()
            .filter(|r| {
                r.state == RowState::Committed
                    && matches!(r.upstream, Upstream::Pending { due } if due <= now)
            })
            .filter_map(|r| {
                let key = r.keys.iter().find(|k| k.0.starts_with(key_prefix))?.clone();
                Some(UpstreamTask { key, accepted_at: r.accepted_at, sha256: r.sha256, size: r.size })
            })
            .take(limit as usize)
            .collect())
    }

    async fn upstream_done(&self, _: &ChannelName, keys: Vec<DeliveryKey>) -> Result<(), IntakeError> {
        self.check()?;
        self.change(|contents| {
            for key in keys {
                if let Some(row) = contents.by_key.get(&key).and_then(|at| contents.rows.get_mut(*at)) {
                    row.upstream = Upstream::Done;
                }
            }
        });
        Ok(())
    }

    fn pulse(&self, pulse: Pulse) {
        self.change(|contents| contents.pulses.push(pulse));
    }
}
