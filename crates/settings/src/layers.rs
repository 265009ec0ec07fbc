//! Defaults, then smista.toml, then environment variables: the later one wins, key by key.
//!
//! `SMISTA_HTTP__PUBLIC=0.0.0.0:80` sets `public` in `[http]`. Two underscores part the table from the key, so that
//! `SMISTA_CONFIG` (the directory) and `SMISTA_URP_PASSWORD` (named by a `password_env`) are no keys. Only plain tables
//! can be set: which of several `[[email]]` a variable would mean cannot be said. The `config` crate merges; since it knows
//! no positions, each merged key is mapped back to where it stands.

use std::{collections::HashMap, rc::Rc};

use config::{Config, ConfigError, FileFormat, Source, ValueKind};

use crate::{
    codes,
    diagnostic::{Diagnostic, Diagnostics},
    environment::Environment,
    source::{Sources, Span},
    tree::{Entry, Item, Table, Value},
};

/// What holds where nobody says anything.
pub(crate) const DEFAULTS: &str = include_str!("defaults.toml");

const PREFIX: &str = "SMISTA_";
const SEPARATOR: &str = "__";
/// How a value of the file is marked while `config` merges.
const FROM_FILE: &str = "smista.toml";

/// Tables that may be there several times, and so have no name that a variable could use.
pub(crate) const REPEATED: &[&str] = &["email", "phone", "rule", "sector", "kind"];

/// Merges the layers into one table: keys of the file keep their places, those of variables point at the variable.
pub(crate) fn merge(
    file: &Rc<Table>,
    environment: &Environment,
    sources: &mut Sources,
    diagnostics: &Diagnostics,
) -> Rc<Table> {
    let variables = usable(file, environment, sources, diagnostics);
    match merged(file, &variables) {
        Ok(layers) => {
            let mut top = HashMap::new();
            for (key, value) in layers {
                top.insert(key, value);
            }
            Rc::new(place(Some(file), &top, "", &variables, sources))
        }
        Err(problem) => {
            diagnostics.push(Diagnostic::error(
                codes::ENVIRONMENT,
                format!(
                    "le variabili d'ambiente SMISTA_... non si possono unire alla configurazione ({problem})"
                ),
                format!(
                    "the environment variables SMISTA_... cannot be merged into the configuration ({problem})"
                ),
            ));
            Rc::clone(file)
        }
    }
}

/// The variables that set a scalar of a plain table, by their key path; others that look like it are reported.
fn usable(
    file: &Table,
    environment: &Environment,
    sources: &mut Sources,
    diagnostics: &Diagnostics,
) -> HashMap<String, (String, String)> {
    let mut usable = HashMap::new();
    for (name, value) in environment.iter() {
        let Some(path) = name.strip_prefix(PREFIX).filter(|rest| rest.contains(SEPARATOR)) else { continue };
        let path = path.to_lowercase().replace(SEPARATOR, ".");
        let parts: Vec<&str> = path.split('.').collect();
        let problem = if parts.iter().any(|p| p.is_empty() || !is_simple(p)) {
            Some(
                Diagnostic::error(
                    codes::ENVIRONMENT,
                    "il nome di questa variabile non corrisponde a nessuna voce della configurazione",
                    "the name of this variable is none of a key of the configuration",
                )
                .hint(
                    "un nome valido è per esempio SMISTA_COMUNE__NAME: sezione, due trattini bassi, voce",
                    "a valid name is for instance SMISTA_COMUNE__NAME: table, two underscores, key",
                ),
            )
        } else {
            refusal(file, &parts)
        };
        match problem {
            None => {
                usable.insert(path, (name.to_owned(), value.to_owned()));
            }
            Some(problem) => {
                let file = sources.add_variable(name, value);
                diagnostics.push(problem.at(Span { file, start: 0, end: value.len() }));
            }
        }
    }
    usable
}

fn is_simple(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Why a path cannot be set from outside, given what the file has there.
fn refusal(file: &Table, path: &[&str]) -> Option<Diagnostic> {
    let first = path.first()?;
    let mut table = Some(file);
    let mut several = REPEATED.contains(first);
    let (last, parents) = path.split_last()?;
    for part in parents {
        match table.and_then(|t| t.entries.get(*part)).map(|e| &e.item.value) {
            Some(Value::Table(inner)) => table = Some(inner),
            Some(Value::Array(_)) => several = true,
            _ => table = None,
        }
    }
    several |=
        matches!(table.and_then(|t| t.entries.get(*last)).map(|e| &e.item.value), Some(Value::Table(_)));
    several.then(|| {
        Diagnostic::error(
            codes::ENVIRONMENT,
            format!("una variabile d'ambiente non può cambiare [[{first}]], che può esserci più volte"),
            format!("an environment variable cannot set [[{first}]], since there may be several"),
        )
        .hint(
            "togliere la variabile e scrivere la voce nel file di configurazione",
            "remove the variable and write the key into the configuration file",
        )
    })
}

fn merged(
    file: &Table,
    variables: &HashMap<String, (String, String)>,
) -> Result<HashMap<String, config::Value>, ConfigError> {
    let environment = variables.values().cloned().collect();
    let layers = Config::builder()
        .add_source(config::File::from_str(DEFAULTS, FileFormat::Toml))
        .add_source(FileLayer(scalars(file)))
        .add_source(
            config::Environment::with_prefix("SMISTA")
                .prefix_separator("_")
                .separator(SEPARATOR)
                .source(Some(environment)),
        )
        .build()?;
    layers.cache.into_table()
}

/// The file's plain tables, as `config` wants them. What stands in for a value only marks whose it is.
#[derive(Debug, Clone)]
struct FileLayer(HashMap<String, config::Value>);

impl Source for FileLayer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }
    fn collect(&self) -> Result<HashMap<String, config::Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

fn scalars(table: &Table) -> HashMap<String, config::Value> {
    let origin = FROM_FILE.to_owned();
    let simple = table.entries.iter().filter(|(key, _)| is_simple(key));
    simple
        .map(|(key, entry)| {
            let kind = match &entry.item.value {
                Value::Table(inner) => ValueKind::Table(scalars(inner)),
                _ => ValueKind::Nil,
            };
            (key.clone(), config::Value::new(Some(&origin), kind))
        })
        .collect()
}

/// Gives every merged key its value and place again.
fn place(
    file: Option<&Table>,
    merged: &HashMap<String, config::Value>,
    path: &str,
    variables: &HashMap<String, (String, String)>,
    sources: &mut Sources,
) -> Table {
    let mut entries = file.map(|f| f.entries.clone()).unwrap_or_default();
    let mut keys: Vec<_> = merged.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    for (key, value) in keys {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some((name, text)) = variables.get(&path) {
            let id = sources.add_variable(name, text);
            let span = Some(Span { file: id, start: 0, end: text.len() });
            entries.insert(
                key.clone(),
                Entry { key: span, item: Item { value: Value::Loose(text.clone()), span } },
            );
        } else if let ValueKind::Table(inner) = &value.kind {
            let of_file = entries.get(key).and_then(|e| match &e.item.value {
                Value::Table(table) => Some(Rc::clone(table)),
                _ => None,
            });
            let mut table = place(of_file.as_deref(), inner, &path, variables, sources);
            // Where the file's own header could not be read, its keys may be there all the same.
            table.damaged |= of_file.is_none() && file.is_some_and(|f| f.damaged);
            let table = Rc::new(table);
            let span = entries.get(key).and_then(|e| e.item.span);
            let key_span = entries.get(key).and_then(|e| e.key);
            let item = Item { value: Value::Table(table), span };
            entries.insert(key.clone(), Entry { key: key_span, item });
        } else if !entries.contains_key(key)
            && let Some(value) = default_value(&value.kind)
        {
            entries.insert(key.clone(), Entry { key: None, item: Item { value, span: None } });
        }
    }
    Table {
        entries,
        header: file.and_then(|f| f.header),
        file: file.and_then(|f| f.file),
        damaged: file.is_some_and(|f| f.damaged),
    }
}

fn default_value(kind: &ValueKind) -> Option<Value> {
    match kind {
        ValueKind::Boolean(b) => Some(Value::Boolean(*b)),
        ValueKind::I64(i) => Some(Value::Integer(Some(*i))),
        ValueKind::Float(f) => Some(Value::Float(*f)),
        ValueKind::String(s) => Some(Value::String(s.clone())),
        _ => None,
    }
}
