//! Nothing lost, nothing twice: killed at the two moments that matter, and handed the same over again.

use std::path::Path;

use super::{
    Rig,
    trial::{Trial, name},
};

/// Killed (kill -9) between receiving and the commit: upstream has been told nothing, and the next daemon takes each thing in
/// once. It does not matter whether what the dead one had asked the database for is lost or done all the same.
pub async fn killed_between_receive_and_commit<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let mut all = 0;
    for lost in [true, false] {
        let (daemon, mut held) = trial.held_at_work().await;
        trial.put(0, all + 1..=all + 5);
        trial.accepting(&mut held).await;
        daemon.kill9();
        assert_eq!(trial.rig.told(0), if R::TELLS { all } else { 0 }, "upstream was told before the commit");
        held.release(lost).await;
        all += 5;
        let daemon = trial.daemon(0);
        trial.until_queued(0, &[1..=all]).await;
        trial.until_told(0, all).await;
        trial.end([daemon]);
        trial.each_once(0, 1..=all).await;
    }
}

/// Killed between the commit and telling upstream: each thing is there once, and in the end upstream is told.
pub async fn killed_between_commit_and_telling<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let (daemon, mut held) = trial.held_at_work().await;
    trial.put(0, 1..=5);
    trial.accepting(&mut held).await;
    trial.rig.still();
    held.release(false).await;
    trial
        .town
        .until_nothing_lacks("something is committed", async || {
            let committed = trial.deliveries(0, &["waiting", "settled"]).await;
            (committed == 0).then(|| "every commit".to_owned())
        })
        .await;
    assert_eq!(trial.rig.told(0), 0, "upstream was silent");
    daemon.kill9();
    trial.rig.go_on();
    let daemon = trial.daemon(0);
    trial.until_queued(0, &[1..=5]).await;
    trial.until_told(0, 5).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=5).await;
}

/// Handed over again: to two daemons on one database, while none runs, and to one that has just started.
pub async fn delivered_twice<R: Rig>(program: &Path) {
    let mut trial = Trial::<R>::new(program, 1).await;
    let daemons = [trial.daemon(0), trial.daemon(1)];
    trial.put(0, 1..=5);
    trial.until_queued(0, &[1..=5]).await;
    trial.rig.again(0).await;
    // What is new comes after what comes again.
    trial.put(0, 6..=6);
    trial.until_queued(0, &[1..=6]).await;
    trial.end(daemons);
    trial.each_once(0, 1..=6).await;

    trial.rig.again(0).await;
    let daemon = trial.daemon(0);
    trial.put(0, 7..=7);
    trial.until_queued(0, &[1..=7]).await;
    trial.rig.again(0).await;
    trial.put(0, 8..=8);
    trial.until_queued(0, &[1..=8]).await;
    trial.until_caught_up(0).await;
    trial.until_told(0, 8).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=8).await;
    let keys: i64 =
        sqlx::query_scalar("select count(distinct delivery) from delivery_keys where channel = $1")
            .bind(name::<R>(0))
            .fetch_one(trial.store.pool())
            .await
            .expect("a number");
    assert_eq!(keys, 8, "each has a row, under whatever keys it came");
}
