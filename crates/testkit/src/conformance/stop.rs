//! SIGTERM while somebody hangs: the daemon ends by itself, before systemd would kill it, and nothing is lost by that.

use std::{path::Path, sync::Arc, time::Duration};

use super::{Rig, trial::Trial};
use crate::{
    chaos_proxy::ChaosProxy,
    installation::Daemon,
    postgres::{TestPostgres, TestPostgresOptions, TestStore},
};

const UNIT: &str = include_str!("../../../../deploy/systemd/smista.service");

/// Half of `TimeoutStopSec=` of our unit, when systemd kills what has not ended: the other half is for the private PostgreSQL,
/// which is stopped last.
fn deadline() -> Duration {
    let line = UNIT.lines().find_map(|line| line.strip_prefix("TimeoutStopSec="));
    let seconds = line.and_then(|value| value.strip_suffix('s')?.parse().ok());
    Duration::from_secs(seconds.expect("TimeoutStopSec= in seconds in smista.service")) / 2
}

impl<R: Rig> Trial<R> {
    async fn stops(&self, daemon: Daemon, while_what: &str) {
        let deadline = deadline();
        let code = daemon.terminate_within(deadline).await;
        assert_eq!(
            code,
            Some(0),
            "exit code after SIGTERM while {while_what} (none: not within {deadline:?})\n{}",
            self.town.logs()
        );
    }
}

/// While upstream hangs in the middle of handing something over, and while it answers nothing at all.
pub async fn stopped_while_upstream_hangs<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let daemon = trial.daemon(0);
    trial.put(0, 1..=2);
    trial.until_queued(0, &[1..=2]).await;
    trial.rig.hang(0, 3, &super::trial::words(3));
    trial.rig.until_hanging().await;
    trial.stops(daemon, "upstream hangs in the middle of handing over").await;
    trial.rig.go_on();

    let daemon = trial.daemon(0);
    trial.put(0, 4..=5);
    trial.until_queued(0, &[1..=5]).await;
    trial.rig.still();
    trial.put(0, 6..=6);
    trial.stops(daemon, "upstream is silent").await;
    trial.rig.go_on();

    let daemon = trial.daemon(0);
    trial.until_queued(0, &[1..=6]).await;
    trial.until_told(0, 6).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=6).await;
}

/// While a commit hangs in the database: somebody holds a lock.
pub async fn stopped_while_the_database_hangs<R: Rig>(program: &Path) {
    let trial = Trial::<R>::new(program, 1).await;
    let (daemon, mut held) = trial.held_at_work().await;
    trial.put(0, 1..=5);
    trial.accepting(&mut held).await;
    trial.stops(daemon, "a commit waits for a lock").await;
    assert_eq!(trial.rig.told(0), 0, "upstream was told before the commit");
    held.release(false).await;
    comes_in(&trial).await;
}

/// While a commit hangs in the network: it is done, and nothing comes back.
pub async fn stopped_while_the_network_hangs<R: Rig>(program: &Path) {
    let (trial, proxy) = behind_a_proxy::<R>(program).await;
    let (daemon, mut held) = trial.held_at_work().await;
    trial.put(0, 1..=5);
    trial.accepting(&mut held).await;
    proxy.stall();
    held.release(false).await;
    trial.stops(daemon, "the network to the database swallows everything").await;
    assert_eq!(trial.rig.told(0), 0, "upstream was told though nobody heard of the commit");
    proxy.resume();
    comes_in(&trial).await;
}

async fn comes_in<R: Rig>(trial: &Trial<R>) {
    let daemon = trial.daemon(0);
    trial.until_queued(0, &[1..=5]).await;
    trial.until_told(0, 5).await;
    trial.end([daemon]);
    trial.each_once(0, 1..=5).await;
}

/// One channel, and a proxy between the program and a database server of its own.
pub(super) async fn behind_a_proxy<R: Rig>(program: &Path) -> (Trial<R>, ChaosProxy) {
    let options = TestPostgresOptions { tcp: true, ..TestPostgresOptions::default() };
    let server = Arc::new(TestPostgres::start_with(options));
    let proxy = ChaosProxy::start(server.port().expect("a port")).await.expect("a proxy");
    let store = TestStore::on(server).await;
    let database = store.table_through(proxy.port);
    (Trial::on(program, 1, store, &database).await, proxy)
}
