//! Header values to text: folding undone, encoded words (RFC 2047) decoded, raw bytes read by their charset.
//!
//! Senders split encoded words within a character and within a group of base64, so neighbouring words of one charset are
//! joined as bytes before they are decoded. A word that does not parse stays as it stands.

use std::borrow::Cow;

use super::{charset, transfer};

/// No encoded word is longer than this (RFC 2047 allows 75; senders write whole subjects).
const MAX_WORD: usize = 16 * 1024;

/// One encoded word.
struct Word<'x> {
    charset: &'x [u8],
    base64: bool,
    data: &'x [u8],
    /// Octets from `=?` to after `?=`.
    len: usize,
}

/// Parses the encoded word that begins at the start of `at`.
fn word(at: &[u8]) -> Option<Word<'_>> {
    let inner = at.strip_prefix(b"=?")?;
    let inner = inner.get(..MAX_WORD).unwrap_or(inner);
    let end = memchr::memchr(b'?', inner.get(..80).unwrap_or(inner))?;
    let (charset, rest) = inner.split_at(end);
    if charset.is_empty() || !charset.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let base64 = match rest {
        [b'?', b'b' | b'B', b'?', ..] => true,
        [b'?', b'q' | b'Q', b'?', ..] => false,
        _ => return None,
    };
    let data = rest.get(3..)?;
    let end = memchr::memmem::find(data, b"?=")?;
    let data = data.get(..end)?;
    // `=?utf-8*it?` names a language (RFC 2231, section 5).
    let charset_name = charset.split(|b| *b == b'*').next().unwrap_or(charset);
    Some(Word { charset: charset_name, base64, data, len: 2 + charset.len() + 3 + end + 2 })
}

/// Neighbouring words of one charset.
struct Run {
    charset: String,
    bytes: Vec<u8>,
    /// Base64 that has no whole number of groups yet.
    pending: Vec<u8>,
}

impl Run {
    fn push(&mut self, word: &Word<'_>) {
        if word.base64 {
            if self.pending.len().is_multiple_of(4) || self.pending.ends_with(b"=") {
                self.flush();
            }
            self.pending.extend(word.data.iter().filter(|b| !b.is_ascii_whitespace()));
        } else {
            self.flush();
            let unfolded: Vec<u8> =
                word.data.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
            self.bytes.extend(transfer::quoted_printable(&unfolded, true));
        }
    }
    fn flush(&mut self) {
        self.bytes.extend(transfer::base64(&self.pending));
        self.pending.clear();
    }
    fn text(mut self) -> String {
        self.flush();
        charset::decode(&self.bytes, Some(&self.charset)).into_owned()
    }
}

/// A piece of a header value.
enum Piece<'x> {
    /// As it stood.
    Literal(&'x [u8]),
    /// Decoded from encoded words.
    Decoded(String),
}

/// Cuts a value into literal text and decoded words; blanks between two encoded words are no text.
fn pieces(value: &[u8]) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut run: Option<Run> = None;
    let mut rest = value;
    let mut literal = value;
    // `literal` begins where the text not yet given out begins; it ends where `rest` begins.
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let candidate = rest.get(at..).unwrap_or_default();
        let Some(found) = word(candidate) else {
            rest = rest.get(at + 2..).unwrap_or_default();
            continue;
        };
        let before = literal.get(..literal.len() - candidate.len()).unwrap_or_default();
        let between_words = run.is_some() && before.iter().all(u8::is_ascii_whitespace);
        let name = String::from_utf8_lossy(found.charset).to_ascii_lowercase();
        if !between_words {
            if let Some(run) = run.take() {
                out.push(Piece::Decoded(run.text()));
            }
            if !before.is_empty() {
                out.push(Piece::Literal(before));
            }
        } else if let Some(other) = run.take_if(|run| run.charset != name) {
            out.push(Piece::Decoded(other.text()));
        }
        run.get_or_insert_with(|| Run { charset: name, bytes: Vec::new(), pending: Vec::new() }).push(&found);
        rest = candidate.get(found.len..).unwrap_or_default();
        literal = rest;
    }
    if let Some(run) = run {
        out.push(Piece::Decoded(run.text()));
    }
    if !literal.is_empty() {
        out.push(Piece::Literal(literal));
    }
    out
}

/// The value as text, on one line: control characters are blanks, NUL is nothing, blanks are single.
pub(crate) fn decode(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    for piece in pieces(value) {
        match piece {
            Piece::Literal(bytes) => push_line(&mut out, &charset::decode(bytes, None)),
            Piece::Decoded(text) => push_line(&mut out, &text),
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Adds `text`, with every run of blanks and controls as one blank.
fn push_line(out: &mut String, text: &str) {
    for c in text.chars() {
        if c == '\0' || invisible(c) {
        } else if c.is_whitespace() || c.is_control() {
            if !out.is_empty() && !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
}

/// Characters that nobody sees but that would tear words apart for the rules: soft hyphen, zero-width space, byte order
/// mark, direction marks.
pub(crate) fn invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// The value in a form that the address grammar can read: unfolded UTF-8, each run of encoded words as one word in UTF-8.
pub(crate) fn normalise(value: &[u8]) -> Cow<'_, [u8]> {
    let plain = value.is_ascii()
        && memchr::memmem::find(value, b"=?").is_none()
        && memchr::memchr(0, value).is_none();
    if plain {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    for piece in pieces(value) {
        match piece {
            Piece::Literal(bytes) => out.extend(charset::decode(bytes, None).bytes().filter(|b| *b != 0)),
            Piece::Decoded(text) => {
                out.extend_from_slice(b"=?utf-8?Q?");
                for byte in text.bytes() {
                    match byte {
                        0 => {}
                        b if b.is_ascii_alphanumeric() => out.push(b),
                        b => out.extend_from_slice(format!("={b:02X}").as_bytes()),
                    }
                }
                out.extend_from_slice(b"?=");
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_split_within_a_character_are_joined() {
        assert_eq!(decode(b"=?utf-8?Q?citt=C3?= =?utf-8?Q?=A0_sporca?="), "città sporca");
        assert_eq!(decode(b"=?utf-8?B?Y2l0dMM=?=\r\n =?utf-8?B?oCBzcG9yY2E=?="), "città sporca");
        assert_eq!(decode(b"=?UTF-8?B?Y2l?= =?utf-8?B?0dMOg?="), "città", "split within a group of base64");
    }

    #[test]
    fn what_is_no_word_stays() {
        assert_eq!(
            decode(b"2 =? 3, =?utf-8?X?abc?= e =?utf-8?Q?aperto"),
            "2 =? 3, =?utf-8?X?abc?= e =?utf-8?Q?aperto"
        );
        assert_eq!(decode(b"Re: =?iso-8859-1?Q?perch=E9?= no"), "Re: perché no");
        assert_eq!(decode(b" buca\r\n\t in via\x00 Dante\x07 5 "), "buca in via Dante 5");
        assert_eq!(decode(b"citt\xE0 raw"), "città raw");
        assert_eq!(decode(b"=?utf-8?Q?una buca?= =?x-unknown?Q?citt=E0?="), "una bucacittà");
    }
}
