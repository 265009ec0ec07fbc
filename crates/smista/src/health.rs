//! What is wrong right now, in one place: `smista status`, the journal and the socket all say the same words.
//!
//! Invariant 8: what is wrong is said at once, where the operator looks. A condition is raised when it begins, logged once,
//! repeated in the log every hour while it lasts, and cleared when it is over. One that comes and goes, or whose words change
//! (a count, another error of the same outage), is logged once a minute at most: nights of trouble must not fill the disk.
//! Its texts hold no personal data.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use smista_domain::{ChannelName, Text};

use crate::clock;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Somebody should look at it this week.
    Warning,
    /// Messages are not coming in, or not getting through.
    Error,
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Condition {
    /// Stable word, for instance `database-away`.
    pub(crate) code: String,
    /// What it is about: a channel's name, or empty.
    pub(crate) subject: String,
    /// How bad.
    pub(crate) severity: Severity,
    /// What happened.
    pub(crate) text: Text,
    /// What to do.
    pub(crate) hint: Text,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// What a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChannelState {
    /// Not connected yet.
    Starting,
    /// Another daemon holds it.
    HeldElsewhere,
    /// Connected and logged in.
    Connected,
    /// Everything that upstream had is committed.
    CaughtUp,
    /// What is sent to it is taken in: nothing is fetched.
    Listening,
    /// The last run failed; it is tried again.
    Failing,
    /// We are stopping.
    Stopped,
}

/// A channel as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChannelStatus {
    /// `email/urp`.
    pub(crate) channel: String,
    /// What it is doing.
    pub(crate) state: ChannelState,
    /// Since when.
    pub(crate) since: Timestamp,
    /// When upstream was last found to hold nothing new.
    pub(crate) caught_up_at: Option<Timestamp>,
    /// The last error, until the next success.
    pub(crate) error: Option<String>,
    /// Of a channel that is pushed to: how many deliveries have come by webhook since this daemon's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<u64>,
}

#[derive(Default)]
struct State {
    conditions: BTreeMap<(String, String), Condition>,
    /// When a condition of this code and subject was last logged, and how bad it was; kept beyond its end.
    logged: BTreeMap<(String, String), (Timestamp, Severity)>,
    channels: BTreeMap<String, ChannelStatus>,
    /// When a channel that is held here last committed something; else since when it is held.
    alive: BTreeMap<String, Timestamp>,
}

impl State {
    fn entry(&mut self, name: &ChannelName, now: Timestamp) -> &mut ChannelStatus {
        self.channels.entry(name.to_string()).or_insert_with(|| ChannelStatus {
            channel: name.to_string(),
            state: ChannelState::Starting,
            since: now,
            caught_up_at: None,
            error: None,
            webhook: None,
        })
    }
}

/// The register of what is wrong, shared by everything that runs.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Mutex<State>>);

/// How often what lasts is logged again.
const REPEAT: SignedDuration = SignedDuration::from_hours(1);
/// How often what flickers is logged at most.
const FLICKER: SignedDuration = SignedDuration::from_mins(1);

/// Whether something was logged less than `within` ago. A clock that was set back silences nothing.
fn lately(now: Timestamp, logged: Timestamp, within: SignedDuration) -> bool {
    let ago = now.duration_since(logged);
    !ago.is_negative() && ago < within
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that something is wrong; again and again while it lasts does no harm.
    pub(crate) fn raise(&self, code: &str, subject: &str, severity: Severity, text: Text, hint: Text) {
        let now = clock::now();
        let mut state = self.lock();
        let key = (code.to_owned(), subject.to_owned());
        let known = state.conditions.get(&key);
        let since = known.map_or(now, |c| c.since);
        let within = if known.is_some_and(|c| c.text == text) { REPEAT } else { FLICKER };
        let silent =
            state.logged.get(&key).is_some_and(|(at, bad)| *bad == severity && lately(now, *at, within));
        if !silent {
            state.logged.insert(key.clone(), (now, severity));
            match severity {
                Severity::Error => {
                    tracing::error!(condition.code = code, condition.subject = subject, condition.since = %since,
                        hint = %hint.en, "{}", text.en);
                }
                Severity::Warning => {
                    tracing::warn!(condition.code = code, condition.subject = subject, condition.since = %since,
                        hint = %hint.en, "{}", text.en);
                }
            }
        }
        let condition =
            Condition { code: code.to_owned(), subject: subject.to_owned(), severity, text, hint, since };
        state.conditions.insert(key, condition);
    }

    /// Says that it is over.
    pub(crate) fn clear(&self, code: &str, subject: &str) {
        let key = (code.to_owned(), subject.to_owned());
        let mut state = self.lock();
        let Some(condition) = state.conditions.remove(&key) else { return };
        // The end of what was not logged is not, either.
        if state.logged.get(&key).is_some_and(|(at, _)| *at >= condition.since) {
            tracing::info!(condition.code = code, condition.subject = subject, condition.since = %condition.since, "over");
        }
    }

    /// Says that everything about this subject is over, but for these codes.
    pub(crate) fn clear_subject(&self, subject: &str, but: &BTreeSet<&str>) {
        let of_it = |(code, about): &&(String, String)| about == subject && !but.contains(code.as_str());
        let codes: Vec<String> =
            self.lock().conditions.keys().filter(of_it).map(|(code, _)| code.clone()).collect();
        for code in codes {
            self.clear(&code, subject);
        }
    }

    /// What a channel is doing now.
    pub(crate) fn channel(&self, name: &ChannelName, next: ChannelState, error: Option<String>) {
        let now = clock::now();
        let mut state = self.lock();
        if matches!(next, ChannelState::HeldElsewhere | ChannelState::Stopped) {
            state.alive.remove(name.as_str());
        } else {
            state.alive.entry(name.to_string()).or_insert(now);
        }
        let entry = state.entry(name, now);
        if entry.state != next {
            entry.state = next;
            entry.since = now;
        }
        entry.error = error;
    }

    /// A channel that is pushed to: what it is doing, and how much has come by webhook.
    pub(crate) fn pushed(&self, name: &ChannelName, next: ChannelState, webhook: u64) {
        self.channel(name, next, None);
        self.lock().entry(name, clock::now()).webhook = Some(webhook);
    }

    /// A channel has everything that upstream had at that time.
    pub(crate) fn caught_up(&self, name: &ChannelName, at: Timestamp) {
        self.channel(name, ChannelState::CaughtUp, None);
        self.lock().entry(name, at).caught_up_at = Some(at);
    }

    /// A channel that is held here has committed something.
    pub(crate) fn committed(&self, name: &ChannelName, at: Timestamp) {
        self.lock().alive.insert(name.to_string(), at);
    }

    /// Since when a channel that is held here has neither been caught up nor committed anything. `None`: not held here.
    pub(crate) fn silent_since(&self, name: &ChannelName) -> Option<Timestamp> {
        let state = self.lock();
        let alive = *state.alive.get(name.as_str())?;
        let caught_up = state.channels.get(name.as_str()).and_then(|c| c.caught_up_at);
        Some(caught_up.map_or(alive, |at| at.max(alive)))
    }

    /// Whether it is said already that this channel fails.
    pub(crate) fn fails(&self, name: &ChannelName) -> bool {
        self.lock().channels.get(name.as_str()).is_some_and(|c| c.state == ChannelState::Failing)
    }

    /// Everything that is wrong, worst first.
    pub(crate) fn conditions(&self) -> Vec<Condition> {
        let mut all: Vec<Condition> = self.lock().conditions.values().cloned().collect();
        all.sort_by_key(|c| (c.severity != Severity::Error, c.since));
        all
    }

    /// Every channel.
    pub(crate) fn channels(&self) -> Vec<ChannelStatus> {
        self.lock().channels.values().cloned().collect()
    }

    /// The database did not answer.
    pub(crate) fn database_away(&self, error: &smista_store::StoreError) {
        let chain = error.chain();
        self.raise(
            "database-away",
            "",
            Severity::Error,
            Text::new(
                format!("Il database non risponde: {chain}"),
                format!("the database does not answer: {chain}"),
            ),
            Text::new(
                "Nessun messaggio va perso: smista riprova da solo. Se dura, controllare che PostgreSQL sia acceso e che \
                 il disco non sia pieno.",
                "No message is lost: smista tries again by itself. If it lasts, check that PostgreSQL runs and that the \
                 disk is not full.",
            ),
        );
    }

    /// Whether it is known that the database does not answer.
    pub(crate) fn is_database_away(&self) -> bool {
        self.lock().conditions.contains_key(&("database-away".to_owned(), String::new()))
    }

    /// The database answered.
    pub(crate) fn database_back(&self) {
        self.clear("database-away", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_keeps_its_beginning_until_it_is_over() {
        let health = Health::default();
        let text = |s: &str| Text::new(s, s);
        health.raise("x", "email/urp", Severity::Warning, text("one"), text("do"));
        let since = health.conditions()[0].since;
        health.raise("x", "email/urp", Severity::Error, text("two"), text("do"));
        let now = health.conditions();
        assert_eq!((now.len(), now[0].since, now[0].severity), (1, since, Severity::Error));
        health.raise("y", "", Severity::Warning, text("other"), text("do"));
        assert_eq!(health.conditions()[0].code, "x", "the worst comes first");
        health.clear_subject("email/urp", &BTreeSet::from(["x"]));
        assert_eq!(health.conditions().len(), 2, "but for what is said to go on");
        health.clear_subject("email/urp", &BTreeSet::new());
        assert_eq!(health.conditions().len(), 1);
    }

    #[test]
    fn silence_is_counted_from_the_last_sign_of_work_while_the_channel_is_held_here() {
        let health = Health::default();
        let name: ChannelName = "email/urp".parse().expect("a name");
        let later = |secs| clock::now() + SignedDuration::from_secs(secs);
        assert_eq!(health.silent_since(&name), None);
        health.channel(&name, ChannelState::Connected, None);
        let held = health.silent_since(&name);
        health.channel(&name, ChannelState::Failing, Some("x".to_owned()));
        health.channel(&name, ChannelState::Connected, None);
        assert_eq!(health.silent_since(&name), held, "connecting again is no work");
        let (first, second) = (later(10), later(20));
        health.caught_up(&name, first);
        assert_eq!(health.silent_since(&name), Some(first));
        health.committed(&name, second);
        assert_eq!(health.silent_since(&name), Some(second));
        assert_eq!(health.channels()[0].caught_up_at, Some(first));
        health.channel(&name, ChannelState::HeldElsewhere, None);
        assert_eq!(health.silent_since(&name), None);
    }

    #[test]
    fn what_flickers_is_logged_once() {
        let health = Health::default();
        let text = |s: &str| Text::new(s, s);
        let logged = || health.lock().logged.values().map(|(at, _)| *at).collect::<Vec<_>>();
        health.raise("x", "", Severity::Error, text("no connection"), text("do"));
        let first = logged();
        for words in ["timed out", "refused", "timed out"] {
            health.raise("x", "", Severity::Error, text(words), text("do"));
            health.clear("x", "");
        }
        assert_eq!(logged(), first);
        health.raise("x", "", Severity::Warning, text("better"), text("do"));
        assert_ne!(logged(), first, "how bad it is has changed");
    }

    #[test]
    fn a_clock_that_is_set_back_silences_nothing() {
        let at = |s| Timestamp::from_second(s).expect("in range");
        assert!(lately(at(1_000), at(990), FLICKER));
        assert!(!lately(at(1_000), at(900), FLICKER));
        assert!(!lately(at(1_000), at(1_000_000), REPEAT));
    }
}
