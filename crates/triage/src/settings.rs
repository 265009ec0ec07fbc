//! What decisions depend on besides the rules: it is set in smista.toml (`[queue]`) and is part of a ruleset's name.

use smista_domain::{KindId, SectorId};
use smista_settings::Queue;

/// The kind of a message for which no rule knows better.
pub const DEFAULT_KIND: &str = "segnalazione";

/// What decisions depend on besides the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Who gets what no rule decides.
    pub fallback: SectorId,
    /// The winner of a vote needs at least this score. A score of 0 or less never wins.
    pub min_score: i64,
    /// And so much more than the second. A tie is never won.
    pub lead: i64,
    /// The kind when no rule knows better.
    pub default_kind: KindId,
}

impl Settings {
    /// With this fallback sector, and the defaults for the rest: score 10, lead 1, kind `segnalazione`.
    pub fn new(fallback: SectorId) -> Self {
        // The constant has the form of an id (a test says so); the fallback's own name is one in any case.
        let default_kind = KindId::new(DEFAULT_KIND).or_else(|_| KindId::new(fallback.as_str()));
        let default_kind =
            default_kind.unwrap_or_else(|_| unreachable!("a sector id has the form of a kind id"));
        Self { fallback, min_score: 10, lead: 1, default_kind }
    }
}

impl From<&Queue> for Settings {
    fn from(queue: &Queue) -> Self {
        Self { min_score: queue.min_score, lead: queue.lead, ..Self::new(queue.fallback.value.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_kind_is_what_it_says() {
        let fallback = SectorId::new("urp").expect("valid");
        assert_eq!(Settings::new(fallback).default_kind.as_str(), DEFAULT_KIND);
    }
}
