//! An invitation in words: iCalendar (RFC 5545), of which a letter may consist (RFC 6047).
//!
//! Of the first event or task the title, the time, the place and the description are read; the file stays an attachment. Our own
//! reader of a few properties: the crates for it build whole calendars, with their own time libraries. The words are Italian, as
//! what a clerk reads: they stand where the citizen's own would.
//!
//! An answer to an invitation (`METHOD:REPLY`) is sent by somebody who pressed a button, perhaps with a line of his own: it is read
//! like any letter. What answers by itself bears the signs of automatic mail.
//!
//! Times are shown as they stand, with the zone that they name; those in UTC in the calendar's own zone, if it has one.
//! Invariant: linear, total; a date that cannot be read is left out.

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Weekday},
    tz::{Offset, TimeZone, TimeZoneDatabase},
};

/// What is looked at of a file, in octets.
pub(super) const MAX_FILE: usize = 200_000;
/// Components within components.
const MAX_DEPTH: usize = 8;

/// An instant as the file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct When {
    local: DateTime,
    /// Without a time of day.
    whole_day: bool,
    utc: bool,
    zone: Option<String>,
}

#[derive(Debug, Default)]
struct Event {
    method: String,
    /// The zone of the whole calendar.
    zone: Option<String>,
    title: String,
    place: String,
    description: String,
    start: Option<When>,
    end: Option<When>,
    /// What an invited person answers.
    answer: Option<&'static str>,
    found: bool,
}

/// The words of the first event; None if there is none.
pub(super) fn words(file: &str) -> Option<String> {
    let event = read(file);
    if !event.found {
        return None;
    }
    let mut lines: Vec<String> = Vec::new();
    let action = match (event.method.as_str(), event.answer) {
        ("REPLY", Some(answer)) => Some(answer),
        ("CANCEL", _) => Some("Annullato"),
        _ => None,
    };
    match (action, event.title.trim()) {
        (Some(action), "") => lines.push(action.to_owned()),
        (Some(action), title) => lines.push(format!("{action}: {title}")),
        (None, "") => {}
        (None, title) => lines.push(title.to_owned()),
    }
    if let Some(start) = &event.start {
        lines.push(format!("Quando: {}", span(start, event.end.as_ref(), event.zone.as_deref())));
    }
    if !event.place.trim().is_empty() {
        lines.push(format!("Dove: {}", event.place.trim()));
    }
    if !event.description.trim().is_empty() {
        lines.extend([String::new(), event.description.trim().to_owned()]);
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn read(file: &str) -> Event {
    let mut event = Event::default();
    let mut open: Vec<String> = Vec::new();
    let mut done = false;
    for line in unfolded(file) {
        let Some((name, parameters, value)) = property(&line) else { continue };
        match name.as_str() {
            "BEGIN" if open.len() < MAX_DEPTH => open.push(value.trim().to_ascii_uppercase()),
            "END" => {
                let closed = open.pop();
                done |= closed.is_some_and(|c| is_event(&c));
            }
            "METHOD" => event.method = value.trim().to_ascii_uppercase(),
            "X-WR-TIMEZONE" => event.zone = Some(value.trim().to_owned()),
            "TZID" if event.zone.is_none() && open.last().is_some_and(|c| c == "VTIMEZONE") => {
                event.zone = Some(value.trim().to_owned());
            }
            // Alarms within an event have descriptions of their own.
            _ if !done && open.last().is_some_and(|c| is_event(c)) => {
                event.found = true;
                event.property(&name, parameters, value);
            }
            _ => {}
        }
    }
    event
}

fn is_event(component: &str) -> bool {
    matches!(component, "VEVENT" | "VTODO")
}

impl Event {
    fn property(&mut self, name: &str, parameters: &str, value: &str) {
        match name {
            "SUMMARY" => self.title = unescaped(value).replace('\n', " "),
            "LOCATION" => self.place = unescaped(value).replace('\n', ", "),
            "DESCRIPTION" => self.description = unescaped(value),
            "DTSTART" => self.start = when(parameters, value),
            "DTEND" | "DUE" => self.end = when(parameters, value),
            "ATTENDEE" if self.answer.is_none() => {
                let answer = parameter(parameters, "PARTSTAT").unwrap_or_default().to_ascii_uppercase();
                self.answer = match answer.as_str() {
                    "ACCEPTED" => Some("Accettato"),
                    "DECLINED" => Some("Rifiutato"),
                    "TENTATIVE" => Some("Forse"),
                    _ => None,
                };
            }
            _ => {}
        }
    }
}

/// Lines as they were before they were folded: RFC 5545, section 3.1.
fn unfolded(file: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in file.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), out.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            _ => out.push(line.to_owned()),
        }
    }
    out
}

/// `NAME;PARAMETER=x:value`: the name in upper case, the parameters, the value. A colon within quotes is none.
fn property(line: &str) -> Option<(String, &str, &str)> {
    let mut quoted = false;
    let colon = line.bytes().position(|b| {
        quoted ^= b == b'"';
        b == b':' && !quoted
    })?;
    let (head, value) = (line.get(..colon)?, line.get(colon + 1..)?);
    let (name, parameters) = head.split_once(';').unwrap_or((head, ""));
    let known =
        !name.is_empty() && name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    known.then(|| (name.to_ascii_uppercase(), parameters, value))
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|p| {
        let (key, value) = p.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// RFC 5545, section 3.3.11.
fn unescaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push('\n'),
                Some(other) => out.push(other),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// `20261123`, `20261123T100000`, `20261123T090000Z`.
fn when(parameters: &str, value: &str) -> Option<When> {
    let value = value.trim();
    let (date, time) = value.split_once(['T', 't']).unwrap_or((value, ""));
    let digits = |text: &str, from: usize, to: usize| -> Option<i8> { text.get(from..to)?.parse().ok() };
    let date = Date::new(date.get(..4)?.parse().ok()?, digits(date, 4, 6)?, digits(date, 6, 8)?).ok()?;
    let whole_day = time.is_empty();
    let local = if whole_day {
        date.at(0, 0, 0, 0)
    } else {
        let (hour, minute) = (digits(time, 0, 2)?, digits(time, 2, 4)?);
        DateTime::new(date.year(), date.month(), date.day(), hour, minute, 0, 0).ok()?
    };
    Some(When {
        local,
        whole_day,
        utc: time.ends_with(['Z', 'z']),
        zone: parameter(parameters, "TZID").map(|zone| zone.chars().take(60).collect()),
    })
}

/// From when to when, in words.
fn span(start: &When, end: Option<&When>, zone: Option<&str>) -> String {
    let (start, zone) = start.shown(zone);
    let end = end.map(|end| (end.shown(zone.as_deref()).0, end.whole_day));
    let mut out = day(start.local.date());
    match end {
        // The day after the last.
        Some((end, true)) if start.whole_day => {
            if let Ok(last) = end.local.date().yesterday()
                && last > start.local.date()
            {
                out = format!("da {out} a {}", day(last));
            }
            return out;
        }
        _ if start.whole_day => return out,
        Some((end, _)) if end.local.date() == start.local.date() && end.local > start.local => {
            out = format!("{out}, ore {}-{}", hour(start.local), hour(end.local));
        }
        Some((end, _)) if end.local > start.local => {
            out = format!(
                "{out}, ore {}, fino a {}, ore {}",
                hour(start.local),
                day(end.local.date()),
                hour(end.local)
            );
        }
        _ => out = format!("{out}, ore {}", hour(start.local)),
    }
    match zone {
        Some(zone) => format!("{out} ({zone})"),
        None => out,
    }
}

impl When {
    /// The time with the name of its zone; in UTC it is turned into the calendar's zone, if that is known.
    fn shown(&self, calendar: Option<&str>) -> (Self, Option<String>) {
        if !self.utc {
            return (self.clone(), self.zone.clone().or_else(|| calendar.map(str::to_owned)));
        }
        // The bundled zones: a reading depends on nothing outside.
        let known =
            calendar.and_then(|name| Some((TimeZoneDatabase::bundled().get(name).ok()?, name.to_owned())));
        let (zone, name) = known.unwrap_or((TimeZone::UTC, "UTC".to_owned()));
        let local = Offset::UTC.to_timestamp(self.local).map(|at: Timestamp| zone.to_datetime(at));
        (Self { local: local.unwrap_or(self.local), ..self.clone() }, Some(name))
    }
}

fn hour(at: DateTime) -> String {
    format!("{:02}:{:02}", at.hour(), at.minute())
}

fn day(date: Date) -> String {
    const MONTHS: [&str; 12] = [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ];
    let weekday = match date.weekday() {
        Weekday::Monday => "lunedì",
        Weekday::Tuesday => "martedì",
        Weekday::Wednesday => "mercoledì",
        Weekday::Thursday => "giovedì",
        Weekday::Friday => "venerdì",
        Weekday::Saturday => "sabato",
        Weekday::Sunday => "domenica",
    };
    let month =
        usize::try_from(date.month() - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or_default();
    format!("{weekday} {} {month} {}", date.day(), date.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lines: &str) -> String {
        words(&format!("BEGIN:VCALENDAR\r\n{lines}\r\nEND:VCALENDAR\r\n")).unwrap_or_default()
    }

    #[test]
    fn times_in_their_zones() {
        for (lines, expected) in [
            (
                "DTSTART;TZID=Europe/Rome:20261123T100000\nDTEND;TZID=Europe/Rome:20261123T113000",
                "lunedì 23 novembre 2026, ore 10:00-11:30 (Europe/Rome)",
            ),
            ("DTSTART:20261123T090000Z", "lunedì 23 novembre 2026, ore 09:00 (UTC)"),
            ("DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124", "lunedì 23 novembre 2026"),
            (
                "DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261126",
                "da lunedì 23 novembre 2026 a mercoledì 25 novembre 2026",
            ),
            (
                "DTSTART:20261123T220000\nDTEND:20261124T020000",
                "lunedì 23 novembre 2026, ore 22:00, fino a martedì 24 novembre 2026, ore 02:00",
            ),
        ] {
            assert_eq!(event(&format!("BEGIN:VEVENT\n{lines}\nEND:VEVENT")), format!("Quando: {expected}"));
        }
        let google = "X-WR-TIMEZONE:Europe/Rome\nBEGIN:VEVENT\nDTSTART:20260723T080000Z\nEND:VEVENT";
        assert_eq!(event(google), "Quando: giovedì 23 luglio 2026, ore 10:00 (Europe/Rome)");
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(event("BEGIN:VEVENT\nSUMMARY:x\nDTSTART:20261399T000000\nEND:VEVENT"), "x");
        assert_eq!(words("BEGIN:VCALENDAR\nEND:VCALENDAR"), None);
        assert_eq!(words("niente"), None);
        let alarm = "BEGIN:VEVENT\nSUMMARY:uno\\, due\\nt\n re\nBEGIN:VALARM\nDESCRIPTION:sveglia\nEND:VALARM\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:altro\nEND:VEVENT";
        assert_eq!(event(alarm), "uno, due tre");
    }

    #[test]
    fn answers_and_cancellations() {
        let reply = "METHOD:REPLY\nBEGIN:VEVENT\nATTENDEE;CN=\"a:b\";PARTSTAT=DECLINED:mailto:a@example.it\nSUMMARY:Sopralluogo\nEND:VEVENT";
        assert_eq!(event(reply), "Rifiutato: Sopralluogo");
        let cancelled = "METHOD:CANCEL\nBEGIN:VEVENT\nSUMMARY:Sopralluogo\nEND:VEVENT";
        assert_eq!(event(cancelled), "Annullato: Sopralluogo");
    }
}
