//! Takes a text with mistakes apart, so that each statement can be tried by itself.

use std::ops::Range;

use toml::de::DeTable;

/// A statement may go on over this many lines (a long list); beyond, looking for its end is given up.
const MAX_LINES: usize = 400;

/// So many times the end of a statement is looked for in one file: a file of nothing but openings must not take hours.
const MAX_TRIALS: usize = 2_000;

/// A part that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Byte range, without the last line end.
    pub(super) at: Range<usize>,
    /// What is to be explained; None for what is only lost because the header above it is broken.
    pub(super) why: Option<Why>,
    /// Where the header of its table begins; None for the file's top level.
    pub(super) header: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Header,
    Statement,
}

/// The parts of `text` that cannot be read, in order.
pub(super) fn broken(text: &str) -> Vec<Broken> {
    let lines = lines(text);
    let mut found = Vec::new();
    // The header above; Err while that one is itself broken.
    let mut above: Result<Option<usize>, ()> = Ok(None);
    let mut trials = 0;
    let mut i = 0;
    while let Some(line) = lines.get(i) {
        let part = slice(text, line).trim_start();
        if part.is_empty() || part.starts_with('#') {
            i += 1;
            continue;
        }
        let last = if part.starts_with('[') { Ok(i) } else { statement_end(text, &lines, i, &mut trials) };
        let (end, is_good) = match last {
            Ok(end) if part.starts_with('[') => (end, is_valid(slice(text, line))),
            Ok(end) => (end, true),
            Err(end) => (end, false),
        };
        let at = line.start..lines.get(end).map_or(line.end, |l| l.end);
        if part.starts_with('[') {
            above =
                if is_good { Ok(Some(line.start + slice(text, line).len() - part.len())) } else { Err(()) };
            if !is_good {
                found.push(Broken { at, why: Some(Why::Header), header: None });
            }
        } else if !is_good || above.is_err() {
            let why = (!is_good).then_some(Why::Statement);
            found.push(Broken { at, why, header: above.unwrap_or(None) });
        }
        i = end + 1;
    }
    found
}

/// The last line of the statement that begins on line `first`: Ok when it can be read.
fn statement_end(
    text: &str,
    lines: &[Range<usize>],
    first: usize,
    trials: &mut usize,
) -> Result<usize, usize> {
    let begin = lines.get(first).map_or(0, |l| l.start);
    let until = |last: usize| text.get(begin..lines.get(last).map_or(begin, |l| l.end)).unwrap_or("");
    if is_valid(until(first)) {
        return Ok(first);
    }
    if !may_go_on(until(first)) {
        return Err(first);
    }
    let limit = lines.len().min(first + MAX_LINES);
    let mut is_end = |last: &usize| {
        if *trials >= MAX_TRIALS || !closes(lines, text, *last) {
            return false;
        }
        *trials += 1;
        is_valid(until(*last))
    };
    if let Some(last) = (first + 1..limit).find(&mut is_end) {
        return Ok(last);
    }
    // Its end is lost: up to a line that closes it, or before one that begins something else.
    let mut last = first;
    for next in first + 1..limit {
        let line = lines.get(next).map_or("", |l| slice(text, l)).trim();
        if begins_other(line) {
            break;
        }
        if !line.is_empty() && !line.starts_with('#') {
            last = next;
        }
        if line.starts_with([']', '}']) {
            break;
        }
    }
    Err(last)
}

/// Only a line with a closing mark can end a statement of several lines: saves most trials.
fn closes(lines: &[Range<usize>], text: &str, line: usize) -> bool {
    lines.get(line).is_some_and(|l| slice(text, l).contains([']', '}', '"', '\'']))
}

/// True when the value opens something that may end on another line.
fn may_go_on(line: &str) -> bool {
    let value = line.split_once('=').map_or("", |(_, value)| value).trim_start();
    value.starts_with(['[', '{']) || value.starts_with("\"\"\"") || value.starts_with("'''")
}

/// True for a line that looks like `key = ...` or `[header]`, and not like an element of a list.
fn begins_other(line: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    if let Some(rest) = line.strip_prefix('[') {
        let name = rest.trim_start_matches('[');
        let end = name.find(|c: char| !word(c) && c != ' ').unwrap_or(name.len());
        let after = name.get(end..).unwrap_or("").trim_start_matches(']').trim_start();
        return name.starts_with(char::is_alphabetic) && (after.is_empty() || after.starts_with('#'));
    }
    let end = line.find(|c: char| !word(c)).unwrap_or(line.len());
    end > 0 && line.get(end..).is_some_and(|rest| rest.trim_start().starts_with('='))
}

fn is_valid(part: &str) -> bool {
    DeTable::parse(part).is_ok()
}

/// Byte ranges of the lines, without their ends.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split('\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end + 1;
            range
        })
        .collect()
}

fn slice<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).unwrap_or("")
}
