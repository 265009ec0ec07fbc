//! Whole letters, as they come from a mailbox.

use std::sync::LazyLock;

use bytes::Bytes;
use smista_domain::{
    Delivery, DeliveryKey, Digest, IgnoreReason, Message, Reading, Signature, Trust, Unreadable, Upstream,
};
use smista_email::read::{ReadSettings, attachment, read};

use super::{how, is_line, is_storable};

/// Letters as the mailbox of an administration reads them.
static DEFAULT: LazyLock<ReadSettings> = LazyLock::new(|| ReadSettings {
    own_addresses: vec!["urp@comune.example".to_owned()],
    own_domains: vec!["comune.example".to_owned()],
    pec_authorities: vec![include_bytes!("../authority.der").to_vec().into()],
    ..ReadSettings::default()
});
/// A person wants to see this one.
static KEEP: LazyLock<ReadSettings> =
    LazyLock::new(|| ReadSettings { keep_everything: true, ..DEFAULT.clone() });
/// Limits that small letters reach.
static TIGHT: LazyLock<ReadSettings> =
    LazyLock::new(|| ReadSettings { max_text_bytes: 300, max_parts: 8, max_depth: 3, ..KEEP.clone() });

/// The whole of it: MIME, charsets, names, quotes, automatic mail.
pub fn mime(raw: &[u8]) {
    let usual = reading(raw, &DEFAULT);
    assert_eq!(usual, reading(raw, &DEFAULT), "the same bytes, the same reading");
    let kept = reading(raw, &KEEP);
    match (&usual, &kept) {
        (Ok(Reading::Message(usual)), Ok(Reading::Message(kept))) => {
            let without_notes = |m: &Message| Message { notes: Vec::new(), ..m.clone() };
            assert_eq!(
                without_notes(usual),
                without_notes(kept),
                "what is kept does not change what is read"
            );
        }
        (Ok(Reading::Ignored { receipt: Some(_), .. }), Err(_)) => {}
        (_, Ok(Reading::Ignored { .. })) => panic!("ignored, where everything is kept: {kept:?}"),
        (Ok(_), Err(why)) => panic!("{why}, and yet {usual:?}"),
        (Err(why), Ok(_)) => panic!("{why}, and yet {kept:?}"),
        (Err(_), Err(_)) | (Ok(Reading::Ignored { .. }), Ok(_)) => {}
    }
    for reading in [&usual, &kept] {
        sound(raw, reading);
    }
    let tight = reading(raw, &TIGHT);
    if let Ok(Reading::Message(message)) = &tight {
        bounded(message, &TIGHT);
    }
}

/// Certified mail. The first byte says what the rest stands for, so that it is deep within an envelope at once.
pub fn pec(data: &[u8]) {
    let (how, rest) = how(data);
    let raw = match how % 6 {
        0 => envelope(DATICERT, rest),
        1 => envelope(rest, LETTER),
        2 => signed(rest),
        3 => [b"X-Ricevuta: avvenuta-consegna\nX-Riferimento-Message-ID: <risposta@comune.example>\n", rest]
            .concat(),
        4 => envelope(DATICERT, &envelope(DATICERT, rest)),
        _ => rest.to_vec(),
    };
    let read = reading(&raw, &DEFAULT);
    assert_eq!(read, reading(&raw, &DEFAULT), "the same bytes, the same reading");
    sound(&raw, &read);
    match (how % 6, &read) {
        // The letter is ours: whatever is certified of it, or signs it, it is a message with its words.
        (1 | 2, Ok(Reading::Message(message))) => {
            assert_eq!(message.text, "La fontana perde acqua.");
            assert!(message.certified.is_some());
        }
        (1, Ok(Reading::Ignored { .. })) | (2, _) => panic!("no message: {read:?}"),
        (3, Ok(Reading::Ignored { receipt: Some(_), .. })) => {}
        (3, _) => panic!("a receipt is no message: {read:?}"),
        _ => {}
    }
    sound(&raw, &reading(&raw, &KEEP));
}

const LETTER: &[u8] =
    b"From: anna@pec.example\nSubject: Fontana\nMessage-ID: <m1@pec.example>\n\nLa fontana perde acqua.\n";
const DATICERT: &[u8] = b"<postacert tipo=\"posta-certificata\" errore=\"nessuno\"><intestazione><mittente>anna@pec.example</mittente></intestazione></postacert>";

/// An envelope of certified mail around a letter.
fn envelope(daticert: &[u8], letter: &[u8]) -> Vec<u8> {
    [
        b"X-Trasporto: posta-certificata\nMessage-ID: <busta@pec.example>\nContent-Type: multipart/mixed; boundary=busta-esterna-7f3a\n\n--busta-esterna-7f3a\nContent-Type: application/xml; name=daticert.xml\n\n",
        daticert,
        b"\n--busta-esterna-7f3a\nContent-Type: message/rfc822; name=postacert.eml\n\n",
        letter,
        b"\n--busta-esterna-7f3a--\n",
    ]
    .concat()
}

/// The same under a signature (PKCS #7, as octets).
fn signed(signature: &[u8]) -> Vec<u8> {
    let head: &[u8] = b"X-Trasporto: posta-certificata\r\nFrom: posta-certificata@pec.example\r\nMessage-ID: <busta@pec.example>\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=firma-esterna-7f3a\r\n\r\n--firma-esterna-7f3a\r\n";
    let end: &[u8] = b"\r\n--firma-esterna-7f3a\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    [head, include_bytes!("../signed-part.eml"), end, signature, b"\r\n--firma-esterna-7f3a--\r\n"].concat()
}

fn reading(raw: &[u8], settings: &ReadSettings) -> Result<Reading, Unreadable> {
    let delivery = Delivery {
        channel: "email/urp".parse().expect("valid"),
        scope: "INBOX".to_owned(),
        key: DeliveryKey("INBOX/1/1".to_owned()),
        bytes: Bytes::copy_from_slice(raw),
        received_at: "2026-11-23T12:00:00Z".parse().expect("valid"),
        upstream: Upstream::Void,
        facts: serde_json::Value::Null,
        recognise: false,
    };
    read(&delivery, settings)
}

/// What holds for every reading under the default limits.
fn sound(raw: &[u8], reading: &Result<Reading, Unreadable>) {
    let message = match reading {
        Ok(Reading::Message(message)) => message,
        Ok(Reading::Ignored { reason, about, receipt }) => {
            assert!(about.as_ref().is_none_or(|about| about.starts_with("mid:")), "{about:?}");
            assert!(!matches!(reason, IgnoreReason::PecReceipt) || receipt.is_some());
            if let Some(receipt) = receipt {
                is_line(receipt.kind.as_str(), 60);
                is_storable(&**receipt);
                trusted_only_if_signed(&receipt.seal.trust, &receipt.seal.signature);
            }
            return;
        }
        Err(_) => return,
    };
    bounded(message, &DEFAULT);
    if let Some(certified) = &message.certified {
        trusted_only_if_signed(&certified.seal.trust, &certified.seal.signature);
    }
    for attached in &message.attachments {
        let content = attachment(raw, &attached.part).unwrap_or_else(|| panic!("not there: {attached:?}"));
        assert_eq!(
            (content.len() as u64, Digest::of(&content)),
            (attached.size, attached.sha256),
            "{attached:?}"
        );
    }
}

fn trusted_only_if_signed(trust: &Trust, signature: &Signature) {
    assert!(*trust != Trust::Trusted || *signature == Signature::Holds, "{trust:?} and {signature:?}");
}

/// What holds for every message: nothing but text, within the limits, and names that are names.
fn bounded(message: &Message, settings: &ReadSettings) {
    is_storable(message);
    is_line(&message.subject, 1000);
    // Of a letter that was sent on, what was quoted in it and the words of whoever sent it on are both kept.
    let twice = 2 * settings.max_text_bytes + 1000;
    for (text, max) in [
        (&message.text, settings.max_text_bytes),
        (&message.quoted, twice),
        (&message.signature, settings.max_text_bytes),
    ] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
        assert!(text.len() <= max, "{} octets of text", text.len());
    }
    for person in [Some(&message.sender), message.forwarded_by.as_ref()].into_iter().flatten() {
        assert!(person.address.as_ref().is_none_or(|a| *a == a.to_lowercase() && a.contains('@')));
        person.name.iter().chain(&person.address).for_each(|text| is_line(text, 320));
    }
    // A text that is one part may have a hundred uuencoded files.
    assert!(message.attachments.len() <= settings.max_parts * 101, "{}", message.attachments.len());
    for attached in &message.attachments {
        is_line(&attached.name, 200);
        assert!(!attached.name.is_empty() && !attached.name.contains(['/', '\\']), "{:?}", attached.name);
        assert!(!matches!(attached.name.as_str(), "." | ".."));
        assert!(
            !attached.name.contains(['\u{202a}', '\u{202e}', '\u{2066}', '\u{200b}']),
            "{:?}",
            attached.name
        );
        is_line(&attached.media_type, 127);
    }
    assert!(message.recipients.len() <= 1000 && message.thread.refs.len() <= 100);
    assert_eq!(message.thread.fingerprint.len(), 64);
    assert!(
        !message.text.is_empty() || message.notes.iter().any(|note| note == "empty"),
        "{:?}",
        message.notes
    );
}
