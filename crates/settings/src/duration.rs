//! Lengths of time as people write them: `"5m"`, `"90 secondi"`, `30` (days), `"10 giorni lavorativi"`.

use std::{fmt, time::Duration};

use crate::{
    codes,
    diagnostic::Diagnostic,
    section::{Section, Spanned},
};

/// A number of days within which somebody must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// How many.
    pub count: u16,
    /// True when only working days count.
    pub working: bool,
}

impl fmt::Display for Days {
    /// `30 days`, `10 working days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, if self.working { "working days" } else { "days" })
    }
}

/// Ten years: what is longer was meant otherwise.
const MAX_DAYS: u16 = 3660;

impl Days {
    /// `30`, `30 giorni`, `10 giorni lavorativi`, `30 days`, `10 working days`; at least one, at most ten years.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, unit) = split(text)?;
        let working = match unit.as_str() {
            "" | "d" | "g" | "gg" | "giorno" | "giorni" | "day" | "days" => false,
            "giorno lavorativo" | "giorni lavorativi" | "working day" | "working days" => true,
            _ => return None,
        };
        let count = u16::try_from(count).ok().filter(|c| (1..=MAX_DAYS).contains(c))?;
        Some(Self { count, working })
    }
}

/// `30s`, `5m`, `2h`, `1d`, and the units in words, Italian or English.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let (count, unit) = split(text)?;
    let seconds = match unit.as_str() {
        "s" | "sec" | "secondo" | "secondi" | "second" | "seconds" => 1,
        "m" | "min" | "minuto" | "minuti" | "minute" | "minutes" => 60,
        "h" | "ora" | "ore" | "hour" | "hours" => 3600,
        "d" | "g" | "giorno" | "giorni" | "day" | "days" => 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(count.checked_mul(seconds)?))
}

fn split(text: &str) -> Option<(u64, String)> {
    let text = text.trim().to_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let unit: Vec<&str> = unit.split_whitespace().collect();
    Some((count.parse().ok()?, unit.join(" ")))
}

impl Section {
    /// A length of time between `min` and `max`: `"5m"`, `"2 ore"`.
    pub fn duration(&mut self, key: &str, min: Duration, max: Duration) -> Option<Spanned<Duration>> {
        let text = self.string(key)?;
        let Some(value) = parse(&text.value) else {
            self.diagnostics().push(
                Diagnostic::error(
                    codes::INVALID_VALUE,
                    format!("«{key}»: \"{}\" non è una durata", text.value),
                    format!("'{key}': \"{}\" is no length of time", text.value),
                )
                .hint(
                    "scrivere un numero e l'unità, per esempio \"30s\", \"5m\", \"2h\" oppure \"5 minuti\"",
                    "write a number and its unit, for instance \"30s\", \"5m\", \"2h\" or \"5 minutes\"",
                )
                .at_opt(text.span),
            );
            return None;
        };
        if value < min || value > max {
            self.diagnostics().push(
                Diagnostic::error(
                    codes::INVALID_VALUE,
                    format!("«{key}»: {} è fuori dai limiti", in_words(value).0),
                    format!("'{key}': {} is out of bounds", in_words(value).1),
                )
                .hint(
                    format!("scrivere una durata da {} a {}", in_words(min).0, in_words(max).0),
                    format!("write a length of time from {} to {}", in_words(min).1, in_words(max).1),
                )
                .at_opt(text.span),
            );
            return None;
        }
        Some(Spanned::new(value, text.span))
    }

    /// A number of days: `30`, `"30 giorni"`, `"10 giorni lavorativi"`.
    pub fn days(&mut self, key: &str) -> Option<Spanned<Days>> {
        let text = self.string_or_int(key)?;
        let value = Days::parse(&text.value);
        if value.is_none() {
            self.diagnostics().push(
                Diagnostic::error(
                    codes::INVALID_VALUE,
                    format!("«{key}»: {} non è un numero di giorni", text.value),
                    format!("'{key}': {} is no number of days", text.value),
                )
                .hint(
                    format!("scrivere i giorni, da 1 a {MAX_DAYS}: {key} = 30 oppure {key} = \"10 giorni lavorativi\""),
                    format!("write the days, from 1 to {MAX_DAYS}: {key} = 30 or {key} = \"10 working days\""),
                )
                .at_opt(text.span),
            );
        }
        value.map(|v| Spanned::new(v, text.span))
    }
}

/// In Italian and English.
fn in_words(d: Duration) -> (String, String) {
    let s = d.as_secs();
    let (n, it, en) = match s {
        _ if s > 0 && s.is_multiple_of(86_400) => (s / 86_400, ["giorno", "giorni"], "day"),
        _ if s > 0 && s.is_multiple_of(3600) => (s / 3600, ["ora", "ore"], "hour"),
        _ if s > 0 && s.is_multiple_of(60) => (s / 60, ["minuto", "minuti"], "minute"),
        _ => (s, ["secondo", "secondi"], "second"),
    };
    let [one, many] = it;
    (format!("{n} {}", if n == 1 { one } else { many }), format!("{n} {en}{}", if n == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_as_people_write_them() {
        let seconds = |text| parse(text).map(|d| d.as_secs());
        assert_eq!(seconds("5m"), Some(300));
        assert_eq!(seconds(" 5 Minuti "), Some(300));
        assert_eq!(seconds("2h"), Some(7200));
        assert_eq!(seconds("1 giorno"), Some(86_400));
        for bad in ["", "5", "m", "5 anni", "-5m", "1.5h", "99999999999999999999s", "9999999999999999999d"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_are_calendar_days_unless_said() {
        let days = |text| Days::parse(text).map(|d| (d.count, d.working));
        assert_eq!(days("30"), Some((30, false)));
        assert_eq!(days("30 giorni"), Some((30, false)));
        assert_eq!(days("10 giorni lavorativi"), Some((10, true)));
        assert_eq!(days("1 day"), Some((1, false)));
        for bad in ["0", "-1", "30 ore", "4000", "trenta", ""] {
            assert_eq!(days(bad), None, "{bad}");
        }
        assert_eq!(Days { count: 10, working: true }.to_string(), "10 working days");
    }
}
