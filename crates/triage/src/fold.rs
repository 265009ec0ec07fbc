//! Folding: what Italians write differently and mean alike becomes the same letters.
//!
//! Lower case, no accents (`città` = `citta`), compatibility forms resolved (`ﬁ` = `fi`), invisible characters gone. Words
//! and regular expressions both look at folded text, so that neither depends on the keyboard of who wrote.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Characters that stand inside words without being seen: soft hyphen, zero-width spaces and joiners, BOM.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}') || is_combining_mark(c)
}

/// Appends the folded form of one character of a word: lower-case letters and digits only, maybe none.
pub(crate) fn push_word_char(c: char, out: &mut String) {
    if c.is_ascii() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        }
        return;
    }
    push_foreign(c, |folded| {
        if folded.is_alphanumeric() {
            out.push(folded);
        }
    });
}

fn push_foreign(c: char, mut push: impl FnMut(char)) {
    match c {
        'ß' | 'ẞ' => {
            push('s');
            push('s');
        }
        'æ' | 'Æ' => {
            push('a');
            push('e');
        }
        'œ' | 'Œ' => {
            push('o');
            push('e');
        }
        'ø' | 'Ø' => push('o'),
        'ł' | 'Ł' => push('l'),
        'đ' | 'Đ' => push('d'),
        'ı' => push('i'),
        _ => decompose_compatible(c, |part| {
            if !is_combining_mark(part) {
                part.to_lowercase().filter(|l| !is_combining_mark(*l)).for_each(&mut push);
            }
        }),
    }
}

/// Appends what regular expressions see for one character. White space is the caller's business.
fn push_text_char(c: char, out: &mut String) {
    match c {
        _ if c.is_ascii() => out.push(c.to_ascii_lowercase()),
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bc}' | '\u{b4}' | '\u{2032}' => out.push('\''),
        '\u{201c}' | '\u{201d}' | '\u{201e}' | '«' | '»' => out.push('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
        _ if is_invisible(c) => {}
        _ => push_foreign(c, |folded| out.push(folded)),
    }
}

/// A text as regular expressions see it: folded, every run of white space one blank, none at the ends.
pub(crate) fn fold_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_with(text, |_, _| {}, &mut out);
    out
}

fn fold_with(text: &str, mut at: impl FnMut(usize, usize), out: &mut String) {
    let mut blank = false;
    for (here, c) in text.char_indices() {
        if c.is_whitespace() {
            blank = !out.is_empty();
            continue;
        }
        let before = out.len();
        if blank {
            out.push(' ');
        }
        let start = out.len();
        push_text_char(c, out);
        if out.len() == start {
            // Nothing to see here: the blank stays due.
            out.truncate(before);
        } else {
            blank = false;
            at(start, here);
        }
    }
}

/// Finds the part of `text` that became `start..end` of its folded form.
pub(crate) fn unfold(text: &str, start: usize, end: usize) -> (usize, usize) {
    let mut from = None;
    let mut to = text.len();
    let mut out = String::with_capacity(text.len());
    fold_with(
        text,
        |folded, original| {
            if folded <= start {
                from = Some(original);
            }
            if folded >= end && original < to && to == text.len() {
                to = original;
            }
        },
        &mut out,
    );
    let from = from.unwrap_or(0).min(to);
    let part = text.get(from..to).unwrap_or_default();
    (from, from + part.trim_end().len())
}

/// Folds the literal letters of a regular expression, leaving escapes, class names and group names alone.
pub(crate) fn fold_regex(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                let letter = chars.next();
                out.extend(letter);
                let braced = chars.peek() == Some(&'{');
                match letter {
                    Some('p' | 'P' | 'x' | 'u' | 'U') if braced => copy_through(&mut chars, &['}'], &mut out),
                    Some('p' | 'P') => out.extend(chars.next()),
                    _ => {}
                }
            }
            '(' if chars.peek() == Some(&'?') => {
                out.push(c);
                copy_through(&mut chars, &[':', ')', '>'], &mut out);
            }
            _ if is_combining_mark(c) => {}
            _ => {
                let mut folded = String::new();
                push_text_char(c, &mut folded);
                // A letter that becomes two (ß) stays one unit, so that `ß?` keeps its meaning.
                if folded.chars().count() > 1 {
                    folded.insert_str(0, "(?:");
                    folded.push(')');
                }
                out.push_str(&folded);
            }
        }
    }
    out
}

/// Copies up to and including the first of `ends`.
fn copy_through(chars: &mut impl Iterator<Item = char>, ends: &[char], out: &mut String) {
    for c in chars {
        out.push(c);
        if ends.contains(&c) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> String {
        let mut out = String::new();
        text.chars().for_each(|c| push_word_char(c, &mut out));
        out
    }

    #[test]
    fn accents_case_and_composition_do_not_matter() {
        for same in ["CITTÀ", "città", "citta\u{300}", "Cittá", "citta"] {
            assert_eq!(word(same), "citta", "{same}");
        }
        assert_eq!(word("ﬁume"), "fiume");
        assert_eq!(word("𝗯𝘂𝗰𝗮"), "buca");
        assert_eq!(word("Straße"), "strasse");
    }

    #[test]
    fn a_text_is_folded_with_single_blanks() {
        assert_eq!(
            fold_text("  C’è\r\n\tuna\u{a0}\u{a0}BUCA\u{200b} – “grossa” \n"),
            "c'e una buca - \"grossa\""
        );
        assert_eq!(fold_text(" \n\u{200b} "), "");
    }

    #[test]
    fn a_folded_part_is_found_in_the_text() {
        let text = "C’è un   cratere\n di Strada, lì";
        let folded = fold_text(text);
        let start = folded.find("cratere").expect("there");
        let (from, to) = unfold(text, start, start + "cratere di strada".len());
        assert_eq!(text.get(from..to), Some("cratere\n di Strada"));
        let (from, to) = unfold(text, folded.find("li").expect("there"), folded.len());
        assert_eq!(text.get(from..to), Some("lì"));
    }

    #[test]
    fn a_regular_expression_keeps_its_escapes() {
        assert_eq!(
            fold_regex(r"CITTÀ\S+\W[À-Z]\p{Lu}\pL(?P<Nome>X)(?i:Y)"),
            r"citta\S+\W[a-z]\p{Lu}\pL(?P<Nome>x)(?i:y)"
        );
        assert_eq!(fold_regex("fu(ß)?"), "fu((?:ss))?");
    }
}
