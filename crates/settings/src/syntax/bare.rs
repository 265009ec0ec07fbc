//! Values without quotes that are no number, date, true or false.

use std::ops::Range;

use jiff::civil::Date;

use super::{Mistake, value::unquoted_find};

/// A value that has no quotes and is no number, date, true or false.
pub(super) fn bare(value: &str, key: &str, start: usize) -> Mistake {
    let at = start..start + value.len();
    let good = |v: &str| if key.is_empty() { v.to_owned() } else { format!("{key} = {v}") };
    let with = |mistake: Mistake, it: &str, en: &str, v: &str| {
        mistake.hint(format!("{it}: {}", good(v)), format!("{en}: {}", good(v)))
    };
    let lower = value.to_lowercase();
    let boolean = match lower.as_str() {
        "true" | "vero" | "sì" | "si" | "yes" | "on" => Some("true"),
        "false" | "falso" | "no" | "off" => Some("false"),
        _ => None,
    };
    if let Some(word) = boolean {
        let mistake = Mistake::new(
            at,
            format!("sì e no si scrivono true e false, in minuscolo: «{value}» non va bene"),
            format!("yes and no are written true and false, in lower case: '{value}' will not do"),
        );
        return with(mistake, "scrivere", "write", word);
    }
    if value.ends_with(['"', '\'']) {
        let mistake = Mistake::new(at, "mancano le virgolette di apertura", "the opening quotes are missing");
        let text = format!("\"{}\"", value.trim_end_matches(['"', '\'']));
        return with(
            mistake,
            "mettere le virgolette anche all'inizio",
            "put the quotes at the beginning, too",
            &text,
        );
    }
    if let Some(mistake) = date(value, &at) {
        let (mistake, iso) = mistake;
        return with(mistake, "scrivere anno-mese-giorno", "write year-month-day", &iso);
    }
    let digits = value.len() - value.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = (value.get(..digits).unwrap_or(""), value.get(digits..).unwrap_or("").trim());
    if digits > 0 && unit.is_empty() && number.starts_with('0') {
        let short = number.trim_start_matches('0');
        let short = if short.is_empty() { "0" } else { short };
        let mistake = Mistake::new(at, "un numero non può cominciare con 0", "a number cannot begin with 0");
        return mistake.hint(
            format!("scrivere: {}, oppure \"{value}\" se è un codice", good(short)),
            format!("write: {}, or \"{value}\" if it is a code", good(short)),
        );
    }
    if let Some(decimals) = unit.strip_prefix(',')
        && !decimals.is_empty()
        && decimals.bytes().all(|b| b.is_ascii_digit())
    {
        // No key takes a fraction.
        let mistake =
            Mistake::new(at, "i numeri con la virgola non vanno bene", "numbers with a comma will not do");
        return with(
            mistake,
            "scrivere un numero intero, per esempio",
            "write a whole number, for instance",
            number,
        );
    }
    if let Some(equals) = unquoted_find(value, '=')
        && let Some(second) = value.get(..equals).and_then(|v| v.split_whitespace().next_back())
        && let Some(from) = value.find(second)
        && from > 0
    {
        return Mistake::new(
            start + from..start + value.len(),
            "ci sono due voci sulla stessa riga",
            "there are two keys on one line",
        )
        .hint(format!("andare a capo prima di «{second}»"), format!("begin a new line before '{second}'"));
    }
    let starts_unit = unit.starts_with(|c: char| c.is_alphabetic() || c == '%' || c == '€');
    if digits > 0 && starts_unit {
        let mistake = Mistake::new(
            at,
            format!("«{value}» non è solo un numero, e senza virgolette non può stare"),
            format!("'{value}' is more than a number, and cannot stand without quotes"),
        );
        return mistake.hint(
            format!(
                "scrivere soltanto il numero, oppure tutto tra virgolette: {} oppure \"{value}\"",
                good(number)
            ),
            format!("write the number alone, or all of it in quotes: {} or \"{value}\"", good(number)),
        );
    }
    let text = value.replace('"', "");
    let shown = if text.chars().count() > 60 { "\"...\"".to_owned() } else { format!("\"{}\"", text.trim()) };
    let mistake = Mistake::new(at, "il testo va scritto tra virgolette", "text is written in quotes");
    with(mistake, "scrivere", "write", &shown)
}

/// A date that does not exist, or is written in another order; and one that would do.
fn date(value: &str, at: &Range<usize>) -> Option<(Mistake, String)> {
    let parts: Vec<&str> = value.split(['/', '-', '.']).map(str::trim).collect();
    let [a, b, c] = parts.as_slice() else { return None };
    let number = |s: &str| s.parse::<i16>().ok();
    let small = |s: &str| s.parse::<i8>().ok();
    let is_year_first = a.len() == 4;
    let (year, month, day) =
        if is_year_first { (number(a)?, small(b)?, small(c)?) } else { (number(c)?, small(b)?, small(a)?) };
    let year = if year < 100 { year + 2000 } else { year };
    let exists = Date::new(year, month, day)
        .or_else(|e| if is_year_first { Err(e) } else { Date::new(year, day, month) });
    Some(match exists {
        Ok(date) => (
            Mistake::new(
                at.clone(),
                format!("la data «{value}» non è scritta come serve"),
                format!("the date '{value}' is not written as needed"),
            ),
            date.to_string(),
        ),
        Err(_) => (
            Mistake::new(
                at.clone(),
                format!("la data «{value}» non esiste"),
                format!("there is no date '{value}'"),
            ),
            "2027-02-01".to_owned(),
        ),
    })
}
