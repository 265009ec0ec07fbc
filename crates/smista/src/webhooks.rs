//! What Meta pushes to us: the public listener, what `status` says of it, and the channels that are never fetched.
//!
//! These channels have no lease: any number of daemons may take in what is sent to them, since the keys of deliveries make it
//! harmless that one thing comes twice. The listener is up before the database is, so that Meta hears at once that it must send
//! again.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use smista_domain::{ChannelName, Text};
use smista_meta::MetaSettings;
use smista_store::{Handover, Store, StoreIntake};
use smista_web::{Limits, MetaHook, Refusal, Snapshot, Traffic, router, serve};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    health::{ChannelState, Health, Severity},
    watched::Watched,
};

/// How often the numbers are brought to `status`.
const EVERY: Duration = Duration::from_secs(2);
/// What was refused, or came for others, within so long is still said.
const LATELY: Duration = Duration::from_hours(1);
/// How long a listener whose address is taken waits before it tries again.
const BIND_AGAIN: Duration = Duration::from_secs(5);

/// Where what comes in goes, once the database is open.
pub(crate) type Opened = Arc<OnceLock<(Store, Handover)>>;

/// Listens until stopped, and keeps `status` up to date.
pub(crate) async fn run(
    settings: MetaSettings,
    address: SocketAddr,
    opened: Opened,
    health: Health,
    stop: CancellationToken,
) {
    let (settings, traffic) = (Arc::new(settings), Arc::new(Traffic::default()));
    let names: Vec<ChannelName> = settings.accounts.iter().map(|account| account.name.clone()).collect();
    for name in &names {
        health.pushed(name, ChannelState::Starting, 0);
    }
    let Some(listener) = bind(address, &health, &stop).await else { return };
    let intake = {
        let health = health.clone();
        move |channel: &ChannelName| {
            let (store, handover) = opened.get().filter(|_| !health.is_database_away())?;
            let intake = StoreIntake::pushed(store.clone(), channel.clone(), handover.clone());
            Some(Watched::new(intake, channel.clone(), health.clone()))
        }
    };
    let hook = MetaHook::new(Arc::clone(&settings), intake, clock::now, Arc::clone(&traffic));
    tracing::info!(http.public = %address, "listening for webhooks");
    let mut tasks = JoinSet::new();
    tasks.spawn(serve(listener, router(hook), Limits::default(), stop.clone()));
    tasks.spawn({
        let (health, names) = (health.clone(), names.clone());
        async move { watch(&traffic, &names, &health, &stop).await }
    });
    while tasks.join_next().await.is_some() {}
    for name in &names {
        health.channel(name, ChannelState::Stopped, None);
    }
}

async fn bind(address: SocketAddr, health: &Health, stop: &CancellationToken) -> Option<TcpListener> {
    loop {
        let error = match TcpListener::bind(address).await {
            Ok(listener) => {
                health.clear("http-listener", "");
                return Some(listener);
            }
            Err(error) => error,
        };
        health.raise(
            "http-listener",
            "",
            Severity::Error,
            Text::new(
                format!("Facebook e Instagram non possono consegnare nulla: {address} non si può aprire ({error})"),
                format!("Facebook and Instagram can deliver nothing: {address} cannot be opened ({error})"),
            ),
            Text::new(
                "Vedere chi occupa quella porta (ss -ltnp), o indicarne un'altra in [http] public; smista riprova da solo.",
                "See who has that port (ss -ltnp), or name another one in [http] public; smista goes on trying.",
            ),
        );
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(BIND_AGAIN) => {}
        }
    }
}

async fn watch(traffic: &Traffic, names: &[ChannelName], health: &Health, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut said = BTreeSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = traffic.snapshot(LATELY);
        for name in names {
            health.pushed(name, ChannelState::Listening, now.accepted.get(name).copied().unwrap_or(0));
        }
        refusals(&now, health);
        said = strangers(&now, &said, health);
    }
}

/// What is refused although it should perhaps have been taken. What anybody may send without a signature is no news.
fn refusals(now: &Snapshot, health: &Health) {
    let lately = |why| now.lately.contains(&why);
    let raise = |why: Refusal, code, severity, text: (&str, &str), hint: (&str, &str)| {
        if lately(why) {
            health.raise(code, "", severity, Text::new(text.0, text.1), Text::new(hint.0, hint.1));
        } else {
            health.clear(code, "");
        }
    };
    raise(
        Refusal::WrongSignature,
        "webhook-signature",
        Severity::Warning,
        (
            "Nell'ultima ora sono stati respinti invii a /webhooks/meta la cui firma non corrisponde a nessuna chiave dell'app",
            "within the last hour POSTs to /webhooks/meta were refused whose signature fits no app secret",
        ),
        (
            "Confrontare «app_secret_files» con la chiave segreta nel pannello dell'app di Meta: se è cambiata, non entra più nulla. \
             Se è giusta, qualcuno prova a fingersi Meta: non c'è niente da fare.",
            "Compare 'app_secret_files' with the app secret in Meta's dashboard: if it has changed, nothing comes in any more. If it is \
             right, somebody pretends to be Meta: nothing is to be done.",
        ),
    );
    raise(
        Refusal::NoSecret,
        "webhook-secret",
        Severity::Error,
        (
            "Facebook e Instagram non possono consegnare nulla: la chiave dell'app o la parola di verifica non si può leggere",
            "Facebook and Instagram can deliver nothing: the app secret or the verify token cannot be read",
        ),
        (
            "Controllare i file indicati in [meta]: `smista check` dice quale e perché.",
            "Look at the files named in [meta]: `smista check` says which and why.",
        ),
    );
    raise(
        Refusal::Unreadable,
        "webhook-unreadable",
        Severity::Warning,
        (
            "Nell'ultima ora Meta ha mandato qualcosa che non si può leggere: è stato respinto, e Meta lo manderà ancora",
            "within the last hour Meta sent what cannot be read: it was refused, and Meta will send it again",
        ),
        (
            "Segnalare il caso, con il registro (journalctl -u smista).",
            "Report it, with the log (journalctl -u smista).",
        ),
    );
}

/// Says for which accounts something comes that are not ours; gives those that were said.
fn strangers(now: &Snapshot, before: &BTreeSet<String>, health: &Health) -> BTreeSet<String> {
    let present: BTreeSet<String> = now.strangers.iter().cloned().collect();
    for gone in before.difference(&present) {
        health.clear("webhook-stranger", gone);
    }
    for id in &present {
        let (it, en) = if id.is_empty() {
            ("un account che non è indicato".to_owned(), "an account that is not named".to_owned())
        } else {
            (format!("l'account {id}"), format!("the account {id}"))
        };
        health.raise(
            "webhook-stranger",
            id,
            Severity::Warning,
            Text::new(
                format!("Meta manda messaggi per {it}, che non è in [meta]: non vengono conservati"),
                format!("Meta sends messages for {en}, which is not in [meta]: they are not kept"),
            ),
            Text::new(
                "Se è una pagina del comune, aggiungerla a [meta] con questo id; altrimenti togliere l'iscrizione dell'app a quella pagina. \
                 (Le prove del pannello di Meta usano l'id 0.)",
                "If it is a page of the comune, add it to [meta] with this id; else end the app's subscription to that page. (The tests of \
                 Meta's dashboard have the id 0.)",
            ),
        );
    }
    present
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_said_any_more() {
        let health = Health::default();
        let codes = || health.conditions().into_iter().map(|c| (c.code, c.subject)).collect::<Vec<_>>();
        let now = Snapshot {
            lately: vec![Refusal::NoSecret, Refusal::NoSignature],
            strangers: vec!["42".to_owned()],
            ..Snapshot::default()
        };
        refusals(&now, &health);
        let said = strangers(&now, &BTreeSet::new(), &health);
        let expected = [("webhook-secret", ""), ("webhook-stranger", "42")];
        assert_eq!(codes(), expected.map(|(code, about)| (code.to_owned(), about.to_owned())));
        refusals(&Snapshot::default(), &health);
        assert!(strangers(&Snapshot::default(), &said, &health).is_empty());
        assert_eq!(codes(), []);
    }
}
