//! Tables within a table.

use std::rc::Rc;

use super::{Entry, Section, Table, Value, codes, wrong_type};
use crate::diagnostic::Diagnostic;

impl Section {
    /// A table within this one: `[key]`.
    pub fn table(&mut self, key: &str) -> Option<Section> {
        let title = self.title_of(key, false);
        let item = self.ask(key)?.item;
        match &item.value {
            Value::Table(table) => Some(self.child(table, title)),
            Value::Array(items) if items.iter().any(|i| matches!(i.value, Value::Table(_))) => {
                self.push(
                    Diagnostic::error(
                        codes::WRONG_TYPE,
                        format!("{title} può esserci una volta sola e vuole parentesi quadre semplici"),
                        format!("{title} can be there only once and takes single brackets"),
                    )
                    .hint(format!("scrivere {title}"), format!("write {title}"))
                    .at_opt(items.first().and_then(|i| i.span).or(item.span)),
                );
                None
            }
            _ => {
                self.push(wrong_type::diagnostic(key, &wrong_type::Expected::Table(title), &item));
                None
            }
        }
    }

    /// Tables that may be there several times: `[[key]]`. A single `[key]` is reported, but read all the same.
    pub fn tables(&mut self, key: &str) -> Vec<Section> {
        let title = self.title_of(key, true);
        let Some(Entry { item, .. }) = self.ask(key) else { return Vec::new() };
        match &item.value {
            Value::Array(items) => items
                .iter()
                .filter_map(|one| {
                    if let Value::Table(table) = &one.value {
                        return Some(self.child(table, title.clone()));
                    }
                    self.push(wrong_type::diagnostic(key, &wrong_type::Expected::Table(title.clone()), one));
                    None
                })
                .collect(),
            Value::Table(table) => {
                self.push(
                    Diagnostic::error(
                        codes::WRONG_TYPE,
                        format!("«{key}» vuole doppie parentesi quadre, perché possono essercene più d'una"),
                        format!("'{key}' takes double brackets, since there may be several"),
                    )
                    .hint(format!("scrivere {title}"), format!("write {title}"))
                    .at_opt(item.span),
                );
                vec![self.child(table, title)]
            }
            _ => {
                self.push(wrong_type::diagnostic(key, &wrong_type::Expected::Table(title), &item));
                Vec::new()
            }
        }
    }

    fn child(&self, table: &Rc<Table>, title: String) -> Section {
        Section::new(Rc::clone(table), title, Rc::clone(&self.around))
    }

    pub(super) fn title_of(&self, key: &str, several: bool) -> String {
        let parent = self.title.trim_matches(['[', ']']);
        let path = if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") };
        if several { format!("[[{path}]]") } else { format!("[{path}]") }
    }
}
