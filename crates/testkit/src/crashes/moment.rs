//! When the program is killed: at any time, or at a moment of its work that is held open for the blow. What holds it open is a
//! lock on a table that the next step needs, taken by the test, so that no chance and no speed of the machine is needed.

use crate::held::Lock;

/// A kind of moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Any time from the start on.
    Anyhow,
    /// It holds the mailbox's lease and connects, logs in, looks for letters.
    Connecting,
    /// Letters are fetched, their commit is on its way and not done.
    Accepting,
    /// So many letters are committed, and others are still coming.
    Committed,
    /// Letters are claimed and read, the transaction that opens their cases is not done.
    Settling,
    /// Letters are committed, upstream knows nothing of it.
    BeforeTelling,
    /// Upstream has been told of some.
    Telling,
    /// Upstream has been told, and that it was is not written down.
    Told,
}

impl Moment {
    /// The moments that there are with a policy.
    pub(super) fn all(policy: &str) -> &'static [Self] {
        use Moment::{Accepting, Anyhow, BeforeTelling, Committed, Connecting, Settling, Telling, Told};
        match policy {
            "keep" => &[Anyhow, Connecting, Accepting, Committed, Settling],
            _ => &[Anyhow, Connecting, Accepting, Committed, Settling, BeforeTelling, Telling, Told],
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anyhow => "at any time",
            Self::Connecting => "connecting",
            Self::Accepting => "accepting",
            Self::Committed => "committed",
            Self::Settling => "settling",
            Self::BeforeTelling => "before telling",
            Self::Telling => "telling",
            Self::Told => "told",
        }
    }

    /// The lock that holds it open.
    pub(super) fn lock(self) -> Option<Lock> {
        let (table, mode, waits) = match self {
            Self::Accepting => return Some(Lock::ACCEPT),
            Self::Settling => ("segnalazioni", "share", "%insert into segnalazioni%"),
            Self::BeforeTelling => ("deliveries", "access exclusive", "%d.upstream = 'pending'%"),
            Self::Told => ("deliveries", "share", "update deliveries set upstream = 'done'%"),
            Self::Anyhow | Self::Connecting | Self::Committed | Self::Telling => return None,
        };
        Some(Lock { table, mode, waits })
    }

    /// Whether its lock may be taken before the program starts: otherwise what comes before this step must be let through first.
    pub(super) fn locked_at_once(self) -> bool {
        matches!(self, Self::Accepting | Self::Settling)
    }
}
