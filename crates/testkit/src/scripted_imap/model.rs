//! What is in the scripted server's folders, and how it is written on the wire.

use std::collections::BTreeMap;

/// A letter.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its octets.
    pub bytes: Vec<u8>,
    /// INTERNALDATE.
    pub date: String,
    /// Flags.
    pub flags: Vec<String>,
    /// Listed, but never served.
    pub withheld: bool,
}

/// A folder.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// UIDVALIDITY; None is not told.
    pub validity: Option<u32>,
    /// UIDNEXT as it is told (the real one is the highest ever plus 1).
    pub told_next: Option<u32>,
    /// Letters by UID.
    pub letters: BTreeMap<u32, Letter>,
    highest: u32,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { validity: Some(7), told_next: Some(1), letters: BTreeMap::new(), highest: 0 }
    }
}

impl Mailbox {
    /// Adds a letter. Its UID.
    pub fn add(&mut self, bytes: Vec<u8>, date: &str) -> u32 {
        self.highest += 1;
        let letter = Letter { bytes, date: date.to_owned(), flags: Vec::new(), withheld: false };
        self.letters.insert(self.highest, letter);
        if self.told_next.is_some() {
            self.told_next = Some(self.highest + 1);
        }
        self.highest
    }

    /// Another UIDVALIDITY: the letters are numbered anew from 1.
    pub fn renumber(&mut self, validity: u32) {
        self.validity = Some(validity);
        self.highest = 0;
        for letter in std::mem::take(&mut self.letters).into_values() {
            self.highest += 1;
            self.letters.insert(self.highest, letter);
        }
        self.told_next = Some(self.highest + 1);
    }

    pub(super) fn set(&self, set: &str) -> Vec<u32> {
        let last = self.letters.keys().last().copied().unwrap_or(0);
        let number = |s: &str| if s == "*" { last } else { s.parse().unwrap_or(0) };
        let mut uids = Vec::new();
        for range in set.split(',') {
            let (a, b) = range.split_once(':').unwrap_or((range, range));
            let (a, b) = (number(a), number(b));
            uids.extend(self.letters.range(a.min(b)..=a.max(b)).map(|(uid, _)| *uid));
        }
        uids.sort_unstable();
        uids.dedup();
        uids
    }
}

pub(super) fn fetch(folder: &Mailbox, uids: &[u32], command: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let upper = command.to_ascii_uppercase();
    for (n, uid) in folder.letters.keys().enumerate() {
        let Some(letter) = folder.letters.get(uid).filter(|_| uids.contains(uid)) else { continue };
        let body = upper.contains("BODY.PEEK[]");
        if body && letter.withheld {
            continue;
        }
        out.extend_from_slice(format!("* {} FETCH (UID {uid}", n + 1).as_bytes());
        if upper.contains("RFC822.SIZE") {
            out.extend_from_slice(format!(" RFC822.SIZE {}", letter.bytes.len()).as_bytes());
        }
        if upper.contains("INTERNALDATE") {
            out.extend_from_slice(format!(" INTERNALDATE \"{}\"", letter.date).as_bytes());
        }
        if upper.contains("FLAGS") {
            out.extend_from_slice(format!(" FLAGS ({})", letter.flags.join(" ")).as_bytes());
        }
        if body {
            let limit =
                upper.split_once("<0.").and_then(|(_, n)| n.trim_end_matches([')', '>']).parse().ok());
            let end = limit.unwrap_or(usize::MAX).min(letter.bytes.len());
            let part = letter.bytes.get(..end).unwrap_or_default();
            let origin = if limit.is_some() { "<0>" } else { "" };
            out.extend_from_slice(format!(" BODY[]{origin} {{{}}}\r\n", part.len()).as_bytes());
            out.extend_from_slice(part);
        }
        out.extend_from_slice(b")\r\n");
    }
    out
}

/// Words, with quoted strings as one word each.
pub(super) fn words(command: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = command.trim_start();
    while !rest.is_empty() {
        let (word, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        out.push(word.to_owned());
        rest = tail.trim_start();
    }
    out
}

/// `1-Nov-2026 ...` as a number that grows with the day.
pub(super) fn day_number(date: &str) -> u32 {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = date.split([' ', '-']).filter(|p| !p.is_empty());
    let day: u32 = parts.next().and_then(|d| d.parse().ok()).unwrap_or(0);
    let month =
        parts.next().and_then(|m| MONTHS.find(m)).and_then(|at| u32::try_from(at / 3).ok()).unwrap_or(0);
    let year: u32 = parts.next().and_then(|y| y.parse().ok()).unwrap_or(0);
    year * 400 + month * 32 + day
}

/// Cuts untagged answers apart, knowing that a literal may have line ends.
pub(super) fn split_answers(untagged: &[u8]) -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = Vec::new();
    for line in untagged.split_inclusive(|b| *b == b'\n') {
        match out.last_mut() {
            Some(last) if !line.starts_with(b"* ") => last.extend_from_slice(line),
            _ => out.push(line.to_vec()),
        }
    }
    out
}

pub(super) fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len().max(1)).position(|w| w == from) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(to);
        rest = rest.get(at + from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}
