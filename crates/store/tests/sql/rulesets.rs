//! Activation is all or nothing.

use serde_json::json;
use smista_store::ActivationError;

use crate::town::{SECTORS, Town, activation};

#[tokio::test]
async fn activating_again_changes_nothing_and_another_ruleset_takes_over() {
    let town = Town::new().await;
    let first = activation(SECTORS);
    assert_eq!(town.active_ruleset().await.expect("read"), Some(first.ruleset.clone()));
    let done = town.activate(&first).await.expect("activated");
    assert_eq!((done.before.as_ref(), done.removed.len()), (Some(&first.ruleset), 0));

    let mut second = activation(&["urp", "lavori-pubblici"]);
    second.ruleset = "b".repeat(64);
    second.files = json!({ "rules/altre.toml": "x" });
    second.sectors[1].parent = Some("urp".to_owned());
    second.sectors[1].name = "Lavori".to_owned();
    second.settings = vec![("queue.max_attempts".to_owned(), json!(9))];
    let mut done = town.activate(&second).await.expect("activated");
    done.removed.sort();
    assert_eq!(done.removed, ["ambiente", "rpct"]);
    assert_eq!(town.active_ruleset().await.expect("read"), Some(second.ruleset.clone()));
    assert_eq!(town.ruleset_files(&first.ruleset).await.expect("read"), Some(first.files), "kept for ever");
    let sectors = town.sectors().await.expect("read");
    assert_eq!(sectors.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["lavori-pubblici", "urp"]);
    assert_eq!((sectors[0].parent.as_deref(), sectors[0].name.as_str()), (Some("urp"), "Lavori"));
    assert_eq!(town.value::<i32>("select max_attempts()").await, 9);
    assert_eq!(
        town.value::<String>("select value #>> '{}' from settings where name = 'outbox.mode'").await,
        "hold"
    );

    town.activate(&activation(SECTORS)).await.expect("and back");
    assert_eq!(town.sectors().await.expect("read").len(), 4);
}

#[tokio::test]
async fn the_fallback_can_move_to_another_sector() {
    let town = Town::new().await;
    let mut moved = activation(SECTORS);
    for sector in &mut moved.sectors {
        sector.fallback = sector.id == "ambiente";
    }
    town.activate(&moved).await.expect("activated");
    assert_eq!(town.value::<String>("select fallback_sector()").await, "ambiente");
}

#[tokio::test]
async fn a_sector_with_open_cases_cannot_be_removed() {
    let town = Town::new().await;
    let number = town.open("ambiente", 2).await.remove(0);
    let without = activation(&["urp", "lavori-pubblici", "rpct"]);
    let before: String = town.value("select jsonb_agg(to_jsonb(s) order by s.id)::text from sectors s").await;
    let error = town.activate(&without).await.expect_err("refused");
    assert!(
        matches!(&error, ActivationError::OpenEntries(open) if open == &[("ambiente".to_owned(), 2)]),
        "{error:?}"
    );
    assert_eq!(
        town.value::<String>("select jsonb_agg(to_jsonb(s) order by s.id)::text from sectors s").await,
        before
    );
    let queue = town.queue("test");
    queue.close(&number, "fatto", None).await.expect("closed");
    assert!(town.activate(&without).await.is_err());
    let rest: String = town.value("select s.number from segnalazioni s where closed_at is null").await;
    queue.reroute(&rest, "urp", "di là", None).await.expect("rerouted");
    town.activate(&without).await.expect("activated");
}
