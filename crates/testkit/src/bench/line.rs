//! One run of the daemon over one mailbox: from its start until the last letter is in its queue.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "a measurement"
)]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::ConnectOptions as _;

use crate::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    postgres::{TestPostgres, TestStore},
};

/// No run may take longer.
const PATIENCE: Duration = Duration::from_mins(30);

/// What was seen.
#[derive(Debug)]
pub struct Run {
    /// Letters in the mailbox.
    pub letters: usize,
    /// From the daemon's start until all were settled.
    pub seconds: f64,
    /// From the daemon's start until the first commit of letters: starting up, rules, connecting.
    pub start_up: f64,
    /// Letters per second in each fifth of the settling, by the database's own times.
    pub fifths: Vec<f64>,
    /// The most memory that the daemon ever had, in octets.
    pub peak: u64,
    /// Processor time of the daemon, in seconds.
    pub processor: f64,
    /// Processor time of PostgreSQL meanwhile, in seconds.
    pub database: f64,
    /// The ledger's row of the mailbox.
    pub ledger: Value,
    /// What is wrong: with the ledger, or with what `verify` looks at.
    pub wrong: Vec<String>,
}

impl Run {
    /// Letters per second, all in all.
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn rate(&self) -> f64 {
        self.letters as f64 / self.seconds
    }
}

/// Lets a daemon sort the INBOX of `user`, in which there are so many letters, into a fresh schema.
pub async fn run(
    program: &Path,
    dovecot: &Dovecot,
    server: &Arc<TestPostgres>,
    user: &str,
    letters: usize,
) -> Run {
    let store = TestStore::on(Arc::clone(server)).await;
    let table = format!("url = {:?}\nschema = {:?}\n", server.url(), store.schema().as_str());
    let town = Installation::new(program, &table, Some(dovecot), &[Mailbox::of(dovecot, user)]);
    let (begun, database_before) = (Instant::now(), server.processor_time());
    let mut daemon = town.daemon();
    let mut start_up = None;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    // Cheap questions only: where the cursor stands, and once it is at the end, whether anything still waits.
    loop {
        ticks.tick().await;
        assert!(daemon.runs(), "the daemon ended: {}", town.logs());
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {}", town.logs());
        let position: i64 =
            sqlx::query_scalar("select coalesce(max(position), 0) from cursors where scope = 'INBOX'")
                .fetch_one(store.pool())
                .await
                .expect("the cursor");
        if position > 0 && start_up.is_none() {
            start_up = Some(begun.elapsed());
        }
        if position >= i64::try_from(letters).expect("a count") {
            let waits: bool = sqlx::query_scalar(
                "select exists (select from deliveries where state = 'waiting')
                     or exists (select from deliveries where state = 'announced')",
            )
            .fetch_one(store.pool())
            .await
            .expect("what waits");
            if !waits {
                break;
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let (peak, processor) = (daemon.peak_memory(), daemon.processor_time());
    let database = server.processor_time() - database_before;
    let fifths: Vec<f64> = sqlx::query_scalar(
        "select (count(*) / greatest(extract(epoch from max(at) - min(at)), 0.001))::float8 from (
           select settled_at as at, ntile(5) over (order by settled_at) as part from deliveries where settled_at is not null
         ) t group by part order by part",
    )
    .fetch_all(store.pool())
    .await
    .expect("the times");

    let ledger = town.ledger(&format!("email/{user}")).expect("the ledger's row");
    let mut wrong = Vec::new();
    let count = |what: &str| ledger[what].as_i64().unwrap_or(-1);
    let outcomes = ["opened", "appended", "ignored", "set_aside", "quarantined", "waiting"];
    let sum: i64 = outcomes.iter().map(|what| count(what)).sum();
    let expected = i64::try_from(letters).expect("a count");
    if count("delivered") != expected || sum != expected || count("quarantined") + count("waiting") > 0 {
        wrong.push(format!("{letters} letters, and the ledger says {ledger}"));
    }
    let problems = store.verify().await.expect("verified");
    wrong.extend(problems.iter().take(5).map(|p| format!("verify: {p:?}")));
    if daemon.terminate() != 0 {
        wrong.push(format!("the daemon did not stop well: {}", town.logs()));
    }
    let drop = format!("drop schema {:?} cascade", store.schema().as_str());
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(store.pool()).await.ok();
    Run {
        letters,
        seconds,
        start_up: start_up.unwrap_or_default().as_secs_f64(),
        fifths,
        peak,
        processor,
        database,
        ledger,
        wrong,
    }
}

/// Where the database's time went so far, as `pg_stat_statements` counts it: milliseconds, calls, statement. Nested statements
/// are counted in the functions that run them, too.
pub async fn statements(server: &TestPostgres) -> Vec<String> {
    let mut connection = server.superuser_options().connect().await.expect("the superuser connects");
    sqlx::query_as::<_, (f64, i64, String)>(
        "select total_exec_time, calls, left(regexp_replace(query, '\\s+', ' ', 'g'), 150) from pg_stat_statements
          where calls > 5 order by total_exec_time desc limit 25",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the statistics")
    .into_iter()
    .map(|(ms, calls, query)| format!("{ms:9.0} ms {calls:8} x {query}"))
    .collect()
}
