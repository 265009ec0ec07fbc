//! TOML text to a [`Section`]; what the parser does not like, in words for people who do not know TOML.
//!
//! A mistake of syntax hides only its own statement: the text is then taken apart into statements, each is tried by itself,
//! the broken ones are told and blanked (so that every other position holds), and the rest is read. A table that lost a
//! statement is *damaged*: nothing is said of what seems to be missing in it.

mod bare;
mod explain;
mod split;
mod value;

use std::{collections::BTreeSet, ops::Range, rc::Rc};

use toml::de::DeTable;

use crate::{
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    section::{Section, Surroundings},
    source::{FileId, Sources, Span},
    tree::Table,
};

/// More than this many mistakes in one file were made by one cause (another format): the rest is counted only.
const MAX_TOLD: usize = 25;

/// One mistake of syntax: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) code: &'static str,
    /// Byte range in the text that was explained.
    pub(crate) at: Range<usize>,
    pub(crate) it: String,
    pub(crate) en: String,
    pub(crate) hint_it: String,
    pub(crate) hint_en: String,
    /// Another place that belongs to it, with what it is.
    pub(crate) other: Option<(Range<usize>, &'static str, &'static str)>,
}

impl Mistake {
    pub(crate) fn new(at: Range<usize>, it: impl Into<String>, en: impl Into<String>) -> Self {
        let (hint_it, hint_en) = (String::new(), String::new());
        Self { code: codes::SYNTAX, at, it: it.into(), en: en.into(), hint_it, hint_en, other: None }
    }
    pub(crate) fn hint(mut self, it: impl Into<String>, en: impl Into<String>) -> Self {
        self.hint_it = it.into();
        self.hint_en = en.into();
        self
    }
    fn into_diagnostic(self, file: FileId) -> Diagnostic {
        let span = |at: Range<usize>| Span { file, start: at.start, end: at.end };
        let mut diagnostic =
            Diagnostic::error(self.code, self.it, self.en).hint(self.hint_it, self.hint_en).at(span(self.at));
        if let Some((at, it, en)) = self.other {
            diagnostic = diagnostic.label(span(at), it, en);
        }
        diagnostic
    }
}

/// Parses a file. Mistakes of syntax become diagnostics; what could be read is read all the same (see
/// [`Section::is_damaged`]), so that mistakes elsewhere in the file are told in the same run.
pub fn parse(sources: &mut Sources, file: FileId, diagnostics: &Diagnostics) -> Option<Section> {
    let text = sources.text(file);
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = if let Some(first) = errors.first() {
        let before = diagnostics.len();
        let table = recover(text, file, diagnostics);
        if diagnostics.len() == before {
            // Never silent: the parser did find something.
            let at = first.span().unwrap_or(0..0);
            diagnostics.push(explain::unclear(at, text).into_diagnostic(file));
        }
        table
    } else {
        Table::from_toml(table.get_ref(), file, None)
    };
    Some(Section::new(Rc::new(table), String::new(), Surroundings::new(sources, diagnostics)))
}

/// The top level of a file that could not be had, which was told: nothing is said of what is missing in it.
pub(crate) fn unread(sources: &Sources, diagnostics: &Diagnostics) -> Section {
    let table = Table { damaged: true, ..Table::default() };
    Section::new(Rc::new(table), String::new(), Surroundings::new(sources, diagnostics))
}

fn recover(text: &str, file: FileId, diagnostics: &Diagnostics) -> Table {
    let mut mistakes = Vec::new();
    let mut damage = Damage::default();
    let mut rest = text.as_bytes().to_vec();
    if let Some(mistake) = explain::other_format(text) {
        diagnostics.push(mistake.into_diagnostic(file));
        return Table { file: Some(file), damaged: true, ..Table::default() };
    }
    for broken in split::broken(text) {
        let part = text.get(broken.at.clone()).unwrap_or("");
        if let Some(why) = broken.why {
            let mut mistake = match why {
                split::Why::Header => explain::header(part),
                split::Why::Statement => explain::statement(part),
            };
            shift(&mut mistake, broken.at.start);
            mistakes.push(mistake);
        }
        match broken.header {
            Some(header) => damage.headers.insert(header),
            None => std::mem::replace(&mut damage.root, true),
        };
        if let Some(part) = rest.get_mut(broken.at) {
            // Bytes of longer characters, too: what is left is ASCII blanks.
            part.iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        }
    }
    let rest = String::from_utf8(rest).unwrap_or_default();
    let (table, errors) = DeTable::parse_recoverable(&rest);
    for error in errors {
        mistakes.push(explain::structure(&rest, error.span().unwrap_or(0..0), error.message()));
    }
    mistakes.sort_by_key(|m| (m.at.start, m.at.end));
    let left = mistakes.len().saturating_sub(MAX_TOLD);
    if left > 0 {
        mistakes.truncate(MAX_TOLD);
        if let Some(last) = mistakes.last_mut() {
            last.hint_it =
                format!("{}; poi rivedere le altre {left} righe sbagliate di questo file", last.hint_it);
            last.hint_en =
                format!("{}; then look at the other {left} wrong lines of this file", last.hint_en);
        }
    }
    for mistake in mistakes {
        diagnostics.push(mistake.into_diagnostic(file));
    }
    let mut table = Table::from_toml(table.get_ref(), file, None);
    damage.mark(&mut table);
    for header in damage.headers {
        diagnostics.mute(file, header);
    }
    table
}

fn shift(mistake: &mut Mistake, by: usize) {
    mistake.at = mistake.at.start + by..mistake.at.end + by;
    if let Some((other, ..)) = &mut mistake.other {
        *other = other.start + by..other.end + by;
    }
}

/// Which tables lost a statement.
#[derive(Default)]
struct Damage {
    root: bool,
    /// Where their headers begin.
    headers: BTreeSet<usize>,
}

impl Damage {
    fn mark(&self, root: &mut Table) {
        root.damaged = self.root;
        root.each_below(&mut |table| {
            table.damaged = table.header.is_some_and(|h| self.headers.contains(&h.start));
        });
    }
}

#[cfg(test)]
mod tests;
