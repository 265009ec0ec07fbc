//! Receipts of certified mail and bounces find the answers that they speak of, in any order and at the same moment, and an
//! answer that did not arrive brings its case back.

use serde_json::json;
use smista_store::{
    DeliveryFilter, DeliveryRow,
    settle::{ReceiptNote, Verdict},
};

use crate::town::{Letter, Town, code, letter};

/// A receipt of this kind about the letter with this identity.
fn receipt(kind: &str, about: &str) -> Verdict {
    Verdict::Ignored {
        reason: "pec-consegna".to_owned(),
        receipt: Some(Box::new(ReceiptNote {
            about: Some(format!("mid:{about}")),
            kind: kind.to_owned(),
            failed: kind == "errore-consegna",
            legal_at: Some("2026-09-19T13:41:19Z".parse().expect("an instant")),
            data: json!({ "direct": true }),
        })),
    }
}

impl Town {
    /// Opens a case and answers it; gives its number and the answer's row.
    async fn answered(&self) -> (String, i64) {
        let number = self.open_one("ambiente").await;
        self.queue("test").answer(&number, "Provvederemo.", None).await.expect("answered");
        (number, self.value("select max(id) from outbox").await)
    }

    async fn delivery(&self, id: i64) -> DeliveryRow {
        let all = self.deliveries_list(&DeliveryFilter::default()).await.expect("listed");
        all.into_iter().find(|row| row.id == id).expect("there")
    }

    async fn state(&self, number: &str) -> (String, String) {
        let entry = self.queue_show(number).await.expect("read").expect("there").entry;
        (entry.state, entry.cause)
    }
}

#[tokio::test]
async fn a_receipt_finds_its_answer_whichever_comes_first() {
    let town = Town::new().await;
    for receipt_first in [true, false] {
        let (number, answer) = town.answered().await;
        let identity = format!("risposta.{answer}@comune.example");
        let receive = async || town.settle_all(vec![receipt("avvenuta-consegna", &identity)]).await.0[0];
        let leave = async || town.leaves_as(answer, &format!("mid:{identity}")).await.expect("it leaves");
        let id = if receipt_first {
            let id = receive().await;
            town.sweep().await.expect("swept");
            let view = town.delivery_show(id).await.expect("read").expect("there");
            let waiting = view.receipt.expect("a receipt");
            assert!(!waiting.linked && view.row.number.is_none(), "it waits for the answer");
            leave().await;
            id
        } else {
            leave().await;
            receive().await
        };
        town.sweep().await.expect("swept");
        assert_eq!(town.events(&number).await, ["opened", "answered", "receipt"]);
        assert_eq!(town.state(&number).await.0, "answered", "it is as it was");
        assert_eq!(town.delivery(id).await.number, Some(number.clone()));
        let case = town.queue_show(&number).await.expect("read").expect("there");
        let said = case.history.last().and_then(|h| h.payload.clone()).expect("what it says");
        assert_eq!((&said["kind"], &said["delivery"]), (&json!("avvenuta-consegna"), &json!(id)));
        leave().await;
        town.sweep().await.expect("swept");
        town.link_receipts().await.expect("linked");
        assert_eq!(town.events(&number).await.len(), 3, "once");
    }
    town.assert_sound().await;
}

#[tokio::test]
async fn an_answer_that_did_not_arrive_brings_its_case_back() {
    let town = Town::new().await;
    for before in ["answered", "taken", "closed", "leased", "ready"] {
        let (number, answer) = town.answered().await;
        let queue = town.queue("test");
        match before {
            "closed" => drop(queue.close(&number, "fatto", None).await.expect("closed")),
            "taken" | "leased" | "ready" => {
                queue.reopen(&number, "ancora").await.expect("reopened");
                if before != "ready" {
                    let claimed = town.claim_one("ambiente").await;
                    if before == "taken" {
                        queue.take(claimed.lease).await.expect("taken");
                    }
                }
            }
            _ => {}
        }
        assert_eq!(town.state(&number).await.0, before);
        let woken = town.settled_position().await.expect("a position");
        town.leaves_as(answer, &format!("mid:{before}")).await.expect("it leaves");
        town.settle_all(vec![receipt("errore-consegna", before)]).await;
        let sectors = town.sweep().await.expect("swept");
        let (state, cause) = town.state(&number).await;
        if before == "leased" {
            assert_eq!(state, "leased", "whoever works on it sees it in the history");
        } else {
            assert_eq!(state, "ready", "{before}");
            assert_eq!(cause == "undelivered", before != "ready", "{before}: {cause}");
            assert!(sectors.contains(&"ambiente".to_owned()));
        }
        assert_eq!(town.events(&number).await.last().map(String::as_str), Some("undelivered"), "{before}");
        let entry = town.queue_show(&number).await.expect("read").expect("there").entry;
        assert_eq!(entry.closed_at, None, "{before}");
        town.all_ended().await;
        assert!(town.woken(woken).await.expect("woken").0.contains(&"ambiente".to_owned()));
        queue.close(&number, "fatto", None).await.expect("closed");
    }
    town.assert_sound().await;
}

#[tokio::test]
async fn what_speaks_of_no_answer_of_ours_waits_and_is_counted_once() {
    let town = Town::new().await;
    let bare = Verdict::Ignored { reason: "auto-reply".to_owned(), receipt: None };
    let (ids, settled) = town.settle_all(vec![receipt("accettazione", "di-un-altro"), bare]).await;
    assert_eq!(settled.ignored, 2);
    town.link_receipts().await.expect("nothing to link");
    let shown = async |id| town.delivery_show(id).await.expect("read").expect("there").receipt;
    assert_eq!(shown(ids[0]).await.map(|r| (r.kind, r.linked)), Some(("accettazione".to_owned(), false)));
    assert_eq!(shown(ids[1]).await, None);
    town.assert_sound().await;
}

/// Receipts and answers at the same moment, through two daemons: none sees the other's uncommitted row, and the sweep finds it.
#[tokio::test]
async fn receipts_and_answers_at_once_meet_exactly_once() {
    let town = std::sync::Arc::new(Town::new().await);
    let mut cases = Vec::new();
    for _ in 0..20 {
        cases.push(town.answered().await);
    }
    let other = town.another().await;
    let mut tasks = tokio::task::JoinSet::new();
    for (_, answer) in &cases {
        let (town, other, answer) = (town.clone(), other.clone(), *answer);
        tasks.spawn({
            let town = town.clone();
            async move {
                let pair =
                    ["accettazione", "avvenuta-consegna"].map(|kind| receipt(kind, &format!("a.{answer}")));
                town.settle_all(pair.into()).await;
            }
        });
        tasks.spawn(async move {
            other.leaves_as(answer, &format!("mid:a.{answer}")).await.expect("it leaves");
            other.sweep().await.expect("swept");
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
    tokio::try_join!(town.sweep(), other.sweep()).expect("swept");
    for (number, _) in &cases {
        assert_eq!(town.events(number).await, ["opened", "answered", "receipt", "receipt"], "{number}");
    }
    town.assert_sound().await;
}

/// Our answer is part of the thread: whoever replies to it, or sends the reply on to somebody, is on its case.
#[tokio::test]
async fn a_reply_to_our_answer_joins_its_case() {
    let town = Town::new().await;
    let (number, answer) = town.answered().await;
    town.leaves_as(answer, "mid:nostra@comune.example").await.expect("it leaves");
    let reply =
        Letter { refs: vec!["nostra@comune.example".to_owned()], ..letter("urp", "un-altro@example.org") };
    assert_eq!(town.receive(&[reply]).await, std::slice::from_ref(&number));
    assert_eq!(town.state(&number).await, ("ready".to_owned(), "follow-up".to_owned()));
    let (ids, settled) = town.settle_all(vec![letter("urp", "nostra@comune.example").verdict()]).await;
    assert_eq!((settled.ignored, settled.opened), (1, 0), "our answer came back: a loop");
    let row = town.delivery(ids[0]).await;
    assert_eq!((row.reason.as_deref(), row.number.as_deref()), (Some("own-mail"), Some(number.as_str())));
    assert!(town.leaves_as(4711, "mid:x").await.is_err(), "there is no such answer");
    town.assert_sound().await;
}

#[tokio::test]
async fn a_sector_sees_receipts_in_the_history_of_its_own_cases_only() {
    let town = Town::new().await;
    let (_, answer) = town.answered().await;
    town.leaves_as(answer, "mid:r").await.expect("it leaves");
    town.settle_all(vec![receipt("avvenuta-consegna", "r")]).await;
    town.sweep().await.expect("swept");
    let mut mine = town.connect_as(&["ambiente"]).await;
    let seen = "select event from my_history where event = 'receipt'";
    assert_eq!(crate::town::texts(&mut mine, seen).await.expect("read"), ["receipt"]);
    assert_eq!(code(&mut mine, "select * from receipts").await, "42501");
    assert_eq!(code(&mut mine, "select link_receipts(null)").await, "42501");
    let mut others = town.connect_as(&["lavori-pubblici"]).await;
    assert!(crate::town::texts(&mut others, seen).await.expect("read").is_empty());
}
