//! One town hall: its settings, its rules, and how its deliveries are judged. Everything hangs on a `Town`; there is no
//! global state, so that one process can serve several.

use std::sync::{PoisonError, RwLock};

use jiff::{SignedDuration, tz::TimeZone};
use smista_domain::{ChannelKind, ChannelName, Delivery, DeliveryKey, IgnoreReason, Reading, Upstream};
use smista_email::read::ReadSettings;
use smista_store::settle::{Claimed, Verdict};
use smista_triage::{Context, Rules, decide};

use crate::{
    clock,
    documents::{self, Readers},
};

/// What judging deliveries needs.
pub(crate) struct Town {
    pub(crate) time_zone: TimeZone,
    pub(crate) reopen_days: u16,
    pub(crate) reading: ReadSettings,
    rules: RwLock<Rules>,
    readers: Readers,
}

impl Town {
    pub(crate) fn new(time_zone: TimeZone, reopen_days: u16, reading: ReadSettings, rules: Rules) -> Self {
        Self { time_zone, reopen_days, reading, rules: RwLock::new(rules), readers: Readers::default() }
    }

    /// The rules that decide now. A batch keeps the ones that it began with.
    pub(crate) fn rules(&self) -> Rules {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Other rules from the next batch on.
    pub(crate) fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The year of new numbers, in the town's zone.
    pub(crate) fn year(&self) -> i16 {
        clock::now().to_zoned(self.time_zone.clone()).year()
    }

    /// How long after closing a follow-up still reopens the case.
    pub(crate) fn reopen_within(&self) -> SignedDuration {
        SignedDuration::from_hours(24 * i64::from(self.reopen_days))
    }

    /// Reads a delivery, with the documents that it points to, and decides about it. Pure but for the log and the processes that
    /// read documents.
    pub(crate) fn judge(&self, claimed: &Claimed, rules: &Rules) -> Verdict {
        let channel: ChannelName = match claimed.channel.parse() {
            Ok(channel) => channel,
            Err(error) => return Verdict::Quarantined { reason: error.to_string() },
        };
        match self.read(&channel, claimed) {
            Ok(Reading::Message(mut message)) => {
                documents::look_into(&mut message, &self.readers, |attachment| {
                    smista_email::read::attachment(&claimed.bytes, &attachment.part)
                });
                let mut decision = decide(&message, &Context::new(channel.clone()), rules);
                if claimed.reopened() {
                    // A person has said that it needs somebody, whatever the rules say.
                    decision.set_aside = None;
                }
                Verdict::Message { message, decision: Box::new(decision) }
            }
            Ok(Reading::Ignored { reason, .. }) => {
                tracing::debug!(delivery.id = claimed.id, reason = reason.as_str(), "ignored");
                Verdict::Ignored { reason: reason.as_str().to_owned() }
            }
            Err(reason) => Verdict::Quarantined { reason },
        }
    }

    fn read(&self, channel: &ChannelName, claimed: &Claimed) -> Result<Reading, String> {
        match channel.kind() {
            ChannelKind::Email => {
                let delivery = Delivery {
                    channel: channel.clone(),
                    scope: claimed.scope.clone(),
                    key: DeliveryKey(String::new()),
                    bytes: claimed.bytes.clone(),
                    received_at: claimed.received_at,
                    upstream: Upstream::Void,
                    facts: claimed.facts.clone(),
                    recognise: false,
                };
                let reopened;
                let settings = if claimed.reopened() {
                    reopened = ReadSettings { keep_everything: true, ..self.reading.clone() };
                    &reopened
                } else {
                    &self.reading
                };
                smista_email::read::read(&delivery, settings).map_err(|unreadable| unreadable.to_string())
            }
            kind @ (ChannelKind::Meta | ChannelKind::Phone | ChannelKind::Desk) => {
                Err(format!("this version cannot read deliveries of {}", kind.as_str()))
            }
        }
    }
}

/// The Italian word for a reason of the ledger.
pub(crate) fn reason_in_italian(reason: &str) -> &str {
    const OWN: &[(IgnoreReason, &str)] = &[
        (IgnoreReason::AutoReply, "risposta automatica"),
        (IgnoreReason::MailingList, "lista di distribuzione"),
        (IgnoreReason::Bounce, "avviso di mancata consegna"),
        (IgnoreReason::OwnMail, "posta nostra"),
        (IgnoreReason::PecAccepted, "PEC: ricevuta di accettazione"),
        (IgnoreReason::PecDelivered, "PEC: ricevuta di avvenuta consegna"),
        (IgnoreReason::PecNotDelivered, "PEC: avviso di mancata consegna"),
        (IgnoreReason::PecLate, "PEC: preavviso di mancata consegna (12 o 24 ore)"),
        (IgnoreReason::PecNotAccepted, "PEC: avviso di non accettazione"),
        (IgnoreReason::PecTakenInCharge, "PEC: presa in carico tra gestori"),
        (IgnoreReason::PecVirus, "PEC: virus rilevato"),
        (IgnoreReason::PecReceipt, "PEC: ricevuta di altro tipo"),
    ];
    match reason {
        "double" => "doppione",
        "vanished" => "sparito dalla casella prima di essere letto",
        other => OWN.iter().find(|(r, _)| r.as_str() == other).map_or(other, |(_, it)| it),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use smista_settings::Environment;

    use super::*;
    use crate::configuration;

    #[test]
    fn what_rules_set_aside_is_a_message_once_a_person_reopens_it() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let environment: Environment = [("SMISTA_TEST", "")].into_iter().collect();
        let (configuration, _) = configuration::read(here.join("../../config"), environment, true);
        let configuration = configuration.expect("the sample configuration is good");
        let rules = configuration.ruleset.as_ref().expect("with rules").rules.clone();
        let town = Town::new(TimeZone::UTC, 30, configuration.reading(), rules.clone());
        let letter = here.join("demo/letters/31-pubblicita-motori-di-ricerca.eml");
        let mut claimed = Claimed {
            id: 1,
            channel: "email/urp".to_owned(),
            scope: "INBOX".to_owned(),
            bytes: std::fs::read(letter).expect("the sample letter").into(),
            received_at: jiff::Timestamp::UNIX_EPOCH,
            damaged: false,
            facts: serde_json::Value::Null,
            attempts: 1,
        };
        let aside = |claimed: &Claimed| match town.judge(claimed, &rules) {
            Verdict::Message { decision, .. } => decision.set_aside.is_some(),
            other => panic!("{other:?}"),
        };
        assert!(aside(&claimed));
        claimed.facts = serde_json::json!({ "reopened": true });
        assert!(!aside(&claimed));
    }
}
