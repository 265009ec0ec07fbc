//! kill -9 at random moments while mail comes in: nothing lost, nothing twice, nothing moved or flagged before its commit.
//! Ten rounds for each policy in `make test`, two hundred in `make chaos`.

#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::disallowed_methods, reason = "for tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use smista_domain::Digest;

use crate::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    postgres::{TestPostgres, TestStore},
};

/// The values of `after` that are tried.
pub const POLICIES: [&str; 4] = ["keep", "seen", "move:Archivio", "delete"];

/// What the rounds did, so that a reader can see that they were not idle.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    /// kill -9.
    pub kills: usize,
    /// Kills after which some but not all of the letters delivered so far were committed: right in the middle.
    pub in_the_middle: usize,
    /// Letters.
    pub letters: usize,
}

/// Letters that a folder holds, by hash: how often, and whether flagged as seen.
fn holds(dovecot: &Dovecot, folder: &str) -> BTreeMap<Digest, (usize, bool)> {
    let mut all: BTreeMap<Digest, (usize, bool)> = BTreeMap::new();
    for (letter, flags) in dovecot.letters("urp", folder).expect("the folder") {
        let entry = all.entry(Digest::of(&letter)).or_default();
        entry.0 += 1;
        entry.1 |= flags.contains('S');
    }
    all
}

async fn committed(store: &TestStore) -> BTreeSet<Digest> {
    let rows = sqlx::query_scalar!("select sha256 as \"it!\" from deliveries where bytes is not null")
        .fetch_all(store.pool())
        .await
        .expect("the deliveries");
    rows.into_iter().map(|r| Digest(r.try_into().expect("32 octets"))).collect()
}

/// Runs `rounds` of deliver, start, kill -9 with one policy, then lets a daemon finish and looks at everything.
pub async fn rounds(program: &Path, policy: &str, rounds: usize, random: &mut fastrand::Rng) -> Tally {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let store = TestStore::on(TestPostgres::shared().await).await;
    let server = Arc::clone(store.server());
    let table = format!("url = {:?}\nschema = {:?}\n", server.url(), store.schema().as_str());
    let mut mailbox = Mailbox::of(&dovecot, "urp").after(policy);
    if policy == "delete" {
        mailbox.more.push_str("\ndelete_after_days = 0");
    }
    let town = Installation::new(program, &table, Some(&dovecot), &[mailbox]);
    let mut tally = Tally::default();
    let mut delivered: BTreeSet<Digest> = BTreeSet::new();

    for round in 0..rounds {
        let mut deliver = |random: &mut fastrand::Rng| {
            let letter = letter(tally.letters, random);
            delivered.insert(Digest::of(&letter));
            dovecot.deliver("urp", "INBOX", &letter).expect("delivered");
            tally.letters += 1;
        };
        let before = committed(&store).await.len();
        let (first, later) = (random.usize(1..=12), random.usize(0..=4));
        (0..first).for_each(|_| deliver(random));
        let daemon = town.daemon();
        // The moment is drawn: when so many of this round's letters are committed (mail goes on coming in meanwhile), and a
        // little later; or, now and then, at any time from before the first connection on.
        let wanted = before + random.usize(0..=first + later);
        let anyhow = random.usize(0..4) == 0;
        let patience = Duration::from_millis(if anyhow { random.u64(0..2_000) } else { 20_000 });
        let mut left = later;
        let reached = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(3));
            loop {
                ticks.tick().await;
                if left > 0 && committed(&store).await.len() > before {
                    deliver(random);
                    left -= 1;
                }
                if !anyhow && committed(&store).await.len() >= wanted {
                    return random.u64(0..40_000);
                }
            }
        };
        if let Ok(later) = tokio::time::timeout(patience, reached).await {
            let _ = tokio::time::timeout(Duration::from_micros(later), std::future::pending::<()>()).await;
        }
        daemon.kill9();
        tally.kills += 1;

        // The mailbox first, then the database: what is committed meanwhile can only excuse more.
        let (mut suspects, mut middle) = (BTreeSet::new(), false);
        for _ in 0..3 {
            let there = holds(&dovecot, "INBOX");
            let known = committed(&store).await;
            suspects = delivered
                .iter()
                .filter(|d| there.get(*d).is_none_or(|(_, seen)| *seen) && !known.contains(*d))
                .copied()
                .collect();
            middle = known.len() > before && known.len() < delivered.len();
            if suspects.is_empty() {
                break;
            }
        }
        tally.in_the_middle += usize::from(middle);
        assert!(suspects.is_empty(), "{policy}, round {round}: touched before their commit: {suspects:?}");
    }

    let daemon = town.daemon();
    let all = i64::try_from(tally.letters).expect("a count");
    town.until("everything is sorted", || {
        town.ledger("email/urp").is_some_and(|r| r["delivered"] == all && r["waiting"] == 0)
    })
    .await;
    let told = || {
        let (inbox, archive) = (holds(&dovecot, "INBOX"), holds(&dovecot, "Archivio"));
        match policy {
            "seen" => inbox.values().all(|(_, seen)| *seen),
            "delete" => inbox.is_empty(),
            "keep" => true,
            _ => inbox.is_empty() && archive.len() == delivered.len(),
        }
    };
    town.until("the mailbox is as the policy says", told).await;
    assert_eq!(daemon.terminate(), 0, "{}", town.logs());

    let (inbox, archive) = (holds(&dovecot, "INBOX"), holds(&dovecot, "Archivio"));
    let once = |folder: &BTreeMap<Digest, (usize, bool)>| {
        folder.len() == delivered.len() && folder.iter().all(|(d, (n, _))| *n == 1 && delivered.contains(d))
    };
    match policy {
        "keep" => {
            assert!(once(&inbox) && inbox.values().all(|(_, seen)| !seen), "keep: the mailbox was touched")
        }
        "seen" => assert!(once(&inbox), "seen: letters are missing or doubled in the mailbox"),
        "delete" => assert!(inbox.is_empty() && archive.is_empty()),
        _ => assert!(once(&archive), "move: letters are missing or doubled in the archive"),
    }
    assert_eq!(committed(&store).await, delivered, "{policy}: lost or invented");
    let ledger = town.ledger("email/urp").expect("a row");
    assert_eq!(ledger["delivered"], all, "{policy}: {ledger}");
    assert_eq!(ledger["opened"], all, "{policy}: each letter opens its one case: {ledger}");
    assert_eq!(store.verify().await.expect("verified"), vec![], "{policy}");
    tally
}

fn letter(n: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let filler: String = (0..random.usize(0..4000)).map(|i| if i % 70 == 69 { '\n' } else { 'x' }).collect();
    format!(
        "From: <c{n}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Buca {n}\r\nMessage-ID: <{n}@crash.example>\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nIn via Dante {n} c'è una buca.\r\n{}\r\n",
        filler.replace('\n', "\r\n")
    )
    .into_bytes()
}
