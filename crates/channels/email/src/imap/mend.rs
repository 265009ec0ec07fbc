//! What servers send, made such as async-imap's parser (imap-proto) can read. That parser ends the session at whatever it does not
//! know, panics at some of it, recurses over nested lists, and waits for more when a list has no end.
//!
//! Invariants: nothing reaches the library that imap-proto did not read to its end here; a tagged answer is never
//! dropped for its text; of a FETCH answer only what we ask for is left, in the order in which it came, with its octets as they were.
//! What nobody understands costs one answer, not the connection. Nothing recurses, and the work is linear.

use std::{collections::VecDeque, io::Write as _};

use async_imap::imap_proto::Response;
use bytes::Bytes;

use super::wire::Part;

/// The most text (everything but literals) of one response, in octets. The library reads a response again from its beginning with
/// each 4 kB that come.
const MAX_TEXT: usize = 64 * 1024;
/// The most that is kept of what a server tells people.
const MAX_WORDS: usize = 8 * 1024;
/// Numbers on one line of a SEARCH answer: less than 4 kB, so that the library reads it once.
const NUMBERS: usize = 350;
/// The most numbers that one ESEARCH answer may unfold to.
const MAX_NUMBERS: usize = 4_000_000;

/// A response as the library gets it.
#[derive(Debug)]
pub(crate) enum Mended {
    Response {
        pieces: VecDeque<Bytes>,
        /// The full length of the letter in it, if that was cut.
        cut: Option<u64>,
    },
    /// A SEARCH answer, in portions.
    Numbers(Numbers),
    /// Nothing that we know, or nothing that imap-proto can read.
    Nothing,
}

/// Mends a response.
pub(crate) fn mend(parts: &[Part]) -> Mended {
    let Some(Part::Text(first)) = parts.first() else { return Mended::Nothing };
    let (head, rest) = word(first);
    let mut out = Out::default();
    match head {
        b"*" => {
            let (name, tail) = word(rest);
            let upper = name.to_ascii_uppercase();
            match upper.as_slice() {
                b"SEARCH" => return Mended::Numbers(Numbers::new(first.slice_ref(tail))),
                // RFC 4731: a server may answer so without having been asked for it
                b"ESEARCH" => return Mended::Numbers(Numbers::new(first.slice_ref(all_of(tail)))),
                b"CAPABILITY" => out.capabilities(tail),
                // its names are for people; what is odd in it is dropped
                b"LIST" => out.verbatim(parts),
                b"VANISHED" => out.words(first),
                // its root may be a literal: what counts is at the end
                b"QUOTA" => match parts.last() {
                    Some(Part::Text(last)) => out.quota(last),
                    _ => return Mended::Nothing,
                },
                _ if is_status(&upper) => out.status(head, rest),
                _ if !name.is_empty() && name.iter().all(u8::is_ascii_digit) => {
                    // `FETCH(` without a blank: some servers
                    let what = tail.split(|b| matches!(b, b' ' | b'(')).next().unwrap_or_default();
                    match what.to_ascii_uppercase().as_slice() {
                        b"FETCH" => out.fetch(name, Tokens::after(tail, what.len(), parts)),
                        b"EXISTS" | b"EXPUNGE" => out.words(first),
                        _ => return Mended::Nothing,
                    }
                }
                // METADATA, ID and so on, unasked: imap-proto panics at some of them
                _ => return Mended::Nothing,
            }
        }
        // what `+` is followed by is of no use, and some servers forget the blank
        _ if head.starts_with(b"+") => out.put(b"+ "),
        tag => out.status(tag, rest),
    }
    out.finish()
}

/// The first word and what follows the blanks after it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii_start();
    let end = memchr::memchr(b' ', line).unwrap_or(line.len());
    let (head, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    (head, rest.trim_ascii_start())
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty())
}

fn is_status(upper: &[u8]) -> bool {
    matches!(upper, b"OK" | b"NO" | b"BAD" | b"BYE" | b"PREAUTH")
}

/// The set after `ALL` in an ESEARCH answer.
fn all_of(tail: &[u8]) -> &[u8] {
    words(tail).skip_while(|w| !w.eq_ignore_ascii_case(b"ALL")).nth(1).unwrap_or_default()
}

/// A response in the making.
#[derive(Default)]
struct Out {
    pieces: VecDeque<Bytes>,
    /// What comes after the last of the pieces.
    text: Vec<u8>,
    /// The response with empty literals, for imap-proto to say whether it can be read. (Their octets make no difference to it.)
    check: Vec<u8>,
    cut: Option<u64>,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
        self.check.extend_from_slice(bytes);
    }

    fn literal(&mut self, bytes: Bytes) {
        // writing to a Vec does not fail
        let _ = write!(self.text, "{{{}}}\r\n", bytes.len());
        self.check.extend_from_slice(b"{0}\r\n");
        self.pieces.extend([std::mem::take(&mut self.text).into(), bytes]);
    }

    fn finish(mut self) -> Mended {
        self.put(b"\r\n");
        let whole = self.check.len() <= MAX_TEXT
            && matches!(Response::parse(&self.check), Ok((rest, _)) if rest.is_empty());
        if !whole {
            tracing::debug!(imap.octets = self.check.len(), "an answer that cannot be read is passed over");
            return Mended::Nothing;
        }
        self.pieces.push_back(self.text.into());
        Mended::Response { pieces: self.pieces, cut: self.cut }
    }

    /// `(STORAGE 10 512 MESSAGE 3 100)` at the end of the line, with a root of no name; what is no number is not there.
    fn quota(&mut self, line: &[u8]) {
        let list = line.trim_ascii_end().strip_suffix(b")").unwrap_or_default();
        let list =
            list.iter().rposition(|b| *b == b'(').and_then(|at| list.get(at + 1..)).unwrap_or_default();
        let told: Vec<&[u8]> = words(list).collect();
        self.put(b"* QUOTA \"\" (");
        let mut blank: &[u8] = b"";
        for three in told.chunks_exact(3) {
            let [name, numbers @ ..] = three else { continue };
            let number = |word: &&[u8]| {
                std::str::from_utf8(word).is_ok_and(|w| w.parse::<u64>().is_ok_and(|_| !w.starts_with('+')))
            };
            let known =
                [b"STORAGE".as_slice(), b"MESSAGE"].iter().any(|known| name.eq_ignore_ascii_case(known));
            if known && numbers.iter().all(number) {
                self.put(blank);
                self.put(&three.join(b" ".as_slice()));
                blank = b" ";
            }
        }
        self.put(b")");
    }

    fn words(&mut self, line: &[u8]) {
        for (i, word) in words(line).enumerate() {
            self.put(if i == 0 { b"" } else { b" " });
            self.put(word);
        }
    }

    fn verbatim(&mut self, parts: &[Part]) {
        for part in parts {
            match part {
                Part::Text(text) => self.put(text),
                Part::Literal { bytes, .. } => self.literal(bytes.clone()),
            }
        }
    }

    /// `A1 OK text`. imap-proto panics at a letter with an accent right behind the response code, and refuses control characters.
    fn status(&mut self, head: &[u8], rest: &[u8]) {
        let (status, said) = word(rest);
        if !is_status(&status.to_ascii_uppercase()) {
            return;
        }
        let mut line = [head, status].join(&b' ');
        if !said.is_empty() {
            line.push(b' ');
        }
        let coded = said.starts_with(b"[");
        let mut after_code = false;
        for b in said.iter().take(MAX_WORDS) {
            if after_code && *b != b' ' {
                line.push(b' ');
            }
            after_code = coded && *b == b']';
            line.push(if b.is_ascii_control() { b' ' } else { *b });
        }
        self.put(&line);
    }

    /// imap-proto takes no list without `IMAP4rev1` (a server of RFC 9051 may say `IMAP4rev2` alone) nor words that are no atoms.
    fn capabilities(&mut self, tail: &[u8]) {
        self.put(b"* CAPABILITY IMAP4rev1");
        let is_atom = |w: &&[u8]| !w.iter().any(|b| b.is_ascii_control() || b"(){%*\"\\]".contains(b));
        for word in words(tail).filter(is_atom).filter(|w| !w.eq_ignore_ascii_case(b"IMAP4rev1")) {
            self.put(b" ");
            self.put(word);
        }
    }

    /// The items that we ask for; all others (a broken ENVELOPE, a BODYSTRUCTURE that imap-proto would recurse over until the stack
    /// ends, what no standard knows) are left out. Strings become literals: imap-proto leaves the `\` in quoted ones.
    fn fetch(&mut self, number: &[u8], mut tokens: Tokens<'_>) {
        self.put(b"* ");
        self.put(number);
        self.put(b" FETCH (");
        if tokens.next() != Some(Token::Open) {
            return;
        }
        let mut blank: &[u8] = b"";
        while let Some(Token::Atom(name)) = tokens.next() {
            let name = name.to_ascii_uppercase();
            let Some(value) = tokens.next() else { break };
            let wanted = match (name.as_slice(), &value) {
                (b"UID" | b"RFC822.SIZE", Token::Atom(v)) => v.iter().all(u8::is_ascii_digit),
                // `INTERNALDATE NIL` makes imap-proto panic
                (b"INTERNALDATE" | b"BODY[]" | b"BODY[]<0>", Token::String { .. })
                | (b"FLAGS", Token::Open) => true,
                // a value that is missing altogether
                (_, Token::Close) => break,
                _ => false,
            };
            if wanted {
                self.put(blank);
                self.put(&name);
                self.put(b" ");
                blank = b" ";
            }
            match value {
                Token::Open if wanted => self.flags(&mut tokens),
                Token::Open => tokens.skip_list(),
                Token::Atom(v) if wanted => self.put(v),
                Token::String { bytes, length } if wanted => {
                    if name.starts_with(b"BODY") {
                        self.cut = (length > bytes.len() as u64).then_some(length);
                    }
                    self.literal(bytes);
                }
                _ => {}
            }
        }
        self.put(b")");
    }

    /// Keywords that imap-proto could not read would cost us the others, `\Deleted` among them.
    fn flags(&mut self, tokens: &mut Tokens<'_>) {
        self.put(b"(");
        let mut blank: &[u8] = b"";
        while let Some(Token::Atom(flag)) = tokens.next() {
            let keyword = flag.strip_prefix(b"\\").unwrap_or(flag);
            if keyword.iter().all(|b| b.is_ascii_graphic() && !b"{%*\\]".contains(b)) {
                self.put(blank);
                self.put(flag);
                blank = b" ";
            }
        }
        self.put(b")");
    }
}

/// The numbers of a SEARCH answer (`5 3`) or of an ESEARCH answer (`1:3,9`), as SEARCH answers of a few hundred each: the library
/// would read a long line anew with every 4 kB of it.
#[derive(Debug)]
pub(crate) struct Numbers {
    set: Bytes,
    next: u64,
    last: u64,
    left: usize,
}

impl Numbers {
    fn new(set: Bytes) -> Self {
        Self { set, next: 1, last: 0, left: MAX_NUMBERS }
    }

    /// True if there is nothing left.
    pub(crate) fn is_done(&self) -> bool {
        self.left == 0 || (self.next > self.last && self.set.is_empty())
    }

    /// The next line. The first one is a line even if it is empty: nothing found is an answer, too.
    pub(crate) fn line(&mut self) -> Bytes {
        let mut line = b"* SEARCH".to_vec();
        for number in self.by_ref().take(NUMBERS) {
            let _ = write!(line, " {number}");
        }
        line.extend_from_slice(b"\r\n");
        line.into()
    }
}

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.next > self.last {
            if self.set.is_empty() {
                return None;
            }
            let between = |b: &u8| *b == b',' || b.is_ascii_whitespace();
            let end = self.set.iter().position(between).unwrap_or(self.set.len());
            let range = self.set.split_to(end);
            let _ = self.set.split_to(self.set.len().min(1));
            // what is no number (`(MODSEQ 7)`, a UID beyond 32 bits) is passed over
            let mut ends = range.split(|b| *b == b':').filter_map(number);
            if let Some(a) = ends.next() {
                let b = ends.next().unwrap_or(a);
                (self.next, self.last) = (a.min(b), a.max(b));
            }
        }
        self.left = self.left.checked_sub(1)?;
        self.next += 1;
        Some(self.next - 1)
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse::<u32>().ok().map(u64::from)
}

/// A token of what all IMAP data is made of.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Atom(&'a [u8]),
    /// Quoted or a literal.
    String {
        bytes: Bytes,
        length: u64,
    },
}

struct Tokens<'a> {
    parts: std::slice::Iter<'a, Part>,
    line: &'a [u8],
}

impl<'a> Tokens<'a> {
    /// The tokens of `line` from `skip` on, and of the parts after the first.
    fn after(line: &'a [u8], skip: usize, parts: &'a [Part]) -> Self {
        Self { parts: parts.get(1..).unwrap_or_default().iter(), line: line.get(skip..).unwrap_or_default() }
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

    /// A quoted string of which the first `"` has been read.
    fn quoted(&mut self) -> Token<'a> {
        let (mut rest, mut text) = (self.line.iter(), Vec::new());
        while let Some(b) = rest.next().filter(|b| **b != b'"') {
            text.extend(if *b == b'\\' { rest.next() } else { Some(b) });
        }
        self.line = rest.as_slice();
        Token::String { length: text.len() as u64, bytes: text.into() }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let line = self.line.trim_ascii_start();
            let Some((first, rest)) = line.split_first() else {
                match self.parts.next()? {
                    Part::Text(text) => self.line = text,
                    Part::Literal { bytes, length } => {
                        self.line = &[];
                        return Some(Token::String { bytes: bytes.clone(), length: *length });
                    }
                }
                continue;
            };
            self.line = rest;
            return Some(match first {
                b'(' => Token::Open,
                b')' => Token::Close,
                b'"' => self.quoted(),
                // BODY[HEADER.FIELDS (A B)] falls into two items without harm: we do not ask for it
                _ => {
                    let end = line.iter().position(|b| b" ()\"".contains(b)).unwrap_or(line.len());
                    let (atom, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
                    self.line = rest;
                    Token::Atom(atom)
                }
            });
        }
    }
}

#[cfg(test)]
mod tests;
