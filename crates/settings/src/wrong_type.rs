//! What to say when a value is not of the type that a key asks for.

use crate::{
    codes,
    diagnostic::Diagnostic,
    tree::{Item, Value},
};

/// What a key asks for.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    Text,
    Texts,
    Integer,
    Number,
    Boolean,
    Date,
    /// With its header, `[http]` or `[[email]]`.
    Table(String),
}

pub(crate) fn diagnostic(key: &str, expected: &Expected, item: &Item) -> Diagnostic {
    let (found_it, found_en) = found(&item.value);
    let (want_it, want_en) = match expected {
        Expected::Text => ("un testo tra virgolette", "a text in quotes"),
        Expected::Texts => ("un elenco di testi tra virgolette", "a list of texts in quotes"),
        Expected::Integer => ("un numero intero", "a whole number"),
        Expected::Number => ("un numero", "a number"),
        Expected::Boolean => ("true (sì) oppure false (no)", "true or false"),
        Expected::Date => ("una data", "a date"),
        Expected::Table(_) => ("una sezione", "a section"),
    };
    let (it, en) = match (expected, &item.value) {
        (Expected::Date, Value::String(text) | Value::Loose(text)) if day_first(text).is_none() => (
            format!("«{key}» deve essere una data, ma \"{text}\" non è una data che esiste"),
            format!("'{key}' must be a date, but \"{text}\" is none that exists"),
        ),
        (Expected::Date, Value::Datetime(at)) if at.time.is_none() => (
            format!("«{key}»: il giorno {at} non esiste nel calendario"),
            format!("'{key}': there is no day {at} in the calendar"),
        ),
        (Expected::Integer, Value::Integer(None)) => {
            (format!("il numero in «{key}» è troppo grande"), format!("the number in '{key}' is too large"))
        }
        _ => (
            format!("«{key}» deve essere {want_it}, ma qui c'è {found_it}"),
            format!("'{key}' must be {want_en}, but here is {found_en}"),
        ),
    };
    let (hint_it, hint_en) = hint(key, expected, &item.value);
    Diagnostic::error(codes::WRONG_TYPE, it, en).hint(hint_it, hint_en).at_opt(item.span)
}

fn found(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::String(_) | Value::Loose(_) => ("un testo", "a text"),
        Value::Integer(_) => ("un numero intero", "a whole number"),
        Value::Float(_) => ("un numero con la virgola", "a number with a fraction"),
        Value::Boolean(_) => ("un valore sì/no (true o false)", "a yes/no value (true or false)"),
        Value::Datetime(_) => ("una data o un'ora", "a date or time"),
        Value::Array(_) => ("un elenco", "a list"),
        Value::Table(_) => ("una sezione", "a section"),
    }
}

fn hint(key: &str, expected: &Expected, value: &Value) -> (String, String) {
    let write = |line: &str| (format!("scrivere {line}"), format!("write {line}"));
    match (expected, value) {
        (Expected::Integer | Expected::Number, Value::String(text)) if text.trim().parse::<f64>().is_ok() => {
            let line = format!("{key} = {}", text.trim());
            (format!("togliere le virgolette: {line}"), format!("remove the quotes: {line}"))
        }
        (Expected::Boolean, Value::String(text)) => match yes_or_no(text) {
            Some(b) => (
                format!("senza virgolette e in inglese: {key} = {b}"),
                format!("without quotes: {key} = {b}"),
            ),
            None => true_or_false(key),
        },
        (Expected::Boolean, Value::Integer(Some(i @ (0 | 1)))) => write(&format!("{key} = {}", *i == 1)),
        (Expected::Boolean, _) => true_or_false(key),
        (Expected::Text, Value::Integer(Some(i))) => quotes(&format!("{key} = \"{i}\"")),
        (Expected::Text, Value::Float(f)) => quotes(&format!("{key} = \"{f}\"")),
        (Expected::Text, Value::Boolean(b)) => quotes(&format!("{key} = \"{b}\"")),
        (Expected::Text, Value::Datetime(at)) => quotes(&format!("{key} = \"{at}\"")),
        (Expected::Text, Value::Array(_)) => (
            format!("scrivere un solo valore, senza parentesi quadre: {key} = \"...\""),
            format!("write a single value, without brackets: {key} = \"...\""),
        ),
        (Expected::Text, _) => write(&format!("{key} = \"...\"")),
        (Expected::Texts, _) => write(&format!("{key} = [\"primo\", \"secondo\"]")),
        (Expected::Integer | Expected::Number, _) => (
            format!("scrivere un numero senza virgolette: {key} = 10"),
            format!("write a number: {key} = 10"),
        ),
        (Expected::Date, Value::String(text) | Value::Loose(text)) => match day_first(text) {
            Some(iso) => (
                format!("scrivere prima l'anno: {key} = {iso}"),
                format!("write the year first: {key} = {iso}"),
            ),
            None => (
                format!("scrivere la data come anno-mese-giorno: {key} = 2027-02-01"),
                format!("write the date as year-month-day: {key} = 2027-02-01"),
            ),
        },
        (Expected::Date, _) => (
            format!("scrivere la data come anno-mese-giorno, senza ora: {key} = 2027-02-01"),
            format!("write the date as year-month-day, without a time: {key} = 2027-02-01"),
        ),
        (Expected::Table(title), _) => (
            format!("scrivere {title} su una riga, e sotto le sue voci"),
            format!("write {title} on a line of its own, and its keys below"),
        ),
    }
}

fn true_or_false(key: &str) -> (String, String) {
    (format!("scrivere {key} = true oppure {key} = false"), format!("write {key} = true or {key} = false"))
}

fn quotes(line: &str) -> (String, String) {
    (format!("mettere le virgolette: {line}"), format!("add the quotes: {line}"))
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "sì" | "si" | "vero" | "true" | "yes" | "on" | "1" => Some(true),
        "no" | "falso" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// `1/2/2027`, as Italians write it, to `2027-02-01`.
fn day_first(text: &str) -> Option<jiff::civil::Date> {
    let mut parts = text.trim().split(['/', '.', '-']).map(str::trim);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}
