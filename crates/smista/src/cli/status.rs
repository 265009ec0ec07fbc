//! `smista status`: what the daemon says of itself, and what the database says; either may be missing.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use smista_domain::Lang;
use smista_settings::Environment;
use smista_store::Numbers;

use super::{
    exit::{FOUND, Failure, UNAVAILABLE},
    queue::Show,
    render::{self, say},
};
use crate::{
    health::{ChannelState, Severity},
    status::DaemonStatus,
};

/// Prints what is known. Exit code 0 when all is well, 1 when something is wrong, 69 when neither daemon nor database answers.
pub(crate) fn print(
    daemon: Option<&DaemonStatus>,
    numbers: Result<&Numbers, &str>,
    show: &Show,
) -> Result<(), Failure> {
    let errors = daemon.is_some_and(|d| d.conditions.iter().any(|c| c.severity == Severity::Error));
    if show.json {
        let database = match numbers {
            Ok(numbers) => json!({ "ok": true, "numbers": numbers }),
            Err(error) => json!({ "ok": false, "error": error }),
        };
        render::json(&json!({ "daemon": daemon, "database": database }));
    } else {
        match daemon {
            Some(daemon) => print_daemon(daemon, show),
            None => render::print(say(
                show.lang,
                "Il servizio non è in funzione su questa macchina (o non è raggiungibile).",
                "The daemon does not run on this machine (or cannot be reached).",
            )),
        }
        match numbers {
            Ok(numbers) => print_numbers(numbers, show),
            Err(error) => render::print(&format!(
                "\n{}: {error}",
                say(show.lang, "Il database non risponde", "The database does not answer")
            )),
        }
    }
    match (daemon, numbers) {
        (None, Err(_)) => Err(Failure::silent(UNAVAILABLE)),
        (None, Ok(_)) => Err(Failure::silent(FOUND)),
        (Some(_), _) if errors => Err(Failure::silent(FOUND)),
        _ => Ok(()),
    }
}

/// Where the daemon is asked when the configuration cannot be used: what can be read of `[state]`, else the usual places.
pub(crate) fn run_dir(dir: PathBuf, environment: &Environment) -> PathBuf {
    let mut state = smista_settings::load(dir, environment.clone()).root.table("state");
    let mut key = |key| state.as_mut().and_then(|s| s.string(key)).map(|s| PathBuf::from(s.value));
    let (named, dir) = (key("run_dir"), key("dir"));
    let usual = Path::new("/run/smista");
    named
        .or_else(|| usual.is_dir().then(|| usual.to_owned()))
        .or_else(|| dir.map(|d| d.join("run")))
        .unwrap_or_else(|| usual.to_owned())
}

fn state_word(state: ChannelState, lang: Lang) -> &'static str {
    match state {
        ChannelState::Starting => say(lang, "in avvio", "starting"),
        ChannelState::HeldElsewhere => say(lang, "seguito da un altro servizio", "held by another daemon"),
        ChannelState::Connected => say(lang, "collegato", "connected"),
        ChannelState::CaughtUp => say(lang, "in pari", "caught up"),
        ChannelState::Listening => say(lang, "in ascolto", "listening"),
        ChannelState::Failing => say(lang, "non funziona", "failing"),
        ChannelState::Stopped => say(lang, "fermo", "stopped"),
    }
}

fn print_daemon(daemon: &DaemonStatus, show: &Show) {
    let lang = show.lang;
    render::print(&match lang {
        Lang::It => format!(
            "smista {} in funzione su {} dal {} (processo {}), regole {}",
            daemon.version,
            daemon.host,
            show.time(daemon.started_at),
            daemon.pid,
            daemon.ruleset
        ),
        Lang::En => format!(
            "smista {} runs on {} since {} (process {}), ruleset {}",
            daemon.version,
            daemon.host,
            show.time(daemon.started_at),
            daemon.pid,
            daemon.ruleset
        ),
    });
    if daemon.conditions.is_empty() {
        render::print(say(lang, "Tutto a posto.", "All is well."));
    }
    for condition in &daemon.conditions {
        let word = match condition.severity {
            Severity::Error => say(lang, "ERRORE", "ERROR"),
            Severity::Warning => say(lang, "Attenzione", "Warning"),
        };
        render::print(&format!(
            "\n{word} [{}] {} {}\n  {}\n  {}",
            condition.code,
            say(lang, "dal", "since"),
            show.time(condition.since),
            condition.text.in_lang(lang),
            condition.hint.in_lang(lang)
        ));
    }
    if !daemon.channels.is_empty() {
        let mut heads = vec![
            say(lang, "Canale", "Channel"),
            say(lang, "Stato", "State"),
            say(lang, "Dal", "Since"),
            say(lang, "In pari alle", "Caught up at"),
            say(lang, "Errore", "Error"),
        ];
        let pushed = daemon.channels.iter().any(|channel| channel.webhook.is_some());
        if pushed {
            heads.push(say(lang, "Da webhook", "By webhook"));
        }
        let mut table = render::table(&heads);
        for channel in &daemon.channels {
            let mut row = vec![
                channel.channel.clone(),
                state_word(channel.state, lang).to_owned(),
                show.time(channel.since),
                channel.caught_up_at.map(|at| show.time(at)).unwrap_or_default(),
                channel.error.clone().unwrap_or_default(),
            ];
            if pushed {
                row.push(channel.webhook.map(|n| n.to_string()).unwrap_or_default());
            }
            table.add_row(row);
        }
        render::print(&format!("\n{table}"));
    }
}

/// `3 min`, `2 h`, `5 g` (English: `5 d`).
fn age(now: Timestamp, then: Option<Timestamp>, lang: Lang) -> String {
    let Some(then) = then else { return String::new() };
    let age: SignedDuration = now.duration_since(then);
    match age.as_secs() {
        s if s < 120 => format!("{} s", s.max(0)),
        s if s < 7200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3600),
        s => format!("{} {}", s / 86_400, say(lang, "g", "d")),
    }
}

fn print_numbers(numbers: &Numbers, show: &Show) {
    let lang = show.lang;
    if !numbers.backlog.is_empty() {
        let mut table = render::table(&[
            say(lang, "Canale", "Channel"),
            say(lang, "In attesa", "Waiting"),
            say(lang, "Da più tempo", "Oldest"),
            say(lang, "Annunciati", "Announced"),
            say(lang, "Quarantena", "Quarantined"),
            say(lang, "Da dire a monte", "To tell upstream"),
        ]);
        for row in &numbers.backlog {
            table.add_row([
                row.channel.clone(),
                row.waiting.to_string(),
                age(numbers.now, row.oldest_waiting, lang),
                row.announced.to_string(),
                row.quarantined.to_string(),
                row.upstream_due.to_string(),
            ]);
        }
        render::print(&format!("\n{table}"));
    }
    if !numbers.queues.is_empty() {
        let mut table = render::table(&[
            say(lang, "Settore", "Sector"),
            say(lang, "Pronte", "Ready"),
            say(lang, "Da più tempo", "Oldest"),
            say(lang, "Prenotate", "Leased"),
            say(lang, "In carico", "Taken"),
            say(lang, "Risposte", "Answered"),
        ]);
        for row in &numbers.queues {
            table.add_row([
                row.sector.clone(),
                row.ready.to_string(),
                age(numbers.now, row.oldest_ready, lang),
                row.leased.to_string(),
                row.taken.to_string(),
                row.answered.to_string(),
            ]);
        }
        render::print(&format!("\n{table}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_is_found_while_its_configuration_is_being_edited() {
        let dir = tempfile::tempdir().expect("a folder");
        let environment: Environment = [("SMISTA_TEST", "")].into_iter().collect();
        let write = |text: &str| std::fs::write(dir.path().join("smista.toml"), text).expect("written");
        write("[state]\nrun_dir = \"/run/altrove\"\nboh = 1\n[comune]\nname = 3\n");
        assert_eq!(run_dir(dir.path().to_owned(), &environment), Path::new("/run/altrove"));
        write("[state\nrun_dir = ");
        assert!(run_dir(dir.path().to_owned(), &environment).is_absolute(), "not even TOML");
    }

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000).expect("in range");
        for (secs, text) in [(5, "5 s"), (600, "10 min"), (7_300, "2 h"), (200_000, "2 d")] {
            let then = Timestamp::from_second(1_000_000 - secs).expect("in range");
            assert_eq!(age(now, Some(then), Lang::En), text);
            assert_eq!(age(now, Some(then), Lang::It), text.replace('d', "g"));
        }
        assert_eq!(age(now, None, Lang::It), "");
    }
}
