//! One bad thing stops only itself.

use std::path::Path;

use super::{
    Rig,
    trial::{Trial, words},
};

/// Bad things of every kind with a good one behind each: the good ones are in their queues, none waits for a bad one, and each
/// bad one is a row with an outcome or in quarantine.
pub async fn no_reader_likes_it<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let kinds = trial.rig.poisons();
    for kind in 0..kinds {
        trial.rig.put_poison(0, kind);
        trial.put(0, kind + 1..=kind + 1);
    }
    let daemon = trial.daemon(0);
    trial.until_queued(0, &[1..=kinds]).await;
    trial.until_told(0, 2 * kinds).await;
    trial.until_caught_up(0).await;
    trial.end([daemon]);
    let ledger = trial.queued_once(0, 1..=kinds).await;
    assert_eq!((&ledger["delivered"], &ledger["waiting"]), (&(2 * kinds).into(), &0.into()), "{ledger}");
    let again: i64 = sqlx::query_scalar("select count(*) from deliveries where attempts > 1")
        .fetch_one(trial.store.pool())
        .await
        .expect("a number");
    assert_eq!(again, 0, "no thing costs itself or another one an attempt");
}

/// A thing that the database will not take even alone: it is quarantined, `status` says so, the others are in their queues. When
/// the cause is gone, `deliveries retry` brings it into its queue.
pub async fn the_database_refuses_it<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let refused = words(7).replace('\'', "''");
    let constraint =
        format!("alter table messages add constraint poison check (position('{refused}' in text) = 0)");
    sqlx::raw_sql(sqlx::AssertSqlSafe(constraint)).execute(trial.store.pool()).await.expect("a constraint");
    trial.put(0, 1..=12);
    let daemon = trial.daemon(0);
    trial.until_queued(0, &[1..=6, 8..=12]).await;
    trial
        .town
        .until_nothing_lacks("the refused one is quarantined", async || {
            let quarantined = trial.deliveries(0, &["quarantined"]).await;
            (quarantined != 1).then(|| format!("{quarantined} are"))
        })
        .await;
    let ledger = trial.ledger(0);
    assert_eq!((&ledger["opened"], &ledger["quarantined"]), (&11.into(), &1.into()), "{ledger}");
    trial.town.until("status says so", || trial.says("quarantine")).await;

    let mended = "alter table messages drop constraint poison";
    sqlx::raw_sql(mended).execute(trial.store.pool()).await.expect("mended");
    assert_eq!(trial.town.run(&["deliveries", "retry", "--all"]).code, 0);
    trial.until_queued(0, &[1..=12]).await;
    trial.until_told(0, 12).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=12).await;
}
