//! `[comune]`: whose town hall this is.

use jiff::{civil::Date, tz::TimeZone};
use smista_domain::Lang;

use crate::{
    address::is_domain,
    codes,
    diagnostic::Diagnostic,
    section::{Section, Spanned},
    suggest::closest,
};

/// A day of every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    /// 1 to 12.
    pub month: i8,
    /// 1 to 31.
    pub day: i8,
}

impl MonthDay {
    /// `05-16`: month, hyphen, day.
    pub fn parse(text: &str) -> Option<Self> {
        let (month, day) = text.split_once('-')?;
        if month.len() != 2 || day.len() != 2 {
            return None;
        }
        Self::new(month.parse().ok()?, day.parse().ok()?)
    }

    fn new(month: i8, day: i8) -> Option<Self> {
        // A leap year, so that 29 February is a day.
        Date::new(2024, month, day).ok().map(|_| Self { month, day })
    }

    /// True when `date` is this day of its year.
    pub fn is(self, date: Date) -> bool {
        (date.month(), date.day()) == (self.month, self.day)
    }
}

/// The town hall.
#[derive(Debug, Clone)]
pub struct Comune {
    /// Its name, as it stands in letters.
    pub name: String,
    /// Where its days begin and end.
    pub time_zone: TimeZone,
    /// How its people are spoken to.
    pub language: Lang,
    /// The patron's day, a holiday.
    pub patron: Option<MonthDay>,
    /// Its own mail domains, lower case.
    pub domains: Vec<String>,
}

impl Comune {
    /// Reads `[comune]` to its end. None when something is wrong; what, is in the diagnostics.
    pub fn read(mut section: Section) -> Option<Self> {
        let name = section.required_string("name");
        let time_zone = section.required_string("time_zone").and_then(|zone| time_zone(&section, &zone));
        let language = section.choice("language", &[("it", Lang::It), ("en", Lang::En)]);
        let patron = match section.string("patron") {
            Some(text) => month_day(&section, "patron", &text).map(Some),
            None if section.has("patron") => None,
            None => Some(None),
        };
        let domains = domains(&mut section);
        section.finish();
        Some(Self {
            name: name?.value.trim().to_owned(),
            time_zone: time_zone?,
            language: language?.value,
            patron: patron?,
            domains: domains?,
        })
    }
}

fn time_zone(section: &Section, zone: &Spanned<String>) -> Option<TimeZone> {
    let found = TimeZone::get(&zone.value).ok();
    if found.is_none() {
        let known: Vec<String> = jiff::tz::db().available().map(|n| n.to_string()).collect();
        let meant = closest_zone(&zone.value, &known).unwrap_or("Europe/Rome");
        section.diagnostics().push(
            Diagnostic::error(
                codes::INVALID_VALUE,
                format!("«time_zone»: il fuso orario \"{}\" non esiste", zone.value),
                format!("'time_zone': there is no time zone \"{}\"", zone.value),
            )
            .hint(format!("scrivere time_zone = \"{meant}\""), format!("write time_zone = \"{meant}\""))
            .at_opt(zone.span),
        );
    }
    found
}

fn closest_zone<'a>(wrong: &str, known: &'a [String]) -> Option<&'a str> {
    let wrong = wrong.trim();
    let city = |zone: &'a str| zone.rsplit('/').next().unwrap_or(zone);
    let same_city = known.iter().map(String::as_str).find(|z| city(z).eq_ignore_ascii_case(wrong));
    same_city.or_else(|| closest(wrong, known.iter().map(String::as_str)))
}

/// Month and day of `key`, or a diagnostic. Italians write the day first: said when that would do.
pub(crate) fn month_day(section: &Section, key: &str, text: &Spanned<String>) -> Option<MonthDay> {
    let found = MonthDay::parse(&text.value);
    if found.is_none() {
        let parts: Vec<i8> =
            text.value.split(['-', '/', '.']).filter_map(|p| p.trim().parse().ok()).collect();
        let meant = match parts.as_slice() {
            [day, month] => MonthDay::new(*month, *day).or_else(|| MonthDay::new(*day, *month)),
            _ => None,
        };
        let MonthDay { month, day } = meant.unwrap_or(MonthDay { month: 5, day: 16 });
        section.diagnostics().push(
            Diagnostic::error(
                codes::INVALID_VALUE,
                format!("«{key}»: \"{}\" non è un giorno dell'anno", text.value),
                format!("'{key}': \"{}\" is no day of the year", text.value),
            )
            .hint(
                format!("scrivere mese e giorno, con due cifre: \"{month:02}-{day:02}\""),
                format!("write month and day, two digits each: \"{month:02}-{day:02}\""),
            )
            .at_opt(text.span),
        );
    }
    found
}

fn domains(section: &mut Section) -> Option<Vec<String>> {
    let mut domains = Vec::new();
    let mut all_good = true;
    for domain in section.strings("domains") {
        let lower = domain.value.trim().to_lowercase();
        if is_domain(&lower) {
            domains.push(lower);
            continue;
        }
        all_good = false;
        let meant = lower.rsplit('@').next().filter(|d| is_domain(d)).unwrap_or("comune.gubbio.pg.it");
        section.diagnostics().push(
            Diagnostic::error(
                codes::INVALID_VALUE,
                format!("«domains»: \"{}\" non è un dominio", domain.value),
                format!("'domains': \"{}\" is no domain", domain.value),
            )
            .hint(
                format!("scrivere solo quello che sta dopo la chiocciola: \"{meant}\""),
                format!("write only what comes after the @: \"{meant}\""),
            )
            .at_opt(domain.span),
        );
    }
    all_good.then_some(domains)
}
