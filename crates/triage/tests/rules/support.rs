//! Rules from TOML text and messages from a line, for the tests of this room.

use jiff::Timestamp;
use smista_domain::{Decision, Message, SectorId, Sender, ThreadKeys};
use smista_settings::{Diagnostic, Diagnostics, Environment, Sectors, Sources, parse};
use smista_triage::{Context, RuleSpec, Rules, Settings, decide};

pub(crate) const SECTORS: &str = r#"
sector = [
    {id = "urp", name = "URP"}, {id = "lavori-pubblici", name = "Lavori pubblici"}, {id = "ambiente", name = "Ambiente"},
    {id = "polizia-locale", name = "Polizia locale"}, {id = "protocollo", name = "Protocollo"}, {id = "tributi", name = "Tributi"},
]
kind = [
    {id = "segnalazione", name = "Segnalazione"}, {id = "informazione", name = "Richiesta di informazioni"},
    {id = "reclamo", name = "Reclamo"}, {id = "accesso-atti", name = "Accesso agli atti"},
]
"#;

/// What came of compiling: the rules if there are any, and every finding with the text that it points at.
pub(crate) struct Outcome {
    pub(crate) rules: Option<Rules>,
    pub(crate) findings: Vec<Diagnostic>,
    sources: Sources,
}

impl Outcome {
    /// Codes in the order of the text.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        self.findings.iter().map(|d| d.code).collect()
    }
    /// The only finding, with the text that it points at.
    pub(crate) fn only(&self) -> (&Diagnostic, &str) {
        assert_eq!(self.findings.len(), 1, "{:?}", self.findings);
        let finding = &self.findings[0];
        let span = finding.span.expect("a place");
        (finding, self.text_at(span))
    }
    /// The text that a label points at.
    pub(crate) fn text_at(&self, span: smista_settings::Span) -> &str {
        self.sources.text(span.file).get(span.start..span.end).expect("a place in the text")
    }
}

/// Compiles files of rules.
pub(crate) fn compile_files(files: &[&str], change: impl FnOnce(&mut Settings)) -> Outcome {
    let mut sources = Sources::new(".".into(), Environment::default());
    let diagnostics = Diagnostics::new();
    let file = sources.add("sectors.toml".into(), SECTORS.into()).expect("text");
    let sectors = Sectors::read(parse(&mut sources, file, &diagnostics).expect("TOML"));
    let mut specs = Vec::new();
    for (n, text) in files.iter().enumerate() {
        let file = sources.add(format!("rules/{n}.toml").into(), (*text).into()).expect("text");
        specs.extend(RuleSpec::read_file(parse(&mut sources, file, &diagnostics).expect("TOML")));
    }
    let mut settings = Settings::new(SectorId::new("urp").expect("valid"));
    change(&mut settings);
    let rules = Rules::compile(specs, &sectors, settings, &diagnostics);
    assert!(rules.is_some() || diagnostics.has_errors(), "no rules without an error");
    Outcome { rules, findings: diagnostics.into_sorted(&sources), sources }
}

pub(crate) fn compile(text: &str) -> Outcome {
    compile_files(&[text], |_| {})
}

/// Rules that must be right.
pub(crate) fn rules(text: &str) -> Rules {
    let outcome = compile(text);
    assert!(outcome.findings.is_empty(), "{:#?}", outcome.findings);
    outcome.rules.expect("no findings, so rules")
}

/// One rule `r` for lavori-pubblici with these lines.
pub(crate) fn rule(lines: &str) -> Rules {
    rules(&format!("[[rule]]\nid = \"r\"\nsector = \"lavori-pubblici\"\n{lines}\n"))
}

pub(crate) fn message(text: &str) -> Message {
    Message {
        sender: Sender::default(),
        recipients: Vec::new(),
        subject: String::new(),
        text: text.to_owned(),
        quoted: String::new(),
        signature: String::new(),
        sent_at: None,
        received_at: Timestamp::UNIX_EPOCH,
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

pub(crate) fn context() -> Context {
    Context::new("email/urp".parse().expect("valid"))
}

pub(crate) fn decide_text(text: &str, rules: &Rules) -> Decision {
    decide(&message(text), &context(), rules)
}

/// True when the rule `r` holds for a text.
pub(crate) fn holds(rules: &Rules, text: &str) -> bool {
    decide_text(text, rules).votes.iter().any(|v| v.rule == "r")
}

/// Asserts for which texts the rule `r` holds and for which not.
pub(crate) fn check(rules: &Rules, yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(holds(rules, text), "should hold: {text}");
    }
    for text in no {
        assert!(!holds(rules, text), "should not hold: {text}");
    }
}
