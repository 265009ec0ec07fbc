//! TOML values with their positions, owned; what [`crate::Section`] reads from.

use std::{collections::BTreeMap, rc::Rc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
    value::Datetime,
};

use crate::source::{FileId, Span};

/// A table: its entries by key, and where its header stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) header: Option<Span>,
    /// The file; None for what is in no file.
    pub(crate) file: Option<FileId>,
    /// True when mistakes of syntax hide some of its lines.
    pub(crate) damaged: bool,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Option<Span>,
    pub(crate) item: Item,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) value: Value,
    pub(crate) span: Option<Span>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    String(String),
    /// None when it does not fit.
    Integer(Option<i64>),
    Float(f64),
    Boolean(bool),
    Datetime(Datetime),
    Array(Vec<Item>),
    Table(Rc<Table>),
    /// From an environment variable: becomes whatever is asked for.
    Loose(String),
}

impl Table {
    /// Takes over a parsed table. `header` is where it begins.
    pub(crate) fn from_toml(table: &DeTable<'_>, file: FileId, header: Option<Span>) -> Self {
        let entries = table.iter().map(|(key, value)| {
            let entry = Entry { key: Some(span(file, key)), item: Item::from_toml(value, file) };
            (key.get_ref().to_string(), entry)
        });
        Self { entries: entries.collect(), header, file: Some(file), damaged: false }
    }

    /// Calls `f` with every table within this one. None of them may be shared yet.
    pub(crate) fn each_below(&mut self, f: &mut impl FnMut(&mut Table)) {
        for entry in self.entries.values_mut() {
            entry.item.each_table(f);
        }
    }
}

impl Item {
    fn each_table(&mut self, f: &mut impl FnMut(&mut Table)) {
        match &mut self.value {
            Value::Table(table) => {
                if let Some(table) = Rc::get_mut(table) {
                    f(table);
                    table.each_below(f);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| item.each_table(f)),
            _ => {}
        }
    }

    fn from_toml(value: &Spanned<DeValue<'_>>, file: FileId) -> Self {
        let at = span(file, value);
        let value = match value.get_ref() {
            DeValue::String(s) => Value::String(s.to_string()),
            DeValue::Integer(i) => Value::Integer(i64::from_str_radix(i.as_str(), i.radix()).ok()),
            DeValue::Float(f) => Value::Float(f.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(b) => Value::Boolean(*b),
            DeValue::Datetime(d) => Value::Datetime(*d),
            DeValue::Array(items) => Value::Array(items.iter().map(|i| Self::from_toml(i, file)).collect()),
            DeValue::Table(table) => Value::Table(Rc::new(Table::from_toml(table, file, Some(at)))),
        };
        Self { value, span: Some(at) }
    }
}

fn span<T>(file: FileId, spanned: &Spanned<T>) -> Span {
    let range = spanned.span();
    Span { file, start: range.start, end: range.end }
}
