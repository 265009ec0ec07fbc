//! The states of deliveries and queue entries (see docs/state-machines.md).

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of its life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word, as it stands in SQL and JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// The value for a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// A delivery's state.
    DeliveryState {
        /// Upstream named it but has not served it: no bytes yet.
        Announced = "announced",
        /// Committed, waiting to be read.
        Waiting = "waiting",
        /// Has its one outcome.
        Settled = "settled",
        /// Could not be read; a person sees it.
        Quarantined = "quarantined",
    }
);

words!(
    /// What a settled delivery became. Exactly one.
    Outcome {
        /// It opened a segnalazione.
        Opened = "opened",
        /// It was appended to one.
        Appended = "appended",
        /// It is no segnalazione (double, automatic mail, bounce, vanished ...), with a reason.
        Ignored = "ignored",
        /// Rules say that it needs nobody, with a reason.
        SetAside = "set_aside",
    }
);

words!(
    /// A queue entry's state.
    EntryState {
        /// Waiting to be claimed.
        Ready = "ready",
        /// Held by a worker for a limited time.
        Leased = "leased",
        /// Taken in charge by the sector ("presa in carico").
        Taken = "taken",
        /// Answered.
        Answered = "answered",
        /// Closed.
        Closed = "closed",
    }
);
