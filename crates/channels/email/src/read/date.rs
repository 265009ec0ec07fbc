//! When a letter was written, as its Date field says: also in the forms that RFC 5322 does not have.
//!
//! The grammar is mail-parser's; what it does not know is put into the form that it knows before.

use jiff::Timestamp;
use mail_parser::{HeaderValue, parsers::MessageStream};

/// Dates before and after are a broken clock, not information.
const YEARS: std::ops::RangeInclusive<i16> = 1971..=2100;

/// A Date field's value, if it is a date that can be.
pub(crate) fn parse_date(value: &str) -> Option<Timestamp> {
    if value.is_empty() || value.len() > 200 {
        return None;
    }
    let value = &tidy_date(value);
    // Without a zone (RFC 5322 wants one) it is completed: UTC.
    let date = ["", " +0000"].iter().find_map(|end| {
        let line = format!("{value}{end}\n");
        match MessageStream::new(line.as_bytes()).parse_date() {
            HeaderValue::DateTime(date) if date.year > 0 => Some(date),
            _ => None,
        }
    })?;
    // Years of two digits are completed by the parser; one of four that it did not take over is nonsense (`0000`).
    let digits = |w: &&str| w.len() == 4 && w.bytes().all(|b| b.is_ascii_digit());
    if value.split_whitespace().find(digits).is_some_and(|w| w.parse() != Ok(date.year)) {
        return None;
    }
    let number = |n: u8| i8::try_from(n).ok();
    let year = i16::try_from(date.year).ok().filter(|y| YEARS.contains(y))?;
    let second = date.second.min(59);
    let local = jiff::civil::DateTime::new(
        year,
        number(date.month)?,
        number(date.day)?,
        number(date.hour)?,
        number(date.minute)?,
        number(second)?,
        0,
    )
    .ok()?;
    let offset = i32::from(date.tz_hour) * 3600 + i32::from(date.tz_minute) * 60;
    let offset = jiff::tz::Offset::from_seconds(if date.tz_before_gmt { -offset } else { offset }).ok()?;
    offset.to_timestamp(local).ok()
}

/// A date as RFC 5322 has it, from what else is written: months in full (`14 March 2007`), the order of asctime
/// (`Thu Dec 4 16:00:00 2008 -0800`) or with the year before the time, times without seconds, zones of three digits (`-600`). What is not known stays.
fn tidy_date(value: &str) -> String {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let digits = |w: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&w.len()) && w.bytes().all(|b| b.is_ascii_digit())
    };
    let mut words: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
    for word in &mut words {
        let lower = word.to_lowercase();
        let zone = word.strip_prefix(['+', '-']).is_some_and(|z| digits(z, 3..=3));
        if MONTHS.contains(&lower.as_str()) {
            word.truncate(3);
        } else if zone {
            word.insert(1, '0');
        } else if word.split_once(':').is_some_and(|(h, m)| digits(h, 1..=2) && digits(m, 2..=2)) {
            word.push_str(":00");
        }
    }
    let month = words.iter().position(|w| MONTHS.iter().any(|m| m.get(..3) == Some(&w.to_lowercase())));
    if let Some(at) = month
        && let Some([month, day, third, fourth]) = words.get_mut(at..at + 4)
        && digits(day, 1..=2)
    {
        if third.contains(':') && digits(fourth, 4..=4) {
            // asctime: `Dec 4 16:00:00 2008` becomes `4 Dec 2008 16:00:00`.
            std::mem::swap(month, day);
            std::mem::swap(third, fourth);
        } else if digits(third, 4..=4) && fourth.contains(':') {
            // `Dec 4 2008 16:00:00`, as programs in browsers write it.
            std::mem::swap(month, day);
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_form() {
        let cases = [
            ("Mon, 23 Nov 2026 08:00:00 +0100", "2026-11-23T07:00:00Z"),
            ("23 Nov 2026 08:00 +0100", "2026-11-23T07:00:00Z"),
            ("23 November 2026 08:00:00 +0100", "2026-11-23T07:00:00Z"),
            ("Mon Nov 23 08:00:00 2026 +0100", "2026-11-23T07:00:00Z"),
            ("Mon Nov  2 08:00:00 2026", "2026-11-02T08:00:00Z"),
            ("Mon Nov 23 2026 08:00:00 +0100", "2026-11-23T07:00:00Z"),
            ("Mon, 23 Nov 2026 08:00 CST", "2026-11-23T14:00:00Z"),
            ("Mon, 23 Nov 2026 08:00:00 -600", "2026-11-23T14:00:00Z"),
            ("Mon, 23 Nov 2026 08:00:00", "2026-11-23T08:00:00Z"),
            ("Mon, 23 Nov 26 08:00:00 +0100 (CET)", "2026-11-23T07:00:00Z"),
            ("Sat, 2 May 2026 08:00:00 +0200", "2026-05-02T06:00:00Z"),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_date(value).map(|t| t.to_string()).as_deref(), Some(expected), "{value}");
        }
        for value in [
            "",
            "ieri",
            "Mon, 23 Nov 3610 08:00:00 +0100",
            "Thu, 01 Jan 1970 00:00:00 +0000",
            "31 Feb 2026 08:00:00 +0100",
        ] {
            assert_eq!(parse_date(value), None, "{value}");
        }
    }
}
