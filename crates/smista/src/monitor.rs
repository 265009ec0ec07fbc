//! Looks after the whole at a steady pace: expired leases go back, sectors hear what became ready by others' hands, and what
//! has been lying too long is said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use smista_domain::Text;
use smista_settings::Environment;
use smista_store::{Numbers, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{
    configuration::Configuration,
    expiries,
    health::{Health, Severity},
    notifier::Notifier,
    rulesets,
    town::Town,
};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(2);
/// How often it counts.
const COUNT_EVERY: u32 = 5;
/// A delivery that has been waiting longer than this means that the pipeline does not get through.
const WAITING_TOO_LONG: SignedDuration = SignedDuration::from_mins(10);
/// A channel that has done nothing for so long (or for five polls, where those are longer) hangs, whatever it says.
const SILENT: SignedDuration = SignedDuration::from_mins(15);
/// A server that names letters and does not serve them for so long will not do so by itself.
const ANNOUNCED_TOO_LONG: SignedDuration = SignedDuration::from_hours(1);

/// What it remembers from one look to the next.
#[derive(Default)]
struct Seen {
    position: Option<i64>,
    announced: LongAnnounced,
}

/// Since when each channel has letters that upstream names and does not serve.
#[derive(Default)]
struct LongAnnounced(BTreeMap<String, Timestamp>);

impl LongAnnounced {
    fn look(&mut self, numbers: &Numbers, health: &Health) {
        for row in &numbers.backlog {
            // Under a name of its own: a channel that is caught up may still have them.
            let (channel, n) = (&row.channel, row.announced);
            let subject = format!("announced of {channel}");
            if n == 0 {
                self.0.remove(channel);
                health.clear("announced", &subject);
                continue;
            }
            let since = *self.0.entry(channel.clone()).or_insert(numbers.now);
            if numbers.now.duration_since(since) <= ANNOUNCED_TOO_LONG {
                continue;
            }
            health.raise(
                "announced",
                &subject,
                Severity::Warning,
                Text::new(
                    format!("{n} lettere di {channel} sono annunciate dal server e non consegnate, da più di un'ora"),
                    format!("{n} letters of {channel} are named by the server and not served, for more than an hour"),
                ),
                Text::new(
                    "Elencarle con `smista deliveries list --state announced` e guardare quella cartella con un programma di posta; \
                     smista riprova da solo. Se sono perdute: `deliveries ignore`.",
                    "List them with `smista deliveries list --state announced` and look at that folder with a mail program; \
                     smista goes on trying. If they are lost: `deliveries ignore`.",
                ),
            );
        }
    }
}

/// What it looks after.
pub(crate) struct Monitor {
    pub(crate) store: Store,
    pub(crate) health: Health,
    pub(crate) notifier: Notifier,
    pub(crate) town: Arc<Town>,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) environment: Environment,
}

impl Monitor {
    /// Looks until stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut seen, mut turn) = (Seen::default(), 0_u32);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if turn.is_multiple_of(COUNT_EVERY) {
                // Before the database is asked, which may take its time.
                self.silence(crate::clock::now());
            }
            match self.look(&mut seen, turn).await {
                Ok(()) => self.health.database_back(),
                Err(error) => self.health.database_away(&error),
            }
            turn = turn.wrapping_add(1);
        }
    }

    async fn look(&self, seen: &mut Seen, turn: u32) -> Result<(), StoreError> {
        self.notifier.ready(self.store.sweep().await?);
        let after = match seen.position {
            Some(position) => position,
            None => self.store.settled_position().await?,
        };
        let (sectors, next) = self.store.woken(after).await?;
        self.notifier.ready(sectors);
        seen.position = Some(next);
        if turn.is_multiple_of(COUNT_EVERY) {
            let numbers = self.store.numbers().await?;
            self.judge(&numbers);
            seen.announced.look(&numbers, &self.health);
            let mailboxes = &self.configuration.mailboxes;
            expiries::say(mailboxes, crate::clock::now(), &self.town.time_zone, &self.health);
            rulesets::follow(&self.configuration, &self.store, &self.environment, &self.town, &self.health)
                .await?;
        }
        Ok(())
    }

    /// Says which channels of this daemon hang. One that fails is spoken of by its failure.
    fn silence(&self, now: Timestamp) {
        for mailbox in &self.configuration.mailboxes {
            let poll = SignedDuration::try_from(mailbox.poll).unwrap_or(SignedDuration::ZERO);
            let limit = SILENT.max(poll.saturating_mul(5));
            let name = &mailbox.name;
            match self.health.silent_since(name).filter(|since| now.duration_since(*since) > limit) {
                None => self.health.clear("channel-silent", name.as_str()),
                Some(_) if self.health.fails(name) => {}
                Some(since) => self.health.raise(
                    "channel-silent",
                    name.as_str(),
                    Severity::Error,
                    Text::new(
                        format!("Canale {name}: non risulta in pari e non riceve nulla dal {since}"),
                        format!("channel {name}: neither caught up nor anything received since {since}"),
                    ),
                    Text::new(
                        "Guardare la casella con un programma di posta: se ha lettere nuove, riavviare il servizio \
                         (systemctl restart smista) e segnalare il caso con il registro (journalctl -u smista).",
                        "Look at the mailbox with a mail program: if it has new letters, restart the daemon \
                         (systemctl restart smista) and report it, with the log (journalctl -u smista).",
                    ),
                ),
            }
        }
    }

    /// Says which channels have letters of a flood in quarantine.
    fn floods(&self, numbers: &Numbers) {
        for row in &numbers.backlog {
            let (channel, n) = (&row.channel, row.flooded);
            let subject = format!("flood of {channel}");
            if n == 0 {
                self.health.clear("flood", &subject);
                continue;
            }
            self.health.raise(
                "flood",
                &subject,
                Severity::Warning,
                Text::new(
                    format!("{n} lettere di {channel} attendono in quarantena: troppe dello stesso mittente in poco tempo"),
                    format!("{n} letters of {channel} wait in quarantine: too many of one sender in a short time"),
                ),
                Text::new(
                    "Guardarle con `smista deliveries list --state quarantined`; poi `deliveries retry` le lascia \
                     passare, `deliveries ignore` le mette via. Il limite è «flood» in [[email]].",
                    "Look at them with `smista deliveries list --state quarantined`; then `deliveries retry` lets \
                     them through, `deliveries ignore` puts them away. The limit is 'flood' in [[email]].",
                ),
            );
        }
    }

    /// Raises and clears what the numbers tell.
    fn judge(&self, numbers: &Numbers) {
        self.floods(numbers);
        let quarantined: BTreeMap<&str, i64> =
            numbers.backlog.iter().map(|b| (b.channel.as_str(), b.quarantined - b.flooded)).collect();
        for (channel, n) in quarantined {
            // Under a name of its own: a channel's recovery does not clear it.
            let subject = format!("quarantine of {channel}");
            if n == 0 {
                self.health.clear("quarantine", &subject);
                continue;
            }
            self.health.raise(
                "quarantine",
                &subject,
                Severity::Warning,
                Text::new(
                    format!("{n} arrivi di {channel} sono in quarantena: nessuno li vede"),
                    format!("{n} deliveries of {channel} are quarantined: nobody sees them"),
                ),
                Text::new(
                    "Guardarli con `smista deliveries list --state quarantined`; poi `deliveries retry` o `deliveries ignore`.",
                    "Look at them with `smista deliveries list --state quarantined`; then `deliveries retry` or `deliveries ignore`.",
                ),
            );
        }
        let oldest = numbers.backlog.iter().filter_map(|b| b.oldest_waiting).min();
        match oldest {
            Some(oldest) if numbers.now.duration_since(oldest) > WAITING_TOO_LONG => self.health.raise(
                "waiting-too-long",
                "",
                Severity::Error,
                Text::new(
                    format!("Ci sono arrivi che attendono lo smistamento dal {oldest}"),
                    format!("deliveries have been waiting to be sorted since {oldest}"),
                ),
                Text::new(
                    "Controllare il registro del servizio (journalctl -u smista) e lo spazio sul disco.",
                    "Look into the daemon's log (journalctl -u smista) and at the disk's free space.",
                ),
            ),
            _ => self.health.clear("waiting-too-long", ""),
        }
        if numbers.outbox_failed > 0 {
            let n = numbers.outbox_failed;
            self.health.raise(
                "outbox-failed",
                "",
                Severity::Error,
                Text::new(format!("{n} invii non sono riusciti"), format!("{n} things could not be sent")),
                Text::new("Guardare `smista status --json`.", "Look at `smista status --json`."),
            );
        } else {
            self.health.clear("outbox-failed", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use smista_store::Backlog;

    use super::*;

    #[test]
    fn what_is_named_and_not_served_for_an_hour_is_said_until_it_is_over() {
        let (health, mut seen) = (Health::default(), LongAnnounced::default());
        let mut look = |minute: i64, announced: i64| {
            let row = Backlog {
                channel: "email/urp".to_owned(),
                waiting: 0,
                announced,
                quarantined: 0,
                flooded: 0,
                upstream_due: 0,
                oldest_waiting: None,
            };
            let now = Timestamp::from_second(minute * 60).expect("in range");
            let numbers = Numbers {
                now,
                backlog: vec![row],
                queues: Vec::new(),
                outbox_held: 0,
                outbox_ready: 0,
                outbox_failed: 0,
                ruleset: None,
            };
            seen.look(&numbers, &health);
            health.conditions().len()
        };
        assert_eq!((look(0, 2), look(50, 1), look(61, 1)), (0, 0, 1));
        assert_eq!((look(62, 0), look(63, 1), look(100, 1)), (0, 0, 0), "it begins anew");
    }
}
