//! Splits an mbox into letters, in one pass with bounded memory.
//!
//! A letter begins at a line `From ` that has a date in it (or is Mozilla's `From -`) and is followed by a header: text that merely begins with the
//! word does not split a letter, also where the program that wrote the file did not protect it. Lines `>From ` lose one
//! `>` (mboxrd; in mboxo only the first level was protected, and deeper ones do not occur). A file that ends in the middle
//! of a letter gives what there is.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead as _, BufReader},
    path::PathBuf,
};

use jiff::Timestamp;

use super::{ImportError, ImportFault, Letter, Origin, walk::Found};

/// Read ahead by this many octets.
const BUFFER: usize = 256 * 1024;

/// An open mbox.
pub(super) struct Mbox {
    path: PathBuf,
    folder: String,
    file: BufReader<File>,
    limit: u64,
    /// The file's time, for letters that tell none.
    modified: Option<Timestamp>,
    /// Octets read so far.
    at: u64,
    /// Lines that were read ahead.
    pending: VecDeque<Line>,
    /// Reading has failed: nothing more comes.
    failed: bool,
}

/// A line with its end; `len` is its real length, `text` may be cut at the limit.
struct Line {
    text: Vec<u8>,
    len: u64,
    at: u64,
}

impl Mbox {
    pub(super) fn open(found: &Found, limit: u64) -> io::Result<Self> {
        let file = File::open(&found.path)?;
        let modified = file.metadata()?.modified().ok().and_then(|t| Timestamp::try_from(t).ok());
        Ok(Self {
            path: found.path.clone(),
            folder: found.folder.clone(),
            file: BufReader::with_capacity(BUFFER, file),
            limit,
            modified,
            at: 0,
            pending: VecDeque::new(),
            failed: false,
        })
    }

    /// The next line, or None at the end.
    fn line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.pending.pop_front() {
            return Ok(Some(line));
        }
        let mut line = Line { text: Vec::new(), len: 0, at: self.at };
        loop {
            let buffer = self.file.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer).map(|n| n + 1);
            let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            if line.text.len() as u64 <= self.limit {
                line.text.extend_from_slice(piece);
            }
            let taken = piece.len();
            line.len += taken as u64;
            self.file.consume(taken);
            if end.is_some() {
                break;
            }
        }
        self.at += line.len;
        Ok((line.len > 0).then_some(line))
    }

    /// Reads up to the next separator.
    fn letter(&mut self) -> io::Result<Option<Result<Letter, ImportError>>> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut envelope = None;
        let mut start = None;
        let mut too_large = false;
        let mut end = self.at;
        while let Some(line) = self.line()? {
            if let Some(found) = separator(&line.text, start.is_none()) {
                if start.is_none() {
                    (start, envelope, end) = (Some(line.at), found.date, line.at + line.len);
                    continue;
                }
                let next = self.line()?;
                let begins = next.as_ref().is_some_and(|l| header_like(&l.text));
                self.pending.extend(next);
                if begins {
                    self.pending.push_front(line);
                    break;
                }
            }
            if start.is_none() && line.text.trim_ascii().is_empty() {
                continue;
            }
            let start_at = *start.get_or_insert(line.at);
            end = line.at + line.len;
            if too_large || end - start_at > self.limit {
                too_large = true;
                bytes = Vec::new();
            } else {
                bytes.extend_from_slice(unprotected(&line.text));
            }
        }
        let Some(start) = start else { return Ok(None) };
        let origin = Origin { path: self.path.clone(), offset: Some(start) };
        if too_large {
            return Ok(Some(Err(ImportError { origin, kind: ImportFault::TooLarge { limit: self.limit } })));
        }
        // The empty line before the next separator is the container's.
        for ending in [&b"\n\r\n"[..], b"\n\n"] {
            if bytes.ends_with(ending) {
                bytes.truncate(bytes.len() + 1 - ending.len());
                break;
            }
        }
        let time = envelope.or(self.modified);
        Ok(Some(Ok(Letter::new(bytes, origin, self.folder.clone(), time, end - start))))
    }
}

impl Iterator for Mbox {
    type Item = Result<Letter, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.letter() {
            Ok(found) => found,
            Err(error) => {
                self.failed = true;
                let origin = Origin { path: self.path.clone(), offset: Some(self.at) };
                Some(Err(ImportError { origin, kind: ImportFault::Io(error) }))
            }
        }
    }
}

/// True for the beginning of an mbox file.
pub(super) fn begins_mbox(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let mut lines = head.split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    separator(first, true).is_some()
        && (separator(first, false).is_some() || lines.next().is_some_and(header_like))
}

/// True for a line that can stand directly below a separator.
fn header_like(line: &[u8]) -> bool {
    let head = line.get(..200).unwrap_or(line);
    match memchr::memchr(b':', head) {
        Some(colon) => {
            colon > 0 && head.get(..colon).is_some_and(|name| name.iter().all(|b| (33..=126).contains(b)))
        }
        None => head.starts_with(b">From "),
    }
}

/// A line `From sender date`.
struct Separator {
    /// Its date, if that can be read.
    date: Option<Timestamp>,
}

/// `From sender date`: a line that separates letters, with its date if that can be read. The first of a file needs none.
fn separator(line: &[u8], first: bool) -> Option<Separator> {
    let rest = line.strip_prefix(b"From ")?;
    if rest.len() > 500 {
        return None;
    }
    if rest.trim_ascii() == b"-" {
        // Mozilla's separator that lost its date.
        return Some(Separator { date: None });
    }
    let text = String::from_utf8_lossy(rest);
    let words: Vec<&str> = text.split_whitespace().collect();
    let time = words.iter().position(|w| {
        let mut parts = w.split(':');
        let ok = |p: Option<&str>| {
            p.is_some_and(|p| (1..=2).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
        };
        ok(parts.next()) && ok(parts.next())
    });
    let year = words.iter().rposition(|w| w.len() == 4 && w.bytes().all(|b| b.is_ascii_digit()));
    match (time, year) {
        (Some(time), Some(year)) if time > 0 && year > 0 => {
            Some(Separator { date: date(&words, time, year) })
        }
        _ if first => Some(Separator { date: None }),
        _ => None,
    }
}

/// `Mon Nov 23 06:47:03 2026`: without a zone it is UTC.
fn date(words: &[&str], time: usize, year: usize) -> Option<Timestamp> {
    let (month, day) = (words.get(time.checked_sub(2)?)?, words.get(time - 1)?);
    let zone = words
        .get(year + 1)
        .or_else(|| words.get(time + 1))
        .filter(|z| z.starts_with(['+', '-']))
        .unwrap_or(&"+0000");
    crate::read::parse_date(&format!("{day} {month} {} {} {zone}", words.get(year)?, words.get(time)?))
}

/// A body line without the `>` that protects it.
fn unprotected(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|b| **b == b'>').count();
    match line.get(marks..) {
        Some(rest) if marks > 0 && rest.starts_with(b"From ") => line.get(1..).unwrap_or(line),
        _ => line,
    }
}
