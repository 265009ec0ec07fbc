//! Keys that nobody asked for.

use super::{Entry, Item, Section, Value, closest, codes};
use crate::diagnostic::Diagnostic;

/// Where each section belongs, as people write it: a section of another file is not unknown, but misplaced.
const HOMES: &[(&str, &str, &str)] = &[
    ("comune", "[comune]", "smista.toml"),
    ("database", "[database]", "smista.toml"),
    ("state", "[state]", "smista.toml"),
    ("http", "[http]", "smista.toml"),
    ("queue", "[queue]", "smista.toml"),
    ("email", "[[email]]", "smista.toml"),
    ("pec", "[pec]", "smista.toml"),
    ("meta", "[meta]", "smista.toml"),
    ("phone", "[[phone]]", "smista.toml"),
    ("desk", "[desk]", "smista.toml"),
    ("outbox", "[outbox]", "smista.toml"),
    ("retention", "[retention]", "smista.toml"),
    ("sector", "[[sector]]", "sectors.toml"),
    ("kind", "[[kind]]", "sectors.toml"),
    ("calendar", "[calendar]", "sectors.toml"),
    ("rule", "[[rule]]", "rules/*.toml"),
];

/// How people write the header of a section of the top level.
pub(super) fn header_of(key: &str) -> String {
    let home = HOMES.iter().find(|(name, ..)| *name == key);
    home.map_or_else(|| format!("[{key}]"), |(_, header, _)| (*header).to_owned())
}

impl Section {
    /// Ends the reading: every key that nobody asked for is an error.
    pub fn finish(self) {
        for (key, entry) in &self.table.entries {
            if !self.asked.contains(key) {
                self.push(self.unknown(key, entry));
            }
        }
    }

    fn unknown(&self, key: &str, entry: &Entry) -> Diagnostic {
        let ((it, en), (hint_it, hint_en)) = match (is_table(entry), self.title.as_str()) {
            (true, "") => self.unknown_section(key, entry),
            (false, "") => (
                (
                    format!("la voce «{key}» sta fuori da ogni sezione"),
                    format!("the key '{key}' stands outside all sections"),
                ),
                (
                    "spostarla sotto il nome della sezione a cui appartiene, per esempio sotto [comune]"
                        .to_owned(),
                    "move it below the name of the section that it belongs to, for instance below [comune]"
                        .to_owned(),
                ),
            ),
            (is_table, title) => {
                let name = if is_table {
                    self.title_of(key, matches!(entry.item.value, Value::Array(_)))
                } else {
                    format!("«{key}»")
                };
                (
                    (
                        format!("la voce {name} non esiste in {title}"),
                        format!("there is no key {name} in {title}"),
                    ),
                    self.meant(key),
                )
            }
        };
        Diagnostic::error(codes::UNKNOWN_KEY, it, en)
            .hint(hint_it, hint_en)
            .at_opt(entry.key.or(entry.item.span))
    }

    fn meant(&self, key: &str) -> (String, String) {
        let known = || self.asked.iter().map(String::as_str);
        let missing = known().filter(|k| !self.has(k));
        if let Some(meant) = closest(key, missing).or_else(|| closest(key, known())) {
            return (format!("forse si voleva scrivere «{meant}»?"), format!("perhaps '{meant}' was meant?"));
        }
        let all = known().collect::<Vec<_>>().join(", ");
        if all.is_empty() {
            return ("togliere questa riga".to_owned(), "remove this line".to_owned());
        }
        (
            format!("togliere questa riga, oppure usare una delle voci ammesse: {all}"),
            format!("remove this line, or use one of the keys allowed: {all}"),
        )
    }

    fn unknown_section(&self, key: &str, entry: &Entry) -> ((String, String), (String, String)) {
        let title = self.title_of(key, matches!(entry.item.value, Value::Array(_)));
        if let Some((_, header, file)) = HOMES.iter().find(|(name, ..)| *name == key) {
            return (
                (
                    format!("la sezione {header} non va in questo file"),
                    format!("the section {header} does not belong into this file"),
                ),
                (format!("spostarla in {file}"), format!("move it to {file}")),
            );
        }
        let wrong = (format!("la sezione {title} non esiste"), format!("there is no section {title}"));
        let known = || self.asked.iter().map(String::as_str);
        if let Some(meant) = closest(key, known().filter(|k| !self.has(k))).or_else(|| closest(key, known()))
        {
            let meant = header_of(meant);
            return (
                wrong,
                (format!("forse si voleva scrivere {meant}?"), format!("perhaps {meant} was meant?")),
            );
        }
        let all = known().map(header_of).collect::<Vec<_>>().join(", ");
        (
            wrong,
            (
                format!("togliere questa sezione, oppure usare una di quelle che esistono: {all}"),
                format!("remove this section, or use one of those that there are: {all}"),
            ),
        )
    }
}

fn is_table(entry: &Entry) -> bool {
    match &entry.item.value {
        Value::Table(_) => true,
        Value::Array(items) => {
            !items.is_empty() && items.iter().all(|Item { value, .. }| matches!(value, Value::Table(_)))
        }
        _ => false,
    }
}
