//! Findings as people see them: the place, the line with the wrong part underlined, what to do.
//!
//! Nothing that could be a secret is shown: values of password-like keys and passwords in URLs are covered, values of
//! environment variables are never printed. Control characters are replaced, so that a file cannot write to a terminal.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Value, json};
use smista_domain::Lang;

use crate::{
    diagnostic::{Diagnostic, Severity},
    source::{Sources, Span},
};

/// A line is shown as far as this many characters; of a longer one, the part around the mistake.
const MAX_LINE: usize = 100;

/// All findings, an empty line after each; [`summary`] counts them. `color` for terminals only.
pub fn render(findings: &[Diagnostic], sources: &Sources, lang: Lang, color: bool) -> String {
    let mut out = String::new();
    for finding in findings {
        one(&mut out, finding, sources, lang, Style { color });
        out.push('\n');
    }
    out
}

/// `2 errori, 1 avviso`; empty when there are no findings.
pub fn summary(findings: &[Diagnostic], lang: Lang) -> String {
    let count = |severity| findings.iter().filter(|d| d.severity == severity).count();
    let words = |n: usize, [one, many]: [&str; 2]| match n {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let (errors, warnings) = match lang {
        Lang::It => (["errore", "errori"], ["avviso", "avvisi"]),
        Lang::En => (["error", "errors"], ["warning", "warnings"]),
    };
    let errors = words(count(Severity::Error), errors);
    let warnings = words(count(Severity::Warning), warnings);
    errors.into_iter().chain(warnings).collect::<Vec<_>>().join(", ")
}

/// Findings for programs: `[{code, severity, file, variable, line, column, end_line, end_column, message, hint}]`; what
/// does not apply is null. Lines and columns (in characters) count from 1; the end is one past the last character.
pub fn to_json(findings: &[Diagnostic], sources: &Sources, lang: Lang) -> Value {
    let one = |d: &Diagnostic| {
        let file = d.span.filter(|s| sources.variable(s.file).is_none());
        let position = file.map(|s| sources.position(s));
        json!({
            "code": d.code,
            "severity": match d.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "file": file.map(|s| sources.display(s.file)),
            "variable": d.span.and_then(|s| sources.variable(s.file)),
            "line": position.map(|p| p.line),
            "column": position.map(|p| p.column),
            "end_line": position.map(|p| p.end_line),
            "end_column": position.map(|p| p.end_column),
            "message": clean(d.text.in_lang(lang)),
            "hint": d.hint.as_ref().map(|h| clean(h.in_lang(lang))),
        })
    };
    findings.iter().map(one).collect()
}

#[derive(Clone, Copy)]
struct Style {
    color: bool,
}

impl Style {
    fn paint<'a>(self, ansi: &str, text: &'a str) -> Cow<'a, str> {
        if self.color { format!("\u{1b}[{ansi}m{text}\u{1b}[0m").into() } else { text.into() }
    }
    fn severity(self, severity: Severity, lang: Lang) -> Cow<'static, str> {
        let (ansi, it, en) = match severity {
            Severity::Error => ("1;31", "errore", "error"),
            Severity::Warning => ("1;33", "avviso", "warning"),
        };
        self.paint(ansi, if lang == Lang::It { it } else { en })
    }
}

fn one(out: &mut String, finding: &Diagnostic, sources: &Sources, lang: Lang, style: Style) {
    if let Some(span) = finding.span {
        let _ = write!(out, "{}: ", style.paint("1", &place(sources, span, lang)));
    }
    let severity = style.severity(finding.severity, lang);
    let text = clean(finding.text.in_lang(lang));
    let code = format!("[{}]", finding.code);
    let _ = writeln!(out, "{severity}: {text} {}", style.paint("2", &code));
    let mark = if finding.severity == Severity::Error { "31" } else { "33" };
    if let Some(span) = finding.span {
        snippet(out, sources, span, '^', mark, style);
    }
    for (span, text) in &finding.labels {
        let _ = writeln!(out, "  {}: {}:", place(sources, *span, lang), clean(text.in_lang(lang)));
        snippet(out, sources, *span, '-', "36", style);
    }
    if let Some(hint) = &finding.hint {
        let what = if lang == Lang::It { "Cosa fare:" } else { "What to do:" };
        let _ = writeln!(out, "  {} {}", style.paint("1;32", what), clean(hint.in_lang(lang)));
    }
}

/// True for a finding about a file as a whole.
fn is_whole_file(span: Span) -> bool {
    span.start == 0 && span.end == 0
}

fn place(sources: &Sources, span: Span, lang: Lang) -> String {
    if let Some(name) = sources.variable(span.file) {
        return match lang {
            Lang::It => format!("variabile d'ambiente {name}"),
            Lang::En => format!("environment variable {name}"),
        };
    }
    let file = clean(&sources.display(span.file)).into_owned();
    if is_whole_file(span) {
        return file;
    }
    let (line, column) = sources.line_col(span);
    format!("{file}:{line}:{column}")
}

fn snippet(out: &mut String, sources: &Sources, span: Span, mark: char, ansi: &str, style: Style) {
    if is_whole_file(span) || sources.variable(span.file).is_some() {
        return;
    }
    let at = sources.position(span);
    let masked = mask(sources.line(span.file, at.line));
    let line: Vec<char> = masked.chars().map(visible).collect();
    let first = (at.column - 1).min(line.len());
    let last = if at.end_line == at.line { (at.end_column - 1).min(line.len()) } else { line.len() };
    let last = last.max(first + 1);
    let (from, to) = window(line.len(), first, last);
    let shown: String = line.iter().skip(from).take(to - from).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
    let number = at.line.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(first - from + before.chars().count());
    let marks: String = std::iter::repeat_n(mark, last.min(to.max(first + 1)) - first).collect();
    let bar = style.paint("2", "|");
    let _ = writeln!(out, "  {} {bar} {before}{}{after}", style.paint("2", &number), shown.trim_end());
    let _ = writeln!(out, "  {gutter} {bar} {indent}{}", style.paint(ansi, &marks));
}

/// Which part of a line of `length` characters to show around `first..last`.
fn window(length: usize, first: usize, last: usize) -> (usize, usize) {
    if length <= MAX_LINE {
        return (0, length);
    }
    let spare = MAX_LINE.saturating_sub(last - first);
    let from = first.saturating_sub(spare / 2).min(length - MAX_LINE);
    (from.min(first), (from + MAX_LINE).min(length))
}

/// One column per character, nothing that moves a cursor.
fn visible(c: char) -> char {
    match c {
        '\t'
        | '\u{a0}'
        | '\u{200b}'..='\u{200f}'
        | '\u{feff}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| visible(c) != c) {
        text.chars().map(visible).collect::<String>().into()
    } else {
        text.into()
    }
}

/// Covers what may be a secret, character for character: the value of a key that speaks of one (`password = "..."`,
/// but not `password_file`), and the password in `postgres://user:password@host` or `...?password=...`.
fn mask(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    if let Some(equals) = chars.iter().position(|c| *c == '=' || *c == ':') {
        let key: String = chars.iter().take(equals).collect();
        if is_secret_key(key.trim().trim_matches(['"', '\''])) {
            cover(&mut chars, equals + 1, usize::MAX);
        }
    }
    let text: String = chars.iter().collect();
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("://")) {
        let start = from + found + 3;
        let rest = text.get(start..).unwrap_or("");
        let authority = rest.find(['/', '"', '\'', ' ', '?']).and_then(|end| rest.get(..end)).unwrap_or(rest);
        // An @ in the password itself: the last one parts.
        if let Some((user_info, _)) = authority.rsplit_once('@')
            && let Some((user, _)) = user_info.split_once(':')
        {
            let chars_before = |byte: usize| text.get(..byte).map_or(0, |t| t.chars().count());
            cover(&mut chars, chars_before(start + user.len() + 1), chars_before(start + user_info.len()));
        }
        from = start;
    }
    for (found, name) in text.match_indices("password=") {
        if text.get(..found).is_some_and(|before| before.ends_with(['?', '&'])) {
            let start = found + name.len();
            let rest = text.get(start..).unwrap_or("");
            let end = start + rest.find(['&', '"', '\'', ' ']).unwrap_or(rest.len());
            let chars_before = |byte: usize| text.get(..byte).map_or(0, |t| t.chars().count());
            cover(&mut chars, chars_before(start), chars_before(end));
        }
    }
    chars.into_iter().collect()
}

fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    let speaks = ["password", "passwd", "pwd", "secret", "segreto", "token", "chiave_api", "api_key"];
    // a password in an address is covered by itself
    let harmless = ["_file", "_files", "_env", "_expires", "_url"];
    speaks.iter().any(|word| key.contains(word)) && !harmless.iter().any(|end| key.ends_with(end))
}

fn cover(chars: &mut [char], from: usize, to: usize) {
    for c in chars.iter_mut().take(to).skip(from) {
        if !matches!(*c, ' ' | '"' | '\'') {
            *c = '*';
        }
    }
}

#[cfg(test)]
mod tests;
