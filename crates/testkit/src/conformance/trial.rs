//! One installation with the channels of a rig, and how it is looked at.

use std::{collections::BTreeMap, ops::RangeInclusive, path::Path};

use serde_json::Value;
use sqlx::Row as _;

use super::Rig;
use crate::{
    held::{Held, Lock},
    installation::{Daemon, Installation, PATIENCE},
    postgres::TestStore,
};

/// Where all the holes are: what follows it is the number of the thing.
const STREET: &str = "via del Collaudo ";
/// The sector that the default rules choose for [`words`].
const SECTOR: &str = "lavori-pubblici";

/// What the citizen of thing `n` writes: like no other.
pub(super) fn words(n: usize) -> String {
    format!("In {STREET}{n} si è aperta una buca profonda nell'asfalto.")
}

/// The number in a text that has [`words`].
fn number(text: &str) -> Option<usize> {
    text.split_once(STREET)?.1.split(' ').next()?.parse().ok()
}

/// Things by number.
pub(super) type Numbers = RangeInclusive<usize>;

pub(super) struct Trial<R> {
    pub(super) rig: R,
    pub(super) store: TestStore,
    pub(super) town: Installation,
}

impl<R: Rig> Trial<R> {
    /// With the rig's first channels, on the server that all tests share.
    pub(super) async fn new(program: &Path, channels: usize) -> Self {
        let store = TestStore::new().await;
        let database = store.table();
        Self::on(program, channels, store, &database).await
    }

    /// With `[database]` as given, which may lead through a proxy; `store` looks into it directly.
    pub(super) async fn on(program: &Path, channels: usize, store: TestStore, database: &str) -> Self {
        let rig = R::start().await;
        let sections: String =
            std::iter::once(rig.shared()).chain((0..channels).map(|c| rig.section(c))).collect();
        let town = Installation::bare(program);
        town.configure_channels(database, &sections);
        rig.equip(&town);
        Self { rig, store, town }
    }

    /// Starts a daemon. The first is 0; another one beside it is another machine with a state folder of its own.
    pub(super) fn daemon(&self, which: usize) -> Daemon {
        let mut variables = self.rig.variables(which);
        let mut run = "run".to_owned();
        if which > 0 {
            run = format!("run{which}");
            let state = self.town.path().join(format!("state{which}")).display().to_string();
            variables.push(("SMISTA_STATE__DIR".to_owned(), state));
        }
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.town.daemon_in(&run, &variables)
    }

    /// Upstream has these new things.
    pub(super) fn put(&self, channel: usize, numbers: Numbers) {
        for n in numbers {
            self.rig.put(channel, n, &words(n));
        }
    }

    /// From now on nothing that a channel hands over is committed.
    async fn hold_accept(&self) -> Held {
        Held::take(&self.store, Lock::ACCEPT).await
    }

    /// A daemon that has nothing to do, whose next commit of things waits for a lock: what a channel commits of itself when it begins
    /// is done.
    pub(super) async fn held_at_work(&self) -> (Daemon, Held) {
        let daemon = self.daemon(0);
        self.until_caught_up(0).await;
        (daemon, self.hold_accept().await)
    }

    /// Waits until a channel has handed something over, and its commit waits for the lock.
    pub(super) async fn accepting(&self, held: &mut Held) {
        assert!(
            held.reached(PATIENCE).await,
            "the channel handed nothing over within {PATIENCE:?}\n{}",
            self.town.logs()
        );
    }

    /// How often each good thing of a channel is in the queue of its sector.
    async fn queued(&self, channel: usize) -> BTreeMap<usize, usize> {
        let rows = sqlx::query(
            "select m.text, e.sector from messages m join deliveries d on d.id = m.delivery
               join queue_entries e on e.segnalazione = m.segnalazione where d.channel = $1",
        )
        .bind(name::<R>(channel))
        .fetch_all(self.store.pool())
        .await
        .expect("the messages");
        let mut queued = BTreeMap::new();
        for row in rows {
            let (text, sector): (String, String) = (row.get(0), row.get(1));
            if let Some(n) = number(&text) {
                assert_eq!(sector, SECTOR, "thing {n} is in the queue of another sector");
                *queued.entry(n).or_default() += 1;
            }
        }
        queued
    }

    /// Deliveries of a channel in these states.
    pub(super) async fn deliveries(&self, channel: usize, states: &[&str]) -> i64 {
        sqlx::query_scalar("select count(*) from deliveries where channel = $1 and state = any($2)")
            .bind(name::<R>(channel))
            .bind(states)
            .fetch_one(self.store.pool())
            .await
            .expect("a number")
    }

    /// Waits until all these things are in their queues, and nothing else of the channel waits.
    pub(super) async fn until_queued(&self, channel: usize, numbers: &[Numbers]) {
        let what = format!("everything of {} is in its queue", name::<R>(channel));
        self.town
            .until_nothing_lacks(&what, async || {
                let queued = self.queued(channel).await;
                let missing: Vec<usize> =
                    numbers.iter().cloned().flatten().filter(|n| !queued.contains_key(n)).collect();
                let waiting = self.deliveries(channel, &["announced", "waiting"]).await;
                let lacking = !missing.is_empty() || waiting > 0;
                lacking.then(|| format!("things {missing:?}; {waiting} deliveries wait"))
            })
            .await;
    }

    /// Waits until upstream knows of so many things that we have them.
    pub(super) async fn until_told(&self, channel: usize, all: usize) {
        let all = if R::TELLS { all } else { 0 };
        let what = format!("upstream of {} is told of {all}", name::<R>(channel));
        self.town.until(&what, || self.rig.told(channel) == all).await;
    }

    /// Ends daemons in peace.
    pub(super) fn end(&self, daemons: impl IntoIterator<Item = Daemon>) {
        for daemon in daemons {
            assert_eq!(daemon.terminate(), 0, "exit code after SIGTERM\n{}", self.town.logs());
        }
    }

    /// Each of these things is in its queue once; with no others of the channel, each opened one case and the ledger says so.
    pub(super) async fn each_once(&self, channel: usize, numbers: Numbers) {
        let all = numbers.clone().count();
        let ledger = self.queued_once(channel, numbers).await;
        for what in ["delivered", "opened"] {
            assert_eq!(ledger[what], all, "{what} of {}: {ledger}", name::<R>(channel));
        }
    }

    /// Each of these things is in its queue once, whatever else there is; ledger and database add up. Gives the channel's row
    /// of the ledger.
    pub(super) async fn queued_once(&self, channel: usize, numbers: Numbers) -> Value {
        let expected: BTreeMap<usize, usize> = numbers.map(|n| (n, 1)).collect();
        let queued = self.queued(channel).await;
        assert_eq!(queued, expected, "number of the thing: how often it is in its queue");
        assert_eq!(self.store.verify().await.expect("verified"), vec![]);
        self.ledger(channel)
    }

    /// The ledger's row of a channel, which adds up.
    pub(super) fn ledger(&self, channel: usize) -> Value {
        let row = self.town.ledger(name::<R>(channel)).expect("a row of the ledger");
        let of = |what: &str| row[what].as_i64().expect("a number");
        let sum: i64 =
            ["opened", "appended", "ignored", "set_aside", "quarantined", "waiting"].map(of).iter().sum();
        assert_eq!(of("delivered"), sum, "the ledger does not add up: {row}");
        row
    }

    /// The conditions that `status` shows, with their codes; none while the daemon does not answer.
    pub(super) fn conditions(&self) -> Vec<Value> {
        self.town.status()["conditions"].as_array().cloned().unwrap_or_default()
    }

    /// Whether `status` shows a condition with this code.
    pub(super) fn says(&self, code: &str) -> bool {
        self.conditions().iter().any(|c| c["code"] == code)
    }

    /// What `status` says that a channel is doing.
    pub(super) fn state(&self, channel: usize) -> String {
        let status = self.town.status();
        let channels = status["channels"].as_array();
        let row = channels.and_then(|all| all.iter().find(|c| c["channel"] == name::<R>(channel)));
        row.and_then(|c| c["state"].as_str()).unwrap_or("unknown").to_owned()
    }

    /// Waits until `status` says that upstream has nothing more.
    pub(super) async fn until_caught_up(&self, channel: usize) {
        let what = format!("status says that {} is caught up", name::<R>(channel));
        self.town.until(&what, || self.state(channel) == "caught-up").await;
    }
}

/// A channel's name.
pub(super) fn name<R: Rig>(channel: usize) -> &'static str {
    R::CHANNELS[channel]
}
