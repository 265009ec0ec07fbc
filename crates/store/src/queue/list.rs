//! Looking at the queues without taking anything.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use smista_domain::EntryState;

use super::{Entry, EntryRow};
use crate::{Result, Store, sql_time};

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct QueueFilter {
    /// Only this sector.
    pub sector: Option<String>,
    /// Only these states; empty: all but `closed`.
    pub states: Vec<EntryState>,
    /// At most so many; 0: no limit.
    pub limit: i64,
}

/// One line of a queue. The first nine fields are the contract of `smista queue list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QueueRow {
    /// Whose queue.
    pub sector: String,
    /// The case's number.
    pub number: String,
    /// Kind.
    pub kind: String,
    /// Category.
    pub category: Option<String>,
    /// Priority.
    pub priority: String,
    /// State.
    pub state: String,
    /// Subject.
    pub subject: String,
    /// When the first message was received.
    pub received_at: Timestamp,
    /// When an answer is due.
    pub due_at: Option<Timestamp>,
    /// Why it is in the queue.
    pub cause: String,
    /// Where it came in.
    pub channel: String,
    /// Leases that ran out.
    pub attempts: i32,
    /// Messages on the case.
    pub messages: i32,
    /// How many of them were shown by the last claim.
    pub seen: i32,
    /// Who has it or had it last.
    pub worker: Option<String>,
    /// When the lease ends.
    pub leased_until: Option<Timestamp>,
    /// Not offered before.
    pub not_before: Option<Timestamp>,
    /// The person who sees to it.
    pub assigned_to: Option<String>,
    /// True when no sector won clearly.
    pub fallback: bool,
    /// The decision with its evidence: for the reason that people are shown.
    #[serde(skip)]
    pub decision: Value,
}

/// Everything about one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseView {
    /// Its state in the queue.
    #[serde(flatten)]
    pub entry: Entry,
    /// Labels.
    pub tags: Value,
    /// Who wrote.
    pub sender: Value,
    /// Where the matter is.
    pub place: Option<Value>,
    /// When it was opened here.
    pub opened_at: Timestamp,
    /// The case that it was opened from, for a second sector.
    pub linked_to: Option<String>,
    /// The decision with its evidence.
    pub decision: Value,
    /// Its messages, oldest first.
    pub message_list: Vec<MessageView>,
    /// Cases that speak of the same thing.
    pub related: Vec<RelatedCase>,
    /// Its numbers in other systems: `{system, id, day}`.
    pub references: Value,
    /// What happened, in order.
    pub history: Vec<HistoryEvent>,
}

/// A message of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageView {
    /// Its row.
    pub id: i64,
    /// The delivery that it came in.
    pub delivery: i64,
    /// Who wrote.
    pub sender: Value,
    /// Subject.
    pub subject: String,
    /// The citizen's own words.
    pub text: String,
    /// What was quoted.
    pub quoted: String,
    /// The signature.
    pub signature: String,
    /// What documents in the attachment say, where the letter itself says nothing: `{attachment, page, text}`.
    pub documents: Value,
    /// What the provider of certified mail certifies.
    pub certified: Option<Value>,
    /// The protocol facts of another administration's letter.
    pub protocol: Option<Value>,
    /// The web form that it came through.
    pub form: Option<Value>,
    /// The clerk who sent it on.
    pub forwarded_by: Option<Value>,
    /// What the clerk should know.
    pub notes: Value,
    /// When the writer says that it was written.
    pub sent_at: Option<Timestamp>,
    /// When upstream received it.
    pub received_at: Timestamp,
    /// `{id, name, type, size, inline, url}`.
    pub attachments: Value,
}

/// A case that speaks of the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelatedCase {
    /// Its number.
    pub number: String,
    /// Its sector.
    pub sector: String,
    /// Why they are related.
    pub reason: String,
}

/// One thing that happened on a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistoryEvent {
    /// Its place within the case.
    pub seq: i32,
    /// When.
    pub at: Timestamp,
    /// In which sector.
    pub sector: String,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// Details; empty once erased.
    pub payload: Option<Value>,
}

impl Store {
    /// The entries of the queues, by sector, then in claim order.
    pub async fn queue_list(&self, filter: &QueueFilter) -> Result<Vec<QueueRow>> {
        let states: Vec<String> = if filter.states.is_empty() {
            EntryState::ALL.iter().filter(|s| **s != EntryState::Closed).map(ToString::to_string).collect()
        } else {
            filter.states.iter().map(ToString::to_string).collect()
        };
        let rows = sqlx::query!(
            r#"select e.sector, s.number, s.kind, s.category, s.priority, e.state, s.subject, e.received_at, s.due_at, e.cause,
                      s.channel, e.attempts, e.messages, e.seen, e.worker, e.leased_until, e.not_before, s.assigned_to,
                      coalesce((s.decision ->> 'fallback')::boolean, false) as "fallback!", s.decision
               from queue_entries e join segnalazioni s on s.id = e.segnalazione
               where ($1::text is null or e.sector = $1) and e.state = any($2)
               order by e.sector, e.rank, e.received_at, e.segnalazione limit nullif($3::bigint, 0)"#,
            filter.sector.as_deref(),
            &states,
            filter.limit.max(0),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| QueueRow {
                sector: r.sector,
                number: r.number,
                kind: r.kind,
                category: r.category,
                priority: r.priority,
                state: r.state,
                subject: r.subject,
                received_at: sql_time::from_sql(r.received_at),
                due_at: r.due_at.map(sql_time::from_sql),
                cause: r.cause,
                channel: r.channel,
                attempts: r.attempts,
                messages: r.messages,
                seen: r.seen,
                worker: r.worker,
                leased_until: r.leased_until.map(sql_time::from_sql),
                not_before: r.not_before.map(sql_time::from_sql),
                assigned_to: r.assigned_to,
                fallback: r.fallback,
                decision: r.decision,
            })
            .collect())
    }

    /// Everything about one case; `None` when there is no such number.
    pub async fn queue_show(&self, number: &str) -> Result<Option<CaseView>> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let entry = sqlx::query_as!(
            EntryRow,
            r#"select number as "number!", sector as "sector!", state as "state!", cause as "cause!", kind as "kind!", category,
                      priority as "priority!", subject as "subject!", channel as "channel!", received_at as "received_at!", due_at,
                      attempts as "attempts!", messages as "messages!", seen as "seen!", worker, leased_until, not_before,
                      assigned_to, planned_for, suspended_at, closed_at, outcome from entry where number = $1"#,
            number
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(entry) = entry else { return Ok(None) };
        let case = sqlx::query!(
            r#"select s.id, s.tags, s.sender, s.place, s.opened_at, s.decision, s.linked_to,
                      (select o.number from segnalazioni o where o.id = s.linked_to) as origin,
                      (select coalesce(jsonb_agg(jsonb_build_object('system', r.system, 'id', r.id, 'day', r.day) order by r.at), '[]')
                         from case_references r where r.segnalazione = s.id) as "external!"
               from segnalazioni s where s.number = $1"#,
            number
        )
        .fetch_one(&mut *tx)
        .await?;
        let messages = sqlx::query!(
            r#"select m.id, m.delivery, m.sender, m.subject, m.text, m.quoted, m.signature, m.notes, m.sent_at, m.received_at,
                      coalesce(m.documents, '[]') as "documents!", m.certified, m.protocol, m.form, m.forwarded_by,
                      (select coalesce(jsonb_agg(jsonb_build_object('id', a.id, 'name', a.name, 'type', a.media_type,
                         'size', a.size, 'inline', a.inline, 'url', '/v1/attachments/' || a.id) order by a.id), '[]')
                         from attachments a where a.message = m.id) as "attachments!"
               from messages m where m.segnalazione = $1 or (m.segnalazione = $2 and m.created_at <= $3)
               order by m.received_at, m.id"#,
            case.id,
            case.linked_to,
            case.opened_at,
        )
        .fetch_all(&mut *tx)
        .await?;
        let related = sqlx::query_as!(
            RelatedCase,
            r#"select s.number as "number!", s.sector as "sector!", r.reason as "reason!"
               from (select other, reason from relations where segnalazione = $1
                     union select segnalazione, reason from relations where other = $1) r
               join segnalazioni s on s.id = r.other order by s.number"#,
            case.id
        )
        .fetch_all(&mut *tx)
        .await?;
        let history = sqlx::query!(
            "select seq, at, sector, event, actor, payload - 'result' as payload from history where segnalazione = $1 order by seq",
            case.id
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Some(CaseView {
            entry: entry.into(),
            tags: case.tags,
            sender: case.sender,
            place: case.place,
            opened_at: sql_time::from_sql(case.opened_at),
            linked_to: case.origin,
            decision: case.decision,
            message_list: messages
                .into_iter()
                .map(|m| MessageView {
                    id: m.id,
                    delivery: m.delivery,
                    sender: m.sender,
                    subject: m.subject,
                    text: m.text,
                    quoted: m.quoted,
                    signature: m.signature,
                    documents: m.documents,
                    certified: m.certified,
                    protocol: m.protocol,
                    form: m.form,
                    forwarded_by: m.forwarded_by,
                    notes: m.notes,
                    sent_at: m.sent_at.map(sql_time::from_sql),
                    received_at: sql_time::from_sql(m.received_at),
                    attachments: m.attachments,
                })
                .collect(),
            related,
            references: case.external,
            history: history
                .into_iter()
                .map(|h| HistoryEvent {
                    seq: h.seq,
                    at: sql_time::from_sql(h.at),
                    sector: h.sector,
                    event: h.event,
                    actor: h.actor,
                    payload: h.payload,
                })
                .collect(),
        }))
    }
}
