//! Failures that users of other systems reported, each under the name of its report. Where several reports are one
//! scenario, they share what plays it; docs/known-failures.md says what answers each.

mod duplicates;
mod encodings;
mod hungry;
mod lost_mail;
mod others_go_on;
mod rules;
mod silence;
mod work;

use std::{fs, path::Path};

use serde_json::Value;
use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox},
    scripted_imap::ScriptedImap,
};

use crate::{
    cli::{Office, path},
    support::{database, program},
};

/// With the default rules each command takes a hundred times as long to begin.
const POTHOLES: &str =
    "[[rule]]\nid = \"buche\"\nany = [\"buca\"]\nsector = \"lavori-pubblici\"\nweight = 30\n";

/// Puts one file of rules in the place of all others.
fn only_rules(config: &Path, rules: &str) {
    let dir = config.join("rules");
    fs::remove_dir_all(&dir).expect("the rules before");
    fs::create_dir(&dir).expect("a folder");
    fs::write(dir.join("prova.toml"), rules).expect("rules");
}

/// A town that knows potholes, with these mailboxes.
async fn office(dovecot: Option<&Dovecot>, mailboxes: &[Mailbox]) -> Office {
    let (table, store) = database().await;
    let town = Installation::new(program(), &table, dovecot, mailboxes);
    only_rules(&town.config(), POTHOLES);
    Office { town, store }
}

/// A mailbox on a scripted server.
fn scripted(server: &ScriptedImap, name: &str) -> Mailbox {
    Mailbox {
        name: name.to_owned(),
        user: name.to_owned(),
        port: server.port,
        tls: "none".to_owned(),
        folders: vec!["INBOX".to_owned()],
        after: "keep".to_owned(),
        start: "all".to_owned(),
        password_file: "password".to_owned(),
        more: "poll_secs = 5".to_owned(),
        oauth: None,
    }
}

/// Waits until so many letters of a mailbox were delivered and none waits.
async fn settled(office: &Office, channel: &str, letters: usize) {
    let what = format!("{letters} letters of {channel} are settled");
    let done = |row: Value| row["delivered"] == letters && row["waiting"] == 0;
    office.town.until(&what, || office.town.ledger(channel).is_some_and(done)).await;
}

/// Imports letters, and gives what the import says of itself.
fn import(office: &Office, letters: &[Vec<u8>]) -> Value {
    let dir = office.letters("lettere", letters);
    office.town.json(&["import", "mail", path(&dir)])
}

/// Every case with its messages, in the order of their numbers.
fn cases(office: &Office) -> Vec<Value> {
    let queue = office.town.json(&["queue", "list", "--state", "all"]);
    let rows = queue.as_array().expect("rows");
    let mut numbers: Vec<&str> = rows.iter().filter_map(|row| row["number"].as_str()).collect();
    numbers.sort_unstable();
    numbers.iter().map(|number| office.town.json(&["queue", "show", number])).collect()
}

/// The deliveries with this outcome or in this state (`--outcome ignored`, `--state quarantined`).
fn deliveries(office: &Office, which: &str, word: &str) -> Vec<Value> {
    office.town.json(&["deliveries", "list", which, word]).as_array().expect("rows").clone()
}

/// Everything adds up.
async fn sound(office: &Office) {
    assert_eq!(office.store.verify().await.expect("verified"), vec![]);
}

/// What `status` says of a channel.
fn channel(office: &Office, name: &str) -> Value {
    let status: Value = serde_json::from_str(&office.town.run(&["status", "--json"]).out).unwrap_or_default();
    let all = status["daemon"]["channels"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|row| row["channel"] == name).unwrap_or_default()
}
