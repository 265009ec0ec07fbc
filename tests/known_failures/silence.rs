//! Mailboxes that stopped without a word. One daemon watches one mailbox for each report through the same minute (a server's
//! silence is believed after thirty seconds), and each test looks at what became of its own.

use std::collections::BTreeMap;

use serde_json::Value;
use smista_testkit::{
    chaos_proxy::ChaosProxy,
    scripted_imap::{Fault, ScriptedImap},
};
use tokio::sync::OnceCell;

use super::{channel, office, scripted, sound};
use crate::support::letter;

/// Mailboxes whose server is silent once, at this command: no answer, or half of one.
const SILENT: [(&str, &str, &str, Fault); 5] = [
    ("ricerca", "UID SEARCH", "", Fault::Silence),
    ("apertura", "EXAMINE", "", Fault::HalfThenSilence),
    ("lettere", "UID FETCH", "BODY.PEEK[]", Fault::Silence),
    ("pezzi", "UID FETCH", "BODY.PEEK[]", Fault::HalfThenSilence),
    ("accesso", "AUTHENTICATE", "", Fault::Silence),
];

/// The others: one that is not told of new letters, two that are cut off, one with a wrong password.
const OTHERS: [&str; 4] = ["quieta", "muta", "irraggiungibile", "rifiutata"];

/// What was seen.
struct Minute {
    /// The ledger's rows of the five silent ones when the quiet one had its second letter.
    meanwhile: Vec<Option<Value>>,
    /// `status`, its exit code, and what it says of the channels, while two are cut off.
    said: String,
    code: i32,
    channels: BTreeMap<&'static str, Value>,
    /// How many cases came of each mailbox in the end, how often its server was at fault, and the daemon's log.
    opened: BTreeMap<&'static str, i64>,
    fired: BTreeMap<&'static str, usize>,
    log: String,
}

impl Minute {
    /// It went on by itself, and lost nothing.
    fn went_on(&self, name: &str) {
        assert_eq!(self.opened.get(name), Some(&2), "{name}\n{}", self.log);
    }

    /// The journal says what was wrong with it.
    fn told(&self, name: &str, code: &str) {
        let channel = format!("email/{name}");
        let line = |line: &&str| line.contains(&channel) && line.contains(code);
        assert!(self.log.lines().any(|l| line(&l)), "{code} of {name}\n{}", self.log);
    }
}

async fn minute() -> &'static Minute {
    static MINUTE: OnceCell<Minute> = OnceCell::const_new();
    MINUTE.get_or_init(pass).await
}

async fn pass() -> Minute {
    let mut servers = BTreeMap::new();
    let names: Vec<&'static str> = SILENT.iter().map(|(name, ..)| *name).chain(OTHERS).collect();
    for name in &names {
        servers.insert(*name, ScriptedImap::start().await.expect("it listens"));
    }
    for (name, command, contains, fault) in SILENT {
        servers[name].fault(command, contains, 1, fault);
        servers[name].deliver(&letter(servers[name].port.into()));
    }
    servers["quieta"].set_capability("IMAP4rev1 AUTH=PLAIN");
    servers["rifiutata"].fault("AUTHENTICATE", "", usize::MAX, Fault::No("AUTHENTICATIONFAILED"));
    for name in OTHERS {
        servers[name].deliver(&letter(servers[name].port.into()));
    }
    let second = |name: &str| {
        servers[name].deliver(&letter(100_000 + usize::from(servers[name].port)));
    };
    for (name, ..) in SILENT {
        second(name);
    }
    let muted = ChaosProxy::start(servers["muta"].port).await.expect("a proxy");
    let cut = ChaosProxy::start(servers["irraggiungibile"].port).await.expect("a proxy");
    let mailboxes: Vec<_> = names
        .iter()
        .map(|name| match *name {
            "muta" => scripted(&servers[name], name).plain_on(muted.port),
            "irraggiungibile" => scripted(&servers[name], name).plain_on(cut.port),
            _ => scripted(&servers[name], name),
        })
        .collect();
    let office = office(None, &mailboxes).await;
    let mut daemon = office.town.daemon();
    let opened = |name: &str| office.town.count(&format!("email/{name}"), "opened");
    let state = |name: &str| channel(&office, &format!("email/{name}"))["state"].clone();

    let first = ["quieta", "muta", "irraggiungibile"];
    let followed = || first.iter().all(|name| opened(name) == 1 && state(name) == "caught-up");
    office.town.until("three are followed", followed).await;
    muted.stall();
    for name in first {
        second(name);
    }
    office.town.until("the quiet one is looked at all the same", || opened("quieta") == 2).await;
    let meanwhile = SILENT.iter().map(|(name, ..)| office.town.ledger(&format!("email/{name}"))).collect();
    office.town.until("the dead connection is noticed", || state("muta") == "failing").await;
    cut.refuse();
    office.town.until("and so is the lost server", || state("irraggiungibile") == "failing").await;
    let status = office.town.run(&["status"]);
    let channels = names.iter().map(|name| (*name, channel(&office, &format!("email/{name}")))).collect();
    muted.resume();
    cut.resume();
    let all = || names.iter().all(|name| *name == "rifiutata" || opened(name) == 2);
    office.town.until("all go on", all).await;

    let opened = names.iter().map(|name| (*name, opened(name))).collect();
    assert!(daemon.runs(), "nobody had to start anything again");
    let log = daemon.log();
    assert_eq!(daemon.terminate(), 0);
    sound(&office).await;
    let fired = servers.iter().map(|(name, server)| (*name, server.fired())).collect();
    Minute { meanwhile, said: status.out, code: status.code, channels, opened, fired, log }
}

/// The connection stays open and is dead: neither an error nor a letter comes through it.
#[tokio::test(flavor = "multi_thread")]
async fn n8n_30871_imap_dies_without_a_word() {
    let minute = minute().await;
    minute.went_on("muta");
    minute.told("muta", "timeout");
    assert!(minute.said.contains("[timeout]"), "{}", minute.said);
}

/// The server is out of reach: the mailbox is not shown as active, and since when is shown.
#[tokio::test(flavor = "multi_thread")]
async fn n8n_36388_eight_days_out_and_shown_as_active() {
    let minute = minute().await;
    let shown = &minute.channels["irraggiungibile"];
    assert_eq!(shown["state"], "failing", "{shown}");
    assert!(shown["error"].is_string() && shown["since"].is_string(), "{shown}");
    assert!(shown["caught_up_at"].as_str() < shown["since"].as_str(), "when it was in order last: {shown}");
    assert!(minute.said.contains("email/irraggiungibile"), "{}", minute.said);
    minute.went_on("irraggiungibile");
}

#[tokio::test(flavor = "multi_thread")]
async fn zammad_6043_the_channel_is_stuck_and_must_be_restarted_every_few_hours() {
    let minute = minute().await;
    assert_eq!(minute.fired["ricerca"], 1);
    minute.went_on("ricerca");
    minute.told("ricerca", "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn zammad_2321_fetching_hangs_and_cron_restarts_it_every_two_hours() {
    let minute = minute().await;
    assert_eq!(minute.fired["apertura"], 1);
    minute.went_on("apertura");
    minute.told("apertura", "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn node_red_1061_stuck_in_fetching() {
    let minute = minute().await;
    assert_eq!(minute.fired["lettere"], 1);
    minute.went_on("lettere");
    minute.told("lettere", "timeout");
}

/// Half of the letters, then nothing.
#[tokio::test(flavor = "multi_thread")]
async fn znuny_453_fetching_hangs_until_it_is_killed() {
    let minute = minute().await;
    assert_eq!(minute.fired["pezzi"], 1);
    minute.went_on("pezzi");
    minute.told("pezzi", "timeout");
}

/// Nothing happens for a while, and nobody is told of new letters: they are looked for.
#[tokio::test(flavor = "multi_thread")]
async fn helpdesk_2174_the_scheduler_goes_idle_and_no_mail_comes_until_tomorrow() {
    let minute = minute().await;
    minute.went_on("quieta");
    assert_eq!(minute.channels["quieta"]["state"], "caught-up");
}

/// What hangs holds up nothing but itself, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn vector_12068_a_source_locks_up_after_half_a_day() {
    let minute = minute().await;
    for row in &minute.meanwhile {
        assert!(
            row.as_ref().is_none_or(|row| row["opened"].as_i64() < Some(2)),
            "it hung meanwhile: {row:?}"
        );
    }
    assert_eq!(minute.fired["accesso"], 1);
    for (name, ..) in SILENT {
        minute.went_on(name);
    }
    minute.told("accesso", "timeout");
}

/// One credential fails alone, by name, with what to do.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_3294_one_bad_password_stops_all_later_channels() {
    let minute = minute().await;
    assert_eq!(minute.opened.get("rifiutata").copied().unwrap_or(0).max(0), 0);
    assert!(minute.opened.iter().filter(|(name, _)| **name != "rifiutata").all(|(_, n)| *n == 2));
    assert_eq!(minute.code, 1, "somebody must act");
    assert!(
        minute.said.contains("[login-refused]") && minute.said.contains("email/rifiutata"),
        "{}",
        minute.said
    );
}
