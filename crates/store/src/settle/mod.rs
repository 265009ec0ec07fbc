//! From a committed delivery to its one outcome: claim, then (outside of any transaction) read and decide, then settle.
//!
//! Claiming raises `attempts` and sets `claimed_until` in one committed statement *before* anything parses the bytes: a
//! reader that takes the process with it is counted, and after a few such ends the delivery is claimed alone, and then
//! quarantined. Settling is one transaction per batch: threads, cases, messages, entries, history and the outcome of every
//! delivery, or nothing. A delivery that somebody else has claimed meanwhile is left out: its `attempts` differ.
//!
//! Lock order, everywhere: deliveries, counts of senders, thread keys, segnalazioni, entries; each sorted.

mod claim;
mod flood;
mod thread;
mod write;

pub use claim::{ClaimLimits, Claimed};
pub(crate) use flood::Recent;
pub use flood::{REASON as FLOOD, Watched};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use smista_domain::{Decision, Message, Number};

use sqlx::{Connection as _, PgConnection};

use crate::{
    Store, StoreError,
    connect::Careful,
    threads::{self, Placed},
};

/// What reading and triage made of one claimed delivery.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// A message, with what triage would decide if it opens a case.
    Message {
        /// The message.
        message: Box<Message>,
        /// Triage's decision.
        decision: Box<Decision>,
    },
    /// No segnalazione.
    Ignored {
        /// The word for the ledger.
        reason: String,
        /// What it says of a letter that we sent.
        receipt: Option<Box<ReceiptNote>>,
    },
    /// Could not be read.
    Quarantined {
        /// The reason, in English, without personal data.
        reason: String,
    },
}

/// What a receipt of certified mail or a bounce says of a letter that we sent. It is kept, and finds the answer that it
/// speaks of when both are there ([`Store::leaves_as`]).
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiptNote {
    /// The thread key of that letter, if it says which.
    pub about: Option<String>,
    /// The provider's word, or `bounce`.
    pub kind: String,
    /// The letter did not and will not reach its recipient.
    pub failed: bool,
    /// The instant with legal effect.
    pub legal_at: Option<Timestamp>,
    /// All that it says: a JSON object.
    pub data: Value,
}

/// One claimed delivery with its verdict.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The delivery, as claimed.
    pub delivery: i64,
    /// Its `attempts` as claimed: if they differ now, somebody else has it.
    pub attempts: i32,
    /// Its channel.
    pub channel: String,
    /// A person said that it is a message after all: never a double.
    pub reopened: bool,
    /// Whose letters are counted with it, for floods. None: not counted (a person has let it through).
    pub watched: Option<Watched>,
    /// What was made of it.
    pub verdict: Verdict,
}

/// What settling needs to know of the town.
#[derive(Debug, Clone)]
pub struct SettleOptions {
    /// Year of new numbers, in the town's zone.
    pub year: i16,
    /// How long after closing a follow-up still reopens the case.
    pub reopen_within: SignedDuration,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Cases opened.
    pub opened: usize,
    /// Messages appended.
    pub appended: usize,
    /// Ignored, doubles included.
    pub ignored: usize,
    /// Set aside.
    pub set_aside: usize,
    /// Quarantined.
    pub quarantined: usize,
    /// Left out because somebody else had claimed them.
    pub lost: usize,
    /// Sectors that have something ready now.
    pub sectors: BTreeSet<String>,
    /// (delivery, number) of what is on a case now.
    pub numbers: Vec<(i64, String)>,
}

/// A message on its way into a case.
pub(crate) struct Work<'a> {
    pub(crate) delivery: i64,
    pub(crate) channel: &'a str,
    pub(crate) message: &'a Message,
    pub(crate) decision: &'a Decision,
}

/// One row of what becomes of deliveries.
pub(crate) struct Ending {
    pub(crate) delivery: i64,
    pub(crate) state: &'static str,
    pub(crate) outcome: Option<&'static str>,
    pub(crate) reason: Option<String>,
    pub(crate) segnalazione: Option<i64>,
}

/// No batch waits longer than this for the database: beyond it the connection counts as dead (a network that swallows
/// everything gives no error). Each statement has the pool's own, shorter limit on the server's side.
const PATIENCE: Duration = Duration::from_mins(2);

/// Longer than any settling holds its locks.
const LOCK_PATIENCE: &str = "3s";

impl Store {
    /// Settles a batch in one transaction. Errors leave everything as it was: [`StoreError::Unavailable`] means wait and
    /// retry, [`StoreError::Refused`] means bisect and quarantine the one that the database will not take,
    /// [`StoreError::Busy`] means bisect and come back later to the one whose case somebody else holds.
    pub async fn settle(&self, batch: &[Settlement], options: &SettleOptions) -> Result<Settled, StoreError> {
        let connection = Careful::of(self.pool()).await?;
        connection
            .run(PATIENCE, async |connection| settle(connection, batch, options, &self.recent).await)
            .await
    }
}

async fn settle(
    connection: &mut PgConnection,
    batch: &[Settlement],
    options: &SettleOptions,
    recent: &Recent,
) -> Result<Settled, StoreError> {
    let mut tx = connection.begin().await?;
    // Whoever leaves a transaction open on a case must not hold up the letters of others.
    sqlx::query!("select set_config('lock_timeout', $1, true) as done", LOCK_PATIENCE)
        .fetch_one(&mut *tx)
        .await?;
    let mut settled = Settled::default();
    let mut outcomes: Vec<Ending> = Vec::with_capacity(batch.len());

    let ours = claim::still_ours(&mut tx, batch).await?;
    let found = flood::find(&mut tx, batch, &ours, recent).await?;
    let mut works: Vec<Work<'_>> = Vec::new();
    let mut incoming: Vec<threads::Incoming> = Vec::new();
    let mut receipts: Vec<(i64, &ReceiptNote)> = Vec::new();
    for item in batch {
        if !ours.contains(&item.delivery) {
            settled.lost += 1;
            continue;
        }
        match &item.verdict {
            Verdict::Ignored { reason, receipt } => {
                settled.ignored += 1;
                receipts.extend(receipt.as_deref().map(|receipt| (item.delivery, receipt)));
                outcomes.push(Ending {
                    delivery: item.delivery,
                    state: "settled",
                    outcome: Some("ignored"),
                    reason: Some(reason.clone()),
                    segnalazione: None,
                });
            }
            Verdict::Quarantined { reason } => {
                settled.quarantined += 1;
                outcomes.push(Ending {
                    delivery: item.delivery,
                    state: "quarantined",
                    outcome: None,
                    reason: Some(reason.clone()),
                    segnalazione: None,
                });
            }
            Verdict::Message { .. } if found.floods.contains(&item.delivery) => {
                settled.quarantined += 1;
                outcomes.push(Ending {
                    delivery: item.delivery,
                    state: "quarantined",
                    outcome: None,
                    reason: Some(FLOOD.to_owned()),
                    segnalazione: None,
                });
            }
            Verdict::Message { message, decision } => {
                incoming.push(thread::incoming(item.delivery, message, decision, item.reopened));
                works.push(Work { delivery: item.delivery, channel: &item.channel, message, decision });
            }
        }
    }

    if !works.is_empty() {
        let threaded = thread::place(&mut tx, &mut incoming, options).await?;
        let mut opens: Vec<(i64, &Work<'_>)> = Vec::new();
        let mut joins: BTreeMap<i64, Vec<&Work<'_>>> = BTreeMap::new();
        for (work, placed) in works.iter().zip(&threaded.resolution.placed) {
            let (outcome, reason, case) = match *placed {
                Placed::Double(case) => {
                    settled.ignored += 1;
                    ("ignored", Some("double".to_owned()), Some(case))
                }
                Placed::Own(case) => {
                    settled.ignored += 1;
                    ("ignored", Some("own-mail".to_owned()), Some(case))
                }
                Placed::SetAside => {
                    settled.set_aside += 1;
                    ("set_aside", work.decision.set_aside.clone().or_else(|| Some("rules".to_owned())), None)
                }
                Placed::Joins(case) => {
                    settled.appended += 1;
                    joins.entry(case).or_default().push(work);
                    ("appended", None, Some(case))
                }
                Placed::Opens(case) => {
                    settled.opened += 1;
                    opens.push((case, work));
                    ("opened", None, Some(case))
                }
            };
            outcomes.push(Ending {
                delivery: work.delivery,
                state: "settled",
                outcome: Some(outcome),
                reason,
                segnalazione: case,
            });
        }
        let mut numbers: HashMap<i64, String> = threaded.numbers;
        let new_numbers = write::open(&mut tx, &opens, options.year).await?;
        for ((case, work), number) in opens.iter().zip(new_numbers) {
            settled.sectors.insert(work.decision.sector.to_string());
            numbers.insert(*case, number);
        }
        let written: Vec<(i64, &Work<'_>)> = opens
            .iter()
            .copied()
            .chain(joins.iter().flat_map(|(c, ws)| ws.iter().map(|w| (*c, *w))))
            .collect();
        write::messages(&mut tx, &written).await?;
        settled.sectors.extend(write::append(&mut tx, &joins).await?);
        write::relations(&mut tx, &threaded.resolution.relations).await?;
        settled.numbers =
            written.iter().filter_map(|(c, w)| Some((w.delivery, numbers.get(c)?.clone()))).collect();
    }
    write::receipts(&mut tx, &receipts).await?;
    write::outcomes(&mut tx, &outcomes).await?;
    tx.commit().await?;
    recent.learn(found);
    Ok(settled)
}

/// The number as text, for SQL.
pub(crate) fn number_text(number: Option<&Number>) -> Option<String> {
    number.map(ToString::to_string)
}
