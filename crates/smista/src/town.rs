//! One town hall: its settings, its rules, and how its deliveries are judged. Everything hangs on a `Town`; there is no
//! global state, so that one process can serve several.

use std::sync::{PoisonError, RwLock};

use jiff::{SignedDuration, tz::TimeZone};
use serde_json::json;
use smista_domain::{
    ChannelKind, ChannelName, Delivery, DeliveryKey, IgnoreReason, Reading, Receipt, Upstream,
};
use smista_email::read::ReadSettings;
use smista_store::settle::{Claimed, FLOOD, ReceiptNote, Verdict, Watched};
use smista_triage::{Context, Rules, decide};

use crate::{
    clock,
    configuration::Readings,
    documents::{self, Readers},
};

/// The comune's own forms and domains may send so many times what others may.
const TRUSTED_FACTOR: u32 = 20;

/// What judging deliveries needs.
pub(crate) struct Town {
    pub(crate) time_zone: TimeZone,
    pub(crate) reopen_days: u16,
    readings: Readings,
    rules: RwLock<Rules>,
    readers: Readers,
}

impl Town {
    pub(crate) fn new(time_zone: TimeZone, reopen_days: u16, readings: Readings, rules: Rules) -> Self {
        Self { time_zone, reopen_days, readings, rules: RwLock::new(rules), readers: Readers::default() }
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
            Ok(Reading::Ignored { reason, about, receipt }) => {
                tracing::debug!(delivery.id = claimed.id, reason = reason.as_str(), "ignored");
                let receipt = note(reason, about, receipt.as_deref()).map(Box::new);
                Verdict::Ignored { reason: reason.as_str().to_owned(), receipt }
            }
            Err(reason) => Verdict::Quarantined { reason },
        }
    }

    /// Whose letters are counted with this one, and how many of them are too many. Not what a person let through.
    pub(crate) fn watched(&self, claimed: &Claimed, verdict: &Verdict) -> Option<Watched> {
        let (Verdict::Message { message, .. }, false) = (verdict, claimed.let_through()) else { return None };
        let limit = self.readings.flood(&claimed.channel.parse().ok()?)?;
        let form = message.form.as_ref().map(|f| &f.from);
        let clerk = message.forwarded_by.as_ref().and_then(|c| c.address.as_ref());
        let sender = form.or(clerk).or(message.sender.address.as_ref())?;
        let trusted = form.is_some() || self.readings.is_internal(sender);
        let limit = if trusted { limit.saturating_mul(TRUSTED_FACTOR) } else { limit };
        Some(Watched { sender: sender.clone(), limit })
    }

    fn read(&self, channel: &ChannelName, claimed: &Claimed) -> Result<Reading, String> {
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
        match channel.kind() {
            ChannelKind::Email => {
                let reopened;
                let mut settings = self.readings.of(channel);
                if claimed.reopened() {
                    reopened = ReadSettings { keep_everything: true, ..settings.clone() };
                    settings = &reopened;
                }
                smista_email::read::read(&delivery, settings).map_err(|unreadable| unreadable.to_string())
            }
            ChannelKind::Meta => {
                let mut settings = self.readings.meta().clone();
                settings.keep_everything = claimed.reopened();
                smista_meta::read::read(&delivery, &settings).map_err(|unreadable| unreadable.to_string())
            }
            kind @ (ChannelKind::Phone | ChannelKind::Desk) => {
                Err(format!("this version cannot read deliveries of {}", kind.as_str()))
            }
        }
    }
}

/// What is kept of a receipt or a bounce, for the answer that it speaks of.
fn note(reason: IgnoreReason, about: Option<String>, receipt: Option<&Receipt>) -> Option<ReceiptNote> {
    match receipt {
        Some(receipt) => Some(ReceiptNote {
            about,
            kind: receipt.kind.as_str().to_owned(),
            failed: receipt.kind.is_failure(),
            legal_at: receipt.data.instant.map(|instant| instant.at),
            data: json!(receipt),
        }),
        None if reason == IgnoreReason::Bounce => Some(ReceiptNote {
            about,
            kind: reason.as_str().to_owned(),
            failed: true,
            legal_at: None,
            data: json!({}),
        }),
        None => None,
    }
}

/// The Italian word for a reason of the ledger.
pub(crate) fn reason_in_italian(reason: &str) -> &str {
    const OWN: &[(IgnoreReason, &str)] = &[
        (IgnoreReason::AutoReply, "risposta automatica"),
        (IgnoreReason::MailingList, "lista di distribuzione"),
        (IgnoreReason::Bounce, "avviso di mancata consegna"),
        (IgnoreReason::DeliveryNotice, "avviso sulla consegna, senza errore (ritardo o riuscita)"),
        (IgnoreReason::OwnMail, "posta nostra"),
        (IgnoreReason::PecAccepted, "PEC: ricevuta di accettazione"),
        (IgnoreReason::PecDelivered, "PEC: ricevuta di avvenuta consegna"),
        (IgnoreReason::PecNotDelivered, "PEC: avviso di mancata consegna"),
        (IgnoreReason::PecLate, "PEC: preavviso di mancata consegna (12 o 24 ore)"),
        (IgnoreReason::PecNotAccepted, "PEC: avviso di non accettazione"),
        (IgnoreReason::PecTakenInCharge, "PEC: presa in carico tra gestori"),
        (IgnoreReason::PecVirus, "PEC: virus rilevato"),
        (IgnoreReason::PecReceipt, "PEC: ricevuta di altro tipo"),
        (IgnoreReason::OwnPost, "scritto dalla nostra pagina"),
        (IgnoreReason::Echo, "messaggio spedito da noi"),
        (IgnoreReason::Reaction, "reazione (mi piace e simili)"),
        (IgnoreReason::Seen, "avviso di consegna o di lettura"),
        (IgnoreReason::Withdrawn, "cancellato da chi l'ha scritto"),
        (IgnoreReason::Moderation, "nascosto o mostrato da chi gestisce la pagina"),
        (IgnoreReason::MetaEvent, "avviso di Facebook o Instagram che nessuno ha scritto"),
        (IgnoreReason::MetaUnknown, "avviso di Facebook o Instagram di tipo sconosciuto"),
    ];
    match reason {
        FLOOD => "troppe lettere dello stesso mittente in poco tempo",
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
        let town = Town::new(TimeZone::UTC, 30, configuration.readings(), rules.clone());
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
