//! Keys that nobody asked for.

use super::{Entry, Item, Section, Value, closest, codes};
use crate::diagnostic::Diagnostic;

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
        let is_table = is_table(entry);
        let (it, en) = match (is_table, self.title.as_str()) {
            (true, _) => {
                let title = self.title_of(key, matches!(entry.item.value, Value::Array(_)));
                (format!("la sezione {title} non esiste"), format!("there is no section {title}"))
            }
            (false, "") => (
                format!("la voce «{key}» non esiste in questo punto del file"),
                format!("there is no key '{key}' at this place of the file"),
            ),
            (false, title) => (
                format!("la voce «{key}» non esiste in {title}"),
                format!("there is no key '{key}' in {title}"),
            ),
        };
        let known = || self.asked.iter().map(String::as_str);
        let missing = known().filter(|k| !self.has(k));
        let shown: Vec<&str> = known().filter(|k| !k.is_empty()).collect();
        let (hint_it, hint_en) = if let Some(meant) = closest(key, missing).or_else(|| closest(key, known()))
        {
            (format!("forse si voleva scrivere «{meant}»?"), format!("perhaps '{meant}' was meant?"))
        } else if shown.is_empty() {
            ("togliere questa riga".to_owned(), "remove this line".to_owned())
        } else {
            (
                format!("togliere questa riga, oppure usare una delle voci ammesse: {}", shown.join(", ")),
                format!("remove this line, or use one of the keys allowed: {}", shown.join(", ")),
            )
        };
        Diagnostic::error(codes::UNKNOWN_KEY, it, en)
            .hint(hint_it, hint_en)
            .at_opt(entry.key.or(entry.item.span))
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
