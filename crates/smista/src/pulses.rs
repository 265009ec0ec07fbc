//! What channels say of themselves while they run: into `status`, and (not more than every few seconds) into the database, so
//! that any daemon can tell.

use std::{collections::BTreeSet, time::Duration};

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

/// A listener for one run of a channel. Pulses beyond what it takes in are dropped: they are no truth, only signs of life.
pub(crate) fn listen(
    store: Store,
    name: ChannelName,
    health: Health,
) -> (mpsc::Sender<Pulse>, JoinHandle<()>) {
    let (sender, mut pulses) = mpsc::channel(64);
    let listening = tokio::spawn(async move {
        let mut written: Option<tokio::time::Instant> = None;
        // Warnings since the last time that upstream had nothing more: they hold until they are not repeated for a whole
        // round. (A channel says them in the round that it then ends; cleared at once, nobody would ever see them.)
        let mut said: BTreeSet<&str> = BTreeSet::new();
        while let Some(pulse) = pulses.recv().await {
            let word = match pulse {
                Pulse::Connected => {
                    health.channel(&name, ChannelState::Connected, None);
                    "connected"
                }
                Pulse::CaughtUp { .. } => {
                    health.channel(&name, ChannelState::CaughtUp, None);
                    health.clear_subject(name.as_str(), &std::mem::take(&mut said));
                    "caught-up"
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
