//! Takes what is signed out of a CAdES signature (`.p7m`): RFC 5652, sections 3, 5.1 and 5.2, in BER (X.690, section 8).
//!
//! Not with the crate that checks the signatures of certified mail: that one reads the whole structure, signers, certificates
//! and time stamps included, and refuses all of it for one attribute that a signing program wrote wrongly, or for an end
//! that is missing. What is signed stands before all these; so only the way to it is read, definite or indefinite lengths alike.
//!
//! Invariant: linear, no recursion, no more memory than the file; what cannot be followed is an error, never a panic.

use crate::Unreadable;

/// 1.2.840.113549.1.7.2, signedData, as DER.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02";
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const OCTETS_CONSTRUCTED: u8 = 0x24;
const CONTEXT_0: u8 = 0xA0;
const CONSTRUCTED: u8 = 0x20;
/// Strings of strings of strings: no program nests them more than once.
const MAX_NESTING: usize = 8;
/// Where the outermost lengths have been read the type must follow.
const HEAD: usize = 64;

/// True if the bytes are such a signature, as they are or in base64.
pub(crate) fn is_signed(bytes: &[u8]) -> bool {
    signed_head(bytes) || armoured(bytes).is_some_and(|text| signed_head(&base64(text, HEAD)))
}

fn signed_head(bytes: &[u8]) -> bool {
    let head = bytes.get(..HEAD).unwrap_or(bytes);
    enter(head, SEQUENCE).is_some_and(|inner| inner.content.starts_with(SIGNED_DATA))
}

/// The base64 text, if the bytes may be some: with its `-----BEGIN` line or bare.
fn armoured(bytes: &[u8]) -> Option<&[u8]> {
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    if text.starts_with(b"-----BEGIN ") {
        let line = memchr::memchr(b'\n', text)?;
        return text.get(line + 1..);
    }
    // 0x30 0x80..0x84: how every signature larger than 127 octets begins.
    text.starts_with(b"MI").then_some(text)
}

/// Decodes until `enough` octets, the padding, or a `-----END` line; whatever is no letter of the alphabet is passed over.
fn base64(text: &[u8], enough: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity((text.len() / 4 * 3).min(enough));
    let (mut bits, mut have) = (0u32, 0u8);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' | b'-' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push(u8::try_from(bits >> have & 0xFF).unwrap_or_default());
            if out.len() >= enough {
                break;
            }
        }
    }
    out
}

/// What is signed.
pub(crate) fn unwrap(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    match armoured(bytes) {
        Some(text) if !signed_head(bytes) => content(&base64(text, usize::MAX)),
        _ => content(bytes),
    }
}

fn content(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let broken = Unreadable::Broken;
    // ContentInfo: contentType, [0] content
    let info = enter(bytes, SEQUENCE).ok_or(broken)?.content;
    let after_type = skip(info, OID).ok_or(broken)?;
    let data = enter(after_type, CONTEXT_0).ok_or(broken)?.content;
    // SignedData: version, digestAlgorithms, encapContentInfo, ...
    let data = enter(data, SEQUENCE).ok_or(broken)?.content;
    let data = skip(data, INTEGER).and_then(|rest| skip(rest, SET)).ok_or(broken)?;
    // EncapsulatedContentInfo: eContentType, [0] eContent OPTIONAL
    let encapsulated = enter(data, SEQUENCE).ok_or(broken)?.content;
    let after_type = skip(encapsulated, OID).ok_or(broken)?;
    let octets = enter(after_type, CONTEXT_0).ok_or(Unreadable::Detached)?.content;
    octet_string(octets).ok_or(broken)
}

/// The octets of an OCTET STRING, in one piece or in many.
fn octet_string(input: &[u8]) -> Option<Vec<u8>> {
    if let Some(whole) = enter(input, OCTETS) {
        return Some(whole.content.to_vec());
    }
    let outer = enter(input, OCTETS_CONSTRUCTED)?;
    let mut out = Vec::with_capacity(outer.content.len());
    // What follows each of the strings that were entered.
    let mut outside: Vec<&[u8]> = Vec::new();
    let mut at = outer.content;
    loop {
        let first = at.first().copied();
        match first {
            Some(OCTETS) => {
                let Some(piece) = enter(at, OCTETS) else { break };
                out.extend_from_slice(piece.content);
                at = piece.rest;
            }
            Some(OCTETS_CONSTRUCTED) if outside.len() < MAX_NESTING => {
                let Some(nested) = enter(at, OCTETS_CONSTRUCTED) else { break };
                if nested.definite {
                    outside.push(nested.rest);
                } else {
                    // Its end shows itself: two zeros, then what follows.
                    outside.push(&[]);
                }
                at = nested.content;
            }
            // The end of a string of indefinite length, or of a definite one.
            Some(0) | None => {
                let Some(rest) = outside.pop() else { break };
                at = if first.is_some() { at.get(2..)? } else { rest };
            }
            Some(_) => return None,
        }
    }
    (!out.is_empty()).then_some(out)
}

struct Element<'a> {
    content: &'a [u8],
    /// What follows; empty for an indefinite length, whose end is not known yet.
    rest: &'a [u8],
    definite: bool,
}

/// The content of the element that stands here, if it has this tag. Of an indefinite length, or of a file that was cut:
/// everything up to the end.
fn enter(input: &[u8], tag: u8) -> Option<Element<'_>> {
    let (first, after) = input.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, content) = length(after)?;
    Some(match length {
        Some(length) => match content.split_at_checked(length) {
            Some((content, rest)) => Element { content, rest, definite: true },
            None => Element { content, rest: &[], definite: true },
        },
        None => Element { content, rest: &[], definite: false },
    })
}

/// X.690, section 8.1.3: the length (None: indefinite) and what follows it.
fn length(input: &[u8]) -> Option<(Option<usize>, &[u8])> {
    let (first, after) = input.split_first()?;
    match first {
        0..=0x7F => Some((Some(usize::from(*first)), after)),
        0x80 => Some((None, after)),
        _ => {
            let (digits, after) = after.split_at_checked(usize::from(first & 0x7F))?;
            let zeros = digits.iter().take_while(|b| **b == 0).count();
            let digits = digits.get(zeros..).unwrap_or_default();
            if digits.len() > size_of::<usize>() - 1 {
                return None;
            }
            Some((Some(digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit))), after))
        }
    }
}

/// What follows the element that stands here, if it has this tag.
fn skip(input: &[u8], tag: u8) -> Option<&[u8]> {
    if input.first() != Some(&tag) {
        return None;
    }
    let (mut at, mut open) = (input, 0usize);
    loop {
        let (first, mut after) = at.split_first()?;
        if *first == 0 && open > 0 {
            // End of contents.
            after = after.get(1..)?;
            open -= 1;
        } else {
            if first & 0x1F == 0x1F {
                let more = after.iter().take_while(|b| **b & 0x80 != 0).count();
                after = after.get(more + 1..)?;
            }
            let (length, content) = length(after)?;
            match length {
                Some(length) => after = content.get(length..)?,
                None if first & CONSTRUCTED != 0 => {
                    after = content;
                    open += 1;
                }
                None => return None,
            }
        }
        if open == 0 {
            return Some(after);
        }
        at = after;
    }
}
