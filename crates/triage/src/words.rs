//! Splitting a text into words and sentences.
//!
//! A word is a run of letters or of digits (`SP240` is two words, so it equals `SP 240`). Apostrophes and hyphens split
//! (`dell'acqua` is `dell` and `acqua`), a final apostrophe is an accent and vanishes (`citta'`). Dotted initials are one
//! word (`S.U.A.P.` = `suap`). Pure and total: any text gives some words, each with its place.

use crate::fold::{is_invisible, push_word_char};

/// Longer texts are looked at up to here (octets). Readers cut far earlier; this bounds the work whatever they do.
pub(crate) const TEXT_LIMIT: usize = 4 << 20;

/// Longer words (octets, folded) match nothing.
pub(crate) const WORD_LIMIT: usize = 48;

/// One word and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word {
    /// First octet in the text.
    pub(crate) start: u32,
    /// One past its last octet.
    pub(crate) end: u32,
    folded: (u32, u32),
    /// Line of the text, from 1.
    pub(crate) line: u32,
    /// Sentence of the text, from 0.
    pub(crate) sentence: u32,
}

/// The words of a text, in order.
#[derive(Debug, Default)]
pub(crate) struct Words {
    folded: String,
    words: Vec<Word>,
}

impl Words {
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }
    pub(crate) fn get(&self, at: usize) -> Option<&Word> {
        self.words.get(at)
    }
    /// Each word with its folded form.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Word, &str)> {
        self.words
            .iter()
            .map(|w| (w, self.folded.get(w.folded.0 as usize..w.folded.1 as usize).unwrap_or("")))
    }
}

/// Words before whose full stop a sentence goes on.
const ABBREVIATIONS: &[&str] = &[
    "art", "avv", "cap", "cc", "cell", "civ", "co", "dott", "dr", "ecc", "es", "fax", "fg", "fraz", "geom",
    "gent", "ing", "int", "lett", "loc", "mons", "nr", "num", "on", "pag", "part", "pref", "prof", "prot",
    "pza", "rag", "reg", "rif", "san", "sig", "sigg", "sigra", "spett", "ss", "str", "tel", "vic", "vle",
    "voc",
];

/// What was seen since the last word.
#[derive(Default)]
struct Between {
    dot: bool,
    ended: bool,
    newlines: u32,
}

impl Between {
    fn see(&mut self, c: char, after_abbreviation: impl FnOnce() -> bool) {
        match c {
            '\n' => {
                self.newlines += 1;
                self.ended |= self.dot || self.newlines > 1;
            }
            '.' => self.dot = self.dot || !after_abbreviation(),
            '!' | '?' | '…' | ';' | '\u{2029}' => self.ended = true,
            '-' | '*' | '•' | '–' | '·' => self.ended |= self.newlines > 0,
            _ if c.is_whitespace() => self.ended |= self.dot,
            _ => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
}

fn class(c: char) -> Option<Class> {
    if c.is_ascii_digit() {
        Some(Class::Digit)
    } else if c.is_alphanumeric() {
        Some(Class::Letter)
    } else {
        None
    }
}

/// Splits a text. Octets beyond [`TEXT_LIMIT`] are not looked at.
pub(crate) fn split(text: &str) -> Words {
    let text = if text.len() > TEXT_LIMIT {
        text.get(..text.floor_char_boundary(TEXT_LIMIT)).unwrap_or("")
    } else {
        text
    };
    let mut out =
        Words { folded: String::with_capacity(text.len()), words: Vec::with_capacity(text.len() / 6 + 1) };
    let mut state =
        Splitter { text, out: &mut out, open: None, line: 1, sentence: 0, between: Between::default() };
    for (at, c) in text.char_indices() {
        state.take(at, c);
    }
    state.close(text.len());
    join_initials(text, &mut out);
    out
}

struct Splitter<'a> {
    text: &'a str,
    out: &'a mut Words,
    /// Start in the text, start in the folded text, class.
    open: Option<(usize, usize, Class)>,
    line: u32,
    sentence: u32,
    between: Between,
}

impl Splitter<'_> {
    fn take(&mut self, at: usize, c: char) {
        match (class(c), self.open) {
            (Some(class), Some((.., open))) if class == open => push_word_char(c, &mut self.out.folded),
            (Some(class), _) => {
                self.close(at);
                let between = std::mem::take(&mut self.between);
                if !self.out.words.is_empty() && (between.ended || between.dot && c.is_uppercase()) {
                    self.sentence += 1;
                }
                self.open = Some((at, self.out.folded.len(), class));
                push_word_char(c, &mut self.out.folded);
            }
            (None, Some(_)) if is_invisible(c) => {}
            (None, _) => {
                self.close(at);
                let mut between = std::mem::take(&mut self.between);
                between.see(c, || self.after_abbreviation());
                self.between = between;
                if c == '\n' {
                    self.line += 1;
                }
            }
        }
    }

    /// `sig.`, and single letters (`v. Dante`, `A. Rossi`) other than the words è, a, e, o, i.
    fn after_abbreviation(&self) -> bool {
        self.out.words.last().is_some_and(|last| {
            let word = self.out.folded.get(last.folded.0 as usize..last.folded.1 as usize).unwrap_or("");
            let written = self.text.as_bytes().get(last.start as usize).copied().unwrap_or_default();
            match word.as_bytes() {
                [_] => {
                    written.is_ascii_uppercase()
                        || written.is_ascii_lowercase() && !b"aeio".contains(&written)
                }
                _ => ABBREVIATIONS.contains(&word),
            }
        })
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "texts are at most TEXT_LIMIT octets, folded ones a few times that"
    )]
    fn close(&mut self, at: usize) {
        if let Some((start, folded, _)) = self.open.take()
            && self.out.folded.len() > folded
        {
            self.out.words.push(Word {
                start: start as u32,
                end: at as u32,
                folded: (folded as u32, self.out.folded.len() as u32),
                line: self.line,
                sentence: self.sentence,
            });
        }
    }
}

/// Makes `S.U.A.P.` one word: single letters with nothing but one dot between them.
fn join_initials(text: &str, out: &mut Words) {
    let single = |w: &Word| {
        w.folded.1 - w.folded.0 == 1
            && text.as_bytes().get(w.start as usize).is_some_and(u8::is_ascii_alphabetic)
    };
    let joins = |a: &Word, b: &Word| {
        single(a) && single(b) && b.start == a.end + 1 && text.as_bytes().get(a.end as usize) == Some(&b'.')
    };
    if !out.words.windows(2).any(|pair| matches!(pair, [a, b] if joins(a, b))) {
        return;
    }
    let mut joined: Vec<Word> = Vec::with_capacity(out.words.len());
    let mut previous: Option<Word> = None;
    for word in &out.words {
        match (joined.last_mut(), previous) {
            (Some(last), Some(before)) if joins(&before, word) => {
                last.end = word.end;
                last.folded.1 = word.folded.1;
            }
            _ => joined.push(*word),
        }
        previous = Some(*word);
    }
    out.words = joined;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> Vec<String> {
        split(text).iter().map(|(_, w)| w.to_owned()).collect()
    }
    fn sentences(text: &str) -> Vec<u32> {
        split(text).iter().map(|(w, _)| w.sentence).collect()
    }

    #[test]
    fn apostrophes_split_or_are_accents() {
        assert_eq!(
            folded("dell'acqua dell’acqua DELL´ACQUA"),
            ["dell", "acqua", "dell", "acqua", "dell", "acqua"]
        );
        assert_eq!(folded("la citta' e' bella"), ["la", "citta", "e", "bella"]);
    }

    #[test]
    fn letters_and_digits_are_apart() {
        assert_eq!(folded("SP240 n.12/b"), ["sp", "240", "n", "12", "b"]);
    }

    #[test]
    fn initials_are_one_word() {
        assert_eq!(
            folded("il S.U.A.P. e la c.i.e del sig. A. Rossi"),
            ["il", "suap", "e", "la", "cie", "del", "sig", "a", "rossi"]
        );
    }

    #[test]
    fn invisible_characters_do_not_split() {
        assert_eq!(folded("lam\u{ad}pio\u{200b}ne"), ["lampione"]);
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        assert_eq!(sentences("Una buca. Delle lettere"), [0, 0, 1, 1]);
        assert_eq!(sentences("il sig. Rossi di v. Dante"), [0; 6]);
        assert_eq!(sentences("C'è. Spento no. A. Rossi"), [0, 0, 1, 1, 2, 2]);
        assert_eq!(sentences("spento.Grazie"), [0, 1]);
        assert_eq!(sentences("www.comune.it"), [0, 0, 0]);
        assert_eq!(sentences("riga\nseguente"), [0, 0]);
        assert_eq!(sentences("riga\n\nseguente"), [0, 1]);
        assert_eq!(sentences("elenco\n- uno\n- due"), [0, 1, 2]);
        assert_eq!(sentences("Aiuto! Correte?? Ora; qui"), [0, 1, 2, 3]);
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "C'è\nuna BUCA";
        let words = split(text);
        let last = words.get(3).copied().expect("four words");
        assert_eq!((text.get(last.start as usize..last.end as usize), last.line), (Some("BUCA"), 2));
    }
}
