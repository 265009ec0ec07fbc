//! [`Section`]: reading one table of the configuration key by key.
//!
//! A section remembers which keys were asked for; [`Section::finish`] reports the others. Wrong types are reported by
//! the reader itself, at the value, so that a caller only sees `Some` for what it can use.

use std::{collections::BTreeSet, path::PathBuf, rc::Rc, sync::Arc};

use jiff::civil::Date;

use crate::{
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    environment::Environment,
    layers,
    source::{Sources, Span},
    suggest::closest,
    tree::{Entry, Item, Table, Value},
    wrong_type,
};

/// A value and where a person wrote it. The span is None when it is a default; for an environment variable it points at
/// the variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Option<Span>,
}

impl<T> Spanned<T> {
    /// A value at a place.
    pub fn new(value: T, span: Option<Span>) -> Self {
        Self { value, span }
    }
    /// Changes the value, keeps the place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: f(self.value), span: self.span }
    }
    /// A reference to the value, at the same place.
    pub fn as_ref(&self) -> Spanned<&T> {
        Spanned { value: &self.value, span: self.span }
    }
}

mod nested;
mod secret;
mod unknown;

/// What every section of one configuration shares.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) base: PathBuf,
    pub(crate) environment: Arc<Environment>,
}

impl Surroundings {
    pub(crate) fn new(sources: &Sources, diagnostics: &Diagnostics) -> Rc<Self> {
        Rc::new(Self {
            diagnostics: diagnostics.clone(),
            base: sources.base().to_owned(),
            environment: Arc::clone(sources.environment()),
        })
    }
}

/// A reader over one table.
#[derive(Debug, Clone)]
pub struct Section {
    table: Rc<Table>,
    /// `[comune]`, `[[email]]`; empty for the file itself.
    title: String,
    asked: BTreeSet<String>,
    around: Rc<Surroundings>,
}

impl Section {
    pub(crate) fn new(table: Rc<Table>, title: String, around: Rc<Surroundings>) -> Self {
        Self { table, title, asked: BTreeSet::new(), around }
    }

    /// This file's top level, with defaults below and environment variables on top.
    pub(crate) fn layered(self, sources: &mut Sources) -> Self {
        let environment = Arc::clone(&self.around.environment);
        let table = layers::merge(&self.table, &environment, sources, &self.around.diagnostics);
        Self { table, ..self }
    }

    /// Where the header stands (`[comune]`); None for a file's top level and for what only comes from the environment.
    pub fn span(&self) -> Option<Span> {
        self.table.header
    }

    /// The header as people write it: `[comune]`, `[[email]]`; empty for a file's top level.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Where findings go.
    pub fn diagnostics(&self) -> &Diagnostics {
        &self.around.diagnostics
    }

    /// The keys that are there, in alphabetical order. Does not count as asking for them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.entries.keys().map(String::as_str)
    }

    /// True when the key is there. Does not count as asking for it.
    pub fn has(&self, key: &str) -> bool {
        self.table.entries.contains_key(key)
    }

    /// True when the key's value came from an environment variable (its span then points at the variable).
    pub fn is_from_variable(&self, key: &str) -> bool {
        self.table.entries.get(key).is_some_and(|e| matches!(e.item.value, Value::Loose(_)))
    }

    /// Where a key itself stands (not its value).
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.table.entries.get(key).and_then(|e| e.key)
    }

    /// Where a table's header stands; of several, the first one's; for a value, where it stands.
    pub fn header_span(&self, key: &str) -> Option<Span> {
        let entry = self.table.entries.get(key)?;
        match &entry.item.value {
            Value::Array(items) => items.first().and_then(|i| i.span).or(entry.item.span),
            _ => entry.item.span.or(entry.key),
        }
    }

    /// The environment that the configuration was loaded with.
    pub(crate) fn environment(&self) -> &Environment {
        &self.around.environment
    }

    /// True when mistakes of syntax hide some of this table's lines: what seems to be missing may well be there.
    pub fn is_damaged(&self) -> bool {
        self.table.damaged
    }

    /// The first place of the file that this table stands in, for findings about the file as a whole.
    pub fn start(&self) -> Option<Span> {
        self.table.file.map(|file| Span { file, start: 0, end: 0 })
    }

    /// Counts keys as known without reading them.
    pub fn ignore(&mut self, keys: &[&str]) {
        self.asked.extend(keys.iter().map(|k| (*k).to_owned()));
    }

    fn ask(&mut self, key: &str) -> Option<Entry> {
        self.asked.insert(key.to_owned());
        self.table.entries.get(key).cloned()
    }

    fn push(&self, diagnostic: Diagnostic) {
        self.around.diagnostics.push(diagnostic);
    }

    /// Reads a key with `convert`; what it does not take is reported as not being `expected`.
    fn read<T>(
        &mut self,
        key: &str,
        expected: &wrong_type::Expected,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let item = self.ask(key)?.item;
        let value = convert(&item.value);
        if value.is_none() {
            self.push(wrong_type::diagnostic(key, expected, &item));
        }
        self.check_invisible(key, &item);
        value.map(|v| Spanned::new(v, item.span))
    }

    /// In double quotes `\b` and `\f` are characters that nobody sees; who writes them means a regular expression or a
    /// Windows path.
    fn check_invisible(&self, key: &str, item: &Item) {
        if let Value::String(text) = &item.value
            && let Some(c) = text.chars().find(|c| matches!(c, '\u{8}' | '\u{c}'))
        {
            let letter = if c == '\u{8}' { 'b' } else { 'f' };
            let written = text.replace('\u{8}', "\\b").replace('\u{c}', "\\f");
            self.push(
                Diagnostic::error(
                    codes::INVISIBLE_CHARACTER,
                    format!("«{key}»: la barra \\ seguita da «{letter}» tra virgolette doppie diventa un carattere invisibile"),
                    format!("'{key}': a backslash followed by '{letter}' in double quotes becomes an invisible character"),
                )
                .hint(
                    format!("usare gli apici al posto delle virgolette: '{written}'"),
                    format!("use single quotes instead: '{written}'"),
                )
                .at_opt(item.span),
            );
        }
    }

    /// A text.
    pub fn string(&mut self, key: &str) -> Option<Spanned<String>> {
        self.read(key, &wrong_type::Expected::Text, text)
    }

    /// A text, or a date, which is then given as `2026-11-01`: for keys that take either (`start = "new"`).
    pub fn string_or_date(&mut self, key: &str) -> Option<Spanned<String>> {
        self.read(key, &wrong_type::Expected::Text, |value| match value {
            Value::Datetime(_) => date(value).map(|d| d.to_string()),
            _ => text(value),
        })
    }

    /// A text, or a whole number, which is then given as text.
    pub(crate) fn string_or_int(&mut self, key: &str) -> Option<Spanned<String>> {
        self.read(key, &wrong_type::Expected::Text, |value| match value {
            Value::Integer(i) => i.map(|i| i.to_string()),
            _ => text(value),
        })
    }

    /// A whole number.
    pub fn int(&mut self, key: &str) -> Option<Spanned<i64>> {
        self.read(key, &wrong_type::Expected::Integer, |value| match value {
            Value::Integer(i) => *i,
            Value::Loose(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A whole number between `min` and `max`; outside is an error.
    pub fn int_between(&mut self, key: &str, min: i64, max: i64) -> Option<Spanned<i64>> {
        let value = self.int(key)?;
        if (min..=max).contains(&value.value) {
            return Some(value);
        }
        self.push(
            Diagnostic::error(
                codes::INVALID_VALUE,
                format!("«{key}» deve essere un numero tra {min} e {max}, ma qui è {}", value.value),
                format!("'{key}' must be between {min} and {max}, but is {}", value.value),
            )
            .hint(
                format!("scrivere un numero tra {min} e {max}"),
                format!("write a number from {min} to {max}"),
            )
            .at_opt(value.span),
        );
        None
    }

    /// true or false.
    pub fn bool(&mut self, key: &str) -> Option<Spanned<bool>> {
        self.read(key, &wrong_type::Expected::Boolean, |value| match value {
            Value::Boolean(b) => Some(*b),
            Value::Loose(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// A number, whole or not.
    pub fn float(&mut self, key: &str) -> Option<Spanned<f64>> {
        #[allow(clippy::cast_precision_loss, reason = "nobody writes 2^53 into a configuration")]
        self.read(key, &wrong_type::Expected::Number, |value| match value {
            Value::Float(f) => Some(*f).filter(|f| f.is_finite()),
            Value::Integer(i) => i.map(|i| i as f64),
            Value::Loose(text) => text.trim().parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        })
    }

    /// A list of texts; a single text counts as a list of one. From the environment: separated by commas.
    pub fn strings(&mut self, key: &str) -> Vec<Spanned<String>> {
        let Some(Entry { item, .. }) = self.ask(key) else { return Vec::new() };
        self.check_invisible(key, &item);
        match &item.value {
            Value::String(one) => vec![Spanned::new(one.clone(), item.span)],
            Value::Loose(many) => many
                .split(',')
                .map(str::trim)
                .filter(|one| !one.is_empty())
                .map(|one| Spanned::new(one.to_owned(), item.span))
                .collect(),
            Value::Array(items) => items
                .iter()
                .filter_map(|one| {
                    let value = text(&one.value);
                    self.check_invisible(key, one);
                    if value.is_none() {
                        self.push(wrong_type::diagnostic(key, &wrong_type::Expected::Texts, one));
                    }
                    value.map(|v| Spanned::new(v, one.span))
                })
                .collect(),
            _ => {
                self.push(wrong_type::diagnostic(key, &wrong_type::Expected::Texts, &item));
                Vec::new()
            }
        }
    }

    /// A date; a text of the form `"2027-02-01"` will do.
    pub fn date(&mut self, key: &str) -> Option<Spanned<Date>> {
        self.read(key, &wrong_type::Expected::Date, date)
    }

    /// One of the allowed words.
    pub fn choice<T: Copy>(&mut self, key: &str, allowed: &[(&str, T)]) -> Option<Spanned<T>> {
        let word = self.string(key)?;
        if let Some((_, value)) = allowed.iter().find(|(w, _)| *w == word.value) {
            return Some(Spanned::new(*value, word.span));
        }
        let words = || allowed.iter().map(|(w, _)| *w);
        let (mut it, mut en) =
            (words().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", "), String::new());
        en.clone_from(&it);
        if let Some(meant) = closest(&word.value, words()) {
            it = format!("forse \"{meant}\"? Sono ammessi: {it}");
            en = format!("perhaps \"{meant}\"? Allowed are: {en}");
        } else {
            it = format!("scrivere una di queste: {it}");
            en = format!("write one of: {en}");
        }
        self.push(
            Diagnostic::error(
                codes::UNKNOWN_WORD,
                format!("«{key}» non può essere \"{}\"", word.value),
                format!("'{key}' cannot be \"{}\"", word.value),
            )
            .hint(it, en)
            .at_opt(word.span),
        );
        None
    }

    /// A text that must be there and must not be blank; else an error at the header, or at the blank text.
    pub fn required_string(&mut self, key: &str) -> Option<Spanned<String>> {
        if !self.has(key) {
            self.asked.insert(key.to_owned());
            self.missing(key, &format!("{key} = \"...\""));
            return None;
        }
        let text = self.string(key)?;
        if text.value.trim().is_empty() {
            self.push(
                Diagnostic::error(
                    codes::INVALID_VALUE,
                    format!("«{key}» è vuoto"),
                    format!("'{key}' is empty"),
                )
                .hint("scrivere il valore tra le virgolette", "write the value between the quotes")
                .at_opt(text.span),
            );
            return None;
        }
        Some(text)
    }

    /// Reports, at the header, that a key is missing. `example` is a line as it should be, for instance `host = "..."`.
    /// Says nothing in a damaged section.
    pub fn missing(&self, key: &str, example: &str) {
        if self.is_damaged() {
            return;
        }
        let (place_it, place_en) = match self.title.as_str() {
            "" => (String::new(), String::new()),
            title => (format!(" in {title}"), format!(" in {title}")),
        };
        let under = if self.title.is_empty() { "" } else { " sotto questa riga" };
        let below = if self.title.is_empty() { "" } else { " below this line" };
        self.push(
            Diagnostic::error(
                codes::MISSING_KEY,
                format!("manca «{key}»{place_it}"),
                format!("'{key}' is missing{place_en}"),
            )
            .hint(format!("aggiungere{under}: {example}"), format!("add{below}: {example}"))
            .at_opt(self.table.header),
        );
    }

    /// How a path that [`Section::path`] gave is named to people: as it stands in the configuration.
    pub fn shown(&self, path: &std::path::Path) -> String {
        path.strip_prefix(&self.around.base).unwrap_or(path).display().to_string()
    }

    /// A file or folder. A relative path is taken from the configuration directory.
    pub fn path(&mut self, key: &str) -> Option<Spanned<PathBuf>> {
        let base = self.around.base.clone();
        Some(self.string(key)?.map(|path| base.join(path)))
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) | Value::Loose(text) => Some(text.clone()),
        _ => None,
    }
}

fn date(value: &Value) -> Option<Date> {
    match value {
        Value::Datetime(at) if at.time.is_none() && at.offset.is_none() => {
            let date = at.date?;
            let (month, day) = (i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
            Date::new(i16::try_from(date.year).ok()?, month, day).ok()
        }
        Value::String(text) | Value::Loose(text) if text.len() == 10 => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
