//! Looks after the whole at a steady pace: expired leases go back, sectors hear what became ready by others' hands, and what
//! has been lying too long is said.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::SignedDuration;
use smista_domain::Text;
use smista_settings::Environment;
use smista_store::{Numbers, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::{
    configuration::Configuration,
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
/// How many days before a password expires it is said.
const PASSWORD_DAYS: i32 = 14;

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
        let (mut position, mut turn) = (None, 0_u32);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.look(&mut position, turn).await {
                Ok(()) => self.health.database_back(),
                Err(error) => self.health.database_away(&error),
            }
            turn = turn.wrapping_add(1);
        }
    }

    async fn look(&self, position: &mut Option<i64>, turn: u32) -> Result<(), StoreError> {
        self.notifier.ready(self.store.sweep().await?);
        let after = match *position {
            Some(position) => position,
            None => self.store.settled_position().await?,
        };
        let (sectors, next) = self.store.woken(after).await?;
        self.notifier.ready(sectors);
        *position = Some(next);
        if turn.is_multiple_of(COUNT_EVERY) {
            self.judge(&self.store.numbers().await?);
            self.passwords();
            rulesets::follow(&self.configuration, &self.store, &self.environment, &self.town, &self.health)
                .await?;
        }
        Ok(())
    }

    /// Says which passwords expire soon.
    fn passwords(&self) {
        let today = crate::clock::now().to_zoned(self.town.time_zone.clone()).date();
        for mailbox in &self.configuration.mailboxes {
            // Under a name of its own: a mailbox that is caught up still has a password that expires.
            let subject = format!("password of {}", mailbox.name);
            match mailbox.password_warning(today, PASSWORD_DAYS) {
                Some(found) => self.health.raise(
                    "password-expires",
                    &subject,
                    Severity::Warning,
                    found.text,
                    found.hint.unwrap_or_else(|| Text::new("", "")),
                ),
                None => self.health.clear("password-expires", &subject),
            }
        }
    }

    /// Raises and clears what the numbers tell.
    fn judge(&self, numbers: &Numbers) {
        let quarantined: BTreeMap<&str, i64> =
            numbers.backlog.iter().map(|b| (b.channel.as_str(), b.quarantined)).collect();
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
