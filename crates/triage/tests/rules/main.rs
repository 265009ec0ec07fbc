//! The rule language and the votes, from the TOML to the decision.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod default_rules;
mod documentation;
mod documents;
mod examples;
mod explained;
mod fields;
mod language;
mod mistakes;
mod properties;
mod support;
mod votes;
