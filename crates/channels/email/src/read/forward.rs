//! A clerk sends a citizen's letter on: whose letter it is.
//!
//! Only what comes from the administration's own domains is looked at, and only what is plainly a forward: the subject says so
//! (`I:`, `Fwd:`), or a divider does, and a header names a writer from outside. The first such header counts: of a letter
//! that went through several offices, the one that came in from outside last. An answer to the citizen, with us among the
//! addressees, is none. Nothing is lost: the clerk's words are kept, with his name, where quoted text stands.

use smista_domain::Sender;

use super::{
    ReadSettings, body, pec,
    quote::{self, Split},
    sender,
    structure::{Limits, Part},
    thread,
    unpack::{self, Unpacked},
};

/// A letter within a letter.
#[derive(Debug)]
pub(crate) struct Forward {
    /// Whose letter it is.
    pub(crate) sender: Sender,
    /// His words; None when there are none (a picture).
    pub(crate) split: Option<Split>,
    /// The clerk's words.
    pub(crate) words: String,
    /// The forwarded letter's own identity and what it refers to.
    pub(crate) refs: Vec<String>,
}

/// A header block has no more lines.
const MAX_HEADER: usize = 14;

/// Finds the citizen's letter in a clerk's.
pub(crate) fn find(
    root: &Part<'_>,
    text: &str,
    subject: &str,
    clerk: &Sender,
    settings: &ReadSettings,
) -> Option<Forward> {
    if !settings.forwards || !settings.is_internal(clerk.address.as_deref()?) {
        return None;
    }
    let said = subject_of_forward(subject);
    let found = attached(root, text, said, settings).or_else(|| inline(text, said, settings))?;
    let to_citizen = sender::recipients(&root.fields);
    (!to_citizen.iter().any(|a| Some(a) == found.sender.address.as_ref())).then_some(found)
}

/// The clerk's words under his name, then what the citizen quoted.
pub(crate) fn kept(words: &str, clerk: &Sender, quoted: &str) -> String {
    let name = match (&clerk.name, &clerk.address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => name.clone().or_else(|| address.clone()).unwrap_or_default(),
    };
    let mut out = format!("Inoltrato da {name}");
    for (between, part) in [(":\n", words), ("\n\n", quoted)] {
        if !part.trim().is_empty() {
            out.push_str(between);
            out.push_str(part.trim());
        }
    }
    out
}

/// `I: Buca`, `R: I: Buca`, `Fwd: Buca`.
fn subject_of_forward(subject: &str) -> bool {
    let mut rest = subject.trim();
    for _ in 0..6 {
        let Some((word, after)) = rest.split_once(':') else { return false };
        match word.trim().to_lowercase().as_str() {
            "i" | "fwd" | "fw" | "inoltra" | "inoltro" | "wg" | "tr" | "rv" => return true,
            "r" | "re" | "ris" | "rif" | "aw" => rest = after.trim_start(),
            _ => return false,
        }
    }
    false
}

fn is_outside(sender: &Sender, settings: &ReadSettings) -> bool {
    sender.address.as_deref().is_some_and(|address| {
        !settings.is_internal(address)
            && !settings.own_addresses.iter().any(|own| own.eq_ignore_ascii_case(address))
    })
}

/// A letter as an attachment: the only one, and the letter around it says that it sends it on, or says nothing.
fn attached(root: &Part<'_>, text: &str, said: bool, settings: &ReadSettings) -> Option<Forward> {
    let leaves = root.leaves();
    let mut letters = leaves.iter().filter(|p| p.is_message());
    let (Some(part), None) = (letters.next(), letters.next()) else { return None };
    let own: String = text.trim().to_owned();
    if !said && !own.is_empty() {
        return None;
    }
    let limits = Limits { parts: settings.max_parts, depth: settings.max_depth };
    let opened = pec::open(part.transfer().decode(part.body), limits, &pec::Authorities::NONE);
    let unpacked = Unpacked::default();
    let (inner, _) = unpack::parse(&opened.letter, &unpacked, limits);
    let (sender, missing) = sender::writer(&inner.fields);
    if missing || !is_outside(&sender, settings) {
        return None;
    }
    let content = body::content(&inner, settings);
    let id = thread::own(&inner.fields);
    let mut refs = thread::refs(&inner.fields, id.as_deref());
    let split = (!content.text.trim().is_empty()).then(|| quote::split(&content.text, !refs.is_empty()));
    refs.splice(..0, id);
    // Without words of the clerk's own the text was taken from the attached letter.
    let is_inner = split.is_some() && content.text.trim() == own;
    Some(Forward { sender, split, words: if is_inner { String::new() } else { own }, refs })
}

/// A letter below the clerk's words.
fn inline(text: &str, said: bool, settings: &ReadSettings) -> Option<Forward> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut marked = said;
    for (at, line) in lines.iter().enumerate() {
        let divider = quote::is_divider(bare(line));
        marked |= divider && quote::is_forward_divider(bare(line));
        let begins = if divider { at + 1 } else { at };
        if !marked || !(divider || quote::header_block(&lines, at)) {
            continue;
        }
        let Some((sender, end)) = header(&lines, begins) else { continue };
        if !is_outside(&sender, settings) {
            continue;
        }
        let nested = lines.get(begins..end).unwrap_or_default().iter().any(|l| l.starts_with('>'));
        let unquoted = |l: &&str| {
            let l = *l;
            if nested { l.strip_prefix("> ").or_else(|| l.strip_prefix('>')).unwrap_or(l) } else { l }
                .to_owned()
        };
        let rest: Vec<String> = lines.get(end..).unwrap_or_default().iter().map(unquoted).collect();
        let rest = rest.join("\n");
        let split = (!rest.trim().is_empty()).then(|| quote::split(rest.trim(), false));
        let above = lines.get(..at).unwrap_or_default();
        let above = above.strip_suffix(&["________________________________"]).unwrap_or(above);
        return Some(Forward { sender, split, words: above.join("\n").trim().to_owned(), refs: Vec::new() });
    }
    None
}

fn bare(line: &str) -> &str {
    line.trim_start_matches(['>', ' '])
}

/// The writer that a block of headers names, and the line after the block.
fn header(lines: &[&str], from: usize) -> Option<(Sender, usize)> {
    let (mut writer, mut kinds, mut end) = (None, Vec::new(), from);
    for (n, line) in lines.iter().enumerate().skip(from).take(MAX_HEADER) {
        if bare(line).is_empty() {
            // Paragraphs of their own, or the end of the block.
            let next = lines.get(n + 1).and_then(|l| quote::pseudo_header(l));
            if !kinds.is_empty() && next.is_none_or(|kind| kinds.contains(&kind)) {
                break;
            }
            continue;
        }
        let Some(kind) = quote::pseudo_header(line) else {
            // A list of addressees that goes on in the next line.
            if kinds.last() == Some(&'t') && line.contains('@') {
                end = n + 1;
                continue;
            }
            break;
        };
        if kind == 'f' && writer.is_none() {
            writer = line.split_once(':').and_then(|(_, value)| named(value));
        }
        kinds.push(kind);
        end = n + 1;
    }
    let whole = kinds.contains(&'d') || kinds.contains(&'s');
    writer.filter(|_| whole).map(|writer| (writer, end))
}

/// `Mario Rossi <m@example.it>`, `Mario Rossi [mailto:m@example.it]`, `"Rossi, Mario" m@example.it`.
fn named(value: &str) -> Option<Sender> {
    let value =
        value.trim().trim_matches('*').trim().replace('[', "<").replace(']', ">").replace("mailto:", "");
    sender::mailboxes(value.as_bytes(), 2).into_iter().find(|s| s.address.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_say_it() {
        for yes in ["I: Buca", "R: I: Buca", "Fwd: Buca", "FW: I: Buca", "RE: Fw: x", "i:buca"] {
            assert!(subject_of_forward(yes), "{yes}");
        }
        for no in ["R: Buca", "Buca", "I lampioni", "Info: orari", "", "R: R: R: R: R: R: R: I: x"] {
            assert!(!subject_of_forward(no), "{no}");
        }
    }

    #[test]
    fn writers_as_mail_programs_name_them() {
        for shape in [
            " Mario Rossi <m@example.it>",
            "* Mario Rossi <m@example.it>",
            " Mario Rossi [mailto:m@example.it]",
            " \"Mario Rossi\" <mailto:m@example.it>",
            " Mario Rossi m@example.it",
        ] {
            let sender = named(shape).unwrap_or_default();
            assert_eq!(
                (sender.name.as_deref(), sender.address.as_deref()),
                (Some("Mario Rossi"), Some("m@example.it")),
                "{shape}"
            );
        }
        assert_eq!(named(" Mario Rossi"), None);
    }
}
