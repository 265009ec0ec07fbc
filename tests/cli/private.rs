//! Without `database.url`: the private PostgreSQL is there when it is needed, gone when it is not, and loses nothing.

use std::{fs, path::Path};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
};

use super::{letter, path};
use crate::support::program;

/// Processes that work in this folder: the private server has its data folder as its working directory.
fn processes_in(dir: &Path) -> usize {
    let dir = dir.canonicalize().expect("the folder");
    let cwd = |entry: &fs::DirEntry| fs::read_link(entry.path().join("cwd")).unwrap_or_default();
    fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| cwd(entry).starts_with(&dir)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_daemon_and_its_commands_and_survives_a_kill() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let town =
        Installation::new(program(), "", Some(&dovecot), &[Mailbox::of(&dovecot, "urp").after("seen")]);
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    let daemon = town.daemon();
    // Commands use the daemon's server.
    town.until("the letter is sorted", || town.count("email/urp", "opened") == 1).await;
    assert!(processes_in(town.path()) > 0, "a server of its own");
    let queue = town.json(&["queue", "list"]);
    assert_eq!(queue[0]["sector"], "lavori-pubblici", "{queue}");

    daemon.kill9();
    town.until("no process is left behind", || processes_in(town.path()) == 0).await;
    assert_eq!(town.json(&["queue", "list"]), queue, "everything is still there");
    assert_eq!(processes_in(town.path()), 0, "a command that starts the server stops it, too");

    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    let daemon = town.daemon();
    town.until("the next letter is sorted", || town.count("email/urp", "opened") == 2).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(processes_in(town.path()), 0, "the server stops with the daemon");
    assert_eq!(town.run(&["ledger", "--verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_commands_at_once_without_a_daemon_share_one_server() {
    let town = Installation::new(program(), "", None, &[]);
    let dir = town.path().join("lettere");
    fs::create_dir(&dir).expect("a folder");
    for n in 1..=5 {
        fs::write(dir.join(format!("{n}.eml")), letter(n)).expect("a letter");
    }
    // Also the very first: one of them makes the cluster, and both migrate and import the same letters.
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| town.run(&["import", "mail", "--json", path(&dir)]));
        let other = scope.spawn(|| town.run(&["import", "mail", "--json", path(&dir)]));
        (one.join().expect("ended"), other.join().expect("ended"))
    });
    assert_eq!((one.code, other.code), (0, 0), "{one:?} {other:?}");
    let new = |said: &smista_testkit::installation::Said| said.json()["new"].as_i64().expect("a number");
    assert_eq!(new(&one) + new(&other), 5, "{one:?} {other:?}");
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| town.run(&["ledger", "--json"]));
        let other = scope.spawn(|| town.run(&["queue", "list", "--json"]));
        (one.join().expect("ended"), other.join().expect("ended"))
    });
    assert_eq!((one.code, other.code), (0, 0), "{one:?} {other:?}");
    assert_eq!(other.json().as_array().map(Vec::len), Some(5));
    assert_eq!(processes_in(town.path()), 0, "the last one out stops it");
    assert_eq!(town.run(&["ledger", "--verify"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_goes_on_with_the_server_when_the_first_one_stops() {
    let dovecot = Dovecot::start().await.expect("Dovecot");
    let town = Installation::new(program(), "", Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    dovecot.deliver("urp", "INBOX", &letter(1)).expect("delivered");
    let first = town.daemon();
    town.until("the letter is sorted", || town.count("email/urp", "opened") == 1).await;
    let second = town.daemon();
    // The socket of the first one is left alone, and the second one says so.
    town.until("the second one says so", || second.log().contains("status-socket")).await;
    let status = town.run(&["status", "--json"]).json();
    assert_eq!(status["daemon"]["pid"], first.pid().as_raw(), "{status}");

    assert_eq!(first.terminate(), 0);
    dovecot.deliver("urp", "INBOX", &letter(2)).expect("delivered");
    town.until("the second one goes on", || town.count("email/urp", "opened") == 2).await;
    town.until("the second one answers now", || {
        town.run(&["status", "--json"]).json()["daemon"]["pid"] == second.pid().as_raw()
    })
    .await;
    assert_eq!(second.terminate(), 0);
    town.until("the server is gone with the last one", || processes_in(town.path()) == 0).await;
    assert_eq!(town.run(&["ledger", "--verify"]).code, 0);
}
