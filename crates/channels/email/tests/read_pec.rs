//! Certified mail in the shapes of several providers, each message signed by a provider that a test authority vouches for:
//! every row of the rules (RFC 6109) is read as specified, and its seal is worth what it is worth.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use bytes::Bytes;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};
use smista_domain::{
    Delivery, DeliveryKey, IgnoreReason, Message, Reading, Receipt, ReceiptKind, Seal, Signature, Trust,
    Upstream,
};
use smista_email::read::{ReadSettings, read};
use smista_testkit::pec::{Authority, Gestore, How, INSTANT, Post, RECEIPTS, Shape, Signer, address};

const LETTER: Post<'_> = Post {
    from: "anna.rossi@pec.example",
    to: "comune@pec.comune.example",
    subject: "Buca in via Dante",
    message_id: "m_1@client.example",
    serial: 7,
    rest: "Content-Type: multipart/mixed; boundary=\"dentro\"\r\n\r\n--dentro\r\nContent-Type: text/plain; charset=utf-8\r\n\
           Content-Transfer-Encoding: 8bit\r\n\r\nIn via Dante c'è una buca profonda.\r\n--dentro\r\nContent-Type: image/jpeg; \
           name=\"buca.jpg\"\r\nContent-Transfer-Encoding: base64\r\n\r\nCwwPFBskLzxLXG+Em7TP7A==\r\n--dentro--\r\n",
};

/// What we answered, by certified mail.
const ANSWER: Post<'_> = Post {
    from: "comune@pec.comune.example",
    to: "anna.rossi@pec.example",
    subject: "Re: Buca in via Dante [2026-000123]",
    message_id: "risposta.1@comune.example",
    serial: 9,
    rest: "\r\nProvvederemo.\r\n",
};

fn settings(authorities: &[&Authority]) -> ReadSettings {
    let der = authorities.iter().map(|a| CertificateDer::from(a.certificate().to_vec()));
    ReadSettings { pec_authorities: der.collect(), ..ReadSettings::default() }
}

fn reading(bytes: &[u8], settings: &ReadSettings) -> Reading {
    let delivery = Delivery {
        channel: "email/pec".parse().unwrap(),
        scope: "INBOX".to_owned(),
        key: DeliveryKey("INBOX/1/1".to_owned()),
        bytes: Bytes::copy_from_slice(bytes),
        received_at: "2026-09-19T13:41:20Z".parse::<Timestamp>().unwrap(),
        upstream: Upstream::Void,
        facts: Value::Null,
        recognise: false,
    };
    read(&delivery, settings).expect("readable")
}

fn message(bytes: &[u8], settings: &ReadSettings) -> Message {
    match reading(bytes, settings) {
        Reading::Message(message) => *message,
        ignored @ Reading::Ignored { .. } => panic!("no message: {ignored:?}"),
    }
}

fn seal(bytes: &[u8], settings: &ReadSettings) -> Seal {
    match reading(bytes, settings) {
        Reading::Message(message) => message.certified.expect("certified").seal,
        Reading::Ignored { receipt, .. } => receipt.expect("a receipt").seal,
    }
}

fn untrusted(reason: &str) -> Seal {
    Seal { signature: Signature::Holds, trust: Trust::Untrusted(reason.to_owned()) }
}

/// The words, attachments and sender of an enveloped letter are those of the letter by ordinary mail.
#[test]
fn the_letter_in_an_envelope_of_every_provider_is_the_citizens() {
    let authority = Authority::new("CA di prova");
    let settings = settings(&[&authority]);
    let ordinary = message(LETTER.ordinary().as_bytes(), &settings);
    assert_eq!(ordinary.text, "In via Dante c'è una buca profonda.");
    for shape in Shape::ALL {
        let gestore = Gestore::new(shape, &authority, How::Rsa);
        let m = message(&gestore.envelope(&LETTER), &settings);
        assert_eq!(
            (&m.sender, &m.subject, &m.text),
            (&ordinary.sender, &ordinary.subject, &ordinary.text),
            "{shape:?}"
        );
        assert_eq!(m.recipients, ordinary.recipients, "{shape:?}");
        assert_eq!(m.thread.own, ordinary.thread.own, "{shape:?}: the writer's identity, not the provider's");
        assert_eq!(
            m.thread.fingerprint, ordinary.thread.fingerprint,
            "{shape:?}: a copy by ordinary mail is a double"
        );
        assert_eq!(m.thread.refs, [format!("mid:{}", gestore.id(&LETTER))], "{shape:?}");
        let attachments =
            |m: &Message| m.attachments.iter().map(|a| (a.name.clone(), a.sha256)).collect::<Vec<_>>();
        assert_eq!(attachments(&m), attachments(&ordinary), "{shape:?}");
        let certified = m.certified.expect("certified");
        assert_eq!(certified.seal, Seal { signature: Signature::Holds, trust: Trust::Trusted }, "{shape:?}");
        if shape == Shape::Sogei {
            assert_eq!((certified.envelope.provider, m.notes), (None, vec!["pec-no-data".to_owned()]));
            continue;
        }
        assert_eq!(certified.envelope.provider.as_deref(), Some(shape.provider().0));
        assert_eq!(certified.envelope.instant.map(|i| i.to_string()).as_deref(), Some(INSTANT), "{shape:?}");
        assert_eq!(certified.envelope.id, Some(gestore.id(&LETTER)), "{shape:?}");
        assert_eq!(certified.envelope.sender.map(|p| p.address).as_deref(), Some(LETTER.from), "{shape:?}");
        assert!(m.notes.is_empty(), "{shape:?}: {:?}", m.notes);
    }
}

#[test]
fn an_anomaly_envelope_carries_ordinary_mail_and_certifies_nothing() {
    let authority = Authority::new("CA di prova");
    let settings = settings(&[&authority]);
    let ordinary = message(LETTER.ordinary().as_bytes(), &settings);
    for shape in Shape::ALL {
        let m = message(&Gestore::new(shape, &authority, How::Rsa).anomaly(&LETTER), &settings);
        assert_eq!(
            (m.sender, m.text, m.certified),
            (ordinary.sender.clone(), ordinary.text.clone(), None),
            "{shape:?}"
        );
        assert_eq!(m.notes, ["pec-not-certified"], "{shape:?}");
    }
}

/// Every kind, and one that nobody knows yet: no message, a reason of its own, and what it certifies of which letter.
#[test]
fn receipts_of_every_kind_and_provider_are_no_messages() {
    let authority = Authority::new("CA di prova");
    let settings = settings(&[&authority]);
    for shape in Shape::ALL {
        let gestore = Gestore::new(shape, &authority, How::Rsa);
        let known = RECEIPTS.iter().map(|(kind, _)| *kind);
        for kind in known.chain(["avvenuta-lettura"]) {
            let Reading::Ignored { reason, about, receipt } =
                reading(&gestore.receipt(kind, &ANSWER), &settings)
            else {
                panic!("{shape:?} {kind}: a message");
            };
            let Receipt { kind: said, data, seal, direct, .. } = *receipt.expect("a receipt");
            assert_eq!(said.as_str(), kind);
            assert_eq!(reason, IgnoreReason::from(&said), "{shape:?} {kind}");
            assert_eq!(about.as_deref(), Some("mid:risposta.1@comune.example"), "{shape:?} {kind}");
            assert_eq!(data.instant.map(|i| i.to_string()).as_deref(), Some(INSTANT), "{shape:?} {kind}");
            assert_eq!(data.provider.as_deref(), Some(shape.provider().0), "{shape:?} {kind}");
            assert_eq!(data.delivered_to.is_some(), said == ReceiptKind::Delivered, "{shape:?} {kind}");
            assert_eq!(
                data.error_text.is_some(),
                said.is_failure() || said == ReceiptKind::Late,
                "{shape:?} {kind}"
            );
            assert_eq!(
                (seal.signature, seal.trust, direct),
                (Signature::Holds, Trust::Trusted, true),
                "{shape:?} {kind}"
            );
        }
    }
}

#[test]
fn every_way_to_sign_is_verified() {
    let authority = Authority::new("CA di prova");
    for how in [How::Rsa, How::RsaPss, How::Ecdsa] {
        let envelope = Gestore::new(Shape::Aruba, &authority, how).envelope(&LETTER);
        assert_eq!(seal(&envelope, &settings(&[&authority])).trust, Trust::Trusted, "{how:?}");
        let text = String::from_utf8(envelope).expect("ASCII and UTF-8");
        let other = text.replacen("buca profonda", "buca enorme!!", 1);
        let broken = Seal { signature: Signature::Broken, trust: Trust::Untrusted("signature".to_owned()) };
        assert_eq!(
            seal(other.as_bytes(), &settings(&[&authority])),
            broken,
            "{how:?}: what was changed is not trusted"
        );
    }
}

#[test]
fn whom_to_trust_is_said_by_the_settings_and_nothing_depends_on_it() {
    let (ours, other) = (Authority::new("CA di prova"), Authority::new("CA di qualcun altro"));
    let envelope = Gestore::new(Shape::Namirial, &ours, How::Rsa).envelope(&LETTER);
    let holds = |trust| Seal { signature: Signature::Holds, trust };
    assert_eq!(seal(&envelope, &settings(&[])), holds(Trust::NotAsked), "nobody asked");
    assert_eq!(seal(&envelope, &settings(&[&other])), untrusted("issuer"));
    assert_eq!(seal(&envelope, &settings(&[&other, &ours])), holds(Trust::Trusted), "one of them is enough");
    let read = |authorities: &[&Authority]| {
        let m = message(&envelope, &settings(authorities));
        (m.text, m.sender, m.thread.fingerprint, m.notes)
    };
    assert_eq!(read(&[&other]), read(&[&ours]), "the letter is the same");

    let seals = [
        ("address", Signer::new(&ours, "posta-certificata@altro.example", How::Rsa, 2020..2040)),
        ("expired", Signer::new(&ours, &address(Shape::Poste), How::Rsa, 2019..2026)),
        ("expired", Signer::new(&ours, &address(Shape::Poste), How::Rsa, 2027..2040)),
    ];
    for (reason, signer) in seals {
        let envelope = Gestore::with(Shape::Poste, signer).envelope(&LETTER);
        assert_eq!(seal(&envelope, &settings(&[&ours])), untrusted(reason));
    }
}

/// The words that are stored and shown.
#[test]
fn a_seal_in_json() {
    let authority = Authority::new("CA di prova");
    let envelope = Gestore::new(Shape::Aruba, &authority, How::Rsa).envelope(&LETTER);
    let other = Authority::new("un'altra");
    let stored = json!(message(&envelope, &settings(&[&other])).certified.expect("certified"));
    assert_eq!(stored["signature"], json!({ "result": "holds" }));
    assert_eq!(stored["trust"], json!({ "result": "untrusted", "reason": "issuer" }));
    let again: smista_domain::Certified = serde_json::from_value(stored).expect("read again");
    assert_eq!(again.seal, untrusted("issuer"));
}
