//! How fast accepting is: `intake_rate DATABASE_URL SCHEMA N BATCH [AT_ONCE]` accepts N letters of 20 kB on average, BATCH per
//! commit, AT_ONCE commits side by side. For finding out where the time goes; `make bench` measures the whole line.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a scratch measurement"
)]

use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt as _;
use smista_domain::{ChannelName, Cursor, Delivery, DeliveryKey, Intake as _, Upstream};
use smista_store::{Handover, LONGEST_LEASE, Store, StoreIntake, StoreOptions};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Mail-like: words, and for every tenth letter an attachment in base64 that does not shrink.
fn letter(n: usize) -> Bytes {
    let mut text = format!("Message-ID: <{n}@example.it>\r\nSubject: Buca {n}\r\n\r\n");
    let words = [
        "buca",
        "strada",
        "lampione",
        "rifiuti",
        "via Dante",
        "segnalo",
        "buongiorno",
        "comune",
        "grazie",
        "\r\n",
    ];
    while text.len() < 5_000 {
        text.push_str(fastrand::choice(words).unwrap());
        text.push(' ');
    }
    if n.is_multiple_of(10) {
        text.extend(std::iter::repeat_with(fastrand::alphanumeric).take(150_000));
    }
    Bytes::from(text)
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let store =
        Store::connect(StoreOptions::from_url(&args[1], args[2].parse().unwrap()).unwrap()).await.unwrap();
    store.migrate().await.unwrap();
    let (total, size): (usize, usize) = (args[3].parse().unwrap(), args[4].parse().unwrap());
    let at_once: usize = args.get(5).map_or(1, |n| n.parse().unwrap());
    let channel: ChannelName = "email/urp".parse().unwrap();
    let lease = store.acquire_lease(&channel, Uuid::now_v7(), "bench", LONGEST_LEASE).await.unwrap().unwrap();
    let intake = StoreIntake::leased(store.clone(), lease.clone(), mpsc::channel(1).0, Handover::new(0));
    let letters: Vec<Bytes> = (0..500).map(letter).collect();
    let run = Uuid::now_v7();
    let (begun, mut octets) = (Instant::now(), 0);
    let mut batches = Vec::new();
    for first in (0..total).step_by(size) {
        let batch: Vec<Delivery> = (first..(first + size).min(total))
            .map(|n| Delivery {
                channel: channel.clone(),
                scope: "INBOX".into(),
                key: DeliveryKey(format!("INBOX/{run}/{n}")),
                bytes: letters[n % letters.len()].clone(),
                received_at: "2026-11-20T08:00:00Z".parse().unwrap(),
                upstream: Upstream::Void,
                facts: serde_json::Value::Null,
                recognise: false,
            })
            .collect();
        octets += batch.iter().map(|d| d.bytes.len()).sum::<usize>();
        let cursor = Cursor { scope: "INBOX".into(), generation: 1, position: (first + size) as u64 };
        let (intake, store, lease) = (intake.clone(), store.clone(), lease.clone());
        batches.push(async move {
            intake.accept(batch, Some(cursor)).await.unwrap();
            if first % (size * 20) == 0 {
                store.renew_lease(&lease).await.unwrap();
            }
        });
    }
    futures::stream::iter(batches).buffer_unordered(at_once).collect::<()>().await;
    store.release_lease(&lease).await.unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{total} letters, {} MB, {size} per commit, {at_once} at once: {:.0}/s",
        octets >> 20,
        total as f64 / seconds
    );
}
