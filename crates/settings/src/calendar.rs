//! `[calendar]`: when the offices are closed, and which day a deadline falls on.
//!
//! A term ends at midnight of its last day in the town's zone; one that ends on a holiday ends on the next working day
//! (art. 2963 of the Civil Code). The first day (of receipt) does not count.

use jiff::civil::{Date, Weekday};

use crate::{
    codes,
    comune::{MonthDay, month_day},
    diagnostic::Diagnostic,
    duration::Days,
    section::{Section, Spanned},
};

/// Public holidays of every year (law 260/1949 as amended); 4 October again since 2026. Easter Monday moves.
const HOLIDAYS: &[(i8, i8)] =
    &[(1, 1), (1, 6), (4, 25), (5, 1), (6, 2), (8, 15), (11, 1), (12, 8), (12, 25), (12, 26)];

const WEEKDAYS: &[(&str, Weekday)] = &[
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
    ("lunedì", Weekday::Monday),
    ("martedì", Weekday::Tuesday),
    ("mercoledì", Weekday::Wednesday),
    ("giovedì", Weekday::Thursday),
    ("venerdì", Weekday::Friday),
    ("sabato", Weekday::Saturday),
    ("domenica", Weekday::Sunday),
];

/// When the offices are closed beyond the public holidays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    weekdays: Vec<Weekday>,
    every_year: Vec<MonthDay>,
    once: Vec<Date>,
}

impl Default for Calendar {
    /// Closed on Sundays and public holidays.
    fn default() -> Self {
        Self { weekdays: vec![Weekday::Sunday], every_year: Vec::new(), once: Vec::new() }
    }
}

impl Calendar {
    /// Reads `[calendar]` to its end; what is wrong is in the diagnostics.
    pub(crate) fn read(mut section: Section) -> Self {
        let mut calendar = Self::default();
        if section.has("closed_weekdays") {
            calendar.weekdays = vec![Weekday::Sunday];
            for word in section.strings("closed_weekdays") {
                calendar.weekdays.extend(weekday(&section, &word));
            }
        }
        for day in section.strings("closed_days") {
            if let Ok(date) = day.value.trim().parse::<Date>() {
                calendar.once.push(date);
            } else {
                calendar.every_year.extend(month_day(&section, "closed_days", &day));
            }
        }
        section.finish();
        calendar
    }

    /// True when the offices work on `date`; `patron` is the town's own holiday.
    pub fn is_working_day(&self, date: Date, patron: Option<MonthDay>) -> bool {
        let day = (date.month(), date.day());
        let francis = day == (10, 4) && date.year() >= 2026;
        !(self.weekdays.contains(&date.weekday())
            || HOLIDAYS.contains(&day)
            || francis
            || easter(date.year()).tomorrow().is_ok_and(|monday| monday == date)
            || patron.is_some_and(|p| p.is(date))
            || self.every_year.iter().any(|d| d.is(date))
            || self.once.contains(&date))
    }

    /// The last day of a term that began with what was received on `received` (in the town's zone).
    pub fn due(&self, received: Date, term: Days, patron: Option<MonthDay>) -> Date {
        let mut day = received;
        let mut left = term.count;
        while left > 0 {
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
            if !term.working || self.is_working_day(day, patron) {
                left -= 1;
            }
        }
        // Two weeks closed in a row are thinkable; a year is a mistake in `closed_weekdays`.
        for _ in 0..366 {
            if self.is_working_day(day, patron) {
                break;
            }
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
        }
        day
    }
}

fn weekday(section: &Section, word: &Spanned<String>) -> Option<Weekday> {
    let lower = word.value.trim().to_lowercase();
    let found = WEEKDAYS
        .iter()
        .find(|(name, _)| *name == lower || name.trim_end_matches('ì') == lower.trim_end_matches('i'));
    if found.is_none() {
        section.diagnostics().push(
            Diagnostic::error(
                codes::UNKNOWN_WORD,
                format!("«closed_weekdays»: \"{}\" non è un giorno della settimana", word.value),
                format!("'closed_weekdays': \"{}\" is no day of the week", word.value),
            )
            .hint(
                "scrivere per esempio closed_weekdays = [\"sabato\", \"domenica\"]",
                "write for instance closed_weekdays = [\"saturday\", \"sunday\"]",
            )
            .at_opt(word.span),
        );
    }
    found.map(|(_, day)| *day)
}

/// Easter Sunday of a Gregorian year (Meeus, Astronomical Algorithms, chapter 8).
#[allow(clippy::many_single_char_names, reason = "the letters are those of the published formula")]
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19) % 32;
    let (month, day) = (i8::try_from(month).unwrap_or(4), i8::try_from(day).unwrap_or(1));
    Date::new(year, month, day).unwrap_or(Date::constant(2026, 4, 5))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn easter_sundays() {
        for (year, month, day) in [
            (1961, 4, 2),
            (2000, 4, 23),
            (2008, 3, 23),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn terms_end_on_working_days() {
        let calendar = Calendar::default();
        let patron = MonthDay::parse("05-16");
        let thirty = Days { count: 30, working: false };
        let due = |from| calendar.due(from, thirty, patron);
        assert_eq!(due(date(2026, 3, 2)), date(2026, 4, 1));
        // 25 April, then a Sunday.
        assert_eq!(due(date(2026, 3, 26)), date(2026, 4, 27));
        // Easter Monday 2026 is 6 April.
        assert_eq!(due(date(2026, 3, 7)), date(2026, 4, 7));
        // Sant'Ubaldo 2026 is a Saturday, then a Sunday; elsewhere that Saturday counts.
        assert_eq!(due(date(2026, 4, 16)), date(2026, 5, 18));
        assert_eq!(calendar.due(date(2026, 4, 16), thirty, None), date(2026, 5, 16));
        // San Francesco is a holiday from 2026 on (2027: a Monday; 2025 was a Saturday).
        assert_eq!(due(date(2027, 9, 4)), date(2027, 10, 5));
        assert_eq!(due(date(2025, 9, 4)), date(2025, 10, 4));
    }

    #[test]
    fn working_days_pass_over_closed_ones() {
        let calendar = Calendar {
            weekdays: vec![Weekday::Saturday, Weekday::Sunday],
            every_year: MonthDay::parse("12-24").into_iter().collect(),
            once: vec![date(2026, 12, 31)],
        };
        let ten = Days { count: 5, working: true };
        // From Monday 21 December: 22, 23, (24 closed, 25 and 26 holidays, Sunday), 28, 29, 30.
        assert_eq!(calendar.due(date(2026, 12, 21), ten, None), date(2026, 12, 30));
        assert!(!calendar.is_working_day(date(2026, 12, 31), None));
        assert!(calendar.is_working_day(date(2027, 12, 31), None));
    }
}
