//! The condition of a rule as a tree, and which rules are worth looking at for a message.
//!
//! A rule's `any`, `all` and `none` are nodes of one tree, which may be nested. For each rule a set of *triggers* is chosen:
//! leaves of which at least one must be found for the rule to hold. Only rules with a trigger in the message are evaluated.

use std::collections::HashMap;

use smista_domain::{DocumentText, Evidence, Message};

use crate::{
    fields::{Field, FieldHits},
    matcher::{Hits, Place},
};

/// Something that a message has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Atom {
    /// A pattern, in the subject or anywhere.
    Pattern { id: u32, subject_only: bool },
    /// A condition on a field.
    Field { id: u32, field: Field },
}

/// An atom as one rule writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) atom: Atom,
    /// As the evidence shows it.
    pub(crate) label: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    Leaf(Leaf),
    Any(Vec<Self>),
    All(Vec<Self>),
    Not(Box<Self>),
}

/// What was found in one message.
pub(crate) struct Found<'a> {
    pub(crate) message: &'a Message,
    pub(crate) hits: Hits,
    pub(crate) fields: FieldHits,
}

/// Evidence shows at most so many characters of a match.
const SHOWN: usize = 120;

impl Found<'_> {
    fn has(&self, atom: Atom) -> bool {
        match atom {
            Atom::Pattern { id, subject_only: true } => self.hits.get(id, Place::Subject).is_some(),
            Atom::Pattern { id, subject_only: false } => self.hits.first(id).is_some(),
            Atom::Field { id, .. } => self.fields.contains_key(&id),
        }
    }

    fn evidence(&self, leaf: &Leaf) -> Option<((Place, u32, usize), Evidence)> {
        let pattern = leaf.label.clone();
        match leaf.atom {
            Atom::Pattern { id, subject_only } => {
                let (place, hit) = if subject_only {
                    (Place::Subject, self.hits.get(id, Place::Subject)?)
                } else {
                    self.hits.first(id)?
                };
                let page = self.message.documents.get(hit.page as usize);
                let (text, named) = match (place, page) {
                    (Place::Subject, _) => (self.message.subject.as_str(), None),
                    (Place::Text, _) => (self.message.text.as_str(), None),
                    (Place::Quoted, _) => (self.message.quoted.as_str(), None),
                    (Place::Document, page) => (page?.text.as_str(), page.map(DocumentText::place)),
                };
                let words = shorten(text.get(hit.start..hit.end).unwrap_or_default());
                Some((
                    (place, hit.page, hit.start),
                    Evidence {
                        pattern,
                        words,
                        place: named.unwrap_or_else(|| place.as_str().to_owned()),
                        line: hit.line,
                    },
                ))
            }
            Atom::Field { id, field } => {
                let words = shorten(self.fields.get(&id)?);
                let evidence = Evidence { pattern, words, place: field.as_str().to_owned(), line: 1 };
                // After the words of the message.
                Some(((Place::Quoted, 0, usize::MAX), evidence))
            }
        }
    }
}

fn shorten(words: &str) -> String {
    match words.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", words.get(..at).unwrap_or_default()),
        None => words.to_owned(),
    }
}

impl Condition {
    pub(crate) fn holds(&self, found: &Found) -> bool {
        match self {
            Self::Leaf(leaf) => found.has(leaf.atom),
            Self::Any(all) => all.iter().any(|c| c.holds(found)),
            Self::All(all) => all.iter().all(|c| c.holds(found)),
            Self::Not(inner) => !inner.holds(found),
        }
    }

    /// The words for which it holds, in the order of the message.
    pub(crate) fn evidence(&self, found: &Found) -> Vec<Evidence> {
        let mut all = Vec::new();
        self.collect(found, &mut all);
        all.sort_by(|(a, x), (b, y)| (a, &x.pattern).cmp(&(b, &y.pattern)));
        all.dedup();
        all.into_iter().map(|(_, evidence)| evidence).collect()
    }

    fn collect(&self, found: &Found, out: &mut Vec<((Place, u32, usize), Evidence)>) {
        match self {
            Self::Leaf(leaf) => out.extend(found.evidence(leaf)),
            Self::Any(all) | Self::All(all) => all.iter().for_each(|c| c.collect(found, out)),
            Self::Not(_) => {}
        }
    }

    /// Every atom outside `none`.
    pub(crate) fn positive(&self, out: &mut Vec<Atom>) {
        match self {
            Self::Leaf(leaf) => out.push(leaf.atom),
            Self::Any(all) | Self::All(all) => all.iter().for_each(|c| c.positive(out)),
            Self::Not(_) => {}
        }
    }

    /// Atoms of which one at least is there whenever the condition holds, chosen so that few rules share them; with
    /// their cost. None when there are no such atoms.
    pub(crate) fn triggers(&self, shared: &HashMap<Atom, usize>) -> Option<(usize, Vec<Atom>)> {
        match self {
            Self::Leaf(leaf) => {
                let coarse = matches!(leaf.atom, Atom::Field { field, .. } if field.is_coarse());
                let cost = shared.get(&leaf.atom).copied().unwrap_or(1) + if coarse { 1_000_000 } else { 0 };
                Some((cost, vec![leaf.atom]))
            }
            Self::Any(all) => all.iter().try_fold((0, Vec::new()), |(cost, mut atoms), inner| {
                let (more, others) = inner.triggers(shared)?;
                atoms.extend(others);
                Some((cost.max(more), atoms))
            }),
            Self::All(all) => all.iter().filter_map(|inner| inner.triggers(shared)).min(),
            Self::Not(_) => None,
        }
    }
}
