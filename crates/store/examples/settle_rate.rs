//! How fast settling is: `settle_rate DATABASE_URL SCHEMA N BATCH` settles N letters of 5 kB of text. For finding out where
//! the time goes; `make bench` measures the whole line.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a scratch measurement"
)]

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use smista_domain::{Decision, Message, Priority, RulesetId, Sender, ThreadKeys};
use smista_store::{
    Store, StoreOptions,
    settle::{ClaimLimits, SettleOptions, Settlement, Verdict},
};

fn verdict(id: i64) -> Verdict {
    let message = Message {
        sender: Sender { name: Some("Anna".into()), address: Some(format!("a{id}@example.it")) },
        recipients: vec!["urp@example.it".into()],
        subject: format!("Buca {id}"),
        text: "In via Dante c'è una buca profonda davanti al civico 12. ".repeat(90),
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: Timestamp::now(),
        folder: "INBOX".into(),
        attachments: Vec::new(),
        thread: ThreadKeys {
            own: Some(format!("mid:{id}.{:x}@example.it", id.wrapping_mul(0x9e37_79b9))),
            refs: Vec::new(),
            number: None,
            fingerprint: format!("{:064x}", i128::from(id) * 0x9e37_79b9_7f4a_7c15),
        },
        documents: Vec::new(),
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: Vec::new(),
    };
    let decision = Decision {
        kind: "segnalazione".parse().unwrap(),
        sector: "lavori-pubblici".parse().unwrap(),
        category: Some("strade/buche".into()),
        priority: Priority::Normal,
        tags: Vec::new(),
        fallback: false,
        fallback_reason: None,
        set_aside: None,
        votes: Vec::new(),
        scores: Vec::new(),
        ruleset: RulesetId("0".repeat(64)),
    };
    Verdict::Message { message: Box::new(message), decision: Box::new(decision) }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let store =
        Store::connect(StoreOptions::from_url(&args[1], args[2].parse().unwrap()).unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    let n: i64 = args[3].parse().unwrap();
    let count: u32 = args[4].parse().unwrap();
    sqlx::query!(
        "insert into deliveries (channel, scope, state, received_at, bytes, size)
         select 'email/urp', 'INBOX', 'waiting', now(), '\\x28b52ffd2000010000', 0 from generate_series(1, $1::bigint)",
        n
    )
    .execute(store.pool())
    .await
    .unwrap();
    let limits = ClaimLimits { count, bytes: 8 << 20, hold: Duration::from_secs(20), alone_from: 2 };
    let options = SettleOptions { year: 2026, reopen_within: SignedDuration::from_hours(24) };
    let (start, mut opened, mut claiming, mut settling) = (Instant::now(), 0, Duration::ZERO, Duration::ZERO);
    loop {
        let t = Instant::now();
        let claimed = store.claim_waiting(limits).await.unwrap();
        claiming += t.elapsed();
        if claimed.is_empty() {
            break;
        }
        let batch: Vec<Settlement> = claimed
            .iter()
            .map(|c| Settlement {
                delivery: c.id,
                attempts: c.attempts,
                channel: c.channel.clone(),
                reopened: false,
                watched: None,
                verdict: verdict(c.id),
            })
            .collect();
        let t = Instant::now();
        opened += store.settle(&batch, &options).await.unwrap().opened;
        settling += t.elapsed();
    }
    println!(
        "{opened} opened in {:?}: {:.0}/s (claim {claiming:?}, settle {settling:?})",
        start.elapsed(),
        f64::from(u32::try_from(opened).unwrap()) / start.elapsed().as_secs_f64()
    );
}
