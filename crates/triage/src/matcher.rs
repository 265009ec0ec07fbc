//! The automata: one pass over a text finds every pattern of every rule.
//!
//! Words of the text become ids of pattern words by hash look-ups, and a trie over those ids follows phrases and gaps. The
//! cost is that of the text plus that of what is found; how many rules there are does not matter.
//! What was tried from a gap at one place is not tried again, so that hostile texts cost no more than words times gaps.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    fold::{fold_text, unfold},
    hash::{QuickMap, QuickSet},
    pattern::{GAP_WORDS, How, Pattern, PatternWord, Piece},
    regexes::{Expression, Regexes},
    stem::Stems,
    typo::TypoIndex,
    words::{self, WORD_LIMIT, Words},
};

/// Where rules look for words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Subject,
    Text,
    /// A document in the attachment.
    Document,
    Quoted,
}

impl Place {
    pub(crate) const ALL: [Self; 4] = [Self::Subject, Self::Text, Self::Document, Self::Quoted];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Document => "document",
            Self::Quoted => "quoted",
        }
    }
}

/// The first place where a pattern stands: which text of that place (pages of documents; 0 for others), octets of it, and
/// its line from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) page: u32,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) line: u32,
}

/// What was found in one message, by pattern.
#[derive(Debug, Default)]
pub(crate) struct Hits(QuickMap<u32, [Option<Hit>; 4]>);

impl Hits {
    pub(crate) fn get(&self, pattern: u32, place: Place) -> Option<Hit> {
        let at = self.0.get(&pattern)?;
        match (at, place) {
            ([hit, _, _, _], Place::Subject)
            | ([_, hit, _, _], Place::Text)
            | ([_, _, hit, _], Place::Document)
            | ([_, _, _, hit], Place::Quoted) => *hit,
        }
    }
    /// The first hit in subject, text, documents, quoted text.
    pub(crate) fn first(&self, pattern: u32) -> Option<(Place, Hit)> {
        Place::ALL.into_iter().find_map(|place| self.get(pattern, place).map(|hit| (place, hit)))
    }
    pub(crate) fn patterns(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }
    fn add(&mut self, pattern: u32, place: Place, hit: Hit) {
        let at = self.0.entry(pattern).or_default();
        let [subject, text, document, quoted] = at;
        let slot = match place {
            Place::Subject => subject,
            Place::Text => text,
            Place::Document => document,
            Place::Quoted => quoted,
        };
        if slot.is_none_or(|known| hit < known) {
            *slot = Some(hit);
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Node {
    /// Where a `..` leads.
    gap: Option<u32>,
    /// The pattern that ends here.
    pattern: Option<u32>,
}

/// What forms were found to mean: letters use the same words again and again, and stemming each anew is most of the work. Keyed
/// with a seed of its own, because the words are anybody's.
type Memory = HashMap<Box<str>, Box<[u32]>>;

/// A memory that has so many forms begins anew: a language has fewer, whoever wants to fill it gets nothing for it.
const REMEMBERED: usize = 20_000;

/// Every pattern of a ruleset, ready to be looked for.
pub(crate) struct Matcher {
    stems: Stems,
    by_key: QuickMap<Box<str>, Vec<u32>>,
    by_form: QuickMap<Box<str>, Vec<u32>>,
    typos: TypoIndex,
    nodes: Vec<Node>,
    edges: QuickMap<u64, u32>,
    regexes: Regexes,
    /// One for each thread that scans at the same time: nobody waits for another's.
    memories: Mutex<Vec<Memory>>,
}

impl std::fmt::Debug for Matcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Matcher").field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

/// What makes two pattern words the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    Exact(String),
    Keys(Vec<String>),
    Typo(String),
}

impl Identity {
    pub(crate) fn of(word: &PatternWord, stems: &Stems) -> Self {
        match word.how {
            How::Exact => Self::Exact(word.form.clone()),
            How::Typo(_) => Self::Typo(word.form.clone()),
            How::Inflected => Self::Keys(stems.keys(&word.form).iter().map(str::to_owned).collect()),
        }
    }
}

/// Collects patterns; equal ones (`buca` and `Buche`) get one id.
pub(crate) struct MatcherBuilder {
    matcher: Matcher,
    words: HashMap<Identity, u32>,
    regexes: HashMap<String, u32>,
    expressions: Vec<(u32, Expression)>,
    patterns: u32,
}

impl MatcherBuilder {
    pub(crate) fn new() -> Self {
        let matcher = Matcher {
            stems: Stems::new(),
            by_key: QuickMap::default(),
            by_form: QuickMap::default(),
            typos: TypoIndex::default(),
            nodes: vec![Node::default()],
            edges: QuickMap::default(),
            regexes: Regexes::default(),
            memories: Mutex::default(),
        };
        let (words, regexes) = Default::default();
        Self { matcher, words, regexes, expressions: Vec::new(), patterns: 0 }
    }

    /// Adds a pattern and gives its id. A regular expression comes with what it was compiled to.
    pub(crate) fn add(
        &mut self,
        pattern: &Pattern,
        compile: impl FnOnce(&str) -> Option<Expression>,
    ) -> Option<u32> {
        match pattern {
            Pattern::Regex(written) => {
                if let Some(id) = self.regexes.get(written) {
                    return Some(*id);
                }
                let expression = compile(written)?;
                let id = self.next_pattern();
                self.expressions.push((id, expression));
                self.regexes.insert(written.clone(), id);
                Some(id)
            }
            Pattern::Words(pieces) => {
                let mut node = 0;
                for piece in pieces {
                    node = match piece {
                        Piece::Gap => self.gap(node),
                        Piece::Word(word) => {
                            let word = self.word(word);
                            self.edge(node, word)
                        }
                    };
                }
                let known = self.matcher.nodes.get(node as usize).and_then(|n| n.pattern);
                let id = known.unwrap_or_else(|| self.next_pattern());
                if let Some(n) = self.matcher.nodes.get_mut(node as usize) {
                    n.pattern = Some(id);
                }
                Some(id)
            }
        }
    }

    fn next_pattern(&mut self) -> u32 {
        self.patterns += 1;
        self.patterns
    }

    fn node(&mut self) -> u32 {
        self.matcher.nodes.push(Node::default());
        u32::try_from(self.matcher.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    fn gap(&mut self, from: u32) -> u32 {
        if let Some(gap) = self.matcher.nodes.get(from as usize).and_then(|n| n.gap) {
            return gap;
        }
        let to = self.node();
        if let Some(n) = self.matcher.nodes.get_mut(from as usize) {
            n.gap = Some(to);
        }
        to
    }

    fn edge(&mut self, from: u32, word: u32) -> u32 {
        let key = edge_key(from, word);
        if let Some(to) = self.matcher.edges.get(&key) {
            return *to;
        }
        let to = self.node();
        self.matcher.edges.insert(key, to);
        to
    }

    fn word(&mut self, word: &PatternWord) -> u32 {
        let identity = Identity::of(word, &self.matcher.stems);
        if let Some(id) = self.words.get(&identity) {
            return *id;
        }
        let id = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        match &identity {
            Identity::Exact(form) => self.matcher.by_form.entry(form.as_str().into()).or_default().push(id),
            Identity::Keys(_) | Identity::Typo(_) => {
                for key in self.matcher.stems.keys(&word.form).iter() {
                    self.matcher.by_key.entry(key.into()).or_default().push(id);
                }
            }
        }
        if let How::Typo(edits) = word.how {
            self.matcher.typos.add(&word.form, edits, id);
        }
        self.words.insert(identity, id);
        id
    }

    pub(crate) fn finish(mut self) -> Matcher {
        self.matcher.typos.finish();
        self.matcher.regexes = Regexes::new(self.expressions);
        self.matcher
    }
}

fn edge_key(node: u32, word: u32) -> u64 {
    u64::from(node) << 32 | u64::from(word)
}

/// The pattern words that each word of a text may be.
struct Meanings {
    ids: Vec<u32>,
    /// For each word, where its ids end.
    ends: Vec<usize>,
}

impl Meanings {
    fn of(&self, word: usize) -> &[u32] {
        let start = word.checked_sub(1).and_then(|w| self.ends.get(w)).copied().unwrap_or(0);
        self.ends.get(word).and_then(|end| self.ids.get(start..*end)).unwrap_or(&[])
    }
}

impl Matcher {
    /// Finds every pattern in one text.
    pub(crate) fn scan(&self, place: Place, text: &str, hits: &mut Hits) {
        self.scan_page(place, 0, text, hits);
    }

    /// Finds every pattern in one of the texts of a place.
    pub(crate) fn scan_page(&self, place: Place, page: u32, text: &str, hits: &mut Hits) {
        if text.is_empty() {
            return;
        }
        if self.nodes.len() > 1 {
            let words = words::split(text);
            let meanings = self.meanings(&words);
            let mut walk = Walk {
                matcher: self,
                words: &words,
                meanings: &meanings,
                seen: QuickSet::default(),
                place,
                page,
                hits,
            };
            for start in 0..words.len() {
                walk.from(start);
            }
        }
        if !self.regexes.is_empty() {
            let text = text.get(..text.floor_char_boundary(words::TEXT_LIMIT)).unwrap_or(text);
            let folded = fold_text(text);
            self.regexes.find(&folded, |pattern, from, to| {
                let (start, end) = unfold(text, from, to);
                let before = text.get(..start).unwrap_or("");
                let line = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1);
                hits.add(pattern, place, Hit { page, start, end, line });
            });
        }
    }

    fn meanings(&self, words: &Words) -> Meanings {
        let mut memory = self.lock_memories().pop().unwrap_or_default();
        let mut out = Meanings { ids: Vec::new(), ends: Vec::with_capacity(words.len()) };
        for (_, form) in words.iter() {
            match memory.get(form) {
                Some(ids) => out.ids.extend(ids),
                None if form.len() > WORD_LIMIT => {}
                None => {
                    let ids = self.meaning(form);
                    out.ids.extend(&ids);
                    if memory.len() >= REMEMBERED {
                        memory.clear();
                    }
                    memory.insert(form.into(), ids.into());
                }
            }
            out.ends.push(out.ids.len());
        }
        self.lock_memories().push(memory);
        out
    }

    fn lock_memories(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pattern words that a form may be, ascending.
    fn meaning(&self, form: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for key in self.stems.keys(form).iter() {
            if let Some(more) = self.by_key.get(key) {
                ids.extend(more);
            }
        }
        if let Some(more) = self.by_form.get(form) {
            ids.extend(more);
        }
        self.typos.find(form, |id| ids.push(id));
        // A word may be found by both keys and by typo.
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// Follows the trie through one text.
struct Walk<'a> {
    matcher: &'a Matcher,
    words: &'a Words,
    meanings: &'a Meanings,
    /// Gaps already looked beyond: node and place.
    seen: QuickSet<u64>,
    place: Place,
    page: u32,
    hits: &'a mut Hits,
}

impl Walk<'_> {
    fn from(&mut self, start: usize) {
        if self.meanings.of(start).is_empty() {
            return;
        }
        // (node, next word): what remains to be followed, the earliest place on top.
        let mut open: Vec<(u32, usize)> = Vec::new();
        self.step(0, start, start, &mut open);
        while let Some((node, next)) = open.pop() {
            self.step(node, next, start, &mut open);
        }
    }

    /// From `node`, takes the word at `at`.
    fn step(&mut self, node: u32, at: usize, start: usize, open: &mut Vec<(u32, usize)>) {
        for word in self.meanings.of(at) {
            let Some(to) = self.matcher.edges.get(&edge_key(node, *word)) else { continue };
            let Some(state) = self.matcher.nodes.get(*to as usize) else { continue };
            if let Some(pattern) = state.pattern {
                self.hit(pattern, start, at);
            }
            let next = at + 1;
            if let Some(gap) = state.gap
                && self.seen.insert(edge_key(gap, u32::try_from(next).unwrap_or(u32::MAX)))
            {
                for beyond in (next..=next + GAP_WORDS).rev().filter(|b| self.same_sentence(start, *b)) {
                    open.push((gap, beyond));
                }
            }
            if self.same_sentence(start, next) {
                open.push((*to, next));
            }
        }
    }

    fn same_sentence(&self, a: usize, b: usize) -> bool {
        match (self.words.get(a), self.words.get(b)) {
            (Some(a), Some(b)) => a.sentence == b.sentence,
            _ => false,
        }
    }

    fn hit(&mut self, pattern: u32, first: usize, last: usize) {
        if let (Some(first), Some(last)) = (self.words.get(first), self.words.get(last)) {
            let (start, end) = (first.start as usize, last.end as usize);
            let hit = Hit { page: self.page, start, end, line: first.line };
            self.hits.add(pattern, self.place, hit);
        }
    }
}
