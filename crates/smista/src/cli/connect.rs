//! `smista check --connect`: the database and every mailbox, step by step, consuming nothing.

use serde_json::{Value, json};
use smista_domain::{Channel as _, Lang, Step, Text, Verdict};
use smista_email::EmailChannel;

use super::{
    exit::{Failure, UNAVAILABLE},
    render::{self, say},
};
use crate::{configuration::Configuration, database};

/// Goes to each in turn and prints what it found; one that fails does not stop the others.
pub(crate) async fn connect(configuration: &Configuration, lang: Lang, json: bool) -> Result<(), Failure> {
    let mut looked = vec![("database".to_owned(), vec![database_step(configuration).await])];
    print_unless(json, &looked, lang);
    for mailbox in &configuration.mailboxes {
        let steps = EmailChannel::new(mailbox.clone()).probe().await;
        looked.push((mailbox.name.to_string(), steps));
        print_unless(json, looked.last(), lang);
    }
    if json {
        let all =
            looked.iter().flat_map(|(subject, steps)| steps.iter().map(move |s| as_json(subject, s, lang)));
        render::json(&all.collect::<Vec<_>>());
    }
    let failed = looked.iter().flat_map(|(_, steps)| steps).any(|s| s.verdict == Verdict::Error);
    if failed { Err(Failure::silent(UNAVAILABLE)) } else { Ok(()) }
}

async fn database_step(configuration: &Configuration) -> Step {
    let step = |verdict, code, text, todo| Step { step: "database", verdict, code, text, todo };
    match database::find(configuration).await {
        Ok(database) => {
            let version = database.store.server_version().await;
            database.close().await;
            match version {
                Ok(version) => {
                    let text = format!("PostgreSQL {version}");
                    step(Verdict::Ok, None, Text::new(text.clone(), text), None)
                }
                Err(error) => {
                    let text = error.chain();
                    step(Verdict::Error, Some("database"), Text::new(text.clone(), text), None)
                }
            }
        }
        Err(failure) => step(Verdict::Error, Some("database"), failure.text, failure.hint),
    }
}

fn as_json(subject: &str, step: &Step, lang: Lang) -> Value {
    json!({
        "subject": subject,
        "step": step.step,
        "verdict": step.verdict,
        "code": step.code,
        "text": step.text.in_lang(lang),
        "todo": step.todo.as_ref().map(|todo| todo.in_lang(lang)),
    })
}

fn print_unless<'a>(json: bool, looked: impl IntoIterator<Item = &'a (String, Vec<Step>)>, lang: Lang) {
    if !json {
        print(looked, lang);
    }
}

/// What probes found, a line for each step.
pub(crate) fn print<'a>(looked: impl IntoIterator<Item = &'a (String, Vec<Step>)>, lang: Lang) {
    for (subject, steps) in looked {
        for (n, step) in steps.iter().enumerate() {
            let subject = if n == 0 { subject } else { "" };
            let (name, mark) = (name(step.step, lang), mark(step.verdict, lang));
            let code = step.code.map_or_else(String::new, |code| format!(" [{code}]"));
            render::print(&format!("{subject:<20} {name:<13} {mark:<7} {}{code}", step.text.in_lang(lang)));
            if let Some(todo) = &step.todo {
                let title = say(lang, "Cosa fare", "What to do");
                render::print(&format!("{:<42} {title}: {}", "", todo.in_lang(lang)));
            }
        }
    }
}

fn mark(verdict: Verdict, lang: Lang) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => say(lang, "avviso", "warning"),
        Verdict::Error => say(lang, "ERRORE", "ERROR"),
    }
}

fn name(step: &'static str, lang: Lang) -> &'static str {
    match step {
        "database" => "",
        "settings" => say(lang, "impostazioni", "settings"),
        "token" => "token",
        "dns" => say(lang, "nome (DNS)", "name (DNS)"),
        "tcp" => say(lang, "connessione", "connection"),
        "tls" => say(lang, "cifratura", "encryption"),
        "greeting" => say(lang, "saluto", "greeting"),
        "login" => say(lang, "accesso", "login"),
        "capabilities" => say(lang, "capacità", "capabilities"),
        "folder" => say(lang, "cartella", "folder"),
        "quota" => say(lang, "spazio", "space"),
        other => other,
    }
}
