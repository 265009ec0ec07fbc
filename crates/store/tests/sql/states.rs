//! Each function from each state, and what a stale lease can do.

use std::time::Duration;

use jiff::civil::date;
use smista_store::RejectionKind;
use uuid::Uuid;

use crate::town::{FIVE_MINUTES, Town, refused};

/// A case in a state.
async fn in_state(town: &Town, state: &str) -> String {
    // What earlier rounds left behind is not offered.
    town.run("update queue_entries set not_before = now() + interval '1 day' where state = 'ready'").await;
    let number = town.open_one("ambiente").await;
    let queue = town.queue("test");
    if state != "ready" {
        let lease = town.claim_one("ambiente").await.lease;
        if state != "leased" {
            queue.take(lease).await.expect("taken");
        }
    }
    if state == "answered" || state == "closed" {
        queue.answer(&number, "Buongiorno", None).await.expect("answered");
    }
    if state == "closed" {
        queue.close(&number, "fatto", None).await.expect("closed");
    }
    let now: String = town
        .value(&format!(
            "select e.state from queue_entries e join segnalazioni s on s.id = e.segnalazione where s.number = '{number}'"
        ))
        .await;
    assert_eq!(now, state);
    number
}

const STATES: &[&str] = &["ready", "leased", "taken", "answered", "closed"];

#[tokio::test]
async fn each_function_from_each_state() {
    let town = Town::new().await;
    let queue = town.queue("test");
    for state in STATES {
        let closed = *state == "closed";
        let refusal = || (RejectionKind::WrongState, "closed".to_owned());

        let number = in_state(&town, state).await;
        let rerouted = queue.reroute(&number, "urp", "di là", None).await;
        if closed {
            assert_eq!(refused(rerouted), refusal());
        } else {
            let entry = rerouted.expect("rerouted");
            assert_eq!(
                (entry.state.as_str(), entry.sector.as_str(), entry.cause.as_str(), entry.worker),
                ("ready", "urp", "rerouted", None),
                "{state}"
            );
        }

        let number = in_state(&town, state).await;
        let answered = queue.answer(&number, "Buongiorno", None).await;
        if closed {
            assert_eq!(refused(answered), refusal());
        } else {
            assert_eq!(answered.expect("answered").state, "answered", "{state}");
        }

        let number = in_state(&town, state).await;
        let ended = queue.close(&number, "fatto", None).await;
        if closed {
            assert_eq!(refused(ended), refusal());
        } else {
            let entry = ended.expect("closed");
            assert_eq!((entry.state.as_str(), entry.outcome.as_deref()), ("closed", Some("fatto")));
            assert!(entry.closed_at.is_some());
        }

        let number = in_state(&town, state).await;
        let asked = queue.ask(&number, "Dove?").await;
        if closed {
            assert_eq!(refused(asked), refusal());
            assert_eq!(refused(queue.assign(&number, Some("Mario")).await), refusal());
            assert_eq!(refused(queue.plan(&number, None).await), refusal());
            assert_eq!(refused(queue.also(&number, "urp", "anche", None).await), refusal());
        } else {
            let entry = asked.expect("asked");
            assert_eq!(entry.state, "taken", "{state}");
            assert!(entry.suspended_at.is_some());
        }

        let number = in_state(&town, state).await;
        let again = queue.reopen(&number, "ancora").await;
        if closed || *state == "answered" {
            let entry = again.expect("reopened");
            assert_eq!(
                (entry.state.as_str(), entry.cause.as_str(), entry.closed_at),
                ("ready", "reopened", None)
            );
        } else {
            assert_eq!(refused(again), (RejectionKind::WrongState, "open_already".to_owned()));
        }

        // A remark and another system's number are always welcome.
        queue.note(&number, "nota").await.expect("noted");
        queue.reference(&number, "protocollo", "123/2026", None).await.expect("referenced");
    }
    town.assert_sound().await;
}

#[tokio::test]
async fn a_stale_lease_can_do_nothing() {
    let town = Town::new().await;
    let queue = town.queue("test");
    for how in [
        "run out",
        "run out and swept",
        "claimed by another",
        "rerouted",
        "closed",
        "answered",
        "released",
        "never was",
    ] {
        let number = town.open_one("ambiente").await;
        let lease = town.claim_one("ambiente").await.lease;
        let lease = match how {
            "run out" => {
                town.let_leases_run_out().await;
                lease
            }
            "run out and swept" => {
                town.let_leases_run_out().await;
                town.sweep().await.expect("swept");
                lease
            }
            "claimed by another" => {
                town.let_leases_run_out().await;
                town.claim_one("ambiente").await;
                lease
            }
            "rerouted" => {
                queue.reroute(&number, "urp", "di là", None).await.expect("rerouted");
                lease
            }
            "closed" => {
                queue.close(&number, "fatto", None).await.expect("closed");
                lease
            }
            "answered" => {
                queue.answer(&number, "ecco", None).await.expect("answered");
                lease
            }
            "released" => {
                queue.release(lease, "pausa", Duration::ZERO).await.expect("released");
                lease
            }
            _ => Uuid::from_u128(7),
        };
        let picture = "select jsonb_agg(to_jsonb(e) order by e.segnalazione)::text || (select count(*) from history) from queue_entries e";
        let before: String = town.value(picture).await;
        let stale = (RejectionKind::StaleLease, "stale_lease".to_owned());
        assert_eq!(refused(queue.take(lease).await), stale, "take, {how}");
        assert_eq!(refused(queue.extend(lease, FIVE_MINUTES).await), stale, "extend, {how}");
        if how != "released" {
            assert_eq!(refused(queue.release(lease, "x", Duration::ZERO).await), stale, "release, {how}");
        }
        assert_eq!(town.value::<String>(picture).await, before, "{how}");
        town.run("update queue_entries set state = 'taken', lease = null, leased_until = null where sector = 'ambiente' and state in ('ready', 'leased')").await;
    }
}

#[tokio::test]
async fn a_taken_case_cannot_be_released_with_its_old_lease() {
    let town = Town::new().await;
    town.open_one("urp").await;
    let lease = town.claim_one("urp").await.lease;
    town.queue("test").take(lease).await.expect("taken");
    assert_eq!(
        refused(town.queue("test").release(lease, "x", Duration::ZERO).await).0,
        RejectionKind::StaleLease
    );
}

#[tokio::test]
async fn keys_make_retries_harmless() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let number = town.open_one("ambiente").await;
    let count = "select count(*) from history";

    let first = queue.reroute(&number, "urp", "di là", Some("k")).await.expect("rerouted");
    let events: i64 = town.value(count).await;
    assert_eq!(queue.reroute(&number, "urp", "di là", Some("k")).await.expect("the same"), first);
    // Not even after the case went on.
    queue.reroute(&number, "rpct", "oltre", None).await.expect("rerouted");
    assert_eq!(queue.reroute(&number, "urp", "di là", Some("k")).await.expect("the same"), first);
    assert_eq!(town.value::<i64>(count).await, events + 1);
    assert_eq!(
        refused(queue.reroute(&number, "ambiente", "altro", Some("k")).await),
        (RejectionKind::KeyReused, "key_reused".to_owned())
    );

    let first = queue.answer(&number, "Buongiorno", Some("k")).await.expect("a key is for one function");
    assert_eq!(queue.answer(&number, "Buongiorno", Some("k")).await.expect("the same"), first);
    assert_eq!(town.value::<i64>("select count(*) from outbox").await, 1);
    assert_eq!(refused(queue.answer(&number, "Altro", Some("k")).await).0, RejectionKind::KeyReused);

    let first = queue.close(&number, "fatto", Some("k")).await.expect("closed");
    assert_eq!(queue.close(&number, "fatto", Some("k")).await.expect("the same"), first);
    queue.reopen(&number, "ancora").await.expect("reopened");
    assert_eq!(queue.close(&number, "fatto", Some("k")).await.expect("the same"), first);
    let state: String = town.value("select state from queue_entries").await;
    assert_eq!(state, "ready", "the retry closed nothing");

    // Another case may use the same word.
    let other = town.open_one("ambiente").await;
    let entry = queue.close(&other, "fatto", Some("k")).await.expect("closed");
    assert_eq!((entry.number, entry.state.as_str()), (other, "closed"));
    town.assert_sound().await;
}

#[tokio::test]
async fn the_outbox_holds_until_it_is_switched_on() {
    let town = Town::new().await;
    let queue = town.queue("test");
    for (mode, state) in [("hold", "held"), ("on", "ready")] {
        town.run(&format!("update settings set value = '\"{mode}\"' where name = 'outbox.mode'")).await;
        let number = town.open_one("urp").await;
        queue.answer(&number, "Buongiorno", None).await.expect("answered");
        let written: String = town.value("select state from outbox order by id desc limit 1").await;
        assert_eq!(written, state);
    }
    town.run("update settings set value = '\"off\"' where name = 'outbox.mode'").await;
    let number = town.open_one("urp").await;
    let refusal = (RejectionKind::OutboxOff, "outbox_off".to_owned());
    assert_eq!(refused(queue.answer(&number, "Buongiorno", None).await), refusal);
    assert_eq!(refused(queue.ask(&number, "Dove?").await), refusal);
    assert_eq!(town.events(&number).await, ["opened"]);
}

#[tokio::test]
async fn rerouting_asks_for_a_sector_that_can_have_it() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let number = town.open_one("urp").await;
    town.activate(&crate::town::activation(&["urp", "lavori-pubblici", "rpct"])).await.expect("activated");
    for (to, kind, word) in [
        ("nessuno", RejectionKind::Unknown, "unknown_sector"),
        ("ambiente", RejectionKind::Unknown, "removed_sector"),
        ("urp", RejectionKind::WrongState, "same_sector"),
    ] {
        assert_eq!(refused(queue.reroute(&number, to, "di là", None).await), (kind, word.to_owned()), "{to}");
    }
    assert_eq!(
        refused(queue.reroute("2026-999999", "rpct", "x", None).await),
        (RejectionKind::Unknown, "unknown_number".to_owned())
    );
    assert_eq!(town.events(&number).await, ["opened"]);
}

#[tokio::test]
async fn what_sectors_write_on_a_case_stands_in_its_file() {
    let town = Town::new().await;
    let queue = town.queue("maria.bianchi");
    let number = town.open_one("urp").await;
    queue.assign(&number, Some("Mario Rossi")).await.expect("assigned");
    queue.plan(&number, Some(date(2026, 12, 1))).await.expect("planned");
    queue.reference(&number, "protocollo", "77", Some(date(2026, 11, 23))).await.expect("referenced");
    let entry =
        queue.reference(&number, "protocollo", "77", Some(date(2026, 11, 23))).await.expect("the same");
    assert_eq!(
        (entry.assigned_to.as_deref(), entry.planned_for),
        (Some("Mario Rossi"), Some(date(2026, 12, 1)))
    );
    queue.note(&number, "con \0 NUL").await.expect("noted");
    let case = town.queue_show(&number).await.expect("read").expect("there");
    let events: Vec<&str> = case.history.iter().map(|h| h.event.as_str()).collect();
    assert_eq!(events, ["opened", "assigned", "planned", "referenced", "noted"]);
    assert!(case.history[1..].iter().all(|h| h.actor == "maria.bianchi"));
    assert_eq!(case.references[0]["id"], "77");
    assert_eq!(case.message_list.len(), 1);
    let entry = queue.assign(&number, None).await.expect("unassigned");
    assert_eq!(entry.assigned_to, None);
    // The other sector starts anew.
    queue.assign(&number, Some("Mario Rossi")).await.expect("assigned");
    let entry = queue.reroute(&number, "ambiente", "di là", None).await.expect("rerouted");
    assert_eq!((entry.assigned_to, entry.planned_for), (None, None));
}
