//! What happened cannot be changed, and a change would be noticed.

use crate::town::{Town, run};

#[tokio::test]
async fn nothing_in_the_history_can_be_changed_or_removed() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    town.queue("test").note(&number, "nota").await.expect("noted");
    for statement in [
        "delete from history",
        "update history set actor = 'nessuno'",
        "update history set payload = '{}'",
        "update history set payload = null, at = now() + interval '1 s'",
        "update history set sector = 'rpct'",
        "update history set segnalazione = segnalazione + 1",
    ] {
        let error = run(town.pool(), statement).await.expect_err(statement);
        assert!(error.to_string().contains("append-only"), "{statement}: {error}");
    }
    town.assert_sound().await;
}

#[tokio::test]
async fn erasing_a_payload_leaves_the_chain_whole() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    town.queue("test").note(&number, "dati personali").await.expect("noted");
    town.queue("test").close(&number, "fatto", Some("k")).await.expect("closed");
    town.run("update history set payload = null").await;
    town.assert_sound().await;
    // A retry finds its key, though what it returned then is gone.
    let entry = town.queue("test").close(&number, "fatto", Some("k")).await.expect("closed then");
    assert_eq!(entry.state, "closed");
}

#[tokio::test]
async fn the_chain_is_per_case_and_counts_from_one() {
    let town = Town::new().await;
    let numbers = town.open("urp", 3).await;
    for number in &numbers {
        town.queue("test").note(number, "nota").await.expect("noted");
        let case = town.queue_show(number).await.expect("read").expect("there");
        assert_eq!(case.history.iter().map(|h| h.seq).collect::<Vec<_>>(), [1, 2]);
    }
    town.assert_sound().await;
}
