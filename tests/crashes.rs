//! kill -9 at random moments, with each policy. `make chaos` does the same two hundred times each.

use smista_testkit::crashes::rounds;

use crate::support::program;

async fn ten(policy: &str) {
    let seed = fastrand::u64(..);
    let tally = rounds(program(), policy, 10, &mut fastrand::Rng::with_seed(seed)).await;
    assert_eq!(tally.kills, 10);
    println!("{policy}: {tally:?} (seed {seed})");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_with_keep() {
    ten("keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_with_seen() {
    ten("seen").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_with_move() {
    ten("move:Archivio").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_with_delete() {
    ten("delete").await;
}
