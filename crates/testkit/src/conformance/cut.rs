//! The network between the program and its database is cut, at many moments, while things come in: each is there once.

use std::path::Path;

use super::{Rig, stop::behind_a_proxy};

/// How much of the server's answers each new connection lets through before it ends: from the middle of logging in to somewhere
/// among the commits.
const LIMITS: [u64; 5] = [100, 1_500, 4_000, 10_000, 30_000];

/// Cut in the middle of a commit, over and over, in the middle of answers; refused for a while, which `status` says and takes
/// back.
pub async fn database_cut<R: Rig>(program: &Path) {
    let (trial, proxy) = behind_a_proxy::<R>(program).await;
    // Asked for and done, and its answer is lost.
    let (daemon, mut held) = trial.held_at_work().await;
    trial.put(0, 1..=3);
    trial.accepting(&mut held).await;
    proxy.cut();
    held.release(false).await;
    trial.until_queued(0, &[1..=3]).await;

    let mut all = 3;
    for limit in LIMITS {
        let connections = proxy.connections();
        proxy.limit(Some(limit));
        proxy.cut();
        trial.put(0, all + 1..=all + 1);
        proxy.until_connections(connections + 4).await;
        all += 1;
    }
    proxy.limit(None);
    for _ in 0..5 {
        proxy.cut();
        trial.put(0, all + 1..=all + 1);
        all += 1;
    }
    trial.until_queued(0, &[1..=all]).await;

    proxy.refuse();
    trial.put(0, all + 1..=all + 1);
    all += 1;
    trial.town.until("status says that the database is away", || trial.says("database-away")).await;
    proxy.resume();
    trial.until_queued(0, &[1..=all]).await;
    trial.town.until("status says that it is over", || !trial.says("database-away")).await;
    trial.until_told(0, all).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=all).await;
}

/// Nothing comes back from the database, in the middle of a commit, and no connection ends: `status` says so, and when the network
/// has its way again everything goes on.
pub async fn database_stalled<R: Rig>(program: &Path) {
    let (trial, proxy) = behind_a_proxy::<R>(program).await;
    let (daemon, mut held) = trial.held_at_work().await;
    trial.put(0, 1..=3);
    trial.accepting(&mut held).await;
    proxy.stall();
    held.release(false).await;
    trial.put(0, 4..=5);
    trial.town.until("status says that the database is away", || trial.says("database-away")).await;
    proxy.resume();
    trial.until_queued(0, &[1..=5]).await;
    trial.town.until("status says that it is over", || !trial.says("database-away")).await;
    trial.until_told(0, 5).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=5).await;
}
