//! What providers of certified mail, other administrations and web forms say beside a letter, as people read it.

use serde_json::Value;
use smista_domain::{
    CertificationData, Certified, Form, Lang, Protocol, Receipt, Seal, Sender, Signature, Trust,
};
use smista_store::MessageView;

use super::{queue::Show, render::say, words};

/// Stored JSON as the type that it was made from; None when there is none, or when it is of another version.
fn of<T: serde::de::DeserializeOwned>(value: Option<&Value>) -> Option<T> {
    value.and_then(|value| serde_json::from_value(value.clone()).ok())
}

/// One line for each thing that is known of a message beside its words.
pub(super) fn lines(message: &MessageView, show: &Show) -> Vec<String> {
    let lang = show.lang;
    let mut out = Vec::new();
    if let Some(certified) = of::<Certified>(message.certified.as_ref()) {
        let parts =
            [Some("PEC".to_owned()), data(&certified.envelope, show), Some(seal(&certified.seal, lang))];
        out.push(parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
    }
    if let Some(protocol) = of::<Protocol>(message.protocol.as_ref()) {
        let Protocol { administration, area, register, number, date } = protocol;
        let date = date.map(|d| d.strftime("%d/%m/%Y").to_string());
        let facts = [number, date, register, administration, area].into_iter().flatten();
        let facts = facts.collect::<Vec<_>>().join(", ");
        out.push(format!("{} {facts}", say(lang, "protocollo del mittente:", "protocol of the sender:")));
    }
    if let Some(form) = of::<Form>(message.form.as_ref()) {
        let facts = [Some(form.from), form.category, form.phone].into_iter().flatten();
        let facts = facts.collect::<Vec<_>>().join(", ");
        out.push(format!("{} {facts}", say(lang, "modulo del sito:", "web form:")));
    }
    if let Some(clerk) = of::<Sender>(message.forwarded_by.as_ref()) {
        let who = [clerk.name, clerk.address].into_iter().flatten().collect::<Vec<_>>().join(" ");
        out.push(format!("{} {who}", say(lang, "inoltrata da", "sent on by")));
    }
    out
}

/// What a receipt or a bounce says, from what was stored: `consegnata a anna@pec.example, 19/09/2026 15:41, ...`.
pub(super) fn receipt(kind: &str, stored: &Value, show: &Show) -> String {
    let mut parts = vec![words::receipt(kind, show.lang).to_owned()];
    if let Some(receipt) = of::<Receipt>(Some(stored)) {
        let to = receipt.data.delivered_to.iter().chain(receipt.data.recipients.iter().map(|p| &p.address));
        if let Some(to) = to.take(1).next() {
            parts.push(to.clone());
        }
        parts.extend(data(&receipt.data, show));
        parts.extend(receipt.data.error_text.clone().or_else(|| receipt.data.error.clone()));
        parts.push(seal(&receipt.seal, show.lang));
    }
    parts.join(", ")
}

/// Provider and legal instant.
fn data(data: &CertificationData, show: &Show) -> Option<String> {
    let at = data.instant.map(|instant| show.time(instant.at));
    let parts: Vec<String> = [at, data.provider.clone()].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What a signature is worth, in words. Without an authority nobody knows whose it is, and it is not shown as proof.
fn seal(seal: &Seal, lang: Lang) -> String {
    let Seal { signature, trust } = seal;
    match (signature, trust) {
        (Signature::Holds, Trust::Trusted) => {
            say(lang, "firma valida del gestore", "valid signature of the provider").to_owned()
        }
        (Signature::Holds, Trust::NotAsked) => say(
            lang,
            "firma integra (di chi sia non è controllato: [pec] ca_file)",
            "signature intact (whose it is is not checked: [pec] ca_file)",
        )
        .to_owned(),
        (Signature::Holds, Trust::Untrusted(why)) => match lang {
            Lang::It => format!("firma integra, ma non di un gestore riconosciuto ({})", untrusted(why)),
            Lang::En => format!("signature intact, but of no recognised provider ({why})"),
        },
        (Signature::Broken, _) => say(
            lang,
            "FIRMA NON VALIDA: il contenuto è stato cambiato",
            "INVALID SIGNATURE: the content was changed",
        )
        .to_owned(),
        (Signature::Unchecked(why), _) => match lang {
            Lang::It => format!("firma non controllabile ({})", unchecked(why)),
            Lang::En => format!("signature not checked ({why})"),
        },
    }
}

fn untrusted(why: &str) -> &str {
    match why {
        "issuer" => "certificato di un'altra CA",
        "expired" => "certificato scaduto o non ancora valido",
        "address" => "certificato di un altro indirizzo",
        "certificate" => "certificato inutilizzabile",
        other => other,
    }
}

fn unchecked(why: &str) -> &str {
    match why {
        "no-signature" => "manca",
        "unreadable" => "illeggibile",
        "no-certificate" => "senza certificato",
        "algorithm" => "algoritmo non conosciuto",
        other => other,
    }
}
