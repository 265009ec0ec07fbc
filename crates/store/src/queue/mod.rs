//! The sectors' queue for programs in Rust: the functions of the contract (`docs/reference/sql.md`), typed.
//!
//! Every call is one of those SQL functions and nothing else, so the command line can do exactly what a sector's own program
//! can. A stale lease can do nothing: its call fails with [`RejectionKind::StaleLease`] and changes nothing.

mod error;
mod list;
mod maintenance;

use std::time::Duration;

pub use error::{QueueError, Rejection, RejectionKind};
use jiff::{Timestamp, civil};
pub use list::{CaseView, HistoryEvent, MessageView, QueueFilter, QueueRow, RelatedCase};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Postgres, Transaction, postgres::types::PgInterval};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError, clean, sql_time};

/// A claimed entry: the columns of the view `claimed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claimed {
    /// The worker's hold on it.
    pub lease: Uuid,
    /// The case's number.
    pub number: String,
    /// Why it is in the queue: `new`, `follow-up`, `rerouted`, `reopened`, `linked`, `max-attempts`.
    pub cause: String,
    /// Where it came in.
    pub channel: String,
    /// Kind.
    pub kind: String,
    /// Category, if rules gave one.
    pub category: Option<String>,
    /// `urgent`, `high`, `normal`, `low`.
    pub priority: String,
    /// Subject.
    pub subject: String,
    /// Text of the first message.
    pub text: Option<String>,
    /// Who wrote.
    pub sender: Value,
    /// Where the matter is.
    pub place: Option<Value>,
    /// All messages, oldest first.
    pub messages: Value,
    /// Their attachments: name, type, size, url.
    pub attachments: Value,
    /// When the first message was received.
    pub received_at: Timestamp,
    /// When an answer is due.
    pub due_at: Option<Timestamp>,
    /// Leases that ran out before this one.
    pub attempts: i32,
    /// The decision with its evidence.
    pub decision: Value,
    /// The sector.
    pub sector: String,
    /// When the lease ends.
    pub leased_until: Timestamp,
}

/// A case as its queue sees it: the columns of the view `entry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The case's number.
    pub number: String,
    /// Whose queue.
    pub sector: String,
    /// `ready`, `leased`, `taken`, `answered`, `closed`.
    pub state: String,
    /// Why it is in the queue.
    pub cause: String,
    /// Kind.
    pub kind: String,
    /// Category.
    pub category: Option<String>,
    /// Priority.
    pub priority: String,
    /// Subject.
    pub subject: String,
    /// Where it came in.
    pub channel: String,
    /// When the first message was received.
    pub received_at: Timestamp,
    /// When an answer is due.
    pub due_at: Option<Timestamp>,
    /// Leases that ran out.
    pub attempts: i32,
    /// Messages on the case.
    pub messages: i32,
    /// How many of them the last claim showed.
    pub seen: i32,
    /// Who has it or had it last.
    pub worker: Option<String>,
    /// When the lease ends.
    pub leased_until: Option<Timestamp>,
    /// Not offered before.
    pub not_before: Option<Timestamp>,
    /// The person who sees to it.
    pub assigned_to: Option<String>,
    /// The day on which it will be done.
    pub planned_for: Option<civil::Date>,
    /// Since when the clock stands still.
    pub suspended_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<String>,
}

/// One thing that happened: the columns of the view `change`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where to resume.
    pub position: i64,
    /// When.
    pub at: Timestamp,
    /// In which sector.
    pub sector: String,
    /// On which case.
    pub number: Option<String>,
    /// Its place within the case.
    pub seq: i32,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// Details; empty once erased.
    pub payload: Option<Value>,
}

/// The columns of `entry`, as SQL knows them.
struct EntryRow {
    number: String,
    sector: String,
    state: String,
    cause: String,
    kind: String,
    category: Option<String>,
    priority: String,
    subject: String,
    channel: String,
    received_at: OffsetDateTime,
    due_at: Option<OffsetDateTime>,
    attempts: i32,
    messages: i32,
    seen: i32,
    worker: Option<String>,
    leased_until: Option<OffsetDateTime>,
    not_before: Option<OffsetDateTime>,
    assigned_to: Option<String>,
    planned_for: Option<time::Date>,
    suspended_at: Option<OffsetDateTime>,
    closed_at: Option<OffsetDateTime>,
    outcome: Option<String>,
}

impl From<EntryRow> for Entry {
    fn from(r: EntryRow) -> Self {
        Self {
            number: r.number,
            sector: r.sector,
            state: r.state,
            cause: r.cause,
            kind: r.kind,
            category: r.category,
            priority: r.priority,
            subject: r.subject,
            channel: r.channel,
            received_at: sql_time::from_sql(r.received_at),
            due_at: r.due_at.map(sql_time::from_sql),
            attempts: r.attempts,
            messages: r.messages,
            seen: r.seen,
            worker: r.worker,
            leased_until: r.leased_until.map(sql_time::from_sql),
            not_before: r.not_before.map(sql_time::from_sql),
            assigned_to: r.assigned_to,
            planned_for: r.planned_for.and_then(date_from_sql),
            suspended_at: r.suspended_at.map(sql_time::from_sql),
            closed_at: r.closed_at.map(sql_time::from_sql),
            outcome: r.outcome,
        }
    }
}

/// One call of a function that returns an entry, as the acting person, in a transaction of its own.
macro_rules! entry {
    ($queue:expr, $about:expr, $call:literal $(, $argument:expr)* $(,)?) => {{
        let about: &str = $about;
        let mut tx = $queue.begin().await?;
        let row = sqlx::query_as!(
            EntryRow,
            r#"select number as "number!", sector as "sector!", state as "state!", cause as "cause!", kind as "kind!", category,
                      priority as "priority!", subject as "subject!", channel as "channel!", received_at as "received_at!", due_at,
                      attempts as "attempts!", messages as "messages!", seen as "seen!", worker, leased_until, not_before,
                      assigned_to, planned_for, suspended_at, closed_at, outcome from "# + $call
            $(, $argument)*
        )
        .fetch_one(&mut *tx)
        .await
        .map_err(|error| QueueError::of(error, about))?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(row.into())
    }};
}

/// The queue, as one person or program works it.
#[derive(Debug, Clone)]
pub struct Queue<'a> {
    store: &'a Store,
    actor: &'a str,
}

impl Store {
    /// The queue; `actor` stands in the history of whatever is changed through it.
    pub fn queue<'a>(&'a self, actor: &'a str) -> Queue<'a> {
        Queue { store: self, actor }
    }
}

impl Queue<'_> {
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, QueueError> {
        let mut tx = self.store.pool.begin().await.map_err(StoreError::from)?;
        sqlx::query_scalar!("select set_config('smista.actor', $1, true)", clean::text(self.actor))
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::from)?;
        Ok(tx)
    }

    /// Gives up to `max` (1 to 1,000) ready entries of a sector to `worker`, for `lease_for` (1 s to 24 h).
    pub async fn claim(
        &self,
        sector: &str,
        worker: &str,
        max: i32,
        lease_for: Duration,
    ) -> Result<Vec<Claimed>, QueueError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query!(
            r#"select lease as "lease!", number as "number!", cause as "cause!", channel as "channel!", kind as "kind!", category,
                      priority as "priority!", subject as "subject!", text, sender as "sender!", place, messages as "messages!",
                      attachments as "attachments!", received_at as "received_at!", due_at, attempts as "attempts!",
                      decision as "decision!", sector as "sector!", leased_until as "leased_until!"
               from claim($1, $2, $3, $4)"#,
            sector,
            clean::text(worker),
            max,
            interval(lease_for)?,
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(|error| QueueError::of(error, sector))?;
        tx.commit().await.map_err(StoreError::from)?;
        Ok(rows
            .into_iter()
            .map(|r| Claimed {
                lease: r.lease,
                number: r.number,
                cause: r.cause,
                channel: r.channel,
                kind: r.kind,
                category: r.category,
                priority: r.priority,
                subject: r.subject,
                text: r.text,
                sender: r.sender,
                place: r.place,
                messages: r.messages,
                attachments: r.attachments,
                received_at: sql_time::from_sql(r.received_at),
                due_at: r.due_at.map(sql_time::from_sql),
                attempts: r.attempts,
                decision: r.decision,
                sector: r.sector,
                leased_until: sql_time::from_sql(r.leased_until),
            })
            .collect())
    }

    /// The sector accepts the case. An entry that comes back `ready` with cause `follow-up` has messages that the claim did not
    /// show: it was not taken.
    pub async fn take(&self, lease: Uuid) -> Result<Entry, QueueError> {
        entry!(self, &lease.to_string(), "take($1)", lease)
    }

    /// Gives the entry back; nobody is offered it before `retry_in` is over. Costs no attempt.
    pub async fn release(&self, lease: Uuid, reason: &str, retry_in: Duration) -> Result<Entry, QueueError> {
        entry!(
            self,
            &lease.to_string(),
            "release($1, $2, $3)",
            lease,
            clean::text(reason),
            interval(retry_in)?
        )
    }

    /// Prolongs a lease that still holds.
    pub async fn extend(&self, lease: Uuid, by: Duration) -> Result<Entry, QueueError> {
        entry!(self, &lease.to_string(), "extend($1, $2)", lease, interval(by)?)
    }

    /// Hands the case to another sector. With a key, doing it again changes nothing.
    pub async fn reroute(
        &self,
        number: &str,
        to: &str,
        reason: &str,
        key: Option<&str>,
    ) -> Result<Entry, QueueError> {
        entry!(self, number, "reroute($1, $2, $3, $4)", number, to, clean::text(reason), key)
    }

    /// Answers the citizen: written to the outbox.
    pub async fn answer(&self, number: &str, text: &str, key: Option<&str>) -> Result<Entry, QueueError> {
        entry!(self, number, "answer($1, $2, $3)", number, clean::text(text), key)
    }

    /// Ends the case.
    pub async fn close(&self, number: &str, outcome: &str, key: Option<&str>) -> Result<Entry, QueueError> {
        entry!(self, number, "close($1, $2, $3)", number, clean::text(outcome), key)
    }

    /// Opens an answered or closed case again.
    pub async fn reopen(&self, number: &str, reason: &str) -> Result<Entry, QueueError> {
        entry!(self, number, "reopen($1, $2)", number, clean::text(reason))
    }

    /// A remark for colleagues.
    pub async fn note(&self, number: &str, text: &str) -> Result<Entry, QueueError> {
        entry!(self, number, "note($1, $2)", number, clean::text(text))
    }

    /// Names the person who sees to it; `None`: nobody.
    pub async fn assign(&self, number: &str, person: Option<&str>) -> Result<Entry, QueueError> {
        entry!(self, number, "assign($1, $2)", number, person.map(clean::text))
    }

    /// The day on which it will be done; `None`: none.
    pub async fn plan(&self, number: &str, day: Option<civil::Date>) -> Result<Entry, QueueError> {
        entry!(self, number, "plan($1, $2)", number, day.and_then(date_to_sql))
    }

    /// Asks the citizen for what is missing; the clock stands still.
    pub async fn ask(&self, number: &str, text: &str) -> Result<Entry, QueueError> {
        entry!(self, number, "ask($1, $2)", number, clean::text(text))
    }

    /// Its number in another system.
    pub async fn reference(
        &self,
        number: &str,
        system: &str,
        id: &str,
        day: Option<civil::Date>,
    ) -> Result<Entry, QueueError> {
        entry!(
            self,
            number,
            "reference($1, $2, $3, $4)",
            number,
            clean::text(system),
            clean::text(id),
            day.and_then(date_to_sql)
        )
    }

    /// A second sector is competent too: opens a linked case for it and gives that.
    pub async fn also(
        &self,
        number: &str,
        sector: &str,
        reason: &str,
        key: Option<&str>,
    ) -> Result<Entry, QueueError> {
        entry!(self, number, "also($1, $2, $3, $4)", number, sector, clean::text(reason), key)
    }

    /// What happened after a position, in order; at most `max` (1 to 10,000).
    pub async fn changes(&self, after: i64, max: i32) -> Result<Vec<Change>, QueueError> {
        let rows = sqlx::query!(
            r#"select position as "position!", at as "at!", sector as "sector!", number, seq as "seq!", event as "event!",
                      actor as "actor!", payload from changes($1, $2)"#,
            after,
            max,
        )
        .fetch_all(&self.store.pool)
        .await
        .map_err(|error| QueueError::of(error, "changes"))?;
        Ok(rows
            .into_iter()
            .map(|r| Change {
                position: r.position,
                at: sql_time::from_sql(r.at),
                sector: r.sector,
                number: r.number,
                seq: r.seq,
                event: r.event,
                actor: r.actor,
                payload: r.payload,
            })
            .collect())
    }
}

fn interval(duration: Duration) -> Result<PgInterval, StoreError> {
    // PostgreSQL counts microseconds: nanoseconds are dropped, and what does not fit is out of every bound anyway.
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval::try_from(Duration::from_micros(microseconds.unsigned_abs())).map_err(StoreError::other)
}

fn date_to_sql(day: civil::Date) -> Option<time::Date> {
    let month = time::Month::try_from(u8::try_from(day.month()).ok()?).ok()?;
    time::Date::from_calendar_date(i32::from(day.year()), month, u8::try_from(day.day()).ok()?).ok()
}

fn date_from_sql(day: time::Date) -> Option<civil::Date> {
    civil::Date::new(
        i16::try_from(day.year()).ok()?,
        i8::try_from(u8::from(day.month())).ok()?,
        i8::try_from(day.day()).ok()?,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_survive_the_edge() {
        for day in [civil::date(2026, 12, 31), civil::date(2028, 2, 29)] {
            assert_eq!(date_to_sql(day).and_then(date_from_sql), Some(day));
        }
    }

    #[test]
    fn intervals_drop_what_postgresql_cannot_count() {
        assert_eq!(interval(Duration::from_nanos(1_500)).expect("fits").microseconds, 1);
    }
}
