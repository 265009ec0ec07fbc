//! What workers do with the queue, one at a time.

use std::time::Duration;

use jiff::Timestamp;
use smista_domain::Priority;
use smista_store::{QueueFilter, RejectionKind};

use crate::town::{FIVE_MINUTES, Letter, Town, letter, refused};

#[tokio::test]
async fn the_urgent_come_first_then_the_oldest() {
    let town = Town::new().await;
    let at = |s: i64| Timestamp::from_second(1_790_000_000 + s).expect("valid");
    let numbers = town
        .receive(&[
            Letter { received_at: at(3), ..letter("urp", "new") },
            Letter { received_at: at(1), ..letter("urp", "old") },
            Letter { received_at: at(9), priority: Priority::Urgent, ..letter("urp", "urgent") },
            Letter { received_at: at(0), priority: Priority::Low, ..letter("urp", "low") },
            Letter { received_at: at(0), ..letter("ambiente", "elsewhere") },
        ])
        .await;
    let claimed = town.queue("test").claim("urp", "anna", 10, FIVE_MINUTES).await.expect("claimed");
    let order: Vec<&str> = claimed.iter().map(|c| c.number.as_str()).collect();
    assert_eq!(order, [&numbers[2], &numbers[1], &numbers[0], &numbers[3]]);
    assert!(town.queue("test").claim("urp", "anna", 10, FIVE_MINUTES).await.expect("claimed").is_empty());
}

#[tokio::test]
async fn a_claim_shows_everything_that_the_worker_needs() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    town.follow_up(&number).await;
    let it = town.claim_one("urp").await;
    assert_eq!(
        (it.number.as_str(), it.cause.as_str(), it.channel.as_str()),
        (number.as_str(), "new", "email/urp")
    );
    let messages = it.messages.as_array().expect("a list");
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0]["from"]["address"], "anna@example.it");
    assert_eq!(it.text.as_deref(), messages[0]["text"].as_str());
    let attachments = it.attachments.as_array().expect("a list");
    assert_eq!(attachments.len(), 2);
    assert_eq!(attachments[0]["name"], "foto.jpg");
    assert_eq!(attachments[0]["url"], format!("/v1/attachments/{}", attachments[0]["id"]));
    assert_eq!(it.decision["sector"], "urp");
}

#[tokio::test]
async fn bounds_are_told() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let out = (RejectionKind::Invalid, "out_of_bounds".to_owned());
    for max in [0, -1, 1001] {
        assert_eq!(refused(queue.claim("urp", "w", max, FIVE_MINUTES).await), out, "{max}");
    }
    for lease_for in [Duration::ZERO, Duration::from_millis(999), Duration::from_hours(25)] {
        assert_eq!(refused(queue.claim("urp", "w", 1, lease_for).await), out, "{lease_for:?}");
    }
    assert_eq!(
        refused(queue.claim("urp", " ", 1, FIVE_MINUTES).await),
        (RejectionKind::Invalid, "empty".to_owned())
    );
    assert_eq!(
        refused(queue.claim("nessuno", "w", 1, FIVE_MINUTES).await),
        (RejectionKind::Unknown, "unknown_sector".to_owned())
    );
    assert_eq!(refused(queue.changes(0, 0).await), out);
    assert_eq!(refused(queue.changes(0, 10_001).await), out);
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    assert_eq!(refused(queue.extend(lease, Duration::from_hours(25)).await), out);
    assert_eq!(refused(queue.release(lease, "x", Duration::from_hours(24 * 400)).await), out);
    assert_eq!(refused(queue.close(&number, "", None).await), (RejectionKind::Invalid, "empty".to_owned()));
}

#[tokio::test]
async fn taking_is_idempotent_for_its_own_lease() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    let queue = town.queue("test");
    let first = queue.take(lease).await.expect("taken");
    assert_eq!((first.state.as_str(), first.worker.as_deref()), ("taken", Some("w")));
    let again = queue.take(lease).await.expect("taken already");
    assert_eq!(first, again);
    assert_eq!(town.events(&number).await, ["opened", "taken"]);
    // Also when the world has gone on.
    queue.close(&number, "fatto", None).await.expect("closed");
    assert_eq!(queue.take(lease).await.expect("taken then"), first);
    assert_eq!(town.events(&number).await, ["opened", "taken", "closed"]);
    town.assert_sound().await;
}

#[tokio::test]
async fn release_costs_no_attempt_and_can_wait() {
    let town = Town::new().await;
    let number = town.open_one("urp").await;
    let queue = town.queue("test");
    let lease = town.claim_one("urp").await.lease;
    let back = queue.release(lease, "pausa", Duration::ZERO).await.expect("released");
    assert_eq!((back.state.as_str(), back.attempts, back.not_before), ("ready", 0, None));
    assert_eq!(queue.release(lease, "pausa", Duration::ZERO).await.expect("released already"), back);

    let lease = town.claim_one("urp").await.lease;
    let back = queue.release(lease, "domani", Duration::from_hours(1)).await.expect("released");
    assert!(back.not_before.is_some());
    assert!(queue.claim("urp", "w", 1, FIVE_MINUTES).await.expect("claimed").is_empty());
    assert!(town.sweep().await.expect("swept").is_empty(), "nothing to claim now");
    town.run("update queue_entries set not_before = now() - interval '1 second'").await;
    assert_eq!(town.sweep().await.expect("swept"), ["urp"]);
    assert_eq!(town.claim_one("urp").await.number, number);
}

#[tokio::test]
async fn extending_moves_the_end_and_stops_at_a_day() {
    let town = Town::new().await;
    town.open_one("urp").await;
    let it = town.claim_one("urp").await;
    let queue = town.queue("test");
    let longer = queue.extend(it.lease, Duration::from_mins(10)).await.expect("extended");
    let end = longer.leased_until.expect("leased");
    assert_eq!(end.duration_since(it.leased_until).as_secs(), 600);
    for _ in 0..3 {
        queue.extend(it.lease, Duration::from_hours(24)).await.expect("extended");
    }
    let capped: bool =
        town.value("select leased_until <= now() + interval '24 hours' from queue_entries").await;
    assert!(capped);
}

#[tokio::test]
async fn an_expired_lease_comes_back_and_after_max_attempts_goes_to_the_fallback() {
    let town = Town::new().await;
    let number = town.open_one("ambiente").await;
    for attempt in 0..3 {
        let it = town.claim_one("ambiente").await;
        assert_eq!((it.number.as_str(), it.attempts), (number.as_str(), attempt));
        town.let_leases_run_out().await;
    }
    // The next claim is what finds the last one run out.
    assert!(town.queue("test").claim("ambiente", "w", 1, FIVE_MINUTES).await.expect("claimed").is_empty());
    let it = town.claim_one("urp").await;
    assert_eq!((it.number.as_str(), it.cause.as_str(), it.attempts), (number.as_str(), "max-attempts", 0));
    assert_eq!(
        town.events(&number).await,
        ["opened", "lease-expired", "lease-expired", "lease-expired", "fallback"]
    );
    let why: String = town.value("select payload ->> 'reason' from history where event = 'fallback'").await;
    assert_eq!(why, "3 leases in sector ambiente ran out");
    town.assert_sound().await;
}

#[tokio::test]
async fn in_the_fallback_sector_and_in_a_confidential_one_a_case_stays() {
    let town = Town::new().await;
    for sector in ["urp", "rpct"] {
        town.open_one(sector).await;
        for attempt in 0..5 {
            assert_eq!(town.claim_one(sector).await.attempts, attempt, "{sector}");
            town.let_leases_run_out().await;
            town.sweep().await.expect("swept");
        }
    }
    let troubled: i64 = town.numbers().await.expect("numbers").queues.iter().map(|q| q.troubled).sum();
    assert_eq!(troubled, 2);
}

#[tokio::test]
async fn the_sweep_says_which_sectors_have_something() {
    let town = Town::new().await;
    town.open_one("ambiente").await;
    town.open_one("rpct").await;
    town.claim_one("rpct").await;
    assert_eq!(town.sweep().await.expect("swept"), ["ambiente"]);
    town.let_leases_run_out().await;
    let mut swept = town.sweep().await.expect("swept");
    swept.sort();
    assert_eq!(swept, ["ambiente", "rpct"]);
}

#[tokio::test]
async fn a_case_in_a_sector_that_was_removed_is_rescued() {
    let town = Town::new().await;
    let number = town.open_one("ambiente").await;
    town.queue("test").close(&number, "fatto", None).await.expect("closed");
    town.activate(&crate::town::activation(&["urp", "lavori-pubblici", "rpct"])).await.expect("activated");
    town.follow_up(&number).await;
    assert_eq!(town.sweep().await.expect("swept"), ["urp"]);
    assert_eq!(town.claim_one("urp").await.number, number);
    town.assert_sound().await;
}

/// A confidential sector's case goes to nobody else by itself, so an operator must hear of it.
#[tokio::test]
async fn a_case_in_a_confidential_sector_that_was_removed_is_reported() {
    let town = Town::new().await;
    let number = town.open_one("rpct").await;
    town.queue("test").close(&number, "fatto", None).await.expect("closed");
    town.activate(&crate::town::activation(&["urp", "lavori-pubblici", "ambiente"]))
        .await
        .expect("activated");
    let troubled = async || {
        let queues = town.numbers().await.expect("numbers").queues;
        queues.into_iter().filter(|q| q.troubled > 0).map(|q| (q.sector, q.troubled)).collect::<Vec<_>>()
    };
    town.open_one("urp").await;
    assert_eq!(troubled().await, []);
    town.follow_up(&number).await;
    town.sweep().await.expect("swept");
    assert_eq!(troubled().await, [("rpct".to_owned(), 1)]);
    // As the operator does it.
    town.queue("test").reroute(&number, "urp", "il settore non c'è più", None).await.expect("rerouted");
    assert_eq!(troubled().await, []);
}

#[tokio::test]
async fn the_list_has_the_open_ones_in_claim_order() {
    let town = Town::new().await;
    let numbers = town.open("urp", 3).await;
    town.open_one("ambiente").await;
    town.queue("test").close(&numbers[0], "fatto", None).await.expect("closed");
    let filter = QueueFilter { sector: Some("urp".to_owned()), ..QueueFilter::default() };
    let rows = town.queue_list(&filter).await.expect("listed");
    let listed: Vec<&str> = rows.iter().map(|r| r.number.as_str()).collect();
    assert_eq!(listed, [&numbers[1], &numbers[2]]);
    let json = serde_json::to_value(&rows[0]).expect("json");
    for field in
        ["sector", "number", "kind", "category", "priority", "state", "subject", "received_at", "due_at"]
    {
        assert!(json.get(field).is_some(), "{field} is part of the contract");
    }
    assert_eq!(
        town.queue_list(&QueueFilter { limit: 1, ..QueueFilter::default() }).await.expect("listed").len(),
        1
    );
}
