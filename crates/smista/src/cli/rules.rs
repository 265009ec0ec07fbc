//! `smista check`, `smista rules test`, `smista explain`: what the rules do, before and after.

use std::io::IsTerminal as _;

use jiff::Timestamp;
use serde_json::{Value, json};
use smista_domain::{
    ChannelName, Delivery, DeliveryKey, Lang, Message, Reading, Sender, Text, ThreadKeys, Upstream,
};
use smista_email::read::{ReadSettings, attachment, read};
use smista_store::Store;
use smista_triage::{Context, Rules, count_examples, decide, explain, explain_json, test_rules};

use super::{
    exit::{CONFIG, FOUND, Failure},
    render::{self, say},
};
use crate::{
    clock,
    configuration::{Configuration, Findings},
    documents::{self, Readers},
};

/// Prints findings: as JSON, or for people on standard error.
fn print_findings(findings: &Findings, lang: Lang, json: bool) {
    if json {
        render::json(&findings.to_json(lang));
    } else if !findings.all.is_empty() {
        let text = findings.for_people(lang, std::io::stderr().is_terminal());
        render::complain(text.strip_suffix('\n').unwrap_or(&text));
    }
}

/// For commands that need the configuration: its findings on standard error, and failure when it cannot be used.
pub(crate) fn usable(
    configuration: Option<Configuration>,
    findings: &Findings,
    lang: Lang,
) -> Result<Configuration, Failure> {
    if let Some(configuration) = configuration {
        Ok(configuration)
    } else {
        print_findings(findings, lang, false);
        Err(Failure::new(
            CONFIG,
            "La configurazione non è utilizzabile: correggere gli errori indicati qui sopra.",
            "The configuration cannot be used: mend the mistakes named above.",
        )
        .hint("`smista check` li mostra di nuovo.", "`smista check` shows them again."))
    }
}

/// `smista check` without `--connect`: every finding, and every example of the rules.
pub(crate) fn check(
    configuration: Option<&Configuration>,
    mut findings: Findings,
    lang: Lang,
    json: bool,
) -> Result<(), Failure> {
    let rules = configuration.and_then(|c| c.ruleset.as_ref()).map(|r| &r.rules);
    if let Some(rules) = rules {
        findings.add(test_rules(rules).iter().map(smista_triage::RuleTestFailure::diagnostic));
    }
    print_findings(&findings, lang, json);
    if findings.has_errors() {
        if !json {
            render::complain(&findings.summary(lang));
        }
        return Err(Failure::silent(FOUND));
    }
    if !json {
        if let Some(rules) = rules {
            let (n, examples) = (rules.len(), count_examples(rules));
            render::print(&match lang {
                Lang::It => format!(
                    "La configurazione è in ordine: {n} regole, {examples} esempi e controesempi rispettati. Regole {}.",
                    rules.id().short()
                ),
                Lang::En => format!(
                    "The configuration is in order: {n} rules, {examples} examples and counterexamples hold. Ruleset {}.",
                    rules.id().short()
                ),
            });
        }
        if !findings.all.is_empty() {
            render::print(&findings.summary(lang));
        }
    }
    Ok(())
}

/// `smista rules test`.
pub(crate) fn test(
    configuration: &Configuration,
    findings: Findings,
    lang: Lang,
    json: bool,
) -> Result<(), Failure> {
    if configuration.ruleset.is_none() {
        return check(Some(configuration), findings, lang, json);
    }
    check(Some(configuration), findings.only_rules(), lang, json)
}

/// What is explained.
enum Subject {
    Message(Box<Message>),
    Ignored { reason: &'static str },
}

/// A letter when it looks like one, else a plain text whose first line may be `Oggetto: ...`.
fn subject(bytes: Vec<u8>, name: &str, settings: &ReadSettings) -> Result<Subject, Failure> {
    let head: String = bytes.iter().take(2000).map(|b| char::from(*b)).collect();
    let is_letter = head.lines().take_while(|l| !l.trim().is_empty()).any(|l| {
        ["from:", "received:", "return-path:", "message-id:", "mime-version:"]
            .iter()
            .any(|h| l.to_lowercase().starts_with(h))
    });
    let now = clock::now();
    if !is_letter {
        return Ok(Subject::Message(Box::new(plain(&String::from_utf8_lossy(&bytes), now))));
    }
    let channel: ChannelName = "email/explain".parse().map_err(|_| Failure::silent(FOUND))?;
    let bytes = bytes::Bytes::from(bytes);
    let delivery = Delivery {
        channel,
        scope: "INBOX".to_owned(),
        key: DeliveryKey(name.to_owned()),
        bytes: bytes.clone(),
        received_at: now,
        upstream: Upstream::Void,
        facts: Value::Null,
        recognise: false,
    };
    match read(&delivery, settings) {
        Ok(Reading::Message(mut message)) => {
            documents::look_into(&mut message, &Readers::default(), |a| attachment(&bytes, &a.part));
            Ok(Subject::Message(message))
        }
        Ok(Reading::Ignored { reason, .. }) => Ok(Subject::Ignored { reason: reason.as_str() }),
        Err(unreadable) => Err(Failure::new(
            FOUND,
            format!("{name}: non si riesce a leggere: {unreadable}"),
            format!("{name}: cannot be read: {unreadable}"),
        )),
    }
}

fn plain(text: &str, now: Timestamp) -> Message {
    let mut lines = text.trim_start_matches('\u{feff}').splitn(2, '\n');
    let first = lines.next().unwrap_or_default().trim();
    let titled = first.strip_prefix("Oggetto:").or_else(|| first.strip_prefix("Subject:"));
    let (subject, body) = match titled {
        Some(subject) => (subject.trim().to_owned(), lines.next().unwrap_or_default().to_owned()),
        None => (String::new(), text.to_owned()),
    };
    Message {
        sender: Sender::default(),
        recipients: Vec::new(),
        subject,
        text: body,
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: now,
        folder: "INBOX".to_owned(),
        attachments: Vec::new(),
        thread: ThreadKeys::default(),
        documents: Vec::new(),
        place: None,
        certified: None,
        protocol: None,
        form: None,
        forwarded_by: None,
        notes: Vec::new(),
    }
}

/// `smista explain FILE|-`: what the configured rules make of a message.
pub(crate) fn explain_file(
    what: &str,
    rules: &Rules,
    settings: &ReadSettings,
    lang: Lang,
    json: bool,
) -> Result<(), Failure> {
    let bytes = if what == "-" {
        super::read_stdin()?
    } else {
        std::fs::read(what).map_err(|error| {
            Failure::new(
                FOUND,
                format!("{what}: non si riesce a leggere: {error}"),
                format!("{what}: cannot be read: {error}"),
            )
            .hint(
                "Indicare il file di una lettera, il numero di una segnalazione (2026-000123) o -.",
                "Give a letter's file, the number of a segnalazione (2026-000123) or -.",
            )
        })?
    };
    match subject(bytes, what, settings)? {
        Subject::Ignored { reason } => {
            if json {
                // Every field of the contract, and why there is nothing in them.
                render::json(&json!({
                    "kind": null, "sector": null, "category": null, "priority": null, "fallback": false, "votes": [],
                    "ruleset": rules.id(), "ignored": reason,
                }));
            } else {
                render::print(&match lang {
                    Lang::It => format!(
                        "Ignorato: {}. Non diventa una segnalazione.",
                        crate::town::reason_in_italian(reason)
                    ),
                    Lang::En => format!("Ignored: {reason}. It becomes no segnalazione."),
                });
            }
        }
        Subject::Message(message) => {
            let channel: ChannelName = "email/explain".parse().map_err(|_| Failure::silent(FOUND))?;
            let decision = decide(&message, &Context::new(channel), rules);
            if json {
                render::json(&explain_json(&decision));
            } else {
                for line in explain(&decision, lang) {
                    render::print(&line);
                }
            }
        }
    }
    Ok(())
}

/// `smista explain NUMBER`: the decision as it was made and stored.
pub(crate) async fn explain_number(
    store: &Store,
    number: &str,
    lang: Lang,
    json: bool,
) -> Result<(), Failure> {
    let case = store.queue_show(number).await?.ok_or_else(|| {
        Failure::new(
            FOUND,
            format!("la segnalazione {number} non esiste"),
            format!("there is no segnalazione {number}"),
        )
        .hint(
            "Controllare il numero con `smista queue list --state all`.",
            "Check the number with `smista queue list --state all`.",
        )
    })?;
    let decision: smista_domain::Decision = serde_json::from_value(case.decision).map_err(|error| {
        let text = Text::new(
            format!("la decisione di {number} non è leggibile: {error}"),
            format!("the decision of {number} cannot be read: {error}"),
        );
        Failure { code: FOUND, text, hint: None }
    })?;
    if json {
        render::json(&explain_json(&decision));
    } else {
        render::print(&match lang {
            Lang::It => format!("{number}, ora nel settore {}:", case.entry.sector),
            Lang::En => format!("{number}, now with sector {}:", case.entry.sector),
        });
        for line in explain(&decision, lang) {
            render::print(&line);
        }
        let by = decision.ruleset.short();
        render::print(&format!("{} {by}", say(lang, "Regole:", "Ruleset:")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_may_begin_with_its_subject() {
        let message = plain("Oggetto: Buca\nIn via Dante", Timestamp::UNIX_EPOCH);
        assert_eq!((message.subject.as_str(), message.text.as_str()), ("Buca", "In via Dante"));
        let message = plain("In via Dante", Timestamp::UNIX_EPOCH);
        assert_eq!((message.subject.as_str(), message.text.as_str()), ("", "In via Dante"));
    }
}
