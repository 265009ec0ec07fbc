//! How words are written on an IMAP connection: quoted strings and literals, base64, modified UTF-7 folder names, UID sets
//! and dates. Pure functions.

use std::fmt::Write as _;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use jiff::{Timestamp, civil, tz::Offset};

/// One piece of a command: text that goes as it is, or text that must travel as a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Goes on the line.
    Text(String),
    /// Announced with `{n}`, sent after the server's `+`.
    Literal(String),
}

/// A string argument: quoted when it is printable ASCII, else a literal (RFC 3501 9: quoted strings are 7-bit, without CR, LF).
pub(crate) fn astring(value: &str) -> Piece {
    if value.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        Piece::Text(quoted(value))
    } else {
        Piece::Literal(value.to_owned())
    }
}

fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// A folder's name as it goes on the line: modified UTF-7, quoted.
pub(crate) fn mailbox(name: &str) -> String {
    quoted(&utf7_encode(name))
}

/// The base64 of modified UTF-7; what is left over in the last letter is no concern of ours.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Base64 with padding (RFC 4648 4), for AUTHENTICATE.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Modified UTF-7 (RFC 3501 5.1.3): how IMAP4rev1 writes folder names outside ASCII.
pub(crate) fn utf7_encode(name: &str) -> String {
    let mut out = String::new();
    let mut wide: Vec<u8> = Vec::new();
    for c in name.chars() {
        if (' '..='~').contains(&c) {
            flush_wide(&mut wide, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                wide.extend_from_slice(&unit.to_be_bytes());
            }
        }
    }
    flush_wide(&mut wide, &mut out);
    out
}

fn flush_wide(wide: &mut Vec<u8>, out: &mut String) {
    if !wide.is_empty() {
        out.push('&');
        out.push_str(&MODIFIED.encode(&*wide));
        out.push('-');
        wide.clear();
    }
}

/// The reverse, for names that the server lists. What is not modified UTF-7 stays as it is.
pub(crate) fn utf7_decode(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((word, tail)) = after.split_once('-') else {
            out.push('&');
            rest = after;
            continue;
        };
        match (word.is_empty(), utf7_word(word)) {
            (true, _) => out.push('&'),
            (false, Some(decoded)) => out.push_str(&decoded),
            (false, None) => {
                let _ = write!(out, "&{word}-");
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn utf7_word(word: &str) -> Option<String> {
    let bytes = MODIFIED.decode(word).ok()?;
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    String::from_utf16(&units).ok()
}

/// A UID set: `1:3,7`. `uids` ascend.
pub(crate) fn uid_set(uids: &[u32]) -> String {
    let mut out = String::new();
    let mut rest = uids.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while rest.peek().is_some_and(|next| Some(*next) == last.checked_add(1)) {
            last = rest.next().unwrap_or(last);
        }
        if !out.is_empty() {
            out.push(',');
        }
        let _ = if first == last { write!(out, "{first}") } else { write!(out, "{first}:{last}") };
    }
    out
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A date as SEARCH takes it: `1-Nov-2026` (RFC 3501 9, `date-text`).
pub(crate) fn search_date(date: civil::Date) -> String {
    let month = usize::try_from(date.month() - 1).ok().and_then(|m| MONTHS.get(m)).copied().unwrap_or("jan");
    let mut month = month.to_owned();
    if let Some(first) = month.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{}-{month}-{}", date.day(), date.year())
}

/// INTERNALDATE: `" 3-Jul-2025 02:44:25 +0200"` (RFC 3501 9, `date-time`; the day may be padded with a blank). The date as
/// the server wrote it, and the instant.
pub(crate) fn internal_date(text: &str) -> Option<(civil::Date, Timestamp)> {
    let mut words = text.split_ascii_whitespace();
    let (day, clock, zone) = (words.next()?, words.next()?, words.next().unwrap_or("+0000"));
    let mut ymd = day.split('-');
    let (day, month, year) =
        (ymd.next()?.parse().ok()?, ymd.next()?.to_ascii_lowercase(), ymd.next()?.parse().ok()?);
    let month = i8::try_from(MONTHS.iter().position(|name| *name == month)? + 1).ok()?;
    let date = civil::Date::new(year, month, day).ok()?;
    let mut hms = clock.split(':');
    let mut part = || hms.next()?.parse::<i8>().ok();
    let (hour, minute, second) = (part()?, part()?, part()?);
    // 60 is a leap second
    let time = civil::Time::new(hour, minute, second.min(59), 0).ok()?;
    let (sign, digits) = match zone.as_bytes().first()? {
        b'-' => (-1, zone.get(1..)?),
        b'+' => (1, zone.get(1..)?),
        _ => (1, "0000"),
    };
    let hhmm: i32 = digits.parse().ok()?;
    let offset = Offset::from_seconds(sign * (hhmm / 100 * 3600 + hhmm % 100 * 60)).ok()?;
    Some((date, offset.to_timestamp(date.to_datetime(time)).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_or_become_literals() {
        assert_eq!(astring(r#"a"b\c"#), Piece::Text(r#""a\"b\\c""#.into()));
        assert_eq!(astring("perché"), Piece::Literal("perché".into()));
        assert_eq!(astring("a\r\nb"), Piece::Literal("a\r\nb".into()));
    }

    #[test]
    fn base64_pads() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("\0a\0b", "AGEAYg==")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn folder_names_are_modified_utf7() {
        for (name, coded) in [
            ("INBOX", "INBOX"),
            ("Posta & avvisi", "Posta &- avvisi"),
            ("Città", "Citt&AOA-"),
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("😀", "&2D3eAA-"),
        ] {
            assert_eq!(utf7_encode(name), coded);
            assert_eq!(utf7_decode(coded), name);
        }
        for odd in ["&", "&x", "&!!-", "a&-b"] {
            let _ = utf7_decode(odd);
        }
    }

    #[test]
    fn uid_sets_are_compressed() {
        assert_eq!(uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(uid_set(&[u32::MAX - 1, u32::MAX]), "4294967294:4294967295");
        assert_eq!(uid_set(&[]), "");
    }

    #[test]
    fn dates() {
        assert_eq!(search_date(civil::date(2026, 11, 1)), "1-Nov-2026");
        let (date, at) = internal_date(" 3-Jul-2025 02:44:25 +0200").expect("valid");
        assert_eq!((date, at.to_string().as_str()), (civil::date(2025, 7, 3), "2025-07-03T00:44:25Z"));
        for bad in
            ["", "x", "32-Jul-2025 00:00:00 +0000", "3-Jul-2025 99:00:00 +0000", "3-Xxx-2025 00:00:00 +0000"]
        {
            assert_eq!(internal_date(bad), None, "{bad}");
        }
    }
}
