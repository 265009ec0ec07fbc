//! Too many letters of one sender in a short time: they wait in quarantine until a person has looked, and are never ignored.
//!
//! Counted by the instants at which the server received them, so that the first look into a mailbox with years of mail is no
//! flood. The count is the database's and is raised in the transaction that settles the letters: several workers and daemons
//! count together, and what is rolled back was not counted. It costs nothing on an ordinary day: each process remembers whom it
//! has just seen and asks the database from the second letter of one sender within a span on (so with several daemons one
//! letter each may go uncounted).
//!
//! While a span had more letters than the limit, everything in the next one waits as well: what goes on all night does
//! not begin anew every ten minutes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::{Settlement, Verdict};
use crate::StoreError;

/// The reason with which a flood's letters wait in quarantine.
pub const REASON: &str = "flood";

/// Ten minutes, in seconds.
const SPAN: i64 = 600;
/// So many senders are remembered; beyond it, memory is emptied.
const MAX_SENDERS: usize = 50_000;
/// Counts are of no use a day later. Looked for once in so many askings.
const TIDY_EVERY: u64 = 500;

/// Whose letter it is, and how many of them are too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The address that it was sent from: of a form, the form's.
    pub sender: String,
    /// More than so many within ten minutes are a flood.
    pub limit: u32,
}

type Key = [u8; 32];

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    slot: i64,
    /// Letters of this span that only this process knows of.
    uncounted: i64,
    /// The database counts this sender.
    counted: bool,
    /// The last of them was too many.
    hot: bool,
}

/// Whom this process has seen lately.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    senders: Mutex<HashMap<Key, Seen>>,
    asked: std::sync::atomic::AtomicU64,
}

/// What was found in a batch; [`Recent::learn`] takes over what it teaches once the batch is committed.
#[derive(Default)]
pub(super) struct Found {
    pub(super) floods: HashSet<i64>,
    seen: Vec<(Key, Seen)>,
}

impl Recent {
    fn of(&self, key: &Key) -> Seen {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or_default()
    }

    pub(super) fn learn(&self, found: Found) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() + found.seen.len() > MAX_SENDERS {
            senders.clear();
        }
        senders.extend(found.seen);
    }

    fn is_time_to_tidy(&self) -> bool {
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(TIDY_EVERY)
    }
}

/// Letters of one sender in one span.
struct Group {
    deliveries: Vec<i64>,
    limit: i64,
}

fn groups(batch: &[Settlement], ours: &HashSet<i64>) -> BTreeMap<(Key, i64), Group> {
    let mut groups: BTreeMap<(Key, i64), Group> = BTreeMap::new();
    for item in batch.iter().filter(|item| ours.contains(&item.delivery)) {
        let (Verdict::Message { message, .. }, Some(watched)) = (&item.verdict, &item.watched) else {
            continue;
        };
        let mut hash = Sha256::new();
        hash.update(item.channel.as_bytes());
        hash.update([0]);
        hash.update(watched.sender.to_lowercase().as_bytes());
        let slot = message.received_at.as_second().div_euclid(SPAN);
        let group = groups
            .entry((hash.finalize().into(), slot))
            .or_insert_with(|| Group { deliveries: Vec::new(), limit: i64::from(watched.limit) });
        group.deliveries.push(item.delivery);
    }
    groups
}

/// Which letters of a batch are a flood's. Holds the counts that it raised until the transaction ends.
pub(super) async fn find(
    conn: &mut PgConnection,
    batch: &[Settlement],
    ours: &HashSet<i64>,
    recent: &Recent,
) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let groups = groups(batch, ours);
    let (mut senders, mut slots, mut more) = (Vec::new(), Vec::new(), Vec::new());
    for ((key, slot), group) in &groups {
        let n = i64::try_from(group.deliveries.len()).unwrap_or(i64::MAX);
        let before = recent.of(key);
        let here = if before.slot == *slot { before } else { Seen { slot: *slot, ..Seen::default() } };
        if here.counted || before.hot || here.uncounted + n > 1 {
            senders.push(key.to_vec());
            slots.push(*slot);
            more.push(here.uncounted + n);
        } else {
            found.seen.push((*key, Seen { uncounted: here.uncounted + n, ..here }));
        }
    }
    if senders.is_empty() {
        return Ok(found);
    }
    if recent.is_time_to_tidy() {
        tidy(conn).await?;
    }
    let rows = sqlx::query!(
        r#"insert into flood_counts as f (sender, slot, letters)
           select * from unnest($1::bytea[], $2::bigint[], $3::bigint[])
           on conflict (sender, slot) do update set letters = f.letters + excluded.letters, counted_at = now()
           returning f.sender, f.slot, f.letters,
             (select p.letters from flood_counts p where p.sender = f.sender and p.slot = f.slot - 1) as before"#,
        &senders,
        &slots,
        &more,
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let Ok(key) = Key::try_from(row.sender.as_slice()) else { continue };
        let Some(group) = groups.get(&(key, row.slot)) else { continue };
        let n = i64::try_from(group.deliveries.len()).unwrap_or(i64::MAX);
        // The first of them are within the limit, unless the span before was beyond it.
        let left = if row.before.unwrap_or(0) > group.limit { 0 } else { group.limit - (row.letters - n) };
        let within = usize::try_from(left.max(0)).unwrap_or(usize::MAX);
        let floods = group.deliveries.iter().skip(within);
        let seen = Seen { slot: row.slot, uncounted: 0, counted: true, hot: left < n };
        found.floods.extend(floods);
        found.seen.push((key, seen));
    }
    Ok(found)
}

/// Removes counts of which nobody asks any more; those that somebody holds are left for the next time.
async fn tidy(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from flood_counts where (sender, slot) in
           (select sender, slot from flood_counts where counted_at < now() - interval '1 day'
            limit 10000 for update skip locked)"
    )
    .execute(conn)
    .await?;
    Ok(())
}
