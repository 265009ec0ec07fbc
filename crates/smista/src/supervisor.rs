//! Keeps channels running: one holder each, back-off with jitter, and the truth about each in `status`.
//!
//! Invariants kept here: one bad channel stops only itself (each runs in a task of its own, a panic is a lost connection);
//! a channel runs only while this daemon holds its lease by its own monotonic clock; back-off is reset by useful work, never
//! by a mere connection.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use smista_domain::{Channel, ChannelError, Remedy, Text};
use smista_store::{Handover, Lease, LeaseKeeper, Store, StoreIntake};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    health::{ChannelState, Health, Severity},
    pulses,
    watched::Watched,
};

/// What every channel's keeper shares.
#[derive(Clone)]
pub(crate) struct Supervisor {
    pub(crate) store: Store,
    /// This daemon.
    pub(crate) holder: Uuid,
    pub(crate) host: String,
    pub(crate) health: Health,
    /// The way to the pipeline after a commit.
    pub(crate) handover: Handover,
    pub(crate) lease_ttl: Duration,
}

/// Doubles from `first` to `most`; reset by useful work.
struct BackOff {
    next: Duration,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(500);

    fn new() -> Self {
        Self { next: Self::FIRST }
    }

    /// How long to wait after a failure, between half and the whole of the step, so that daemons do not march in step.
    fn after(&mut self, worked: bool, remedy: Remedy) -> Duration {
        if worked {
            self.next = Self::FIRST;
        }
        let most = match remedy {
            Remedy::WaitForDatabase => Duration::from_secs(3),
            Remedy::Yield => Duration::from_secs(2),
            Remedy::Reconnect => Duration::from_mins(1),
            Remedy::AskOperator => Duration::from_mins(5),
        };
        let step = self.next.min(most);
        self.next = (self.next * 2).min(Duration::from_mins(10));
        step.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

impl Supervisor {
    /// Keeps one channel running until stopped.
    pub(crate) async fn keep<C: Channel>(self, channel: Arc<C>, stop: CancellationToken) {
        let name = channel.name().clone();
        let mut back_off = BackOff::new();
        // Since when nothing useful was done.
        let mut idle_since = tokio::time::Instant::now();
        let mut last: Option<&'static str> = None;
        self.health.channel(&name, ChannelState::Starting, None);
        while !stop.is_cancelled() {
            let wait = match self.store.acquire_lease(&name, self.holder, &self.host, self.lease_ttl).await {
                Ok(Some(lease)) => match self.hold(&channel, lease, &stop).await {
                    Ok(()) => continue,
                    Err(error) => {
                        let wait = back_off.after(error.worked, error.remedy);
                        if error.worked {
                            idle_since = tokio::time::Instant::now();
                        }
                        // What failed before this does not fail any more, as far as is known.
                        if let Some(before) = last.replace(error.code).filter(|code| *code != error.code) {
                            self.health.clear(before, name.as_str());
                        }
                        self.failed(&name, &error, wait, idle_since.elapsed());
                        wait
                    }
                },
                Ok(None) => {
                    self.health.channel(&name, ChannelState::HeldElsewhere, None);
                    self.health.clear_subject(name.as_str(), &BTreeSet::new());
                    self.lease_ttl / 5
                }
                Err(error) => {
                    self.health.database_away(&error);
                    self.health.channel(
                        &name,
                        ChannelState::Failing,
                        Some("waiting for the database".to_owned()),
                    );
                    Duration::from_millis(500)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.health.channel(&name, ChannelState::Stopped, None);
    }

    /// Runs the channel while the lease is ours.
    async fn hold<C: Channel>(
        &self,
        channel: &Arc<C>,
        lease: Lease,
        stop: &CancellationToken,
    ) -> Result<(), ChannelError> {
        let name = channel.name().clone();
        let keeper = LeaseKeeper::start(self.store.clone(), lease, stop);
        let (pulses, listening) =
            pulses::listen(self.store.clone(), name.clone(), channel.scopes(), self.health.clone());
        let intake = StoreIntake::leased(self.store.clone(), keeper.handle(), pulses, self.handover.clone());
        let intake = Watched::new(intake, name.clone(), self.health.clone());
        let run_stop = keeper.token();
        let task = {
            let channel = Arc::clone(channel);
            tokio::spawn(async move { channel.run(intake, run_stop).await })
        };
        let ended = match task.await {
            Ok(ended) => ended,
            Err(panic) => Err(ChannelError {
                code: "panic",
                text: format!("the channel's task panicked: {panic}"),
                remedy: Remedy::Reconnect,
                worked: false,
                source: None,
            }),
        };
        keeper.release().await;
        listening.abort();
        match ended {
            // The lease ran out under it (a frozen machine, a database that was away): not an error of the channel.
            Ok(()) if !stop.is_cancelled() => Err(ChannelError {
                code: "lease-lost",
                text: "the lease on this channel ran out; it is taken up again".to_owned(),
                remedy: Remedy::Yield,
                worked: true,
                source: None,
            }),
            other => other,
        }
    }

    /// `fruitless`: for how long it has done nothing useful.
    fn failed(
        &self,
        name: &smista_domain::ChannelName,
        error: &ChannelError,
        wait: Duration,
        fruitless: Duration,
    ) {
        let text = smista_domain::chain(error);
        self.health.channel(name, ChannelState::Failing, Some(text.clone()));
        tracing::debug!(channel.name = %name, error.code = error.code, wait_ms = wait.as_millis(), "trying again");
        let Some(severity) = severity(error.remedy, fruitless) else {
            tracing::info!(channel.name = %name, error.code = error.code, "{text}");
            return;
        };
        let hint = match error.remedy {
            Remedy::AskOperator => Text::new(
                "Serve un intervento: correggere la configurazione o la casella. smista intanto riprova da solo.",
                "Somebody must act: mend the configuration or the mailbox. smista goes on trying meanwhile.",
            ),
            Remedy::Reconnect | Remedy::WaitForDatabase | Remedy::Yield => Text::new(
                "Di solito passa da sé: smista si ricollega. Se dura, controllare la rete e il server di posta.",
                "This usually passes: smista connects again. If it lasts, check the network and the mail server.",
            ),
        };
        let (what, todo) = pulses::in_words(name, error.code, &text);
        self.health.raise(error.code, name.as_str(), severity, what, todo.unwrap_or(hint));
    }
}

/// Without anything useful for so long, what usually passes has not passed.
const FRUITLESS: Duration = Duration::from_mins(15);

/// How bad a failure is; none: nothing is wrong with the channel (another daemon has it).
fn severity(remedy: Remedy, fruitless: Duration) -> Option<Severity> {
    match remedy {
        Remedy::Yield => None,
        Remedy::Reconnect if fruitless < FRUITLESS => Some(Severity::Warning),
        // The pipeline may find the database well (it has nothing to write) while nothing can be committed.
        Remedy::Reconnect | Remedy::WaitForDatabase | Remedy::AskOperator => Some(Severity::Error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_grows_to_its_cap_and_useful_work_resets_it() {
        let mut back_off = BackOff::new();
        let waits: Vec<Duration> = (0..12).map(|_| back_off.after(false, Remedy::Reconnect)).collect();
        assert!(waits[0] <= Duration::from_millis(500) && waits[0] >= Duration::from_millis(250));
        assert!(waits[11] >= Duration::from_secs(30) && waits[11] <= Duration::from_mins(1));
        assert!(back_off.after(true, Remedy::Reconnect) <= Duration::from_millis(500));
    }

    #[test]
    fn what_does_not_pass_by_itself_becomes_an_error() {
        let (short, long) = (Duration::from_mins(1), Duration::from_hours(1));
        assert_eq!(severity(Remedy::Reconnect, short), Some(Severity::Warning));
        assert_eq!(
            severity(Remedy::Reconnect, long),
            Some(Severity::Error),
            "an outage of days is no warning"
        );
        assert_eq!(severity(Remedy::WaitForDatabase, short), Some(Severity::Error), "a full disk");
        assert_eq!(severity(Remedy::AskOperator, short), Some(Severity::Error));
        assert_eq!(severity(Remedy::Yield, long), None);
    }

    #[test]
    fn a_database_that_comes_back_is_found_within_seconds() {
        let mut back_off = BackOff::new();
        let longest = (0..20).map(|_| back_off.after(false, Remedy::WaitForDatabase)).max();
        assert!(longest.is_some_and(|w| w <= Duration::from_secs(3)));
    }
}
