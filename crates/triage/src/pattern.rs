//! What stands between the quotes of a pattern: words in a row, gaps, `~typo`, `=exact`, or a `/regular expression/`.
//!
//! Parsing is pure and says everything that is wrong; whether a regular expression is any good is the compiler's business.

use std::fmt;

use smista_domain::Text;

use crate::{stem::Stems, words};

/// How many words may stand where a pattern has `..`.
pub const GAP_WORDS: usize = 5;

/// A pattern has at most this many words.
pub(crate) const MAX_WORDS: usize = 16;

/// Words shorter than this cannot forgive a typo: too many others are one letter away.
pub(crate) const TYPO_MIN: usize = 4;

/// From this length on two typos are forgiven.
pub(crate) const TYPO_TWO: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum How {
    /// Inflections do not matter.
    Inflected,
    /// Only this form.
    Exact,
    /// Inflections do not matter, and up to so many typos are forgiven.
    Typo(u8),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PatternWord {
    pub(crate) form: String,
    pub(crate) how: How,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Piece {
    Word(PatternWord),
    Gap,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Pattern {
    Words(Vec<Piece>),
    /// What stands between the slashes, as written.
    Regex(String),
}

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    Empty,
    NoLetters,
    FunctionWord,
    GapAtEnd,
    TypoShort(String),
    MarkWithoutWord(char),
    Star,
    TooLong,
    RegexUnclosed,
    RegexEmpty,
    RegexBroken(String),
    RegexTooBig,
}

impl Fault {
    /// Code, what is wrong, what to do.
    pub(crate) fn explain(&self) -> (&'static str, Text, Text) {
        let text = |it: String, en: String| Text::new(it, en);
        let both = |it: &str, en: &str| text(it.to_owned(), en.to_owned());
        match self {
            Self::Empty => (
                "rule-pattern-empty",
                both("la voce è vuota", "the pattern is empty"),
                both(
                    "scrivere una parola tra le virgolette, o togliere la voce",
                    "write a word between the quotes, or remove it",
                ),
            ),
            Self::NoLetters => (
                "rule-pattern-no-letters",
                both("la voce non contiene lettere né cifre", "the pattern has neither letters nor digits"),
                both(
                    "scrivere almeno una parola: la punteggiatura non si cerca",
                    "write at least one word: punctuation is not looked for",
                ),
            ),
            Self::FunctionWord => (
                "rule-pattern-too-common",
                both("questa parola sta in quasi ogni messaggio", "this word stands in nearly every message"),
                both(
                    "aggiungere una parola che dica di che cosa si tratta",
                    "add a word that says what it is about",
                ),
            ),
            Self::GapAtEnd => (
                "rule-pattern-gap",
                both(
                    "i due puntini \"..\" stanno all'inizio o alla fine della voce",
                    "the gap '..' stands at an end of the pattern",
                ),
                both(
                    "mettere una parola prima e una dopo, o togliere i puntini",
                    "put a word before and after it, or remove it",
                ),
            ),
            Self::TypoShort(word) => (
                "rule-typo-short",
                text(
                    format!(
                        "\"~{word}\" è troppo corta per perdonare errori: troppe altre parole le somigliano"
                    ),
                    format!("'~{word}' is too short to forgive typos: too many other words are like it"),
                ),
                text(
                    format!("togliere ~ (serve una parola di almeno {TYPO_MIN} lettere)"),
                    format!("remove the ~ (a word of at least {TYPO_MIN} letters is needed)"),
                ),
            ),
            Self::MarkWithoutWord(mark) => (
                "rule-pattern-mark",
                text(format!("dopo {mark} manca la parola"), format!("there is no word after {mark}")),
                text(
                    format!("attaccare {mark} all'inizio della parola, senza spazio"),
                    format!("put {mark} right before the word, without a blank"),
                ),
            ),
            Self::Star => (
                "rule-pattern-star",
                both("l'asterisco qui non ha significato", "an asterisk means nothing here"),
                both(
                    "togliere l'asterisco: le desinenze sono già comprese; per una parte di parola usare /asfalt/",
                    "remove it: inflections are covered already; for a part of a word use /asfalt/",
                ),
            ),
            Self::TooLong => (
                "rule-pattern-too-long",
                text(
                    format!("la voce ha più di {MAX_WORDS} parole"),
                    format!("the pattern has more than {MAX_WORDS} words"),
                ),
                both("scrivere solo le parole che contano", "write only the words that matter"),
            ),
            Self::RegexUnclosed => (
                "rule-regex-unclosed",
                both(
                    "l'espressione comincia con / ma non finisce con /",
                    "the expression begins with / but does not end with /",
                ),
                both(
                    "aggiungere / alla fine (senza lettere dopo: maiuscole e accenti non contano già)",
                    "add / at the end (no letters after it: case and accents do not matter anyway)",
                ),
            ),
            Self::RegexEmpty => (
                "rule-regex-empty",
                both(
                    "l'espressione si trova anche dove non c'è niente, quindi in ogni messaggio",
                    "the expression matches nothing at all, and so every message",
                ),
                both(
                    "togliere i * e i ? che rendono tutto facoltativo",
                    "remove the * and ? that make everything optional",
                ),
            ),
            Self::RegexBroken(why) => (
                "rule-regex-broken",
                text(
                    format!("l'espressione regolare è sbagliata: {why}"),
                    format!("the regular expression is broken: {why}"),
                ),
                both(
                    "correggerla, o usare parole normali, che per lo più bastano; \\( cerca una parentesi vera",
                    "mend it, or use plain words, which mostly do; \\( looks for a real parenthesis",
                ),
            ),
            Self::RegexTooBig => (
                "rule-regex-too-big",
                both("l'espressione regolare è troppo grande", "the regular expression is too big"),
                both(
                    "dividerla in più voci e togliere le ripetizioni come {1,500}",
                    "split it into several patterns and remove repetitions such as {1,500}",
                ),
            ),
        }
    }
}

/// Reads a pattern.
pub(crate) fn parse(text: &str) -> Result<Pattern, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    if let Some(rest) = text.strip_prefix('/') {
        let inner = rest.strip_suffix('/').ok_or(Fault::RegexUnclosed)?;
        return if inner.trim().is_empty() {
            Err(Fault::Empty)
        } else {
            Ok(Pattern::Regex(inner.to_owned()))
        };
    }
    if text.contains('*') {
        return Err(Fault::Star);
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for (n, segment) in split_gaps(text).into_iter().enumerate() {
        if n > 0 {
            pieces.push(Piece::Gap);
        }
        let before = pieces.len();
        for chunk in segment.split_whitespace() {
            parse_chunk(chunk, &mut pieces)?;
        }
        if pieces.len() == before && text.chars().any(char::is_alphanumeric) {
            return Err(Fault::GapAtEnd);
        }
    }
    match pieces.iter().filter(|p| matches!(p, Piece::Word(_))).count() {
        0 => Err(Fault::NoLetters),
        1..=MAX_WORDS => Ok(Pattern::Words(pieces)),
        _ => Err(Fault::TooLong),
    }
}

/// Splits at runs of two or more dots, or `…`, which Windows likes to make of them.
fn split_gaps(text: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut rest = text;
    loop {
        let gap = match (rest.find(".."), rest.find('…')) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => match a.or(b) {
                Some(at) => at,
                None => break,
            },
        };
        let (before, after) = rest.split_at(gap);
        segments.push(before);
        rest = after.trim_start_matches(['.', '…']);
    }
    segments.push(rest);
    segments
}

fn parse_chunk(chunk: &str, pieces: &mut Vec<Piece>) -> Result<(), Fault> {
    let (mark, bare) = match chunk.chars().next() {
        Some(mark @ ('~' | '=')) => (Some(mark), chunk.get(1..).unwrap_or("")),
        _ => (None, chunk),
    };
    let found = words::split(bare);
    if let Some(mark) = mark
        && found.len() == 0
    {
        return Err(Fault::MarkWithoutWord(mark));
    }
    for (_, form) in found.iter() {
        let how = match mark {
            Some('=') => How::Exact,
            Some(_) if form.len() < TYPO_MIN => return Err(Fault::TypoShort(form.to_owned())),
            Some(_) if form.len() < TYPO_TWO => How::Typo(1),
            Some(_) => How::Typo(2),
            None => How::Inflected,
        };
        pieces.push(Piece::Word(PatternWord { form: form.to_owned(), how }));
    }
    Ok(())
}

impl Pattern {
    /// True for one word alone that stands in nearly every message. (Several of them in a row may well mean something:
    /// "come si fa".)
    pub(crate) fn is_function_word(&self, stems: &Stems) -> bool {
        match self {
            Self::Words(pieces) => match pieces.as_slice() {
                [Piece::Word(word)] => stems.is_function_word(&word.form),
                _ => false,
            },
            Self::Regex(_) => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(inner) => write!(f, "/{inner}/"),
            Self::Words(pieces) => {
                for (n, piece) in pieces.iter().enumerate() {
                    if n > 0 {
                        f.write_str(" ")?;
                    }
                    match piece {
                        Piece::Gap => f.write_str("..")?,
                        Piece::Word(word) => {
                            f.write_str(match word.how {
                                How::Inflected => "",
                                How::Exact => "=",
                                How::Typo(_) => "~",
                            })?;
                            f.write_str(&word.form)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, Fault> {
        parse(text).map(|p| p.to_string())
    }

    #[test]
    fn words_gaps_and_marks() {
        assert_eq!(shown("Perdita d’ACQUA"), Ok("perdita d acqua".into()));
        assert_eq!(shown("lampione .. spento"), Ok("lampione .. spento".into()));
        assert_eq!(shown("lampione... spento…subito"), Ok("lampione .. spento .. subito".into()));
        assert_eq!(shown("~lampione =Luca"), Ok("~lampione =luca".into()));
        assert_eq!(shown("S.U.A.P."), Ok("suap".into()));
        assert_eq!(shown("SP240"), Ok("sp 240".into()));
        assert_eq!(shown(r"/crater[ei]( di)? strada/"), Ok(r"/crater[ei]( di)? strada/".into()));
    }

    #[test]
    fn typos_grow_with_the_word() {
        let how = |text| match parse(text) {
            Ok(Pattern::Words(pieces)) => match pieces.as_slice() {
                [Piece::Word(word)] => word.how,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (how("~buca"), how("~tombino"), how("~lampione")),
            (How::Typo(1), How::Typo(1), How::Typo(2))
        );
    }

    #[test]
    fn every_fault_is_told() {
        assert_eq!(shown("  "), Err(Fault::Empty));
        assert_eq!(shown("//"), Err(Fault::Empty));
        assert_eq!(shown("?!, -"), Err(Fault::NoLetters));
        assert_eq!(shown(".."), Err(Fault::NoLetters));
        assert_eq!(shown("lampione .."), Err(Fault::GapAtEnd));
        assert_eq!(shown(".. spento"), Err(Fault::GapAtEnd));
        assert_eq!(shown("~via"), Err(Fault::TypoShort("via".into())));
        assert_eq!(shown("~ lampione"), Err(Fault::MarkWithoutWord('~')));
        assert_eq!(shown("asfalt*"), Err(Fault::Star));
        assert_eq!(shown("/buca"), Err(Fault::RegexUnclosed));
        assert_eq!(shown("/buca/i"), Err(Fault::RegexUnclosed));
        assert_eq!(shown(&"a ".repeat(17)), Err(Fault::TooLong));
    }

    #[test]
    fn every_fault_has_a_code_of_its_own() {
        let faults = [
            Fault::Empty,
            Fault::NoLetters,
            Fault::FunctionWord,
            Fault::GapAtEnd,
            Fault::TypoShort(String::new()),
            Fault::MarkWithoutWord('~'),
            Fault::Star,
            Fault::TooLong,
            Fault::RegexUnclosed,
            Fault::RegexEmpty,
            Fault::RegexBroken(String::new()),
            Fault::RegexTooBig,
        ];
        let codes: std::collections::BTreeSet<_> = faults.iter().map(|f| f.explain().0).collect();
        assert_eq!(codes.len(), faults.len());
    }
}
