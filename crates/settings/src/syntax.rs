//! TOML text to a [`Section`]; what the parser did not like, in words for people who do not know TOML.

use std::rc::Rc;

use toml::de::DeTable;

use crate::{
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    section::{Section, Surroundings},
    source::{FileId, Sources, Span},
    tree::Table,
};

/// Parses a file. Mistakes of syntax become diagnostics, at most one per line; then there is no section.
pub fn parse(sources: &mut Sources, file: FileId, diagnostics: &Diagnostics) -> Option<Section> {
    let text = sources.text(file);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let table = Table::from_toml(table.get_ref(), file, None);
        return Some(Section::new(Rc::new(table), String::new(), Surroundings::new(sources, diagnostics)));
    }
    for error in errors {
        let range = error.span().unwrap_or(0..0);
        let span = Span { file, start: range.start, end: range.end.max(range.start) };
        diagnostics.push(
            Diagnostic::error(
                codes::SYNTAX,
                format!("riga non valida ({})", error.message()),
                error.message(),
            )
            .at(span),
        );
    }
    None
}

/// The top level of a file that is not there.
pub(crate) fn empty(sources: &Sources, diagnostics: &Diagnostics) -> Section {
    Section::new(Rc::default(), String::new(), Surroundings::new(sources, diagnostics))
}
