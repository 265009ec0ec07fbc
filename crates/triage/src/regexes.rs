//! Regular expressions, made cheap: each is only tried when letters that it cannot do without stand in the text.
//!
//! The letters of all expressions are one Aho-Corasick automaton, so that thousands of expressions cost one pass. Those
//! without fixed letters (`/[0-9]{5}/`) are tried one by one; `check` warns about them. Expressions are compiled with limits
//! of size and nesting; the engine is linear in the text whatever they say.

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, literal};

use crate::{fold::fold_regex, hash::QuickSet, pattern::Fault};

/// Size limit of one compiled expression, in octets.
const SIZE_LIMIT: usize = 1 << 20;

/// Fixed letters shorter than this are in nearly every text.
const LETTERS_MIN: usize = 3;

/// One compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    regex: Regex,
    /// One of these stands wherever it matches. Empty: it has no fixed letters.
    letters: Vec<Vec<u8>>,
}

impl Expression {
    /// Compiles what stands between the slashes.
    pub(crate) fn new(written: &str) -> Result<Self, Fault> {
        let folded = fold_regex(written);
        let hir = regex_syntax::ParserBuilder::new()
            .nest_limit(50)
            .build()
            .parse(&folded)
            .map_err(|error| Fault::RegexBroken(reason(&error)))?;
        if hir.properties().minimum_len() == Some(0) {
            return Err(Fault::RegexEmpty);
        }
        let regex = RegexBuilder::new(&folded)
            .nest_limit(50)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Fault::RegexTooBig,
                other => Fault::RegexBroken(other.to_string()),
            })?;
        Ok(Self { regex, letters: fixed_letters(&hir) })
    }

    /// True when it must be tried on every message.
    pub(crate) fn is_slow(&self) -> bool {
        self.letters.is_empty()
    }

    /// Matches a folded text.
    #[cfg(test)]
    fn matches(&self, folded: &str) -> bool {
        self.regex.is_match(folded)
    }
}

/// What is wrong, in one line; the engine's own words are English.
fn reason(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(e) => e.kind().to_string(),
        regex_syntax::Error::Translate(e) => e.kind().to_string(),
        _ => "unknown".to_owned(),
    }
}

fn fixed_letters(hir: &Hir) -> Vec<Vec<u8>> {
    for kind in [literal::ExtractKind::Prefix, literal::ExtractKind::Suffix] {
        let mut letters = literal::Extractor::new().kind(kind.clone()).extract(hir);
        match kind {
            literal::ExtractKind::Suffix => letters.optimize_for_suffix_by_preference(),
            _ => letters.optimize_for_prefix_by_preference(),
        }
        if let Some(all) = letters.literals()
            && !all.is_empty()
            && all.iter().all(|l| l.len() >= LETTERS_MIN)
        {
            return all.iter().map(|l| l.as_bytes().to_vec()).collect();
        }
    }
    Vec::new()
}

/// All expressions of a ruleset, each with the id of its pattern.
#[derive(Debug, Default)]
pub(crate) struct Regexes {
    expressions: Vec<(u32, Regex)>,
    letters: Option<AhoCorasick>,
    /// For each letter sequence, the expression that it belongs to.
    owners: Vec<usize>,
    slow: Vec<usize>,
}

impl Regexes {
    pub(crate) fn new(all: Vec<(u32, Expression)>) -> Self {
        let mut out = Self::default();
        let mut letters = Vec::new();
        for (n, (id, expression)) in all.into_iter().enumerate() {
            if expression.letters.is_empty() {
                out.slow.push(n);
            }
            out.owners.extend(std::iter::repeat_n(n, expression.letters.len()));
            letters.extend(expression.letters);
            out.expressions.push((id, expression.regex));
        }
        if !letters.is_empty() {
            match AhoCorasick::new(&letters) {
                Ok(automaton) => out.letters = Some(automaton),
                // Too many letters for the automaton's numbers: slower, never wrong.
                Err(_) => out.slow = (0..out.expressions.len()).collect(),
            }
        }
        out
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// Gives every expression that matches, with the first place in the folded text.
    pub(crate) fn find(&self, folded: &str, mut found: impl FnMut(u32, usize, usize)) {
        let mut tried = QuickSet::default();
        let mut attempt = |n: usize| {
            if tried.insert(n as u64)
                && let Some((id, regex)) = self.expressions.get(n)
                && let Some(at) = regex.find(folded)
            {
                found(*id, at.start(), at.end());
            }
        };
        self.slow.iter().copied().for_each(&mut attempt);
        if let Some(letters) = &self.letters {
            for at in letters.find_overlapping_iter(folded) {
                if let Some(n) = self.owners.get(at.pattern().as_usize()) {
                    attempt(*n);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::fold_text;

    #[test]
    fn case_accents_and_line_breaks_do_not_matter() {
        let expression = Expression::new("Crater[ei]( di| della)? CITTÀ").expect("valid");
        assert!(expression.matches(&fold_text("Un CRATERE\n della citta")));
        assert!(!expression.is_slow());
    }

    #[test]
    fn without_fixed_letters_it_is_slow_but_found() {
        let slow = Expression::new(r"\b[0-9]{3}\b").expect("valid");
        assert!(slow.is_slow());
        let all = Regexes::new(vec![(7, slow), (9, Expression::new("strada").expect("valid"))]);
        let mut ids = Vec::new();
        all.find("strada 240", |id, from, to| ids.push((id, from, to)));
        assert_eq!(ids, [(7, 7, 10), (9, 0, 6)]);
    }

    #[test]
    fn faults_are_told() {
        assert!(matches!(Expression::new("buca("), Err(Fault::RegexBroken(_))));
        assert!(matches!(Expression::new("(buca)?"), Err(Fault::RegexEmpty)));
        assert!(matches!(Expression::new("((a{100}){100}){100}"), Err(Fault::RegexTooBig)));
        assert!(matches!(Expression::new(r"(buca)\1"), Err(Fault::RegexBroken(_))));
    }
}
