//! What operators write: whatever it is, it is read or told, at a place that is in the file.

use std::path::PathBuf;

use smista_domain::{Lang, Message};
use smista_email::{EmailSettings, PecSettings};
use smista_settings::{
    Diagnostics, Environment, Section, Sectors, Sources, Town, parse, render, summary, to_json,
};
use smista_triage::{Context, RuleSpec, Rules, Settings, decide, explain, explain_json, test_rules};

/// Parses a file, has it read, and has all that was found shown as a person and as a program sees it.
fn read_toml<T>(data: &[u8], read: impl Fn(Section, &Diagnostics) -> T) -> Option<T> {
    let mut sources = Sources::new(PathBuf::from("/nonexistent"), Environment::default());
    let diagnostics = Diagnostics::new();
    let parsed = match sources.add(PathBuf::from("/nonexistent/smista.toml"), data.to_vec()) {
        Ok(file) => parse(&mut sources, file, &diagnostics),
        Err(diagnostic) => {
            diagnostics.push(diagnostic);
            None
        }
    };
    let read = parsed.map(|section| read(section, &diagnostics));
    let found = diagnostics.into_sorted(&sources);
    for lang in [Lang::It, Lang::En] {
        let shown = render(&found, &sources, lang, false);
        assert!(found.is_empty() || !shown.is_empty());
        let _ = (summary(&found, lang), to_json(&found, &sources, lang).to_string());
    }
    read
}

/// `smista.toml` and `sectors.toml`.
pub fn settings(data: &[u8]) {
    read_toml(data, |mut root, diagnostics| {
        let town = Town::read(&mut root);
        let mailboxes: Vec<_> = root
            .tables("email")
            .into_iter()
            .filter_map(|section| {
                let span = section.span();
                Some((EmailSettings::read(section, std::path::Path::new("/nonexistent"))?, span))
            })
            .collect();
        EmailSettings::check_all(&mailboxes, diagnostics);
        let pec = root.table("pec").and_then(PecSettings::read);
        root.finish();
        let _ = (town, pec);
    });
    read_toml(data, |root, _| Sectors::read(root));
}

const SECTORS: &[u8] = b"[[sector]]\nid = \"urp\"\nname = \"URP\"\n[[sector]]\nid = \"strade\"\nname = \"Strade\"\n[[kind]]\nid = \"segnalazione\"\nname = \"Segnalazione\"\n";

/// A file of rules: compiled as it stands, its examples tried, and letters decided by it.
pub fn rules(data: &[u8]) {
    let sectors = read_toml(SECTORS, |root, _| Sectors::read(root)).expect("our own sectors");
    let settings = Settings::new("urp".parse().expect("an id"));
    let compiled = read_toml(data, |file, diagnostics| {
        Rules::compile(RuleSpec::read_file(file), &sectors, settings.clone(), diagnostics)
    });
    let Some(rules) = compiled.flatten() else { return };
    let _ = test_rules(&rules);
    let context = Context::new("email/urp".parse().expect("valid"));
    for (subject, text) in
        [("", ""), ("Buca in via Dante", "C'è una buca profonda, 30 cm; pericolo! à\u{301} ﬁ\u{200b}x")]
    {
        let message = message(subject, text);
        let decision = decide(&message, &context, &rules);
        assert_eq!(decision, decide(&message, &context, &rules), "the same message, the same decision");
        for lang in [Lang::It, Lang::En] {
            assert!(!explain(&decision, lang).is_empty());
        }
        let _ = explain_json(&decision);
    }
}

fn message(subject: &str, text: &str) -> Message {
    serde_json::from_value(serde_json::json!({
        "sender": { "address": "anna@example.it" },
        "recipients": ["urp@comune.example"],
        "subject": subject,
        "text": text,
        "sent_at": null,
        "received_at": "2026-11-23T12:00:00Z",
        "folder": "INBOX",
        "attachments": [],
        "thread": { "own": null, "refs": [], "number": null, "fingerprint": "" },
    }))
    .expect("a message")
}
