//! Words with typos: which of thousands of `~words` are within one or two edits of a word of the text.
//!
//! One typo is forgiven in words of four letters and more, two where both words have eight or more; a typo may come on top of
//! an inflection.
//!
//! The deletion neighbourhood (as in SymSpell): two words within k edits (insertion, deletion, substitution, swap of
//! neighbours) have a common form after at most k deletions from each. The deletions of all pattern words are hashed into
//! a map behind a bit field; those of a word of the text are hashed without being built (a polynomial hash gives each in
//! constant time), so that nearly all are dismissed by one look at the bit field, and cost does not grow with the rules.
//! What is left is verified with the true distance.

use crate::{
    hash::QuickMap,
    pattern::{TYPO_MIN, TYPO_TWO},
    stem::noun_key,
};

/// Words from this length on are also compared without their ending, so that a typo may come on top of an inflection.
const STEM_FROM: usize = 6;

/// The longest word of a text that is tried.
const LONGEST: usize = 32;

const BASE: u64 = 0x0000_0100_0000_01b3;

#[derive(Debug)]
struct Target {
    word: u32,
    form: Box<[u8]>,
    edits: u8,
}

/// One deletion index, over one way of comparing.
#[derive(Debug, Default)]
struct Index {
    targets: Vec<Target>,
    by_deletion: QuickMap<u64, Vec<u32>>,
    bits: Vec<u64>,
    edits: u8,
    shortest: usize,
    /// The same among those that forgive two typos.
    shortest_of_two: usize,
    longest: usize,
}

/// All `~words` of a ruleset.
#[derive(Debug, Default)]
pub(crate) struct TypoIndex {
    /// All, compared as written.
    whole: Index,
    /// The longer ones, compared by noun key.
    stems: Index,
}

impl TypoIndex {
    /// Adds a word; `word` is what [`TypoIndex::find`] gives back.
    pub(crate) fn add(&mut self, form: &str, edits: u8, word: u32) {
        if !form.is_ascii() || form.len() > LONGEST {
            return;
        }
        self.whole.targets.push(Target { word, form: form.as_bytes().into(), edits });
        if form.len() >= STEM_FROM {
            let stem = noun_key(form);
            let edits = if stem.len() < TYPO_TWO { edits.min(1) } else { edits };
            self.stems.targets.push(Target { word, form: stem.as_bytes().into(), edits });
        }
    }

    /// Makes the index ready; to be called once, after the last [`TypoIndex::add`].
    pub(crate) fn finish(&mut self) {
        self.whole.build();
        self.stems.build();
    }

    /// Gives every added word that `form` may be meant for, some of them twice.
    pub(crate) fn find(&self, form: &str, mut found: impl FnMut(u32)) {
        if form.len() + 2 < TYPO_MIN || form.len() > LONGEST || !form.is_ascii() {
            return;
        }
        self.whole.find(form.as_bytes(), &mut found);
        self.stems.find(noun_key(form).as_bytes(), &mut found);
    }
}

impl Index {
    fn build(&mut self) {
        let mut hashes: Vec<(u64, u32)> = Vec::new();
        for (n, target) in (0u32..).zip(&self.targets) {
            deletions(&target.form, target.edits, |hash| hashes.push((hash, n)));
        }
        self.edits = self.targets.iter().map(|t| t.edits).max().unwrap_or(0);
        let shortest = |edits: u8| {
            let those = self.targets.iter().filter(|t| t.edits >= edits);
            those.map(|t| t.form.len().saturating_sub(t.edits.into())).min().unwrap_or(usize::MAX)
        };
        (self.shortest, self.shortest_of_two) = (shortest(0), shortest(2));
        self.longest = self.targets.iter().map(|t| t.form.len() + usize::from(t.edits)).max().unwrap_or(0);
        // 16 bits and more for each hash: one in sixteen or fewer strangers come through.
        self.bits = vec![0; if hashes.is_empty() { 0 } else { (hashes.len() * 16 / 64).next_power_of_two() }];
        for (hash, n) in hashes {
            let (slot, bit) = self.slot(hash);
            if let Some(word) = self.bits.get_mut(slot) {
                *word |= bit;
            }
            let targets = self.by_deletion.entry(hash).or_default();
            if targets.last() != Some(&n) {
                targets.push(n);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "only the low bits are wanted")]
    fn slot(&self, hash: u64) -> (usize, u64) {
        let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = (spread >> 32) as usize & self.bits.len().wrapping_sub(1);
        (slot, 1 << (spread >> 26 & 63))
    }

    fn find(&self, form: &[u8], found: &mut impl FnMut(u32)) {
        if self.targets.is_empty() || form.len() < self.shortest || form.len() > self.longest {
            return;
        }
        let most = if form.len() < TYPO_TWO { 1 } else { 2 };
        let edits = if form.len() < self.shortest_of_two { self.edits.min(1) } else { self.edits.min(most) };
        let mut candidates: Vec<u32> = Vec::new();
        let mut look = |hash| {
            let (slot, bit) = self.slot(hash);
            if self.bits.get(slot).is_some_and(|word| word & bit != 0)
                && let Some(targets) = self.by_deletion.get(&hash)
            {
                candidates.extend(targets);
            }
        };
        deletions(form, edits, &mut look);
        if let Some(other) = swapped(form) {
            deletions(&other, edits.saturating_sub(1), &mut look);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for target in candidates.into_iter().filter_map(|n| self.targets.get(n as usize)) {
            if is_meant(&target.form, form, target.edits.min(most).into()) {
                found(target.word);
            }
        }
    }
}

/// Deletions are made among so many letters at the beginning. It is enough: whatever the edits, the beginnings of two words
/// within k edits have a common form after k deletions from each; and it bounds what is hashed for long words.
const BEGINNING: usize = 12;

/// Hashes the beginning of `form`, and what is left of it after deleting one (or two) letters other than the first.
fn deletions(form: &[u8], edits: u8, mut each: impl FnMut(u64)) {
    let n = form.len().min(BEGINNING);
    // sums[i] is the hash of the first i letters, powers[i] the base to the i.
    let (mut sums, mut powers) = ([0u64; BEGINNING + 1], [1u64; BEGINNING + 1]);
    let (mut sum, mut power) = (0u64, 1u64);
    for ((letter, to), pow) in form.iter().zip(sums.iter_mut().skip(1)).zip(powers.iter_mut().skip(1)) {
        sum = sum.wrapping_mul(BASE).wrapping_add(u64::from(*letter));
        power = power.wrapping_mul(BASE);
        *to = sum;
        *pow = power;
    }
    let at = |i: usize| sums.get(i).copied().unwrap_or(0);
    let pow = |i: usize| powers.get(i).copied().unwrap_or(1);
    // Hash of letters from..to, and of one run followed by another.
    let run = |from: usize, to: usize| at(to).wrapping_sub(at(from).wrapping_mul(pow(to - from)));
    each(at(n));
    if edits == 0 {
        return;
    }
    for i in 1..n {
        let tail = run(i + 1, n);
        each(at(i).wrapping_mul(pow(n - i - 1)).wrapping_add(tail));
        if edits > 1 {
            for j in i + 1..n {
                let head = at(i).wrapping_mul(pow(j - i - 1)).wrapping_add(run(i + 1, j));
                each(head.wrapping_mul(pow(n - j - 1)).wrapping_add(run(j + 1, n)));
            }
        }
    }
}

/// True when `form` may be meant for `target`. People rarely miss the first letter, and many words differ in it alone
/// (`campione`, `lampione`): it must be right, or swapped with the second.
fn is_meant(target: &[u8], form: &[u8], edits: usize) -> bool {
    if target.len().abs_diff(form.len()) > edits {
        return false;
    }
    match (target.first(), swapped(form)) {
        (Some(first), _) if form.first() == Some(first) => distance(target, form) <= edits,
        (Some(first), Some(form)) if edits > 0 && form.first() == Some(first) => {
            distance(target, &form) < edits
        }
        _ => false,
    }
}

/// With its first two letters the other way round.
fn swapped(form: &[u8]) -> Option<Vec<u8>> {
    match form {
        [a, b, ..] if a != b => {
            let mut other = form.to_vec();
            other.swap(0, 1);
            Some(other)
        }
        _ => None,
    }
}

/// Damerau-Levenshtein distance (optimal string alignment): insertions, deletions, substitutions, swaps of neighbours.
pub(crate) fn distance(a: &[u8], b: &[u8]) -> usize {
    let width = b.len() + 1;
    let mut before = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(width);
        row.push(i + 1);
        for (j, other) in b.iter().enumerate() {
            let get = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (get(&last, j) + usize::from(letter != other))
                .min(get(&last, j + 1) + 1)
                .min(get(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(other) && b.get(j - 1) == Some(letter) {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(patterns: &[(&str, u8)], form: &str) -> Vec<u32> {
        let mut index = TypoIndex::default();
        for (n, (pattern, edits)) in (0u32..).zip(patterns) {
            index.add(pattern, *edits, n);
        }
        index.finish();
        let mut out = Vec::new();
        index.find(form, |word| out.push(word));
        out.sort_unstable();
        out.dedup();
        out
    }

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("buca", "buca", 0),
            ("buca", "buac", 1),
            ("buca", "bua", 1),
            ("ca", "abc", 3),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), d, "{a} {b}");
        }
    }

    #[test]
    fn one_typo_in_a_short_word_two_in_a_long_one() {
        let patterns = [("tombino", 1), ("lampione", 2), ("buca", 1)];
        for typo in ["tonbino", "tombio", "tombinno", "otmbino", "tonbini", "tmobino"] {
            assert_eq!(found(&patterns, typo), [0], "{typo}");
        }
        for typo in ["lanpione", "lampoini", "lampione", "lammpioine", "lampone"] {
            assert_eq!(found(&patterns, typo), [1], "{typo}");
        }
        for typo in ["bucca", "buac", "ubca", "bica"] {
            assert_eq!(found(&patterns, typo), [2], "{typo}");
        }
        for other in ["tubino", "campione", "camion", "bocca", "via", "", "lampada", "luca", "lampo"] {
            assert!(found(&patterns, other).is_empty(), "{other}");
        }
    }

    #[test]
    fn the_index_finds_what_the_distance_finds() {
        let letters = *b"abc";
        let mut random = 7u64;
        let mut word = |min: usize, max: usize| {
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                usize::try_from(random >> 33).expect("fits")
            };
            let len = min + next() % (max - min + 1);
            (0..len).map(|_| char::from(letters[next() % 3])).collect::<String>()
        };
        for _ in 0..300 {
            let patterns: Vec<(String, u8)> = (0..20)
                .map(|_| {
                    let word = word(4, 12);
                    let edits = if word.len() < TYPO_TWO { 1 } else { 2 };
                    (word, edits)
                })
                .collect();
            let borrowed: Vec<(&str, u8)> = patterns.iter().map(|(w, e)| (w.as_str(), *e)).collect();
            let text = word(2, 14);
            let expected: Vec<u32> = (0u32..)
                .zip(&borrowed)
                .filter(|(_, (pattern, edits))| {
                    let within = |a: &str, b: &str| {
                        let edits = if a.len().min(b.len()) < TYPO_TWO { 1 } else { *edits };
                        is_meant(a.as_bytes(), b.as_bytes(), edits.into())
                    };
                    within(pattern, &text)
                        || pattern.len() >= STEM_FROM && within(noun_key(pattern), noun_key(&text))
                })
                .map(|(n, _)| n)
                .collect();
            assert_eq!(found(&borrowed, &text), expected, "{borrowed:?} {text}");
        }
    }
}
