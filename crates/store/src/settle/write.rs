//! The rows of a settled batch: set-based, one statement per table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Ending, ReceiptNote, Work};
use crate::{
    StoreError, clean, sql_time,
    threads::{self, Relation},
};

/// A value as the text of its JSON, without NUL, which PostgreSQL refuses.
fn json<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_string(value) {
        Ok(text) if !text.contains("\\u0000") => text,
        // Perhaps a NUL, perhaps a backslash before those letters: looked at closely.
        Ok(_) => clean::json(serde_json::to_value(value).unwrap_or_default()).to_string(),
        Err(_) => "null".to_owned(),
    }
}

/// Opens cases with their entries; gives their numbers, in order.
pub(super) async fn open(
    conn: &mut PgConnection,
    opens: &[(i64, &Work<'_>)],
    year: i16,
) -> Result<Vec<String>, StoreError> {
    if opens.is_empty() {
        return Ok(Vec::new());
    }
    let numbers = sqlx::query_scalar!(
        r#"select next_numbers($1, $2) as "number!""#,
        i32::from(year),
        i32::try_from(opens.len()).unwrap_or(i32::MAX),
    )
    .fetch_all(&mut *conn)
    .await?;
    let n = opens.len();
    let (mut ids, mut kinds, mut sectors) =
        (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut categories, mut priorities, mut ranks) =
        (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut tags, mut channels, mut subjects) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut senders, mut places, mut decisions) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut rulesets, mut received, mut events) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    for (id, work) in opens {
        let (message, decision) = (work.message, work.decision);
        ids.push(*id);
        kinds.push(decision.kind.to_string());
        sectors.push(decision.sector.to_string());
        categories.push(decision.category.as_deref().map(clean::text));
        priorities.push(decision.priority.as_str().to_owned());
        ranks.push(decision.priority.rank());
        tags.push(json(&decision.tags));
        channels.push(work.channel.to_owned());
        subjects.push(clean::text(&message.subject));
        senders.push(json(&message.sender));
        places.push(message.place.as_ref().map(json));
        decisions.push(json(decision));
        rulesets.push(decision.ruleset.0.clone());
        received.push(sql_time::to_sql(message.received_at));
        events.push(json!({
            "sector": decision.sector, "kind": decision.kind, "fallback": decision.fallback,
            "fallback_reason": decision.fallback_reason, "ruleset": decision.ruleset, "delivery": work.delivery,
        }));
    }
    sqlx::query!(
        "insert into segnalazioni (id, number, kind, sector, category, priority, tags, channel, subject, sender, place,
                                   decision, ruleset, received_at)
         select c1, c2, c3, c4, c5, c6, c7::jsonb, c8, c9, c10::jsonb, c11::jsonb, c12::jsonb, c13, c14
           from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::timestamptz[])
                as t (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14)",
        &ids,
        &numbers,
        &kinds,
        &sectors,
        &categories as &[Option<String>],
        &priorities,
        &tags,
        &channels,
        &subjects,
        &senders,
        &places as &[Option<String>],
        &decisions,
        &rulesets,
        &received,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into queue_entries (segnalazione, sector, rank, received_at)
         select * from unnest($1::bigint[], $2::text[], $3::smallint[], $4::timestamptz[])",
        &ids,
        &sectors,
        &ranks,
        &received,
    )
    .execute(&mut *conn)
    .await?;
    first_events(conn, &ids, &sectors, &events).await?;
    Ok(numbers)
}

/// The first event of cases that are being opened: sealed here, all at once, since nothing comes before it. What the trigger
/// `seal` would write, at a third of its cost.
async fn first_events(
    conn: &mut PgConnection,
    cases: &[i64],
    sectors: &[String],
    payloads: &[Value],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into history (position, segnalazione, seq, sector, event, actor, payload, payload_hash, hash)
         select ((pg_current_xact_id()::text::bigint + history_offset()) << 20) | nextval('history_n'),
                c, 1, s, 'opened', 'smista', p, h, history_link(null, h, c, 1, s, 'opened', 'smista', null, now())
           from (select c, s, p, sha256(convert_to(p::text, 'UTF8')) as h
                   from unnest($1::bigint[], $2::text[], $3::jsonb[]) as t(c, s, p)) events",
        cases,
        sectors,
        payloads,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Appends events of the pipeline to the cases' histories.
async fn history(
    conn: &mut PgConnection,
    cases: &[i64],
    sectors: &[String],
    events: &[String],
    payloads: &[Value],
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into history (segnalazione, sector, event, actor, payload)
         select c, s, e, 'smista', p from unnest($1::bigint[], $2::text[], $3::text[], $4::jsonb[]) as t(c, s, e, p)",
        cases,
        sectors,
        events,
        payloads,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes messages with their attachments.
pub(super) async fn messages(
    conn: &mut PgConnection,
    written: &[(i64, &Work<'_>)],
) -> Result<(), StoreError> {
    if written.is_empty() {
        return Ok(());
    }
    let n = written.len();
    let ids = sqlx::query_scalar!(
        r#"select nextval('messages_id_seq') as "id!" from generate_series(1, $1)"#,
        i32::try_from(n).unwrap_or(i32::MAX),
    )
    .fetch_all(&mut *conn)
    .await?;
    let (mut cases, mut deliveries, mut senders) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut addresses, mut recipients, mut subjects) =
        (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut texts, mut quoted, mut signatures) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut folders, mut threads, mut places) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let (mut notes, mut sent, mut received) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::new());
    let mut documents = Vec::with_capacity(n);
    let (mut certified, mut protocols) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut forms, mut clerks) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut a_message, mut a_name, mut a_type, mut a_size) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut a_sha, mut a_part, mut a_inline) = (Vec::new(), Vec::new(), Vec::new());
    for ((case, work), id) in written.iter().zip(&ids) {
        let message = work.message;
        cases.push(*case);
        deliveries.push(work.delivery);
        senders.push(json(&message.sender));
        addresses.push(message.sender.address.as_deref().map(|a| clean::text(a).to_lowercase()));
        recipients.push(json(&message.recipients));
        subjects.push(clean::text(&message.subject));
        texts.push(clean::text(&message.text));
        quoted.push(clean::text(&message.quoted));
        signatures.push(clean::text(&message.signature));
        folders.push(clean::text(&message.folder));
        threads.push(json(&message.thread));
        places.push(message.place.as_ref().map(json));
        notes.push(json(&message.notes));
        documents.push((!message.documents.is_empty()).then(|| json(&message.documents)));
        certified.push(message.certified.as_ref().map(json));
        protocols.push(message.protocol.as_ref().map(json));
        forms.push(message.form.as_ref().map(json));
        clerks.push(message.forwarded_by.as_ref().map(json));
        sent.push(message.sent_at.map(sql_time::to_sql));
        received.push(sql_time::to_sql(message.received_at));
        for attachment in &message.attachments {
            a_message.push(*id);
            a_name.push(clean::text(&attachment.name));
            a_type.push(clean::text(&attachment.media_type));
            a_size.push(i64::try_from(attachment.size).unwrap_or(i64::MAX));
            a_sha.push(attachment.sha256.0.to_vec());
            a_part.push(attachment.part.iter().map(ToString::to_string).collect::<Vec<_>>().join("."));
            a_inline.push(attachment.inline);
        }
    }
    sqlx::query!(
        "insert into messages (id, segnalazione, delivery, sender, sender_address, recipients, subject, text, quoted,
                               signature, folder, thread, place, notes, sent_at, received_at, documents,
                               certified, protocol, form, forwarded_by)
         select c1, c2, c3, c4::jsonb, c5, c6::jsonb, c7, c8, c9, c10, c11, c12::jsonb, c13::jsonb, c14::jsonb, c15, c16,
                c17::jsonb, c18::jsonb, c19::jsonb, c20::jsonb, c21::jsonb
           from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                       $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::timestamptz[],
                       $16::timestamptz[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[])
                as t (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17, c18, c19, c20, c21)",
        &ids,
        &cases,
        &deliveries,
        &senders,
        &addresses as &[Option<String>],
        &recipients,
        &subjects,
        &texts,
        &quoted,
        &signatures,
        &folders,
        &threads,
        &places as &[Option<String>],
        &notes,
        &sent as &[Option<time::OffsetDateTime>],
        &received,
        &documents as &[Option<String>],
        &certified as &[Option<String>],
        &protocols as &[Option<String>],
        &forms as &[Option<String>],
        &clerks as &[Option<String>],
    )
    .execute(&mut *conn)
    .await?;
    if !a_message.is_empty() {
        sqlx::query!(
            "insert into attachments (message, name, media_type, size, sha256, part, inline)
             select * from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bytea[], $6::text[], $7::bool[])",
            &a_message,
            &a_name,
            &a_type,
            &a_size,
            &a_sha,
            &a_part,
            &a_inline,
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Tells the entries of existing (or just opened) cases that messages were appended. Gives the sectors in which a case
/// became ready again.
///
/// A follow-up on a taken or answered case makes it ready again with its cause; on a closed one it reopens it; on a leased
/// one it raises the message count, and a `take` that has not seen it leaves the entry ready.
pub(super) async fn append(
    conn: &mut PgConnection,
    joins: &BTreeMap<i64, Vec<&Work<'_>>>,
) -> Result<BTreeSet<String>, StoreError> {
    if joins.is_empty() {
        return Ok(BTreeSet::new());
    }
    let cases: Vec<i64> = joins.keys().copied().collect();
    let counts: Vec<i32> = joins.values().map(|w| i32::try_from(w.len()).unwrap_or(i32::MAX)).collect();
    // Locked in order before anything is changed; the cases themselves are locked already.
    let before = sqlx::query!(
        "select segnalazione, sector, state from queue_entries where segnalazione = any($1) order by segnalazione for update",
        &cases
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query!(
        "update queue_entries e set
             messages = e.messages + c.n,
             state = case when e.state in ('taken', 'answered', 'closed') then 'ready' else e.state end,
             cause = case e.state when 'closed' then 'reopened' when 'taken' then 'follow-up'
                                  when 'answered' then 'follow-up' else e.cause end,
             attempts = case when e.state in ('taken', 'answered', 'closed') then 0 else e.attempts end,
             not_before = case when e.state = 'leased' then e.not_before end,
             worker = case when e.state in ('taken', 'answered', 'closed') then null else e.worker end,
             updated_at = now()
         from unnest($1::bigint[], $2::int[]) as c(id, n) where e.segnalazione = c.id",
        &cases,
        &counts,
    )
    .execute(&mut *conn)
    .await?;
    // The citizen wrote: whoever waited for that waits no longer, and the clock goes on.
    sqlx::query!(
        "update segnalazioni set suspended_at = null where id = any($1) and suspended_at is not null",
        &cases
    )
    .execute(&mut *conn)
    .await?;
    let reopened: Vec<i64> = before.iter().filter(|e| e.state == "closed").map(|e| e.segnalazione).collect();
    if !reopened.is_empty() {
        sqlx::query!(
            "update segnalazioni set closed_at = null, outcome = null where id = any($1)",
            &reopened
        )
        .execute(&mut *conn)
        .await?;
    }
    let (mut ids, mut sectors, mut events, mut payloads) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut ready = BTreeSet::new();
    for entry in &before {
        let again = matches!(entry.state.as_str(), "taken" | "answered" | "closed");
        if again {
            ready.insert(entry.sector.clone());
        }
        for (n, work) in joins.get(&entry.segnalazione).into_iter().flatten().enumerate() {
            let event = if entry.state == "closed" && n == 0 { "reopened" } else { "appended" };
            ids.push(entry.segnalazione);
            sectors.push(entry.sector.clone());
            events.push(event.to_owned());
            payloads.push(json!({ "delivery": work.delivery, "ready": again && n == 0, "was": entry.state }));
        }
    }
    history(conn, &ids, &sectors, &events, &payloads).await?;
    Ok(ready)
}

/// Keeps what receipts say. Read again (reopened, or after a crash), a delivery says it again.
pub(super) async fn receipts(
    conn: &mut PgConnection,
    receipts: &[(i64, &ReceiptNote)],
) -> Result<(), StoreError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let (mut ids, mut abouts, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut failed, mut instants, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (delivery, receipt) in receipts {
        ids.push(*delivery);
        abouts.push(receipt.about.as_deref().map(threads::key));
        kinds.push(clean::text(&receipt.kind));
        failed.push(receipt.failed);
        instants.push(receipt.legal_at.map(sql_time::to_sql));
        data.push(json(&receipt.data));
    }
    sqlx::query!(
        "insert into receipts (delivery, about, kind, failed, legal_at, data)
         select c1, c2, c3, c4, c5, c6::jsonb
           from unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::timestamptz[], $6::text[]) as t (c1, c2, c3, c4, c5, c6)
         on conflict (delivery) do update set about = excluded.about, kind = excluded.kind, failed = excluded.failed,
             legal_at = excluded.legal_at, data = excluded.data",
        &ids,
        &abouts as &[Option<String>],
        &kinds,
        &failed,
        &instants as &[Option<time::OffsetDateTime>],
        &data,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes which cases speak of the same thing.
pub(super) async fn relations(
    conn: &mut PgConnection,
    relations: &BTreeMap<(i64, i64), Relation>,
) -> Result<(), StoreError> {
    if relations.is_empty() {
        return Ok(());
    }
    let (mut cases, mut others, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for ((case, other), why) in relations {
        cases.push(*case);
        others.push(*other);
        reasons.push(why.as_str().to_owned());
    }
    sqlx::query!(
        "insert into relations (segnalazione, other, reason)
         select * from unnest($1::bigint[], $2::bigint[], $3::text[]) on conflict do nothing",
        &cases,
        &others,
        &reasons,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives every delivery its outcome.
pub(super) async fn outcomes(conn: &mut PgConnection, outcomes: &[Ending]) -> Result<(), StoreError> {
    let ids: Vec<i64> = outcomes.iter().map(|o| o.delivery).collect();
    let states: Vec<String> = outcomes.iter().map(|o| o.state.to_owned()).collect();
    let words: Vec<Option<String>> = outcomes.iter().map(|o| o.outcome.map(str::to_owned)).collect();
    let reasons: Vec<Option<String>> =
        outcomes.iter().map(|o| o.reason.as_deref().map(clean::text)).collect();
    let cases: Vec<Option<i64>> = outcomes.iter().map(|o| o.segnalazione).collect();
    sqlx::query!(
        "update deliveries d set state = o.state, outcome = o.outcome, reason = o.reason, segnalazione = o.case_id,
             settled_at = now(), claimed_until = null
         from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[])
              as o(id, state, outcome, reason, case_id)
         where d.id = o.id and d.state = 'waiting'",
        &ids,
        &states,
        &words as &[Option<String>],
        &reasons as &[Option<String>],
        &cases as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
