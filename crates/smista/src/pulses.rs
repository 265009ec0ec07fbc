//! What channels say of themselves while they run: into `status`, and (not more than every few seconds) into the database, so
//! that any daemon can tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use smista_domain::{ChannelName, Pulse, Text};
use smista_store::Store;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    clock,
    health::{ChannelState, Health, Severity},
};

/// How often a channel's condition is written at most.
const WRITE_EVERY: Duration = Duration::from_secs(5);

/// What a channel's code means, with the particulars (which are English, as in the journal), and what to do about it.
pub(crate) fn in_words(name: &ChannelName, code: &str, text: &str) -> (Text, Option<Text>) {
    let Some(advice) = smista_email::advice(code) else {
        return (Text::new(format!("Canale {name}: {text}"), format!("channel {name}: {text}")), None);
    };
    let (it, en) = advice.what;
    let what = Text::new(format!("Canale {name}: {it} ({text})"), format!("channel {name}: {en} ({text})"));
    (what, Some(Text::new(sentence(advice.todo.0), sentence(advice.todo.1))))
}

fn sentence(words: &str) -> String {
    let mut rest = words.chars();
    let first = rest.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str())
}

/// How far the scopes (folders) of one run have come. A channel is caught up when all of them are: one that hangs must not
/// hide behind the others.
struct Scopes {
    /// When each was last caught up; `None` while it has not been in this run.
    at: BTreeMap<String, Option<Timestamp>>,
    /// Those that cannot be opened: their warning says so, nobody waits for them.
    closed: BTreeSet<String>,
    /// Those that were heard of since the last whole round.
    heard: BTreeSet<String>,
}

impl Scopes {
    fn new(scopes: Vec<String>) -> Self {
        let at = scopes.into_iter().map(|scope| (scope, None)).collect();
        Self { at, closed: BTreeSet::new(), heard: BTreeSet::new() }
    }

    fn caught_up(&mut self, scope: String, now: Timestamp) {
        self.closed.remove(&scope);
        self.heard.insert(scope.clone());
        self.at.insert(scope, Some(now));
    }

    fn closed(&mut self, scope: String) {
        self.closed.insert(scope);
    }

    fn open(&self) -> impl Iterator<Item = (&String, &Option<Timestamp>)> {
        self.at.iter().filter(|(scope, _)| !self.closed.contains(*scope))
    }

    /// Since when there is nothing upstream that is not here: the time of the scope that is furthest behind.
    fn all_caught_up_at(&self) -> Option<Timestamp> {
        self.open().map(|(_, at)| *at).min().flatten()
    }

    /// True once each time that every scope has been heard of.
    fn round_is_over(&mut self) -> bool {
        let over = self.open().all(|(scope, _)| self.heard.contains(scope));
        if over {
            self.heard.clear();
        }
        over
    }
}

/// A listener for one run of a channel with these scopes. Pulses beyond what it takes in are dropped: they are no truth, only signs of life.
pub(crate) fn listen(
    store: Store,
    name: ChannelName,
    scopes: Vec<String>,
    health: Health,
) -> (mpsc::Sender<Pulse>, JoinHandle<()>) {
    let (sender, mut pulses) = mpsc::channel(64);
    let listening = tokio::spawn(async move {
        let mut written: Option<tokio::time::Instant> = None;
        // Warnings since the last time that upstream had nothing more: they hold until they are not repeated for a whole
        // round. (A channel says them in the round that it then ends; cleared at once, nobody would ever see them.)
        let mut said: BTreeSet<&str> = BTreeSet::new();
        let mut scopes = Scopes::new(scopes);
        let all = |scopes: &Scopes| match scopes.all_caught_up_at() {
            Some(at) => {
                health.caught_up(&name, at);
                "caught-up"
            }
            None => "connected",
        };
        while let Some(pulse) = pulses.recv().await {
            let word = match pulse {
                Pulse::Connected => {
                    health.channel(&name, ChannelState::Connected, None);
                    "connected"
                }
                Pulse::CaughtUp { scope } => {
                    scopes.caught_up(scope, clock::now());
                    let word = all(&scopes);
                    if scopes.round_is_over() {
                        health.clear_subject(name.as_str(), &std::mem::take(&mut said));
                    }
                    word
                }
                Pulse::Closed { scope } => {
                    scopes.closed(scope);
                    all(&scopes)
                }
                Pulse::Warning { code, text } => {
                    let (what, todo) = in_words(&name, code, &text);
                    let todo = todo.unwrap_or_else(|| {
                        Text::new(
                            "Se si ripete, informare chi gestisce la casella.",
                            "If it repeats, tell whoever runs the mailbox.",
                        )
                    });
                    said.insert(code);
                    health.raise(code, name.as_str(), Severity::Warning, what, todo);
                    "warning"
                }
            };
            if written.is_none_or(|at| at.elapsed() >= WRITE_EVERY) {
                written = Some(tokio::time::Instant::now());
                let condition = serde_json::json!({ "state": word, "at": clock::now() });
                if let Err(error) = store.set_channel_condition(&name, &condition).await {
                    tracing::debug!(error = error.chain(), "the channel's condition was not written");
                }
            }
        }
    });
    (sender, listening)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn two() -> Scopes {
        Scopes::new(vec!["INBOX".to_owned(), "Spam".to_owned()])
    }

    #[test]
    fn a_channel_is_caught_up_when_its_last_folder_is() {
        let mut scopes = two();
        scopes.caught_up("INBOX".to_owned(), at(10));
        assert_eq!(scopes.all_caught_up_at(), None, "the other folder is still being fetched");
        assert!(!scopes.round_is_over());
        scopes.caught_up("Spam".to_owned(), at(20));
        assert!(scopes.round_is_over());
        scopes.caught_up("INBOX".to_owned(), at(900));
        assert_eq!(scopes.all_caught_up_at(), Some(at(20)), "as old as the folder that hangs");
        assert!(!scopes.round_is_over());
    }

    #[test]
    fn a_folder_that_cannot_be_opened_is_not_waited_for() {
        let mut scopes = two();
        scopes.closed("Spam".to_owned());
        scopes.caught_up("INBOX".to_owned(), at(10));
        assert_eq!(scopes.all_caught_up_at(), Some(at(10)));
        assert!(scopes.round_is_over());
        scopes.caught_up("Spam".to_owned(), at(30));
        scopes.caught_up("INBOX".to_owned(), at(40));
        assert_eq!(scopes.all_caught_up_at(), Some(at(30)), "it is there again");
    }
}
