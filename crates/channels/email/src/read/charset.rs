//! Bytes to text, whatever the label says.
//!
//! Labels lie: UTF-8 is declared as Windows-1252 and the reverse, `us-ascii` has bytes over 127, names are invented
//! (`x-unknown`, `default_charset`, `cp-850`). Valid UTF-8 with multi-byte sequences is practically never anything else,
//! so it wins over every single-byte label; bytes that are not valid UTF-8 under an UTF-8 label are read byte by byte as
//! Windows-1252, which is what western senders mean. Nothing is ever refused.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

/// What a label stands for.
enum Label {
    /// None, unknown, or one that says nothing (`us-ascii`).
    Open,
    Utf7,
    Known(&'static Encoding),
    /// What encoding_rs does not have (IBM 850).
    Other(fn(&[u8]) -> String),
}

fn resolve(label: Option<&str>) -> Label {
    let Some(label) = label else { return Label::Open };
    let label = label
        .trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '<' | '>'))
        .to_ascii_lowercase();
    match label.as_str() {
        "" | "us-ascii" | "ascii" | "ansi_x3.4-1968" | "unknown" | "x-unknown" | "unknown-8bit"
        | "default_charset" | "default" | "binary" | "8bit" | "none" => return Label::Open,
        "utf-7" | "utf7" | "unicode-1-1-utf-7" | "x-unicode-2-0-utf-7" => return Label::Utf7,
        _ => {}
    }
    let known = |name: &str| {
        Encoding::for_label(name.as_bytes()).filter(|e| *e != REPLACEMENT && *e != X_USER_DEFINED)
    };
    if let Some(encoding) = known(&label) {
        return Label::Known(encoding);
    }
    // `cp-850`, `windows_1252`, `iso 8859-15`, `x-cp1252`, `utf_8`: the same letters and digits, other glue.
    let bare: String = label.trim_start_matches("x-").chars().filter(char::is_ascii_alphanumeric).collect();
    let digits: String = bare.chars().filter(char::is_ascii_digit).collect();
    let rebuilt = if bare.starts_with("iso8859") {
        format!("iso-8859-{}", digits.strip_prefix("8859").unwrap_or(&digits))
    } else if bare.starts_with("utf8") {
        "utf-8".to_owned()
    } else if bare.starts_with("win") || bare.starts_with("cp125") || bare.starts_with("ansi") {
        format!("windows-{}", if digits.is_empty() { "1252" } else { &digits })
    } else {
        bare.clone()
    };
    if let Some(encoding) = known(&rebuilt) {
        return Label::Known(encoding);
    }
    let ibm = bare.trim_start_matches("ibm").trim_start_matches("cp").trim_start_matches("oem");
    if matches!(ibm, "850" | "858" | "437" | "00858")
        && let Some(decoder) = mail_parser::decoders::charsets::map::charset_decoder(b"cp850")
    {
        return Label::Other(decoder);
    }
    match mail_parser::decoders::charsets::map::charset_decoder(label.as_bytes()) {
        Some(decoder) => Label::Other(decoder),
        None => Label::Open,
    }
}

/// Decodes `bytes`, of which somebody said that they are `label`.
pub(crate) fn decode<'x>(bytes: &'x [u8], label: Option<&str>) -> Cow<'x, str> {
    if let Some((encoding, skip)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(skip..).unwrap_or_default()).0;
    }
    let label = resolve(label);
    if let Some(encoding) = looks_like_utf16(bytes, &label) {
        return encoding.decode_without_bom_handling(bytes).0;
    }
    match label {
        Label::Utf7 => Cow::Owned(utf7(bytes)),
        // Stateful encodings are pure ASCII on the wire, so validity says nothing about them.
        Label::Known(e) if !e.is_ascii_compatible() && e != UTF_16LE && e != UTF_16BE => {
            e.decode_without_bom_handling(bytes).0
        }
        Label::Known(e) if e != UTF_8 && !e.is_single_byte() && e != UTF_16LE && e != UTF_16BE => {
            let (text, errors) = e.decode_without_bom_handling(bytes);
            match std::str::from_utf8(bytes) {
                Ok(utf8) if errors => Cow::Borrowed(utf8),
                _ => text,
            }
        }
        label => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(error) => match label {
                Label::Other(decoder) => Cow::Owned(decoder(bytes)),
                Label::Known(e) if e.is_single_byte() => {
                    // A letter in UTF-8 that was cut, or one stray byte in it, is still no Windows-1252.
                    if mostly_utf8(bytes) {
                        Cow::Owned(mixed(bytes))
                    } else {
                        e.decode_without_bom_handling(bytes).0
                    }
                }
                Label::Known(_) => Cow::Owned(mixed(bytes)),
                _ if mostly_utf8(bytes) || error.valid_up_to() + 4 > bytes.len() => Cow::Owned(mixed(bytes)),
                _ => Cow::Owned(guess(bytes)),
            },
        },
    }
}

/// UTF-16 has a NUL in every other byte of western text. Labels are believed only if the bytes agree.
fn looks_like_utf16(bytes: &[u8], label: &Label) -> Option<&'static Encoding> {
    let head = bytes.get(..512).unwrap_or(bytes);
    if head.len() < 4 || !head.contains(&0) {
        return match label {
            Label::Known(e) if (*e == UTF_16LE || *e == UTF_16BE) && std::str::from_utf8(bytes).is_err() => {
                Some(e)
            }
            _ => None,
        };
    }
    let nuls = |parity: usize| head.iter().skip(parity).step_by(2).filter(|b| **b == 0).count() * 2;
    let (even, odd) = (nuls(0), nuls(1));
    if odd * 10 > head.len() * 6 && even * 10 < head.len() {
        Some(UTF_16LE)
    } else if even * 10 > head.len() * 6 && odd * 10 < head.len() {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// More of the high bytes stand in valid multi-byte sequences than outside of them.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut bad) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().bytes().filter(|b| *b >= 0x80).count();
        bad += chunk.invalid().len();
    }
    good > bad * 2
}

/// Valid sequences as UTF-8, every other byte as Windows-1252; an incomplete character at the very end is left out.
fn mixed(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + bytes.len() / 8);
    let mut left = bytes.len();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        left -= chunk.valid().len() + chunk.invalid().len();
        let cut_at_end =
            left == 0 && std::str::from_utf8(chunk.invalid()).is_err_and(|e| e.error_len().is_none());
        // A lone byte at the end may be a letter of Windows-1252 (`citt\xE0`) or half a character; C2 and C3 begin every
        // accented letter in UTF-8 and are rare as letters.
        let half = chunk.invalid().len() > 1 || !out.is_ascii() || matches!(chunk.invalid(), [0xC2 | 0xC3]);
        if !(cut_at_end && half) {
            out.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
        }
    }
    out
}

/// No label, and no UTF-8: by frequency of letters, as an Italian reader would.
fn guess(bytes: &[u8]) -> String {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes.get(..65_536).unwrap_or(bytes), true);
    let encoding = detector.guess(Some(b"it"), Utf8Detection::Deny);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// UTF-7 (RFC 2152): base64 of UTF-16 between `+` and `-`.
fn utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'+' {
            match byte {
                0..=127 => out.push(char::from(byte)),
                _ => out.push_str(&WINDOWS_1252.decode_without_bom_handling(&[byte]).0),
            }
            continue;
        }
        let len = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).count();
        let (coded, tail) = rest.split_at(len);
        if coded.is_empty() {
            out.push('+');
        } else {
            let units = super::transfer::base64(coded);
            let units = units.chunks_exact(2).map(|pair| match pair {
                [a, b] => u16::from_be_bytes([*a, *b]),
                _ => 0xFFFD,
            });
            out.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        rest = tail.strip_prefix(b"-").unwrap_or(tail);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_lie() {
        let cases: &[(&[u8], Option<&str>, &str)] = &[
            ("perché".as_bytes(), Some("windows-1252"), "perché"),
            ("perché".as_bytes(), Some("us-ascii"), "perché"),
            ("perché".as_bytes(), None, "perché"),
            (b"perch\xE9 la citt\xE0 \xE8 sporca", Some("utf-8"), "perché la città è sporca"),
            (b"perch\xE9 la citt\xE0 \xE8 sporca", Some("us-ascii"), "perché la città è sporca"),
            (b"perch\xE9 la citt\xE0 \xE8 sporca", Some("x-unknown"), "perché la città è sporca"),
            (b"perch\xE9 la citt\xE0 \xE8 sporca", Some("default_charset"), "perché la città è sporca"),
            (b"perch\xE9 la citt\xE0 \xE8 sporca", None, "perché la città è sporca"),
            (b"costa 5 \xA4", Some("iso-8859-15"), "costa 5 €"),
            (b"costa 5 \x80 \x93qui\x94", Some("iso-8859-1"), "costa 5 € “qui”"),
            (b"citt\x85 \x8A", Some("cp-850"), "cittů è".replace('ů', "à").leak()),
            (b"citt\x85", Some("IBM850"), "città"),
            (b"citt\xE0", Some("windows_1252"), "città"),
            (b"citt\xE0", Some("ISO8859_1"), "città"),
            (b"citt+AOA- +- ok", Some("utf-7"), "città + ok"),
            (b"\xFF\xFEc\0i\0\xE0\0", Some("utf-8"), "cià"),
            (b"c\0i\0a\0o\0", Some("utf-16"), "ciao"),
            (b"\0c\0i\0a\0o", None, "ciao"),
        ];
        for (bytes, label, expected) in cases {
            assert_eq!(decode(bytes, *label), *expected, "{label:?}");
        }
    }

    #[test]
    fn a_letter_cut_within_a_character_stays_utf8() {
        let cut = &"è così che la città perché".as_bytes()[..27];
        assert!(std::str::from_utf8(cut).is_ok());
        let text = "la città è già";
        let cut = &text.as_bytes()[..text.len() - 1];
        assert_eq!(decode(cut, Some("utf-8")), "la città è gi");
        assert_eq!(decode("è à ò \u{e9}x".as_bytes(), Some("iso-8859-1")), "è à ò éx");
        let mut one_stray = "è à ò perché ".as_bytes().to_vec();
        one_stray.push(0xE0);
        one_stray.extend_from_slice(b" fine");
        assert_eq!(decode(&one_stray, None), "è à ò perché à fine");
    }
}
