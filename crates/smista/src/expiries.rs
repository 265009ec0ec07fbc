//! What lets us into mailboxes ends some day: passwords, client secrets, refresh tokens. It is said before, and refresh tokens
//! that nobody uses are used, so that they live on and a dead one is found within a day.
//!
//! Every daemon does so for the tokens of its own machine, whoever fetches the mailbox: the one that stands by must be able to
//! take over.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use smista_domain::{Remedy, Text};
use smista_email::{
    EmailSettings,
    oauth::{TokenFault, Tokens},
};
use smista_settings::Diagnostic;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    health::{Health, Severity},
    pulses,
};

/// How many days before it is said.
const DAYS: i32 = 14;
/// How often refresh tokens are looked at.
const EVERY: Duration = Duration::from_mins(10);

/// Each thing that may end: its condition's code, what its subject is called, and the warning if there is one.
fn of(
    mailbox: &EmailSettings,
    now: Timestamp,
    zone: &TimeZone,
) -> [(&'static str, &'static str, Option<Diagnostic>); 3] {
    let today = now.to_zoned(zone.clone()).date();
    [
        ("password-expires", "password", mailbox.password_warning(today, DAYS)),
        ("client-secret-expires", "client secret", mailbox.secret_warning(today, DAYS)),
        ("token-expires", "token", mailbox.grant_warning(now, DAYS)),
    ]
}

/// Every warning, for `smista check`.
pub(crate) fn warnings(mailboxes: &[EmailSettings], zone: &TimeZone) -> Vec<Diagnostic> {
    let now = clock::now();
    mailboxes.iter().flat_map(|m| of(m, now, zone)).filter_map(|(_, _, found)| found).collect()
}

/// Raises and clears what ends soon.
pub(crate) fn say(mailboxes: &[EmailSettings], now: Timestamp, zone: &TimeZone, health: &Health) {
    for mailbox in mailboxes {
        for (code, what, found) in of(mailbox, now, zone) {
            // Under a name of its own: a mailbox that is caught up still has a password that expires.
            let subject = format!("{what} of {}", mailbox.name);
            // A token that is missing or over is spoken of by the channel that fails for it.
            match found.filter(|_| !(what == "token" && health.fails(&mailbox.name))) {
                Some(found) => health.raise(
                    code,
                    &subject,
                    Severity::Warning,
                    found.text,
                    found.hint.unwrap_or_else(|| Text::new("", "")),
                ),
                None => health.clear(code, &subject),
            }
        }
    }
}

/// Keeps the refresh tokens of all mailboxes alive until stopped; each for itself.
pub(crate) async fn keep_alive(mailboxes: Vec<EmailSettings>, health: Health, stop: CancellationToken) {
    let mut keepers = JoinSet::new();
    for mailbox in mailboxes {
        if let Some(tokens) = smista_email::tokens(&mailbox) {
            keepers.spawn(keep(mailbox, tokens, health.clone(), stop.clone()));
        }
    }
    while keepers.join_next().await.is_some() {}
}

async fn keep(mailbox: EmailSettings, tokens: Tokens, health: Health, stop: CancellationToken) {
    let name = &mailbox.name;
    let subject = format!("renewal of {name}");
    let mut raised = None;
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // Not given up when stopped: a renewed token must reach the disk.
        let failed = match tokens.keep_alive().await {
            Ok(used) => {
                if used {
                    tracing::debug!(channel.name = %name, "the refresh token was used, to keep it alive");
                }
                None
            }
            // Said by the warning about the token, or by the channel that fails.
            Err(error) if matches!(error.fault, TokenFault::LoginNeeded) || health.fails(name) => None,
            Err(error) => Some(error),
        };
        let code = failed.as_ref().map(|error| error.code().0);
        if let Some(before) = raised.filter(|before| Some(*before) != code) {
            health.clear(before, &subject);
        }
        raised = code;
        if let Some(error) = failed {
            let (code, remedy) = error.code();
            let severity = if remedy == Remedy::AskOperator { Severity::Error } else { Severity::Warning };
            let (what, todo) = pulses::in_words(name, code, &smista_domain::chain(&error));
            health.raise(code, &subject, severity, what, todo.unwrap_or_else(|| Text::new("", "")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use smista_settings::Environment;

    use super::*;
    use crate::configuration;

    #[test]
    fn what_ends_is_said_once_for_each_thing_until_it_is_over() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/config/valid/oauth");
        let environment: Environment = [("SEGRETO", "x")].into_iter().collect();
        let (configuration, _) = configuration::read(dir, environment, false);
        let mailboxes = configuration.expect("a good configuration").mailboxes;
        let health = Health::default();
        let at = |date: &str| format!("{date}T10:00:00Z").parse::<Timestamp>().expect("an instant");
        let codes = |date: &str| {
            say(&mailboxes, at(date), &TimeZone::UTC, &health);
            health.conditions().into_iter().map(|c| format!("{} {}", c.code, c.subject)).collect::<Vec<_>>()
        };
        assert_eq!(codes("2098-06-01"), [""; 0]);
        assert_eq!(codes("2099-01-25"), ["client-secret-expires client secret of email/urp"]);
        assert_eq!(codes("2098-06-01"), [""; 0], "a new secret, a new date");
    }
}
