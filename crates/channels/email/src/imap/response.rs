//! What a response says. A pure and total function over its parts: whatever a server sends, there is a [`Response`], at worst
//! [`Response::Other`]; nothing recurses and nothing panics. Tolerant where servers are sloppy (double blanks, unknown items, `NIL`
//! anywhere, 8-bit text), because strictness here would lose mail.

use std::borrow::Cow;

use bytes::Bytes;

use super::{error::ServerText, wire::Part};

/// A response code: `[UIDVALIDITY 7]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// Its name in upper case.
    pub name: String,
    /// The rest, as it came.
    pub args: String,
}

/// The outcome of a command, or an untagged status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok,
    /// Refused.
    No,
    /// Not understood.
    Bad,
    /// The session ends.
    Bye,
    /// Already authenticated (greeting only).
    PreAuth,
}

/// A letter's octets in a FETCH answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The octets; the beginning only if there were more than the wire keeps.
    pub bytes: Bytes,
    /// How many there were.
    pub length: u64,
}

/// The items of a FETCH answer that we ask for. Everything may be missing: servers send FETCH unasked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// UID.
    pub uid: Option<u32>,
    /// RFC822.SIZE in octets.
    pub size: Option<u64>,
    /// INTERNALDATE as it was written.
    pub date: Option<String>,
    /// FLAGS, if they were told.
    pub flags: Option<Vec<String>>,
    /// `BODY[]` or `BODY[]<0>`; None when absent or `NIL`.
    pub body: Option<Body>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// `A0001 OK ...`
    Tagged(String, Status, ServerText),
    /// `* OK ...` and its kin.
    Untagged(Status, ServerText),
    /// `+ ...`
    Continue,
    /// `* CAPABILITY ...`, in upper case.
    Capability(Vec<String>),
    /// `* n EXISTS`
    Exists(u32),
    /// `* n EXPUNGE` or `* VANISHED ...`
    Expunged,
    /// `* SEARCH ...` or `* ESEARCH ... ALL ...`
    Search(Vec<u32>),
    /// `* n FETCH (...)`
    Fetch(Fetched),
    /// `* LIST (...) "/" name`
    List {
        /// Attributes such as `\Noselect`.
        attributes: Vec<String>,
        /// The name, as on the wire (modified UTF-7).
        name: String,
    },
    /// Anything else.
    Other,
}

/// Says what a response is.
pub fn parse(parts: &[Part]) -> Response {
    let Some(Part::Text(first)) = parts.first() else { return Response::Other };
    let (head, rest) = word(first);
    match head {
        b"+" => Response::Continue,
        b"*" => untagged(parts, rest),
        tag => match status(rest) {
            Some((status, said)) if !tag.is_empty() => {
                Response::Tagged(String::from_utf8_lossy(tag).into_owned(), status, said)
            }
            _ => Response::Other,
        },
    }
}

/// The first word and what follows the blanks after it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    let end = line.iter().position(|b| *b == b' ').unwrap_or(line.len());
    let (head, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (head, rest.trim_ascii_start())
}

fn status(line: &[u8]) -> Option<(Status, ServerText)> {
    let (head, rest) = word(line);
    let status = match head.to_ascii_uppercase().as_slice() {
        b"OK" => Status::Ok,
        b"NO" => Status::No,
        b"BAD" => Status::Bad,
        b"BYE" => Status::Bye,
        b"PREAUTH" => Status::PreAuth,
        _ => return None,
    };
    Some((status, server_text(rest)))
}

fn server_text(line: &[u8]) -> ServerText {
    let coded = line
        .strip_prefix(b"[")
        .and_then(|l| Some((l, l.iter().position(|b| *b == b']')?)))
        .and_then(|(l, end)| Some((l.get(..end)?, l.get(end + 1..)?)));
    let (code, text) = match coded {
        Some((code, text)) => {
            let (name, args) = word(code);
            let name = String::from_utf8_lossy(name).to_ascii_uppercase();
            (Some(Code { name, args: String::from_utf8_lossy(args).into_owned() }), text)
        }
        None => (None, line),
    };
    let text = String::from_utf8_lossy(text);
    let text = text.trim().chars().take(200).map(|c| if c.is_control() { ' ' } else { c }).collect();
    ServerText { code, text }
}

fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn untagged(parts: &[Part], rest: &[u8]) -> Response {
    if let Some((status, said)) = status(rest) {
        return Response::Untagged(status, said);
    }
    let (head, tail) = word(rest);
    if let Some(n) = number::<u64>(head) {
        // `FETCH(` without a blank: some servers
        let what = tail.split(|b| matches!(b, b' ' | b'(')).next().unwrap_or_default();
        return match what.to_ascii_uppercase().as_slice() {
            b"EXISTS" => Response::Exists(u32::try_from(n).unwrap_or(u32::MAX)),
            b"EXPUNGE" => Response::Expunged,
            b"FETCH" => Response::Fetch(fetch(&mut Tokens::after(parts, 3))),
            _ => Response::Other,
        };
    }
    match head.to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => Response::Capability(words_upper(tail)),
        b"SEARCH" => Response::Search(tail.split(|b| *b == b' ').filter_map(number).collect()),
        b"ESEARCH" => Response::Search(esearch(&mut Tokens::after(parts, 2))),
        b"VANISHED" => Response::Expunged,
        b"LIST" | b"XLIST" => list(&mut Tokens::after(parts, 2)).unwrap_or(Response::Other),
        _ => Response::Other,
    }
}

/// Capabilities, from an untagged answer or a response code.
pub(crate) fn words_upper(line: &[u8]) -> Vec<String> {
    line.split(|b| *b == b' ')
        .filter(|w| !w.is_empty())
        .map(|w| String::from_utf8_lossy(w).to_ascii_uppercase())
        .collect()
}

/// The most UIDs that one ESEARCH answer may unfold to.
const MAX_UIDS: usize = 4_000_000;

fn esearch(tokens: &mut Tokens<'_>) -> Vec<u32> {
    let mut uids = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            // (TAG "A1")
            Token::Open => tokens.skip_list(),
            Token::Atom(a) if a.eq_ignore_ascii_case(b"ALL") => {
                let Some(Token::Atom(set)) = tokens.next() else { return uids };
                for range in set.split(|b| *b == b',') {
                    let mut ends = range.split(|b| *b == b':').filter_map(number::<u32>);
                    let Some(a) = ends.next() else { continue };
                    let b = ends.next().unwrap_or(a);
                    uids.extend((a.min(b)..=a.max(b)).take(MAX_UIDS.saturating_sub(uids.len())));
                }
            }
            _ => {}
        }
    }
    uids
}

fn list(tokens: &mut Tokens<'_>) -> Option<Response> {
    let mut attributes = Vec::new();
    if tokens.next()? == Token::Open {
        loop {
            match tokens.next()? {
                Token::Close => break,
                Token::Atom(a) => attributes.push(String::from_utf8_lossy(a).into_owned()),
                _ => {}
            }
        }
    }
    tokens.next()?;
    let name = tokens.next()?.text()?.into_owned();
    Some(Response::List { attributes, name })
}

fn fetch(tokens: &mut Tokens<'_>) -> Fetched {
    let mut out = Fetched::default();
    if tokens.next() != Some(Token::Open) {
        return out;
    }
    while let Some(Token::Atom(name)) = tokens.next() {
        let name = name.to_ascii_uppercase();
        let Some(value) = tokens.next() else { break };
        match (name.as_slice(), value) {
            (b"UID", Token::Atom(v)) => out.uid = number(v),
            (b"RFC822.SIZE", Token::Atom(v)) => out.size = number(v),
            (b"INTERNALDATE", v @ (Token::Quoted(_) | Token::Literal { .. })) => {
                out.date = v.text().map(Cow::into_owned);
            }
            (b"FLAGS", Token::Open) => {
                let mut flags = Vec::new();
                while let Some(Token::Atom(flag)) = tokens.next() {
                    flags.push(String::from_utf8_lossy(flag).into_owned());
                }
                out.flags = Some(flags);
            }
            (b"BODY[]" | b"BODY[]<0>", Token::Literal { bytes, length }) => {
                out.body = Some(Body { bytes: bytes.clone(), length });
            }
            (b"BODY[]" | b"BODY[]<0>", Token::Quoted(text)) => {
                out.body = Some(Body { length: text.len() as u64, bytes: Bytes::from(text.into_owned()) });
            }
            (_, Token::Open) => tokens.skip_list(),
            // a value that is missing altogether
            (_, Token::Close) => break,
            _ => {}
        }
    }
    out
}

/// A token of the grammar that all IMAP data shares.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Atom(&'a [u8]),
    Quoted(Cow<'a, [u8]>),
    Literal { bytes: &'a Bytes, length: u64 },
}

impl<'a> Token<'a> {
    fn text(&self) -> Option<Cow<'a, str>> {
        match self {
            Self::Atom(b) => Some(String::from_utf8_lossy(b)),
            Self::Quoted(b) => Some(Cow::Owned(String::from_utf8_lossy(b).into_owned())),
            Self::Literal { bytes, .. } => Some(String::from_utf8_lossy(bytes)),
            Self::Open | Self::Close => None,
        }
    }
}

struct Tokens<'a> {
    parts: std::slice::Iter<'a, Part>,
    line: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// The tokens after the first `skip` words of the first line.
    fn after(parts: &'a [Part], skip: usize) -> Self {
        let mut parts = parts.iter();
        let mut line: &[u8] = match parts.next() {
            Some(Part::Text(text)) => text,
            _ => &[],
        };
        for _ in 0..skip {
            let trimmed = line.trim_ascii_start();
            let end = trimmed.iter().position(|b| matches!(b, b' ' | b'(')).unwrap_or(trimmed.len());
            line = trimmed.get(end..).unwrap_or_default();
        }
        Self { parts, line }
    }

    /// Skips to behind the end of a list whose `(` has been read. No recursion, whatever the depth.
    fn skip_list(&mut self) {
        let mut depth = 1usize;
        while depth > 0 {
            match self.next() {
                Some(Token::Open) => depth += 1,
                Some(Token::Close) => depth -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.line.split_at_checked(n).unwrap_or((self.line, &[]));
        self.line = rest;
        head
    }

    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.take(1);
        let mut escaped = false;
        let mut end = 0;
        while let Some(b) = self.line.get(end) {
            match b {
                b'\\' => {
                    escaped = true;
                    end += 1;
                }
                b'"' => break,
                _ => {}
            }
            end += 1;
        }
        let raw = self.take(end.min(self.line.len()));
        self.take(1);
        if !escaped {
            return Cow::Borrowed(raw);
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter();
        while let Some(b) = bytes.next() {
            out.extend(if *b == b'\\' { bytes.next() } else { Some(b) });
        }
        Cow::Owned(out)
    }

    fn atom(&mut self) -> &'a [u8] {
        let mut end = 0;
        let mut in_section = false;
        for b in self.line {
            match b {
                // BODY[HEADER.FIELDS (A B)] is one name; a flag called foo[bar is no section
                b'[' if !in_section => {
                    let name = self.line.get(..end).unwrap_or_default();
                    in_section = name.eq_ignore_ascii_case(b"BODY") || name.eq_ignore_ascii_case(b"BINARY");
                }
                b']' => in_section = false,
                b' ' | b'(' | b')' | b'"' if !in_section => break,
                _ => {}
            }
            end += 1;
        }
        // never stand still
        self.take(end.max(1))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            self.line = self.line.trim_ascii_start();
            match self.line.first() {
                None => match self.parts.next()? {
                    Part::Text(text) => self.line = text,
                    Part::Literal { bytes, length } => {
                        return Some(Token::Literal { bytes, length: *length });
                    }
                },
                Some(b'(') => {
                    self.take(1);
                    return Some(Token::Open);
                }
                Some(b')') => {
                    self.take(1);
                    return Some(Token::Close);
                }
                Some(b'"') => return Some(Token::Quoted(self.quoted())),
                Some(_) => return Some(Token::Atom(self.atom())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
