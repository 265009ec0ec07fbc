//! Deliveries in the hands of people.

use smista_domain::{DeliveryState, Outcome};
use smista_store::{DeliveryError, DeliveryFilter};

use crate::town::Town;

/// One delivery in each state, by hand: (announced, waiting, opened, ignored, set aside, quarantined).
async fn one_of_each(town: &Town) -> [i64; 6] {
    town.open_one("urp").await;
    let opened: i64 = town.value("select id from deliveries where outcome = 'opened'").await;
    let mut ids = [0; 6];
    let rows = [
        ("'announced', null, 'timeout', null", 0),
        ("'waiting', null, null, '\\x28b52ffd0458190000616263990977ad'", 1),
        ("'settled', 'ignored', 'auto-reply', '\\x28b52ffd0458190000616263990977ad'", 3),
        ("'settled', 'set_aside', 'thanks', '\\x28b52ffd0458190000616263990977ad'", 4),
        ("'quarantined', null, 'unreadable', '\\x28b52ffd0458190000616263990977ad'", 5),
    ];
    for (values, at) in rows {
        ids[at] = town
            .value(&format!(
                "with d as (insert into deliveries (channel, scope, received_at, attempts, not_before, size, state, outcome, reason, bytes)
                   values ('email/pec', 'INBOX', now(), 4, now() + interval '1 hour', 3, {values}) returning id),
                 k as (insert into delivery_keys select 'email/pec', 'INBOX/9/' || id, id from d)
                 select id from d"
            ))
            .await;
    }
    ids[2] = opened;
    ids
}

#[tokio::test]
async fn the_list_is_filtered_and_has_the_fields_of_the_contract() {
    let town = Town::new().await;
    let [announced, waiting, opened, ignored, _, quarantined] = one_of_each(&town).await;
    let ids = |filter: DeliveryFilter| {
        let town = &town;
        async move {
            town.deliveries_list(&filter).await.expect("listed").into_iter().map(|r| r.id).collect::<Vec<_>>()
        }
    };
    let all = town.deliveries_list(&DeliveryFilter::default()).await.expect("listed");
    assert_eq!(all.len(), 6);
    assert!(all.windows(2).all(|w| w[0].id > w[1].id), "the newest first");
    assert_eq!(
        ids(DeliveryFilter { states: vec![DeliveryState::Quarantined], ..Default::default() }).await,
        [quarantined]
    );
    assert_eq!(
        ids(DeliveryFilter {
            states: vec![DeliveryState::Announced, DeliveryState::Waiting],
            ..Default::default()
        })
        .await,
        [waiting, announced]
    );
    assert_eq!(
        ids(DeliveryFilter { outcomes: vec![Outcome::Ignored], ..Default::default() }).await,
        [ignored]
    );
    assert_eq!(
        ids(DeliveryFilter { channel: Some("email/urp".into()), ..Default::default() }).await,
        [opened]
    );
    assert_eq!(
        ids(DeliveryFilter { reason: Some("auto-reply".into()), ..Default::default() }).await,
        [ignored]
    );
    assert_eq!(ids(DeliveryFilter { limit: 1, ..Default::default() }).await, [quarantined]);
    let json = serde_json::to_value(all.last().expect("some")).expect("json");
    for field in
        ["id", "channel", "source_key", "received_at", "state", "outcome", "reason", "number", "attempts"]
    {
        assert!(json.get(field).is_some_and(|v| field == "reason" || !v.is_null()), "{field}: {json}");
    }
}

#[tokio::test]
async fn show_has_the_keys_and_the_bytes_on_request() {
    let town = Town::new().await;
    let [announced, waiting, ..] = one_of_each(&town).await;
    town.run(&format!("insert into delivery_keys values ('email/pec', 'INBOX/10/1', {waiting})")).await;
    let view = town.delivery_show(waiting).await.expect("read").expect("there");
    assert_eq!(view.keys, ["INBOX/10/1".to_owned(), format!("INBOX/9/{waiting}")]);
    assert_eq!(view.row.state, "waiting");
    assert_eq!(town.delivery_bytes(waiting).await.expect("read").as_deref(), Some(b"abc".as_slice()));
    assert_eq!(town.delivery_bytes(announced).await.expect("read"), None);
    assert!(town.delivery_show(999_999).await.expect("read").is_none());
}

#[tokio::test]
async fn retry_ignore_and_reopen_from_each_state() {
    let names = ["announced", "waiting", "opened", "ignored", "set aside", "quarantined"];
    for (doing, allowed) in [
        ("retry", ["announced", "waiting", "quarantined"].as_slice()),
        ("ignore", &["announced", "quarantined"]),
        ("reopen", &["ignored", "set aside", "quarantined"]),
    ] {
        let town = Town::new().await;
        for (id, name) in one_of_each(&town).await.into_iter().zip(names) {
            let done = match doing {
                "retry" => town.delivery_retry(id).await,
                "ignore" => town.delivery_ignore(id, "non serve").await,
                _ => town.delivery_reopen(id).await,
            };
            let row = town.delivery_show(id).await.expect("read").expect("there").row;
            if allowed.contains(&name) {
                done.unwrap_or_else(|e| panic!("{doing} {name}: {e}"));
                match doing {
                    "ignore" => assert_eq!(
                        (row.state.as_str(), row.reason.as_deref()),
                        ("settled", Some("non serve"))
                    ),
                    "retry" if name == "announced" => {
                        assert_eq!((row.state.as_str(), row.attempts), ("announced", 4));
                    }
                    "retry" if name == "waiting" => {
                        assert_eq!((row.state.as_str(), row.attempts), ("waiting", 4));
                    }
                    _ => assert_eq!(
                        (row.state.as_str(), row.attempts, row.reason, row.outcome),
                        ("waiting", 0, None, None)
                    ),
                }
                if doing != "ignore" {
                    let due: bool = town
                        .value(&format!("select not_before <= now() from deliveries where id = {id}"))
                        .await;
                    assert!(due, "{doing} {name}");
                }
                let reopened: bool =
                    town.value(&format!("select coalesce(facts ->> 'reopened', 'false')::boolean from deliveries where id = {id}")).await;
                assert_eq!(reopened, doing == "reopen");
            } else {
                let error = done.expect_err(name);
                assert!(matches!(error, DeliveryError::WrongState { .. }), "{doing} {name}: {error:?}");
                assert!(error.text().it.contains(&id.to_string()));
            }
        }
        assert!(town.ledger().await.expect("ledger").iter().all(smista_store::LedgerRow::adds_up));
    }
}

#[tokio::test]
async fn what_cannot_be_is_told() {
    let town = Town::new().await;
    assert!(matches!(town.delivery_retry(7).await, Err(DeliveryError::Unknown(7))));
    assert!(matches!(town.delivery_ignore(7, " ").await, Err(DeliveryError::NoReason)));
    let [announced, ..] = one_of_each(&town).await;
    town.delivery_ignore(announced, "sparita").await.expect("ignored");
    assert!(matches!(town.delivery_reopen(announced).await, Err(DeliveryError::NoBytes(_))));
}

#[tokio::test]
async fn everything_quarantined_goes_back_at_once() {
    let town = Town::new().await;
    one_of_each(&town).await;
    assert_eq!(town.deliveries_retry_all(Some("email/altra")).await.expect("retried"), 0);
    assert_eq!(town.deliveries_retry_all(None).await.expect("retried"), 1);
    assert_eq!(town.deliveries_retry_all(None).await.expect("retried"), 0);
    let row = &town.ledger().await.expect("ledger")[0];
    assert_eq!((row.channel.as_str(), row.waiting, row.quarantined), ("email/pec", 3, 0));
}
