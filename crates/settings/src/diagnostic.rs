//! What is wrong, where, and what to do now; and the collector that every reader shares.

use std::{cell::RefCell, rc::Rc};

use smista_domain::Text;

use crate::source::{FileId, Sources, Span};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but probably does not do what was meant.
    Warning,
}

/// One finding. The text is a sentence for a clerk, without the place (the span has it) and without a full stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable word, for instance `unknown-key`; listed in `docs/reference/diagnostics.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The wrong part, if it stands somewhere.
    pub span: Option<Span>,
    /// What is wrong.
    pub text: Text,
    /// What to do now.
    pub hint: Option<Text>,
    /// Other places that belong to it (`first used here`).
    pub labels: Vec<(Span, Text)>,
}

impl Diagnostic {
    fn new(code: &'static str, severity: Severity, text: Text) -> Self {
        Self { code, severity, span: None, text, hint: None, labels: Vec::new() }
    }
    /// An error, in Italian and English.
    pub fn error(code: &'static str, it: impl Into<String>, en: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, Text::new(it, en))
    }
    /// A warning, in Italian and English.
    pub fn warning(code: &'static str, it: impl Into<String>, en: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, Text::new(it, en))
    }
    /// The wrong part.
    #[must_use]
    pub fn at(self, span: Span) -> Self {
        self.at_opt(Some(span))
    }
    /// The wrong part, if it stands somewhere.
    #[must_use]
    pub fn at_opt(mut self, span: Option<Span>) -> Self {
        self.span = span;
        self
    }
    /// What to do now, in Italian and English; begins with a verb, in lower case.
    #[must_use]
    pub fn hint(mut self, it: impl Into<String>, en: impl Into<String>) -> Self {
        self.hint = Some(Text::new(it, en));
        self
    }
    /// Another place that belongs to it.
    #[must_use]
    pub fn label(mut self, span: Span, it: impl Into<String>, en: impl Into<String>) -> Self {
        self.labels.push((span, Text::new(it, en)));
        self
    }
}

/// Collects findings. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics(Rc<RefCell<Collected>>);

#[derive(Debug, Default)]
struct Collected {
    all: Vec<Diagnostic>,
    /// Headers of tables that lost lines to mistakes of syntax: what is missing there may well be there.
    muted: Vec<(FileId, usize)>,
}

impl Diagnostics {
    /// An empty collector.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a finding; the same one twice counts once.
    pub fn push(&self, diagnostic: Diagnostic) {
        let Collected { all, muted } = &mut *self.0.borrow_mut();
        let is_muted = diagnostic.span.is_some_and(|s| muted.contains(&(s.file, s.start)));
        if !is_muted && !all.contains(&diagnostic) {
            all.push(diagnostic);
        }
    }
    /// From now on passes over findings at a header: its table lost lines to a mistake of syntax, which was told.
    pub(crate) fn mute(&self, file: FileId, header: usize) {
        self.0.borrow_mut().muted.push((file, header));
    }
    /// True when an error was found.
    pub fn has_errors(&self) -> bool {
        self.0.borrow().all.iter().any(|d| d.severity == Severity::Error)
    }
    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.borrow().all.is_empty()
    }
    /// How many findings there are.
    pub fn len(&self) -> usize {
        self.0.borrow().all.len()
    }
    /// What was found so far, in the order of [`sort`].
    pub fn into_sorted(self, sources: &Sources) -> Vec<Diagnostic> {
        let mut all = self.0.borrow().all.clone();
        sort(&mut all, sources);
        all
    }
}

/// By file (smista.toml, sectors.toml, the rules by name, environment variables) and position; what stands nowhere comes last.
pub fn sort(findings: &mut [Diagnostic], sources: &Sources) {
    findings.sort_by_cached_key(|d| {
        let place = d.span.map(|s| {
            (sources.variable(s.file).is_some(), file_rank(&sources.display(s.file)), s.start, s.end)
        });
        (place.is_none(), place, d.severity, d.code, d.text.en.clone())
    });
}

/// Files in the order in which people read them: smista.toml, sectors.toml, then the rules by name.
fn file_rank(shown: &str) -> (u8, String) {
    let rank = match shown {
        "smista.toml" => 0,
        "sectors.toml" => 1,
        _ => 2,
    };
    (rank, shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn clones_share_one_list_sorted_by_place() {
        let mut sources = Sources::new("c".into(), Environment::default());
        let rules = sources.add("c/rules/a.toml".into(), b"x = 1".to_vec()).expect("text");
        let main = sources.add("c/smista.toml".into(), b"x = 1".to_vec()).expect("text");
        let variable = sources.add_variable("SMISTA_A__B", "x");
        let all = Diagnostics::new();
        let at = |file, start| Span { file, start, end: start + 1 };
        let clone = all.clone();
        clone.push(Diagnostic::warning("e", "", ""));
        clone.push(Diagnostic::error("d", "", "").at(at(variable, 0)));
        assert!(all.has_errors());
        clone.push(Diagnostic::error("c", "", "").at(at(rules, 0)));
        clone.push(Diagnostic::error("b", "", "").at(at(main, 3)));
        clone.push(Diagnostic::warning("a", "", "").at(at(main, 1)));
        clone.push(Diagnostic::warning("a", "", "").at(at(main, 1)));
        let codes: String = all.into_sorted(&sources).iter().map(|d| d.code).collect();
        assert_eq!(codes, "abcde");
    }
}
