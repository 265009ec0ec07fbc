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
    /// Every vote, strongest first.
    pub votes: Vec<Vote>,
    /// Sums, per subject strongest first: the winner and what came second.
    pub scores: Vec<Alternative>,
    /// The ruleset that decided.
    pub ruleset: RulesetId,
}
