//! Text without a format: UTF-8, UTF-16 with its mark, or what the bytes look like most.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

use crate::{Limits, Read, pages::Pages};

/// So many octets say whether it is text.
const SAMPLE: usize = 16 * 1024;

pub(crate) fn read(bytes: &[u8], limits: &Limits) -> Read {
    let mut pages = Pages::new(limits);
    // A character has four octets at most in any charset: no need to decode what will not be kept.
    let cut = bytes.get(..limits.text.saturating_mul(4)).unwrap_or(bytes);
    for c in decode(cut).replace("\r\n", "\n").chars() {
        pages.char(if c == '\r' { '\n' } else { c });
    }
    if cut.len() < bytes.len() {
        pages.cut();
    }
    pages.finish(false)
}

fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if Encoding::for_bom(bytes).is_some() {
        return encoding_rs::UTF_8.decode(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => String::from_utf8_lossy(bytes),
        Err(_) => {
            let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
            detector.feed(bytes.get(..SAMPLE).unwrap_or(bytes), true);
            let encoding = detector.guess(Some(b"it"), Utf8Detection::Deny);
            encoding.decode_without_bom_handling(bytes).0
        }
    }
}

/// True for what a person could read: no NUL, hardly a control, mostly letters; and no markup, which is for programs.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let sample = bytes.get(..SAMPLE).unwrap_or(bytes);
    let text = decode(sample);
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let markup = ["<?xml", "<!doctype", "<html", "<svg"];
    if markup.iter().any(|m| start.get(..m.len()).is_some_and(|s| s.eq_ignore_ascii_case(m))) {
        return false;
    }
    let (mut letters, mut strange, mut all) = (0usize, 0usize, 0usize);
    for c in text.chars() {
        all += 1;
        match c {
            '\0' => return false,
            c if c.is_alphanumeric() => letters += 1,
            '\t' | '\n' | '\r' | '\u{C}' => {}
            c if c.is_control() || c == '\u{FFFD}' => strange += 1,
            _ => {}
        }
    }
    letters > 0 && strange * 50 <= all && letters * 4 >= all
}
