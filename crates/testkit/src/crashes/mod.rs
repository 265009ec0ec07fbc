//! kill -9 at random moments while mail comes in: nothing lost, nothing twice, nothing moved or flagged before its commit.
//! Ten rounds for each policy in `make test`, two hundred in `make chaos`.
//!
//! Moments are drawn among all kinds that there are ([`Moment`]), so that each step of the way is hit in its middle and
//! between itself and the next.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::disallowed_methods,
    reason = "for tests"
)]

mod moment;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    time::Duration,
};

use smista_domain::Digest;

pub use self::moment::Moment;
use crate::{
    dovecot::Dovecot,
    held::Held,
    installation::{Installation, Mailbox},
    postgres::{TestPostgres, TestStore},
};

/// The values of `after` that are tried.
pub const POLICIES: [&str; 4] = ["keep", "seen", "move:Archivio", "delete"];

/// How long a moment may take to come; then the program is killed all the same.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the rounds did, so that a reader can see that they were not idle.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// kill -9.
    pub kills: usize,
    /// Kills that left something half done: letters committed and others not, a commit on its way, letters that were not
    /// sorted yet, or of which upstream had not been told.
    pub in_the_middle: usize,
    /// Letters.
    pub letters: usize,
    /// Kills by the moment that was drawn and came.
    pub moments: BTreeMap<Moment, usize>,
}

/// What folders hold, by hash. Letters never change: each file is read once.
struct Folders<'a> {
    dovecot: &'a Dovecot,
    known: HashMap<String, Digest>,
}

impl Folders<'_> {
    /// Letters of a folder: how often each, and whether flagged as seen.
    fn holds(&mut self, folder: &str) -> BTreeMap<Digest, (usize, bool)> {
        let dir = self.dovecot.maildir("urp", folder).expect("the folder");
        'again: loop {
            let mut all: BTreeMap<Digest, (usize, bool)> = BTreeMap::new();
            for part in ["new", "cur"] {
                for file in std::fs::read_dir(dir.join(part)).expect("the folder").flatten() {
                    let name = file.file_name().to_string_lossy().into_owned();
                    let (base, flags) = name.rsplit_once(":2,").unwrap_or((&name, ""));
                    let key = format!("{folder}/{base}");
                    if !self.known.contains_key(&key) {
                        // Renamed since it was listed: the server is still at work for the one that was killed.
                        let Ok(letter) = std::fs::read(file.path()) else { continue 'again };
                        self.known.insert(key.clone(), Digest::of(&letter));
                    }
                    let entry = all.entry(self.known[&key]).or_default();
                    entry.0 += 1;
                    entry.1 |= flags.contains('S');
                }
            }
            return all;
        }
    }

    /// Of these letters, those that somebody flagged or took away.
    fn touched(&mut self, letters: &BTreeSet<Digest>) -> BTreeSet<Digest> {
        let there = self.holds("INBOX");
        letters.iter().filter(|d| there.get(*d).is_none_or(|(_, seen)| *seen)).copied().collect()
    }
}

async fn committed(store: &TestStore) -> BTreeSet<Digest> {
    let rows: Vec<Vec<u8>> = sqlx::query_scalar("select sha256 from deliveries where bytes is not null")
        .fetch_all(store.pool())
        .await
        .expect("the deliveries");
    rows.into_iter().map(|r| Digest(r.try_into().expect("32 octets"))).collect()
}

async fn number(store: &TestStore, question: &'static str) -> usize {
    let n: i64 = sqlx::query_scalar(question).fetch_one(store.pool()).await.expect("a number");
    usize::try_from(n).expect("not negative")
}

/// One round of [`rounds`], under way.
struct Round<'a> {
    store: &'a TestStore,
    folders: Folders<'a>,
    /// All letters so far.
    delivered: BTreeSet<Digest>,
    /// Letters of this round.
    fresh: BTreeSet<Digest>,
    /// Committed before it.
    before: usize,
    /// Leases taken before it.
    epoch: usize,
    letters: usize,
}

const COMMITTED: &str = "select count(*) from deliveries where bytes is not null";
const EPOCH: &str = "select coalesce(max(epoch), 0) from leases";

/// How many of these letters are committed, and not yet sorted or not yet told upstream.
async fn half_done(store: &TestStore, letters: &BTreeSet<Digest>) -> i64 {
    let digests: Vec<Vec<u8>> = letters.iter().map(|d| d.0.to_vec()).collect();
    sqlx::query_scalar(
        "select count(*) from deliveries where (state = 'waiting' or upstream = 'pending') and sha256 = any($1)",
    )
    .bind(digests)
    .fetch_one(store.pool())
    .await
    .expect("a number")
}

impl Round<'_> {
    fn deliver(&mut self, random: &mut fastrand::Rng) {
        let letter = letter(self.letters, random);
        let digest = Digest::of(&letter);
        self.delivered.insert(digest);
        self.fresh.insert(digest);
        self.folders.dovecot.deliver("urp", "INBOX", &letter).expect("delivered");
        self.letters += 1;
    }

    /// Waits for the moment. `later` letters come in meanwhile, once the first are committed. Gives the lock that holds the
    /// moment open, if one does.
    async fn wait(
        &mut self,
        moment: Moment,
        mut held: Option<Held>,
        mut later: usize,
        random: &mut fastrand::Rng,
    ) -> Option<Held> {
        let wanted = random.usize(1..=self.fresh.len());
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        loop {
            ticks.tick().await;
            let new = number(self.store, COMMITTED).await - self.before;
            let come = match moment {
                Moment::Anyhow => false,
                Moment::Connecting => number(self.store, EPOCH).await > self.epoch,
                Moment::Accepting | Moment::Settling => match &mut held {
                    Some(held) => held.stands().await,
                    None => false,
                },
                Moment::Committed | Moment::BeforeTelling | Moment::Told => new >= wanted,
                Moment::Telling => self.folders.touched(&self.fresh).len() >= wanted,
            };
            if come {
                break;
            }
            if later > 0 && new > 0 {
                self.deliver(random);
                later -= 1;
            }
        }
        if let (None, Some(lock)) = (&held, moment.lock()) {
            let mut lock = Held::take(self.store, lock).await;
            // It may have been faster: then there is nothing to stop any more, and this round was as any other.
            lock.reached(Duration::from_secs(2)).await;
            held = Some(lock);
        }
        held
    }
}

/// Runs `rounds` of deliver, start, kill -9 with one policy, then lets a daemon finish and looks at everything. `seen` is told
/// of each round that is over.
pub async fn rounds(program: &Path, policy: &str, rounds: usize, random: &mut fastrand::Rng) -> Tally {
    rounds_seen(program, policy, rounds, random, |_| {}).await
}

/// As [`rounds`]; tells of each round that is over.
pub async fn rounds_seen(
    program: &Path,
    policy: &str,
    rounds: usize,
    random: &mut fastrand::Rng,
    seen: impl Fn(usize),
) -> Tally {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let store = TestStore::on(TestPostgres::shared().await).await;
    let mut mailbox = Mailbox::of(&dovecot, "urp").after(policy);
    if policy == "delete" {
        mailbox.more.push_str("\ndelete_after_days = 0");
    }
    let town = Installation::new(program, &store.table(), Some(&dovecot), &[mailbox]);
    let mut tally = Tally::default();
    let mut round = Round {
        store: &store,
        folders: Folders { dovecot: &dovecot, known: HashMap::new() },
        delivered: BTreeSet::new(),
        fresh: BTreeSet::new(),
        before: 0,
        epoch: 0,
        letters: 0,
    };

    for n in 0..rounds {
        round.fresh.clear();
        round.before = number(&store, COMMITTED).await;
        round.epoch = number(&store, EPOCH).await;
        let (first, later) = (random.usize(1..=12), random.usize(0..=4));
        (0..first).for_each(|_| round.deliver(random));
        let mut moment = Moment::all(policy)[random.usize(..Moment::all(policy).len())];
        let held = match moment.lock() {
            Some(lock) if moment.locked_at_once() => Some(Held::take(&store, lock).await),
            _ => None,
        };
        let patience = match moment {
            Moment::Anyhow => Duration::from_millis(random.u64(0..1_500)),
            _ => PATIENCE,
        };
        let daemon = town.daemon();
        let held =
            if let Ok(held) = tokio::time::timeout(patience, round.wait(moment, held, later, random)).await {
                held
            } else {
                moment = Moment::Anyhow;
                None
            };
        // What is held open is hit in it; what is not, at it or a little later.
        let later = match (&held, moment) {
            (Some(_), _) => 0,
            (None, Moment::Connecting) => random.u64(0..150_000),
            (None, _) => random.u64(0..20_000),
        };
        let _ = tokio::time::timeout(Duration::from_micros(later), std::future::pending::<()>()).await;
        daemon.kill9();
        tally.kills += 1;
        *tally.moments.entry(moment).or_default() += 1;
        let accepting = moment == Moment::Accepting;
        if let Some(held) = held {
            held.release(random.bool()).await;
        }

        // The mailbox first, then the database: what is committed meanwhile can only excuse more.
        let (mut suspects, mut middle) = (BTreeSet::new(), false);
        for _ in 0..3 {
            suspects = round.folders.touched(&round.delivered);
            let known = committed(&store).await;
            suspects.retain(|d| !known.contains(d));
            let some = known.len() > round.before && known.len() < round.delivered.len();
            middle = accepting || some || half_done(&store, &round.fresh).await > 0;
            if suspects.is_empty() {
                break;
            }
        }
        tally.in_the_middle += usize::from(middle);
        let what = moment.word();
        assert!(
            suspects.is_empty(),
            "{policy}, round {n} ({what}): touched before their commit: {suspects:?}"
        );
        seen(n + 1);
    }
    tally.letters = round.letters;
    let Round { mut folders, delivered, .. } = round;

    let daemon = town.daemon();
    let all = i64::try_from(tally.letters).expect("a count");
    town.until("everything is sorted", || {
        town.ledger("email/urp").is_some_and(|r| r["delivered"] == all && r["waiting"] == 0)
    })
    .await;
    let mut told = || {
        let (inbox, archive) = (folders.holds("INBOX"), folders.holds("Archivio"));
        match policy {
            "seen" => inbox.values().all(|(_, seen)| *seen),
            "delete" => inbox.is_empty(),
            "keep" => true,
            _ => inbox.is_empty() && archive.len() == delivered.len(),
        }
    };
    town.until("the mailbox is as the policy says", &mut told).await;
    assert_eq!(daemon.terminate(), 0, "{}", town.logs());

    let (inbox, archive) = (folders.holds("INBOX"), folders.holds("Archivio"));
    let once = |folder: &BTreeMap<Digest, (usize, bool)>| {
        folder.len() == delivered.len() && folder.iter().all(|(d, (n, _))| *n == 1 && delivered.contains(d))
    };
    match policy {
        "keep" => {
            assert!(once(&inbox) && inbox.values().all(|(_, seen)| !seen), "keep: the mailbox was touched");
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

/// Letters like no other. One in eight has an attachment large enough that a round's letters are several commits.
fn letter(n: usize, random: &mut fastrand::Rng) -> Vec<u8> {
    let large = random.usize(0..8) == 0;
    let lines = random.usize(0..60) + if large { random.usize(8_000..16_000) } else { 0 };
    let filler = format!("{}\r\n", "x".repeat(70)).repeat(lines);
    format!(
        "From: <c{n}@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Buca {n}\r\nMessage-ID: <{n}@crash.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nIn via Dante {n} c'è una buca.\r\n\
         --b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a\r\n\r\n{filler}--b--\r\n"
    )
    .into_bytes()
}
