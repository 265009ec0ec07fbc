//! Does everything add up, and how much waits: the ledger, its proof, and the numbers of `status`.
//!
//! The ledger counts each delivery once, by its state and outcome, so it adds up by construction. [`Store::verify`] asks what the
//! construction rests on: that every outcome has its message, every case its entry, and every history its chain.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::{Result, Store, sql_time};

/// One channel's deliveries: `delivered` is always the sum of the six that follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerRow {
    /// The channel.
    pub channel: String,
    /// Everything that it handed over or announced.
    pub delivered: i64,
    /// Opened a case.
    pub opened: i64,
    /// Appended to one.
    pub appended: i64,
    /// No segnalazione, with a reason.
    pub ignored: i64,
    /// Needs nobody, as rules say.
    pub set_aside: i64,
    /// Could not be read.
    pub quarantined: i64,
    /// Not read yet; announced and not served yet.
    pub waiting: i64,
    /// How many were put away or quarantined, by reason.
    pub reasons: BTreeMap<String, i64>,
}

impl LedgerRow {
    /// True when everything that was delivered is somewhere.
    pub fn adds_up(&self) -> bool {
        self.delivered
            == self.opened + self.appended + self.ignored + self.set_aside + self.quarantined + self.waiting
    }
}

/// Something that does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Which check found it, for instance `case-without-entry`.
    pub check: String,
    /// Where: numbers and ids, no personal data.
    pub subject: String,
}

/// What waits in a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// The channel.
    pub channel: String,
    /// Committed, not read yet.
    pub waiting: i64,
    /// Announced by upstream, not served yet.
    pub announced: i64,
    /// Could not be read, or part of a flood.
    pub quarantined: i64,
    /// Of these: part of a flood.
    pub flooded: i64,
    /// What upstream must still be told and is due.
    pub upstream_due: i64,
    /// When the oldest that waits was committed.
    pub oldest_waiting: Option<Timestamp>,
}

/// A sector's queue in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueueLength {
    /// The sector.
    pub sector: String,
    /// To be claimed now.
    pub ready: i64,
    /// To be claimed later (`retry_in`).
    pub delayed: i64,
    /// Held by a worker.
    pub leased: i64,
    /// Accepted.
    pub taken: i64,
    /// Answered.
    pub answered: i64,
    /// When the oldest ready one was received.
    pub oldest_ready: Option<Timestamp>,
    /// Ready entries that need an operator: their leases keep running out, or their sector was removed and nobody speaks for
    /// it (a follow-up on an old case; the sweep moves those of sectors that are not confidential).
    pub troubled: i64,
}

/// The numbers of `status`, from one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// The database's clock: ages are counted from here.
    pub now: Timestamp,
    /// Per channel.
    pub backlog: Vec<Backlog>,
    /// Per sector.
    pub queues: Vec<QueueLength>,
    /// Held in the outbox until somebody switches it on.
    pub outbox_held: i64,
    /// Waiting to leave.
    pub outbox_ready: i64,
    /// Could not leave.
    pub outbox_failed: i64,
    /// The active ruleset.
    pub ruleset: Option<String>,
}

/// At most so many examples of each problem.
const EXAMPLES: i64 = 20;

impl Store {
    /// The ledger: one row per channel, from one snapshot, with the channels that never had anything.
    pub async fn ledger(&self) -> Result<Vec<LedgerRow>> {
        let count = async |connection: &mut PgConnection| {
            Ok(sqlx::query!(
            r#"with counted as (
                   select channel, state, outcome, case when outcome in ('ignored', 'set_aside') or state = 'quarantined'
                            then coalesce(reason, 'unknown') end as reason, count(*) as n
                     from deliveries group by 1, 2, 3, 4
               )
               select coalesce(c.name, d.channel) as "channel!", d.state as "state?", d.outcome, d.reason, coalesce(d.n, 0) as "n!"
                 from channels c full join counted d on d.channel = c.name order by 1, 2, 3, 4"#
        )
        .fetch_all(connection)
        .await?)
        };
        let rows = self.within(self.patience().saturating_mul(2), count).await?;
        let mut ledger: BTreeMap<String, LedgerRow> = BTreeMap::new();
        for row in rows {
            let line = ledger
                .entry(row.channel.clone())
                .or_insert_with(|| LedgerRow { channel: row.channel, ..LedgerRow::default() });
            line.delivered += row.n;
            match (row.state.as_deref(), row.outcome.as_deref()) {
                (_, Some("opened")) => line.opened += row.n,
                (_, Some("appended")) => line.appended += row.n,
                (_, Some("ignored")) => line.ignored += row.n,
                (_, Some("set_aside")) => line.set_aside += row.n,
                (Some("quarantined"), _) => line.quarantined += row.n,
                (Some("waiting" | "announced"), _) => line.waiting += row.n,
                // A state that this program does not know: `adds_up` says so.
                _ => {}
            }
            if let Some(reason) = row.reason {
                *line.reasons.entry(reason).or_default() += row.n;
            }
        }
        Ok(ledger.into_values().collect())
    }

    /// Looks for what cannot be: empty when everything fits. Reads everything; for `smista ledger --verify` and tests.
    pub async fn verify(&self) -> Result<Vec<Problem>> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        sqlx::query!("set local statement_timeout = 0").execute(&mut *tx).await?;
        let found = sqlx::query_as!(
            Problem,
            r#"with problems as (
                select 'delivery-without-message' as problem, 'delivery ' || d.id as subject
                  from deliveries d where d.outcome in ('opened', 'appended')
                   and not exists (select from messages m where m.delivery = d.id and m.segnalazione = d.segnalazione)
                union all
                select 'message-without-delivery', 'message ' || m.id
                  from messages m where not exists (select from deliveries d where d.id = m.delivery and d.segnalazione = m.segnalazione
                                                       and d.outcome in ('opened', 'appended'))
                union all
                select 'delivery-without-key', 'delivery ' || d.id
                  from deliveries d where not exists (select from delivery_keys k where k.delivery = d.id)
                union all
                select 'delivery-without-case', 'delivery ' || d.id
                  from deliveries d where d.segnalazione is not null
                   and not exists (select from segnalazioni s where s.id = d.segnalazione)
                union all
                select 'case-without-entry', s.number
                  from segnalazioni s where not exists (select from queue_entries e where e.segnalazione = s.id)
                union all
                select 'case-not-opened-once', s.number
                  from segnalazioni s left join deliveries d on d.segnalazione = s.id and d.outcome = 'opened'
                 where s.linked_to is null group by s.id, s.number having count(d.id) <> 1
                union all
                select 'sectors-differ', s.number
                  from segnalazioni s join queue_entries e on e.segnalazione = s.id where e.sector <> s.sector
                union all
                select 'closed-differs', s.number
                  from segnalazioni s join queue_entries e on e.segnalazione = s.id
                 where (e.state = 'closed') <> (s.closed_at is not null)
                union all
                select 'message-count-differs', s.number
                  from segnalazioni s join queue_entries e on e.segnalazione = s.id
                 where s.linked_to is null and e.messages <> (select count(*) from messages m where m.segnalazione = s.id)
                union all
                select 'thread-key-without-case', 'delivery ' || coalesce(k.owner::text, '(none)')
                  from thread_keys k where not exists (select from segnalazioni s where s.id = k.segnalazione)
                union all
                select 'case-without-history', s.number
                  from segnalazioni s where not exists (select from history h where h.segnalazione = s.id and h.seq = 1)
                union all
                select 'history-gap', coalesce(s.number, 'case ' || h.segnalazione)
                  from history h left join segnalazioni s on s.id = h.segnalazione
                 group by h.segnalazione, s.number having max(h.seq) <> count(*)
                union all
                select 'history-broken', coalesce(s.number, 'case ' || c.segnalazione) || ', event ' || c.seq
                  from (select h.segnalazione, h.seq,
                               h.hash <> history_hash(lag(h.hash) over (partition by h.segnalazione order by h.seq), h)
                               or (h.payload is not null and h.payload_hash <> sha256(convert_to(h.payload::text, 'UTF8'))) as broken
                          from history h) c
                  left join segnalazioni s on s.id = c.segnalazione where c.broken
            ), ranked as (
                select problem, subject, row_number() over (partition by problem order by subject) as n from problems
            )
            select problem as "check!", subject as "subject!" from ranked where n <= $1 order by problem, subject"#,
            EXAMPLES
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(found)
    }

    /// How much waits, and for how long.
    pub async fn numbers(&self) -> Result<Numbers> {
        self.within(self.patience().saturating_mul(2), async |connection: &mut PgConnection| {
            numbers(connection).await
        })
        .await
    }
}

async fn numbers(connection: &mut PgConnection) -> Result<Numbers> {
    let mut tx = connection.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let backlog = sqlx::query!(
            r#"select coalesce(c.name, d.channel) as "channel!", coalesce(d.waiting, 0) as "waiting!",
                      coalesce(d.announced, 0) as "announced!", coalesce(d.quarantined, 0) as "quarantined!",
                      coalesce(d.flooded, 0) as "flooded!",
                      coalesce(u.due, 0) as "due!", d.oldest
               from channels c
               full join (select channel, count(*) filter (where state = 'waiting') as waiting,
                                 count(*) filter (where state = 'announced') as announced,
                                 count(*) filter (where state = 'quarantined') as quarantined,
                                 count(*) filter (where state = 'quarantined' and reason = 'flood') as flooded,
                                 min(accepted_at) filter (where state = 'waiting') as oldest
                            from (select channel, state, reason, accepted_at from deliveries where state = 'waiting'
                                  union all
                                  select channel, state, reason, accepted_at from deliveries
                                   where state in ('announced', 'quarantined')) w
                           group by channel) d on d.channel = c.name
               left join (select channel, count(*) as due from deliveries
                           where upstream = 'pending' and upstream_due <= now() group by channel) u
                      on u.channel = coalesce(c.name, d.channel)
               order by 1"#
        )
        .fetch_all(&mut *tx)
        .await?;
    let queues = sqlx::query!(
            r#"select coalesce(s.id, e.sector) as "sector!", coalesce(e.ready, 0) as "ready!", coalesce(e.delayed, 0) as "delayed!",
                      coalesce(e.leased, 0) as "leased!", coalesce(e.taken, 0) as "taken!", coalesce(e.answered, 0) as "answered!",
                      coalesce(e.troubled, 0) as "troubled!", e.oldest
               from (select id from sectors where not removed) s
               full join (select sector,
                                 count(*) filter (where state = 'ready' and (not_before is null or not_before <= now())) as ready,
                                 count(*) filter (where state = 'ready' and not_before > now()) as delayed,
                                 count(*) filter (where state = 'leased') as leased,
                                 count(*) filter (where state = 'taken') as taken,
                                 count(*) filter (where state = 'answered') as answered,
                                 count(*) filter (where state = 'ready' and (attempts >= max_attempts()
                                   or sector in (select id from sectors where removed))) as troubled,
                                 min(received_at) filter (where state = 'ready') as oldest
                            from queue_entries where state <> 'closed' group by sector) e on e.sector = s.id
               order by 1"#
        )
        .fetch_all(&mut *tx)
        .await?;
    let rest = sqlx::query!(
        r#"select now() as "now!", (select count(*) from outbox where state = 'held') as "held!",
                      (select count(*) from outbox where state = 'ready') as "ready!",
                      (select count(*) from outbox where state = 'failed') as "failed!",
                      (select id from rulesets where active) as ruleset"#
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Numbers {
        now: sql_time::from_sql(rest.now),
        backlog: backlog
            .into_iter()
            .map(|b| Backlog {
                channel: b.channel,
                waiting: b.waiting,
                announced: b.announced,
                quarantined: b.quarantined,
                flooded: b.flooded,
                upstream_due: b.due,
                oldest_waiting: b.oldest.map(sql_time::from_sql),
            })
            .collect(),
        queues: queues
            .into_iter()
            .map(|q| QueueLength {
                sector: q.sector,
                ready: q.ready,
                delayed: q.delayed,
                leased: q.leased,
                taken: q.taken,
                answered: q.answered,
                oldest_ready: q.oldest.map(sql_time::from_sql),
                troubled: q.troubled,
            })
            .collect(),
        outbox_held: rest.held,
        outbox_ready: rest.ready,
        outbox_failed: rest.failed,
        ruleset: rest.ruleset,
    })
}
