//! Undoes transfer encodings, whatever state they are in: base64 and quoted-printable (RFC 2045, section 6), uuencode.
//!
//! Nothing here fails: what cannot be decoded is left out (base64) or taken as it stands (quoted-printable).

use std::borrow::Cow;

/// A part's Content-Transfer-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transfer {
    /// 7bit, 8bit, binary, unknown: the bytes are the content.
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
    /// x-uuencode and its names.
    Uuencode,
}

impl Transfer {
    /// Reads the field's value (lower case).
    pub(crate) fn of(word: Option<&str>) -> Self {
        let word = word.unwrap_or_default().trim_matches(['"', '\'', ';', ' ']);
        match word {
            "base64" | "b" => Self::Base64,
            "quoted-printable" | "quoted_printable" | "qp" => Self::QuotedPrintable,
            "x-uuencode" | "uuencode" | "x-uue" | "uue" => Self::Uuencode,
            _ => Self::Identity,
        }
    }

    /// The content. Borrowed when nothing had to be undone.
    pub(crate) fn decode(self, body: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Identity => Cow::Borrowed(body),
            Self::Base64 => Cow::Owned(base64(body)),
            Self::QuotedPrintable => Cow::Owned(quoted_printable(body, false)),
            Self::Uuencode => match uu_blocks(body).into_iter().next() {
                Some(block) => Cow::Owned(uudecode(block.data(body))),
                None => Cow::Borrowed(body),
            },
        }
    }
}

const SKIP: u8 = 0xFF;
const PAD: u8 = 0xFE;

const fn base64_table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut table = [SKIP; 256];
    let mut i = 0;
    #[allow(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated at compile time; i < 64"
    )]
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    #[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
    {
        table[b'=' as usize] = PAD;
    }
    table
}
static BASE64: [u8; 256] = base64_table();

/// Decodes base64. Characters outside the alphabet are skipped; after padding it goes on only if the next line is base64
/// again (several encoders' output glued together) and stops otherwise (a footer that a filter has appended in clear).
pub(crate) fn base64(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() / 4 * 3 + 3);
    let mut bits = 0u32;
    let mut have = 0u8;
    let mut rest = body;
    loop {
        if have == 0 {
            rest = whole_groups(rest, &mut out);
        }
        let Some((&byte, after)) = rest.split_first() else { break };
        rest = after;
        match six(byte) {
            SKIP => {
                if byte == b'\n' && (rest.starts_with(b"\n") || rest.starts_with(b"\r\n")) {
                    // An empty line, and below it something that is no base64: a footer in clear, where the length
                    // needed no padding.
                    rest = rest.trim_ascii_start();
                    if !base64_line(rest) {
                        break;
                    }
                }
            }
            PAD => {
                flush(&mut out, bits, have);
                (bits, have) = (0, 0);
                let next =
                    rest.iter().position(|b| !b.is_ascii_whitespace() && *b != b'=').unwrap_or(rest.len());
                rest = rest.get(next..).unwrap_or_default();
                if !base64_line(rest) {
                    break;
                }
            }
            value => {
                bits = bits << 6 | u32::from(value);
                have += 1;
                if have == 4 {
                    let [_, a, b, c] = bits.to_be_bytes();
                    out.extend_from_slice(&[a, b, c]);
                    (bits, have) = (0, 0);
                }
            }
        }
    }
    flush(&mut out, bits, have);
    out
}

/// The value of a character; [`SKIP`] and [`PAD`] have the highest bit.
fn six(byte: u8) -> u8 {
    BASE64.get(usize::from(byte)).copied().unwrap_or(SKIP)
}

/// Decodes as many groups of four as follow without anything in between (the greater part of every line), and gives what is left.
fn whole_groups<'a>(body: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut taken = 0;
    for group in body.as_chunks::<4>().0 {
        let values = group.map(six);
        if values.iter().any(|value| value & 0x80 != 0) {
            break;
        }
        let bits = values.iter().fold(0, |bits, value| bits << 6 | u32::from(*value));
        out.extend_from_slice(bits.to_be_bytes().get(1..).unwrap_or_default());
        taken += 4;
    }
    body.get(taken..).unwrap_or_default()
}

/// The first line of `rest` is whole groups of base64. A long line is judged by its beginning.
fn base64_line(rest: &[u8]) -> bool {
    let window = rest.get(..100).unwrap_or(rest);
    let end = memchr::memchr(b'\n', window).unwrap_or(window.len());
    let line = window.get(..end).unwrap_or(window).trim_ascii();
    let whole = line.len() % 4 == 0 || end == window.len();
    whole && line.iter().all(|b| BASE64.get(usize::from(*b)).is_some_and(|v| *v < 64 || *v == PAD))
}

/// The bytes of an unfinished group of four.
fn flush(out: &mut Vec<u8>, bits: u32, have: u8) {
    match have {
        2 => out.extend_from_slice(bits.wrapping_shl(12).to_be_bytes().get(1..2).unwrap_or_default()),
        3 => out.extend_from_slice(bits.wrapping_shl(6).to_be_bytes().get(1..3).unwrap_or_default()),
        _ => {}
    }
}

/// Whether this can be base64 at all: text that somebody labelled so by mistake has blanks and punctuation in every line.
pub(crate) fn plausible_base64(body: &[u8]) -> bool {
    let head = body.get(..4096).unwrap_or(body).trim_ascii();
    let foreign = head
        .iter()
        .filter(|b| !matches!(b, b'\r' | b'\n') && BASE64.get(usize::from(**b)).is_none_or(|v| *v == SKIP))
        .count();
    foreign * 20 <= head.len()
}

/// Decodes quoted-printable; with `word` the variant of RFC 2047, where `_` is a blank. What is no valid escape stays as
/// it stands.
pub(crate) fn quoted_printable(body: &[u8], word: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'=' => match after {
                [a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    out.push(hex_digit(*a) << 4 | hex_digit(*b));
                    rest = tail;
                }
                _ => {
                    // A soft line break, perhaps with blanks that a gateway has added.
                    let blanks = after.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count();
                    match after.get(blanks..) {
                        Some([b'\n', tail @ ..]) => rest = tail,
                        Some([]) => rest = &[],
                        _ => out.push(b'='),
                    }
                }
            },
            b'_' if word => out.push(b' '),
            other => out.push(other),
        }
    }
    out
}

fn hex_digit(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        b'A'..=b'F' => b - b'A' + 10,
        _ => 0,
    }
}

/// Undoes `%41` (RFC 2231).
pub(crate) fn percent(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [a, b, tail @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex_digit(*a) << 4 | hex_digit(*b));
                rest = tail;
            }
            _ => out.push(byte),
        }
    }
    out
}

/// A uuencoded file within a text: byte ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UuBlock {
    /// From the `begin` line to after the `end` line.
    pub(crate) whole: std::ops::Range<usize>,
    /// The lines between.
    lines: std::ops::Range<usize>,
    /// The file's name as raw bytes.
    name: std::ops::Range<usize>,
}

impl UuBlock {
    /// The encoded lines.
    pub(crate) fn data<'x>(&self, text: &'x [u8]) -> &'x [u8] {
        text.get(self.lines.clone()).unwrap_or_default()
    }
    /// The declared name.
    pub(crate) fn name<'x>(&self, text: &'x [u8]) -> &'x [u8] {
        text.get(self.name.clone()).unwrap_or_default()
    }
}

/// At most this many uuencoded files are looked for in one text.
const MAX_UU: usize = 100;

/// Finds uuencoded files: a line `begin 644 name`, lines of the length that they announce, a line `end`.
pub(crate) fn uu_blocks(text: &[u8]) -> Vec<UuBlock> {
    let mut blocks = Vec::new();
    let mut at = 0;
    // (start of the block, its name, start of its lines, whether a line had data)
    let mut open: Option<(usize, std::ops::Range<usize>, usize, bool)> = None;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let bare = line.trim_ascii_end();
        let next = at + line.len();
        match &mut open {
            Some((start, name, lines, some)) => {
                if bare == b"end" {
                    if *some {
                        blocks.push(UuBlock { whole: *start..next, lines: *lines..at, name: name.clone() });
                    }
                    open = None;
                } else if uu_line(bare) {
                    *some = true;
                } else {
                    open = None;
                }
            }
            None => {
                if let Some(rest) = bare.strip_prefix(b"begin ")
                    && let [a, b, c, b' ', name @ ..] = rest
                    && [a, b, c].iter().all(|d| (b'0'..=b'7').contains(*d))
                    && !name.is_empty()
                {
                    let name_at = at + bare.len() - name.len();
                    open = Some((at, name_at..at + bare.len(), next, false));
                }
            }
        }
        at = next;
        if blocks.len() >= MAX_UU {
            break;
        }
    }
    blocks
}

/// True if the line has the form and the length of uuencode.
fn uu_line(line: &[u8]) -> bool {
    let Some((&first, data)) = line.split_first() else { return true };
    if !(0x20..=0x60).contains(&first) || !data.iter().all(|b| (0x20..=0x60).contains(b)) {
        return false;
    }
    let octets = usize::from((first - 0x20) & 0x3F);
    let needed = octets.div_ceil(3) * 4;
    // Trailing blanks get lost on the way; some encoders add a check character.
    data.len() <= needed + 2
}

/// Decodes uuencoded lines.
pub(crate) fn uudecode(lines: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lines.len() / 4 * 3);
    for line in lines.split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((&first, data)) = line.split_first() else { continue };
        let mut left = usize::from(first.wrapping_sub(0x20) & 0x3F);
        for group in data.chunks(4) {
            let six = |i: usize| u32::from(group.get(i).copied().unwrap_or(b' ').wrapping_sub(0x20) & 0x3F);
            let [_, a, b, c] = (six(0) << 18 | six(1) << 12 | six(2) << 6 | six(3)).to_be_bytes();
            let take = left.min(3);
            out.extend_from_slice([a, b, c].get(..take).unwrap_or_default());
            left -= take;
            if left == 0 {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_survives_what_gateways_do() {
        assert_eq!(base64(b"YnVjYQ=="), b"buca");
        assert_eq!(base64(b"YnVj\r\n  YQ"), b"buca", "no padding");
        assert_eq!(base64(b"Yn!Vj*YQ=="), b"buca", "foreign characters");
        assert_eq!(base64(b"YnVjYQ==\r\nYnVjYQ==\r\n"), b"bucabuca", "two encoders");
        assert_eq!(
            base64(b"YnVjYQ==\r\n\r\nNo virus found in this message.\r\n"),
            b"buca",
            "a footer in clear"
        );
    }

    #[test]
    fn broken_quoted_printable_stays_readable() {
        assert_eq!(quoted_printable(b"citt=E0 =\r\nvecchia", false), b"citt\xE0 vecchia");
        assert_eq!(quoted_printable(b"a = b =ZZ 100%=", false), b"a = b =ZZ 100%");
        assert_eq!(quoted_printable(b"una_buca=3F", true), b"una buca?");
    }

    #[test]
    fn uuencoded_files_are_found_and_decoded() {
        let text = b"Ciao\nbegin 644 nota.txt\n$8G5C80\n`\nend\nfine\n";
        let blocks = uu_blocks(text);
        assert_eq!(blocks.len(), 1);
        let block = &blocks[0];
        assert_eq!(block.name(text), b"nota.txt");
        assert_eq!(uudecode(block.data(text)), b"buca");
        assert_eq!(&text[block.whole.end..], b"fine\n");
        assert!(uu_blocks(b"begin 644 is how it starts\nbut this is text, not data at all\n").is_empty());
    }
}
