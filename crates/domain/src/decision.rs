//! What triage decides, with everything that is needed to explain it.

use serde::{Deserialize, Serialize};

use crate::names::{KindId, RulesetId, SectorId};

/// How urgent; the order is the claim order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody is in danger.
    Urgent,
    /// Before the others.
    High,
    /// The default.
    #[default]
    Normal,
    /// When there is time.
    Low,
}

impl Priority {
    /// 0 is claimed first.
    pub fn rank(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }
    /// The word, as it stands in SQL, JSON and rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
    /// The value for a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Urgent, Self::High, Self::Normal, Self::Low].into_iter().find(|p| p.as_str() == word)
    }
}

/// What a vote is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteSubject {
    /// Which office answers.
    Sector,
    /// What sort of thing it is.
    Kind,
    /// What it is about (`strade/buche`).
    Category,
    /// How urgent.
    Priority,
    /// A free label; every tag that is voted for is given.
    Tag,
    /// That it needs nobody; the value is the reason.
    SetAside,
}

/// The words that made one condition of a rule true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The pattern or condition as the rule has it, for instance `buca` or `sender = "@anas.it"`.
    pub pattern: String,
    /// The words of the message that matched, as they stand there.
    pub words: String,
    /// Where: `subject`, `text`, `quoted`, `sender`, `channel`, `folder`, `attachment`,
    /// `document:istanza.pdf#2` (attachment and page) ...
    pub place: String,
    /// Line within that place, from 1.
    pub line: u32,
}

/// One rule's vote for one value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The rule's id.
    pub rule: String,
    /// What it is about.
    pub about: VoteSubject,
    /// For what.
    pub value: String,
    /// How much.
    pub weight: i64,
    /// Why the rule holds.
    pub evidence: Vec<Evidence>,
}

/// A value that was voted for, with its sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// What it is about.
    pub about: VoteSubject,
    /// The value.
    pub value: String,
    /// The sum of its votes.
    pub score: i64,
}

/// What was decided, and everything that explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The kind.
    pub kind: KindId,
    /// The sector that must answer.
    pub sector: SectorId,
    /// The category; empty when no rule names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// How urgent.
    pub priority: Priority,
    /// Labels, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// True when no sector won clearly and the fallback sector gets it.
    pub fallback: bool,
    /// Why the fallback: `no-rule`, `below-min-score`, `no-lead`, `only-scan`, `unreadable-document`. None when not fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// The reason for setting it aside, if rules say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<String>,
    /// Every vote, strongest first. In JSON the evidence of a rule stands with its first vote only: a rule votes for several
    /// things at once, and its evidence is the greater part of a decision.
    #[serde(with = "votes")]
    pub votes: Vec<Vote>,
    /// Sums, per subject strongest first: the winner and what came second.
    pub scores: Vec<Alternative>,
    /// The ruleset that decided.
    pub ruleset: RulesetId,
}

/// Votes in JSON, with each rule's evidence once.
mod votes {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Evidence, Vote, VoteSubject};

    #[derive(Serialize, Deserialize)]
    struct Written<'a> {
        rule: Cow<'a, str>,
        about: VoteSubject,
        value: Cow<'a, str>,
        weight: i64,
        /// None: that of the rule's vote before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Cow<'a, [Evidence]>>,
    }

    /// The evidence of the latest vote of a rule.
    fn before<'a>(votes: &'a [Vote], rule: &str) -> Option<&'a [Evidence]> {
        votes.iter().rev().find(|vote| vote.rule == rule).map(|vote| vote.evidence.as_slice())
    }

    pub(super) fn serialize<S: Serializer>(votes: &[Vote], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(votes.iter().enumerate().map(|(n, vote)| {
            let known = before(votes.get(..n).unwrap_or_default(), &vote.rule);
            Written {
                rule: Cow::Borrowed(&vote.rule),
                about: vote.about,
                value: Cow::Borrowed(&vote.value),
                weight: vote.weight,
                evidence: (known != Some(vote.evidence.as_slice())).then(|| Cow::Borrowed(&*vote.evidence)),
            }
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Vote>, D::Error> {
        let written = Vec::<Written<'static>>::deserialize(d)?;
        let mut votes: Vec<Vote> = Vec::with_capacity(written.len());
        for vote in written {
            let evidence = match vote.evidence {
                Some(own) => own.into_owned(),
                None => before(&votes, &vote.rule).map(<[Evidence]>::to_vec).unwrap_or_default(),
            };
            votes.push(Vote {
                rule: vote.rule.into_owned(),
                about: vote.about,
                value: vote.value.into_owned(),
                weight: vote.weight,
                evidence,
            });
        }
        Ok(votes)
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::Decision;

        fn vote(rule: &str, about: VoteSubject, words: &[&str]) -> Vote {
            let evidence = words.iter().map(|words| Evidence {
                pattern: "buca".to_owned(),
                words: (*words).to_owned(),
                place: "text".to_owned(),
                line: 1,
            });
            Vote {
                rule: rule.to_owned(),
                about,
                value: "x".to_owned(),
                weight: 1,
                evidence: evidence.collect(),
            }
        }

        #[test]
        fn the_evidence_of_a_rule_stands_once_and_comes_back_with_every_vote() {
            let votes = vec![
                vote("buche", VoteSubject::Sector, &["buca", "buche"]),
                vote("alberi", VoteSubject::Sector, &["albero"]),
                vote("buche", VoteSubject::Kind, &["buca", "buche"]),
                vote("senza", VoteSubject::Kind, &[]),
                vote("buche", VoteSubject::Category, &["altro"]),
                vote("buche", VoteSubject::Priority, &["altro"]),
            ];
            let decision = Decision {
                kind: "segnalazione".parse().expect("an id"),
                sector: "urp".parse().expect("an id"),
                category: None,
                priority: crate::Priority::Normal,
                tags: Vec::new(),
                fallback: false,
                fallback_reason: None,
                set_aside: None,
                votes,
                scores: Vec::new(),
                ruleset: crate::RulesetId(String::new()),
            };
            let json = serde_json::to_value(&decision).expect("JSON");
            let shown = json["votes"].as_array().expect("a list");
            let with: Vec<bool> = shown.iter().map(|vote| vote.get("evidence").is_some()).collect();
            assert_eq!(with, [true, true, false, true, true, false]);
            assert_eq!(serde_json::from_value::<Decision>(json).expect("read"), decision);
        }
    }
}
