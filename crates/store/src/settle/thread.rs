//! Threading against the database: insert keys sorted, read in a second statement, resolve, mend what others had first.

use std::collections::{BTreeSet, HashMap, HashSet};

use smista_domain::{Decision, Message};
use sqlx::{PgConnection, postgres::types::PgInterval};

use super::{SettleOptions, number_text};
use crate::{
    StoreError,
    threads::{self, Incoming, KeyRow, KnownCase, Resolution},
};

/// What threading found out.
pub(super) struct Threaded {
    pub(super) resolution: Resolution,
    /// Numbers of the cases that existed.
    pub(super) numbers: HashMap<i64, String>,
}

/// What the resolver needs of a message. `tentative` is filled in by [`place`].
pub(super) fn incoming(delivery: i64, message: &Message, decision: &Decision, reopened: bool) -> Incoming {
    Incoming {
        delivery,
        own: message.thread.own.as_deref().map(threads::key),
        refs: message.thread.refs.iter().map(|r| threads::key(r)).collect(),
        fingerprint: threads::fingerprint_key(&message.thread.fingerprint),
        number: number_text(message.thread.number.as_ref()),
        sender: message.sender.address.as_ref().map(|a| a.to_lowercase()),
        tentative: 0,
        set_aside: decision.set_aside.is_some(),
        reopened,
    }
}

/// Finds or opens the case of every message. Holds, until the transaction ends, the rows of all keys it inserted and the
/// cases that messages join.
pub(super) async fn place(
    conn: &mut PgConnection,
    batch: &mut [Incoming],
    options: &SettleOptions,
) -> Result<Threaded, StoreError> {
    let ids = sqlx::query_scalar!(
        r#"select nextval('segnalazioni_id_seq') as "id!" from generate_series(1, $1)"#,
        i32::try_from(batch.len()).unwrap_or(i32::MAX),
    )
    .fetch_all(&mut *conn)
    .await?;
    for (message, id) in batch.iter_mut().zip(ids) {
        message.tentative = id;
    }

    // As if nobody had written before: what is inserted is right in the ordinary case, and mended below otherwise. What
    // might be set aside inserts its keys as well, so that two workers with the same letter meet; they go away again.
    let alone: Vec<Incoming> = batch.iter().cloned().map(|m| Incoming { set_aside: false, ..m }).collect();
    let guess = threads::resolve(&alone, &HashMap::new(), &HashMap::new(), &HashMap::new()).keys;
    let (mut keys, mut cases, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (key, row) in &guess {
        keys.push(key.clone());
        cases.push(row.segnalazione);
        owners.push(row.owner);
    }
    let inserted: HashSet<String> = sqlx::query_scalar!(
        "insert into thread_keys (key, segnalazione, owner)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[]) on conflict (key) do nothing returning key",
        &keys,
        &cases,
        &owners as &[Option<i64>],
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .collect();
    // What others had first is there by now; only a statement that begins later sees it.
    let others: Vec<String> = keys.into_iter().filter(|key| !inserted.contains(key)).collect();
    let existing: HashMap<String, KeyRow> = if others.is_empty() {
        HashMap::new()
    } else {
        sqlx::query!("select key, segnalazione, owner from thread_keys where key = any($1)", &others)
            .fetch_all(&mut *conn)
            .await?
            .into_iter()
            .map(|row| (row.key, KeyRow { segnalazione: row.segnalazione, owner: row.owner }))
            .collect()
    };

    let wanted: Vec<String> = batch.iter().filter_map(|m| m.number.clone()).collect();
    let known: Vec<i64> =
        existing.values().map(|row| row.segnalazione).collect::<BTreeSet<i64>>().into_iter().collect();
    let mut found = HashMap::new();
    let mut numbers = HashMap::new();
    let mut by_number = HashMap::new();
    if !known.is_empty() || !wanted.is_empty() {
        let reopen_within = PgInterval { months: 0, days: 0, microseconds: micros(options) };
        let rows = sqlx::query!(
            r#"select s.id, s.number, (s.closed_at is null or s.closed_at > now() - $3::interval) as "joinable!"
               from segnalazioni s where s.id = any($1) or s.number = any($2) order by s.id for update"#,
            &known,
            &wanted,
            reopen_within,
        )
        .fetch_all(&mut *conn)
        .await?;
        for row in rows {
            if wanted.contains(&row.number) {
                by_number.insert(row.number.clone(), row.id);
            }
            numbers.insert(row.id, row.number);
            found.insert(row.id, KnownCase { senders: Vec::new(), joinable: row.joinable });
        }
        // Cases that are joined only by who writes in them already.
        let ownerless = existing.values().filter(|row| row.owner.is_none()).map(|row| row.segnalazione);
        let numbered: Vec<i64> =
            by_number.values().copied().chain(ownerless).collect::<BTreeSet<i64>>().into_iter().collect();
        if !numbered.is_empty() {
            let senders = sqlx::query!(
                r#"select distinct segnalazione, sender_address as "address!" from messages
                   where segnalazione = any($1) and sender_address is not null"#,
                &numbered
            )
            .fetch_all(&mut *conn)
            .await?;
            for row in senders {
                found.entry(row.segnalazione).or_insert_with(KnownCase::default).senders.push(row.address);
            }
        }
    }

    let resolution = threads::resolve(batch, &existing, &found, &by_number);
    mend(conn, &guess, &resolution, &existing).await?;
    Ok(Threaded { resolution, numbers })
}

fn micros(options: &SettleOptions) -> i64 {
    i64::try_from(options.reopen_within.as_micros()).unwrap_or(i64::MAX)
}

/// Writes what the final resolution says otherwise than the guess that was inserted.
async fn mend(
    conn: &mut PgConnection,
    guess: &std::collections::BTreeMap<String, KeyRow>,
    resolution: &Resolution,
    existing: &HashMap<String, KeyRow>,
) -> Result<(), StoreError> {
    let (mut keys, mut cases, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (key, row) in &resolution.keys {
        let stored = existing.get(key).or_else(|| guess.get(key));
        if stored != Some(row) {
            keys.push(key.clone());
            cases.push(row.segnalazione);
            owners.push(row.owner);
        }
    }
    let stale: Vec<String> = guess
        .keys()
        .filter(|key| !existing.contains_key(*key) && !resolution.keys.contains_key(*key))
        .cloned()
        .collect();
    if !stale.is_empty() {
        sqlx::query!("delete from thread_keys where key = any($1)", &stale).execute(&mut *conn).await?;
    }
    if !keys.is_empty() {
        sqlx::query!(
            "insert into thread_keys (key, segnalazione, owner)
             select * from unnest($1::text[], $2::bigint[], $3::bigint[])
             on conflict (key) do update set segnalazione = excluded.segnalazione, owner = excluded.owner",
            &keys,
            &cases,
            &owners as &[Option<i64>],
        )
        .execute(&mut *conn)
        .await?;
    }

    Ok(())
}
