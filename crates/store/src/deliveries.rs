//! Deliveries for people: what waits, what could not be read, what was put away and why; and putting it back.
//!
//! Invariant: each change is one statement that names the states it starts from, so two people (or a person and the pipeline)
//! can never both have their way with one delivery.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use smista_domain::{DeliveryState, Outcome, Text};
use time::OffsetDateTime;

use crate::{Result, Store, StoreError, clean, packed, sql_time};

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only these states; empty: all.
    pub states: Vec<DeliveryState>,
    /// Only these outcomes; empty: all.
    pub outcomes: Vec<Outcome>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Only this reason.
    pub reason: Option<String>,
    /// At most so many, the newest; 0: no limit.
    pub limit: i64,
}

/// One delivery. The first nine fields are the contract of `smista deliveries list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryRow {
    /// Its row.
    pub id: i64,
    /// Where it came in.
    pub channel: String,
    /// Its (first) key.
    pub source_key: Option<String>,
    /// When upstream received it.
    pub received_at: Timestamp,
    /// `announced`, `waiting`, `settled`, `quarantined`.
    pub state: String,
    /// `opened`, `appended`, `ignored`, `set_aside`, once settled.
    pub outcome: Option<String>,
    /// Why it was put away, quarantined or not served.
    pub reason: Option<String>,
    /// The case that it is on (or a double of).
    pub number: Option<String>,
    /// How often reading (or serving) was begun.
    pub attempts: i32,
    /// Folder.
    pub scope: String,
    /// Size in octets.
    pub size: i64,
    /// Not tried before.
    pub not_before: Timestamp,
    /// When it was committed.
    pub accepted_at: Timestamp,
    /// When it got its outcome.
    pub settled_at: Option<Timestamp>,
}

/// Everything about one delivery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryView {
    /// What the list shows.
    #[serde(flatten)]
    pub row: DeliveryRow,
    /// All its keys.
    pub keys: Vec<String>,
    /// Facts beside the bytes.
    pub facts: Value,
    /// SHA-256 of the bytes, in hex; none while announced.
    pub sha256: Option<String>,
    /// What upstream must still be told: `void`, `pending`, `done`.
    pub upstream: String,
    /// Not told before.
    pub upstream_due: Option<Timestamp>,
    /// A reader has it until then.
    pub claimed_until: Option<Timestamp>,
    /// When its bytes were erased.
    pub erased_at: Option<Timestamp>,
    /// What it says of a letter that we sent, if it is a receipt or a bounce.
    pub receipt: Option<ReceiptView>,
}

/// A receipt of certified mail, or a bounce.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReceiptView {
    /// The provider's word, or `bounce`.
    pub kind: String,
    /// The thread key of the letter it speaks of.
    pub about: Option<String>,
    /// The letter did not and will not reach its recipient.
    pub failed: bool,
    /// The instant with legal effect.
    pub legal_at: Option<Timestamp>,
    /// True once it has found the answer that it speaks of: the case's number stands in `number`.
    pub linked: bool,
    /// All that it says.
    pub data: Value,
}

/// Why a delivery was not changed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// There is none with that id.
    #[error("there is no delivery {0}")]
    Unknown(i64),
    /// It is in a state in which that cannot be done.
    #[error("delivery {id} is {state}: it cannot be {doing}")]
    WrongState {
        /// Which.
        id: i64,
        /// Its state, with the outcome if it has one.
        state: String,
        /// What was asked: `retried`, `ignored`, `reopened`.
        doing: &'static str,
    },
    /// It never had bytes, or they were erased.
    #[error("delivery {0} has no bytes (never served, or erased): there is nothing to read")]
    NoBytes(i64),
    /// A reason is needed.
    #[error("a reason is needed")]
    NoReason,
    /// The database itself.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for DeliveryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl DeliveryError {
    /// What happened and what to do, for people.
    pub fn text(&self) -> Text {
        let it = match self {
            Self::Unknown(id) => {
                format!("non c'è nessun arrivo con il numero {id}; l'elenco: smista deliveries list")
            }
            Self::WrongState { id, state, doing } => {
                let may = match *doing {
                    "retried" => "si ritenta solo ciò che è in quarantena o in attesa",
                    "ignored" => "si scarta solo ciò che è in quarantena o non è mai stato consegnato",
                    _ => "si riapre solo ciò che è stato scartato, messo da parte o è in quarantena",
                };
                format!("l'arrivo {id} è nello stato «{state}»: {may}")
            }
            Self::NoBytes(id) => {
                format!(
                    "dell'arrivo {id} non ci sono i dati (mai consegnati, oppure cancellati): non c'è niente da leggere"
                )
            }
            Self::NoReason => "serve un motivo: --reason \"...\"".to_owned(),
            Self::Store(error) => format!("errore del database: {error}"),
        };
        Text::new(it, self.to_string())
    }
}

struct Row {
    id: i64,
    channel: String,
    source_key: Option<String>,
    received_at: OffsetDateTime,
    state: String,
    outcome: Option<String>,
    reason: Option<String>,
    number: Option<String>,
    attempts: i32,
    scope: String,
    size: i64,
    not_before: OffsetDateTime,
    accepted_at: OffsetDateTime,
    settled_at: Option<OffsetDateTime>,
}

impl From<Row> for DeliveryRow {
    fn from(r: Row) -> Self {
        Self {
            id: r.id,
            channel: r.channel,
            source_key: r.source_key,
            received_at: sql_time::from_sql(r.received_at),
            state: r.state,
            outcome: r.outcome,
            reason: r.reason,
            number: r.number,
            attempts: r.attempts,
            scope: r.scope,
            size: r.size,
            not_before: sql_time::from_sql(r.not_before),
            accepted_at: sql_time::from_sql(r.accepted_at),
            settled_at: r.settled_at.map(sql_time::from_sql),
        }
    }
}

impl Store {
    /// Deliveries, the newest first.
    pub async fn deliveries_list(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>> {
        let states: Vec<String> = filter.states.iter().map(ToString::to_string).collect();
        let outcomes: Vec<String> = filter.outcomes.iter().map(ToString::to_string).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"select d.id, d.channel, d.received_at, d.state, d.outcome, d.reason, d.attempts, d.scope, d.size,
                      d.not_before, d.accepted_at, d.settled_at,
                      (select k.key from delivery_keys k where k.delivery = d.id order by k.key limit 1) as source_key,
                      (select s.number from segnalazioni s where s.id = coalesce(d.segnalazione,
                         (select o.segnalazione from receipts r join outbox o on o.id = r.outbox where r.delivery = d.id))) as number
               from deliveries d
               where (cardinality($1::text[]) = 0 or d.state = any($1)) and (cardinality($2::text[]) = 0 or d.outcome = any($2))
                 and ($3::text is null or d.channel = $3) and ($4::text is null or d.reason = $4)
               order by d.id desc limit nullif($5::bigint, 0)"#,
            &states,
            &outcomes,
            filter.channel.as_deref(),
            filter.reason.as_deref(),
            filter.limit.max(0),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Everything about one delivery; `None` when there is none.
    pub async fn delivery_show(&self, id: i64) -> Result<Option<DeliveryView>> {
        let row = sqlx::query_as!(
            Row,
            r#"select d.id, d.channel, d.received_at, d.state, d.outcome, d.reason, d.attempts, d.scope, d.size,
                      d.not_before, d.accepted_at, d.settled_at,
                      (select k.key from delivery_keys k where k.delivery = d.id order by k.key limit 1) as source_key,
                      (select s.number from segnalazioni s where s.id = coalesce(d.segnalazione,
                         (select o.segnalazione from receipts r join outbox o on o.id = r.outbox where r.delivery = d.id))) as number
               from deliveries d where d.id = $1"#,
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let receipt = sqlx::query!(
            r#"select kind, about, failed, legal_at, outbox is not null as "linked!", data from receipts where delivery = $1"#,
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        let more = sqlx::query!(
            r#"select array(select k.key from delivery_keys k where k.delivery = d.id order by k.key) as "keys!",
                      facts, encode(sha256, 'hex') as sha256, upstream, upstream_due, claimed_until, erased_at
               from deliveries d where d.id = $1"#,
            id
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Some(DeliveryView {
            row: row.into(),
            keys: more.keys,
            facts: more.facts.unwrap_or_default(),
            sha256: more.sha256,
            upstream: more.upstream,
            upstream_due: more.upstream_due.map(sql_time::from_sql),
            claimed_until: more.claimed_until.map(sql_time::from_sql),
            erased_at: more.erased_at.map(sql_time::from_sql),
            receipt: receipt.map(|r| ReceiptView {
                kind: r.kind,
                about: r.about,
                failed: r.failed,
                legal_at: r.legal_at.map(sql_time::from_sql),
                linked: r.linked,
                data: r.data,
            }),
        }))
    }

    /// The raw bytes of a delivery, exactly as they were received. `None` when there is no such delivery or it has none.
    pub async fn delivery_bytes(&self, id: i64) -> Result<Option<Bytes>> {
        let row = sqlx::query!("select bytes, size from deliveries where id = $1", id)
            .fetch_optional(&self.pool)
            .await?;
        match row.and_then(|r| Some((r.bytes?, r.size))) {
            Some((packed, size)) => Ok(Some(packed::Unpacker::new()?.unpack(&packed, size)?)),
            None => Ok(None),
        }
    }

    /// Puts a quarantined delivery back to be read; one of a flood is let through this time (`facts.let_through`); one that waits for its next attempt is tried at once.
    pub async fn delivery_retry(&self, id: i64) -> Result<(), DeliveryError> {
        let done = sqlx::query!(
            r#"update deliveries set
                 facts = case when state = 'quarantined' and reason = 'flood'
                              then coalesce(nullif(facts, 'null'), '{}') || '{"let_through": true}' else facts end,
                 reason = case state when 'quarantined' then null else reason end,
                 attempts = case state when 'quarantined' then 0 else attempts end,
                 claimed_until = case state when 'quarantined' then null else claimed_until end,
                 not_before = now(),
                 state = case state when 'quarantined' then 'waiting' else state end
             where id = $1 and state in ('quarantined', 'waiting', 'announced')"#,
            id
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(self.why_not(id, "retried").await?) }
    }

    /// Puts everything that is quarantined (in one channel, or in all) back to be read. Returns how many.
    pub async fn deliveries_retry_all(&self, channel: Option<&str>) -> Result<u64> {
        let done = sqlx::query!(
            r#"update deliveries set state = 'waiting', reason = null, attempts = 0, claimed_until = null, not_before = now(),
                   facts = case when reason = 'flood'
                                then coalesce(nullif(facts, 'null'), '{}') || '{"let_through": true}' else facts end
               where state = 'quarantined' and ($1::text is null or channel = $1)"#,
            channel
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Puts away what could not be read or was never served: it needs nobody, for this reason.
    pub async fn delivery_ignore(&self, id: i64, reason: &str) -> Result<(), DeliveryError> {
        let reason = clean::text(reason.trim());
        if reason.is_empty() {
            return Err(DeliveryError::NoReason);
        }
        let done = sqlx::query!(
            "update deliveries set state = 'settled', outcome = 'ignored', reason = $2, settled_at = now(), claimed_until = null
             where id = $1 and state in ('quarantined', 'announced')",
            id,
            reason
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(self.why_not(id, "ignored").await?) }
    }

    /// It is a message of a person after all: read again, and this time neither its kind of letter, nor a double, nor a rule puts
    /// it away (`facts.reopened`).
    pub async fn delivery_reopen(&self, id: i64) -> Result<(), DeliveryError> {
        let done = sqlx::query!(
            r#"update deliveries set state = 'waiting', outcome = null, reason = null, segnalazione = null, settled_at = null,
                   attempts = 0, claimed_until = null, not_before = now(),
                   facts = coalesce(nullif(facts, 'null'), '{}') || '{"reopened": true}'
               where id = $1 and bytes is not null
                 and (state = 'quarantined' or (state = 'settled' and outcome in ('ignored', 'set_aside')))"#,
            id
        )
        .execute(&self.pool)
        .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(self.why_not(id, "reopened").await?) }
    }

    async fn why_not(&self, id: i64, doing: &'static str) -> Result<DeliveryError, StoreError> {
        let row = sqlx::query!(
            r#"select state, outcome, bytes is null as "bare!" from deliveries where id = $1"#,
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(match row {
            None => DeliveryError::Unknown(id),
            Some(r) if doing == "reopened" && r.bare && r.state == "settled" => DeliveryError::NoBytes(id),
            Some(r) => {
                let state = match r.outcome {
                    Some(outcome) => format!("{} ({outcome})", r.state),
                    None => r.state,
                };
                DeliveryError::WrongState { id, state, doing }
            }
        })
    }
}
