//! Rules to decisions: what a message is, who must answer it, and why.
//!
//! A rule (`[[rule]]` in `rules/*.toml`, [`RuleSpec`]) names words that a message has and votes for a sector, a kind, a
//! category, a priority, tags, or for setting the message aside. [`Rules::compile`] makes automata of all of them, [`decide`]
//! runs a message through these and adds up the votes. The language is described in `docs/rules.md`.
//!
//! Invariants: pure and total (any message gives a decision, no clock, no randomness, no I/O); the order of files, rules and
//! patterns never changes a decision; each decision carries the words that it depends on and the name of the ruleset; a
//! message costs the same with 50 rules or 5,000.

mod canonical;
mod compile;
mod condition;
mod decide;
mod explain;
mod fields;
mod fold;
mod hash;
mod lexicon;
mod lint;
mod matcher;
mod pattern;
mod regexes;
mod settings;
mod spec;
mod stem;
mod trial;
mod typo;
mod words;

pub use compile::Rules;
pub use decide::{BELOW_MIN_SCORE, Context, NO_LEAD, NO_RULE, ONLY_SCAN, UNREADABLE_DOCUMENT, decide};
pub use explain::{explain, explain_json, reason};
pub use pattern::GAP_WORDS;
pub use settings::{DEFAULT_KIND, Settings};
pub use spec::{DEFAULT_WEIGHT, RuleSpec};
pub use trial::{RuleTestFailure, count_examples, test_rules};
