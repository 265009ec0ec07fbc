//! What must hold for every letter that anybody can make up.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; the lints' exemption for tests does not reach helper functions"
)]

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::Index};
use smista_domain::{
    Certified, ChannelName, Delivery, DeliveryKey, Digest, Message, Reading, Signature, Upstream,
};
use smista_email::{
    import,
    read::{ReadSettings, attachment, read},
};

fn reading(raw: &[u8]) -> Option<Reading> {
    let delivery = Delivery {
        channel: "email/urp".parse::<ChannelName>().expect("valid"),
        scope: "INBOX".to_owned(),
        key: DeliveryKey("INBOX/1/1".to_owned()),
        bytes: Bytes::copy_from_slice(raw),
        received_at: "2026-11-23T12:00:00Z".parse().expect("valid"),
        upstream: Upstream::Void,
        facts: serde_json::Value::Null,
        recognise: false,
    };
    read(&delivery, &ReadSettings::default()).ok()
}

fn message(raw: &[u8]) -> Option<Message> {
    match reading(raw)? {
        Reading::Message(message) => Some(*message),
        Reading::Ignored { .. } => None,
    }
}

/// What holds for every reading.
fn sound(raw: &[u8]) -> Result<(), TestCaseError> {
    let Some(message) = message(raw) else { return Ok(()) };
    for text in [&message.subject, &message.text, &message.quoted, &message.signature] {
        prop_assert!(!text.contains('\0'));
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    }
    prop_assert!(!message.subject.contains('\n'));
    prop_assert!(message.sender.address.is_none_or(|a| a == a.to_lowercase() && a.contains('@')));
    prop_assert_eq!(message.thread.fingerprint.len(), 64);
    prop_assert_eq!(message.notes.iter().any(|n| n == "empty"), message.text.is_empty());
    for a in &message.attachments {
        let content = attachment(raw, &a.part);
        prop_assert!(content.is_some(), "{:?}", a.part);
        let content = content.unwrap_or_default();
        prop_assert_eq!(Digest::of(&content), a.sha256);
        prop_assert!(!a.name.contains(['/', '\\', '\0', '\n']));
    }
    Ok(())
}

/// Letters to start from: the corpus, and the smaller ones of the nasty kinds.
static LETTERS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut all: Vec<Vec<u8>> = fs::read_dir(dir)
        .expect("the corpus")
        .map(|e| fs::read(e.expect("an entry").path()).expect("read"))
        .filter_map(|file| file.windows(2).position(|w| w == b"\n\n").map(|at| file[at + 2..].to_vec()))
        .collect();
    all.extend(
        smista_testkit::nasty::nasty().into_iter().map(|(_, bytes)| bytes).filter(|b| b.len() < 20_000),
    );
    all.sort();
    all
});

/// A letter of certified mail whose signature holds.
static SIGNED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/pec-signature-holds.txt");
    let file = fs::read(path).expect("the letter");
    let at = file.windows(2).position(|w| w == b"\n\n").expect("a letter in it");
    file[at + 2..].to_vec()
});

/// What wraps letters, decoded, with its type: the corpus' files whose only part it is.
static WRAPPED: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let files = [
        ("smime-opaque", "application/pkcs7-mime"),
        ("winmail-rtf-alone", "application/ms-tnef"),
        ("winmail-letter-within", "application/ms-tnef"),
        ("winmail-cut", "application/ms-tnef"),
        ("calendar-alone", "text/calendar"),
    ];
    let decoded = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpus/{name}.txt"));
        let file = fs::read_to_string(path).expect("the letter");
        let body = file.splitn(3, "\n\n").nth(2).expect("a body");
        if body.starts_with("BEGIN") {
            return body.as_bytes().to_vec();
        }
        let lines: String = body.split_whitespace().collect();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, lines).expect("base64")
    };
    files.into_iter().map(|(name, media)| (media, decoded(name))).collect()
});

/// Pieces that break parsers.
const TOKENS: &[&[u8]] = &[
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"--b",
    b"--b--\r\n",
    b"\r\n--b\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"charset=utf-16",
    b"charset=iso-2022-jp",
    b"=?utf-8?B?",
    b"=?utf-8?Q?=C3",
    b"?=",
    b"=",
    b"<",
    b"<!--",
    b"<blockquote>",
    b"&#x110000;",
    b"&#0;",
    b"begin 644 x\n",
    b"> ",
    b"-- \n",
    b"\xFF\xFE",
    b"\xC3",
    b"\xE0\xA4",
    b"*0*=",
    b"\"",
    b"\\",
    b"X-Trasporto: posta-certificata\r\n",
    b"X-Trasporto: errore\r\n",
    b"X-Ricevuta: x\r\n",
    b"Content-Type: message/rfc822; name=postacert.eml\r\n",
    b"Content-Type: application/octet-stream; name=postacert.eml\r\n",
    b"Content-Type: application/xml; name=daticert.xml\r\n",
    b"<postacert>",
    b"</dati>",
    b"<!DOCTYPE a [",
    b"<![CDATA[",
    b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n",
    b"Content-Type: application/ms-tnef\r\n",
    b"Content-Type: text/calendar\r\n",
    b"\x78\x9F\x3E\x22\x01\x00",
    b"BEGIN:VEVENT\r\n",
    b"DTSTART:20261123T100000Z\r\n",
    b"Content-Type: message/delivery-status\r\n",
    b"\r\n\r\nQuesto messaggio \xC3\xA8 destinato esclusivamente a voi.\r\n",
    b"<div id=divRplyFwdMsg>",
];

/// Pieces of certification data.
const XML: &[&str] = &[
    "<?xml version='1.0' encoding='ISO-8859-1'?>",
    "<postacert tipo='posta-certificata' errore='nessuno'>",
    "</postacert>",
    "<intestazione>",
    "</intestazione>",
    "<mittente>anna@pec.example</mittente>",
    "<destinatari tipo='certificato'>",
    "</destinatari>",
    "<dati>",
    "</dati>",
    "<data zona='+0200'>",
    "</data>",
    "<giorno>19/09/2026</giorno>",
    "<ora>15:41:19</ora>",
    "<identificativo>x@pec.example</identificativo>",
    "<msgid>&lt;a@b&gt;",
    "</msgid>",
    "<a b=c d='e' d=\"f\" g/>",
    "<!-- ",
    " -->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [<!ENTITY x '&x;'>]>",
    "&x;",
    "&#0;",
    "&#x110000;",
    "&",
    "<",
    "\u{0}",
    "è@pec.example",
    " ",
];

/// A letter in an envelope of certified mail.
fn envelope(letter: &[u8], daticert: &[u8]) -> Vec<u8> {
    let parts = [
        b"X-Trasporto: posta-certificata\nMessage-ID: <envelope@pec.example>\nContent-Type: multipart/mixed; boundary=around-it\n\n--around-it\nContent-Type: application/xml; name=daticert.xml\n\n",
        daticert,
        b"\n--around-it\nContent-Type: message/rfc822; name=postacert.eml\n\n",
        letter,
        b"\n--around-it--\n",
    ];
    parts.concat()
}

/// One change to a letter.
#[derive(Debug, Clone)]
enum Change {
    Insert(Index, Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
    Set(Index, u8),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), at()).prop_map(|(a, b)| Change::Insert(a, b)),
        (at(), 1usize..200).prop_map(|(a, n)| Change::Remove(a, n)),
        (at(), 1usize..100, 1usize..20).prop_map(|(a, n, times)| Change::Repeat(a, n, times)),
        (at(), any::<u8>()).prop_map(|(a, b)| Change::Set(a, b)),
        at().prop_map(Change::Cut),
    ]
}

fn apply(letter: &mut Vec<u8>, change: &Change) {
    if letter.is_empty() {
        return;
    }
    let len = letter.len();
    match change {
        Change::Insert(at, token) => {
            let at = at.index(len);
            letter.splice(at..at, TOKENS[token.index(TOKENS.len())].iter().copied());
        }
        Change::Remove(at, n) => {
            let at = at.index(len);
            letter.drain(at..(at + n).min(len));
        }
        Change::Repeat(at, n, times) => {
            let at = at.index(len);
            let piece = letter[at..(at + n).min(len)].repeat(*times);
            letter.splice(at..at, piece);
        }
        Change::Set(at, byte) => letter[at.index(len)] = *byte,
        Change::Cut(at) => letter.truncate(at.index(len)),
    }
}

/// A line of a letter's text: its own words, or what mail programs put around them. `{}` becomes a word of its own.
const LINES: &[&str] = &[
    "la buca {} in via Dante",
    "> citato {}",
    ">> più a fondo {}",
    "",
    "Il giorno 23 nov 2026 alle ore 10:02 {} <a@b.example> ha scritto:",
    "On Mon, 23 Nov 2026 at 10:02 {} wrote:",
    "-----Messaggio originale-----",
    "Da: {}",
    "Inviato: lunedì {}",
    "A: {}",
    "Oggetto: {}",
    "Cordiali saluti",
    "Mario {}",
    "-- ",
    "Inviato da iPhone",
    "________________________________",
    "P.S. {}",
    "Il {} ha",
    "scritto:",
    "Le informazioni contenute in questo messaggio {} sono riservate al destinatario e ne è vietata la diffusione.",
    "Se avete ricevuto questo messaggio per errore {} cancellatelo.",
    "AVVISO DI RISERVATEZZA",
    "Ai sensi del Regolamento UE 2016/679 {}",
    "Prima di stampare pensa all'ambiente {}",
    "Mail priva di virus {}",
    "> Messaggio: {}",
    "Trimis: {} 23 novembre 2026 09:00",
    "De la: {} <urp@comune.example>",
];

fn words(text: &str) -> BTreeMap<String, usize> {
    let mut out = BTreeMap::new();
    for word in text.split_whitespace() {
        *out.entry(word.to_owned()).or_default() += 1;
    }
    out
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(raw in vec(any::<u8>(), 0..2000)) {
        sound(&raw)?;
    }

    #[test]
    fn a_head_with_arbitrary_bytes_is_read(body in vec(any::<u8>(), 0..1000), subject in vec(any::<u8>(), 0..100)) {
        let raw = [b"From: a@example.it\r\nSubject: ", &subject[..], b"\r\nContent-Type: text/html\r\n\r\n", &body[..]].concat();
        sound(&raw)?;
    }

    #[test]
    fn changed_letters_are_read(which in any::<Index>(), changes in vec(change(), 1..12)) {
        let mut letter = LETTERS[which.index(LETTERS.len())].clone();
        for change in &changes {
            apply(&mut letter, change);
        }
        sound(&letter)?;
    }

    #[test]
    fn further_received_fields_change_nothing(which in any::<Index>(), hops in 1usize..5) {
        let letter = &LETTERS[which.index(LETTERS.len())];
        let Some(before) = message(letter) else { return Ok(()) };
        // In front of a head only: what begins with a mark, an empty line or text has none there.
        if before.notes.iter().any(|n| n == "broken-header") || !letter.starts_with(b"From: ") {
            return Ok(());
        }
        let fields = "Received: from a.example by b.example; Mon, 23 Nov 2026 11:00:00 +0100\nX-Spam-Status: No\n".repeat(hops);
        let Some(after) = message(&[fields.as_bytes(), letter].concat()) else {
            return Err(TestCaseError::fail("no message any more"));
        };
        prop_assert_eq!(before.thread, after.thread);
        prop_assert_eq!(before.text, after.text);
    }

    #[test]
    fn an_envelope_changes_nothing(which in any::<Index>()) {
        let letter = &LETTERS[which.index(LETTERS.len())];
        let enveloped = reading(&envelope(letter, b"<postacert/>"));
        let before = match reading(letter) {
            Some(Reading::Message(message)) => *message,
            Some(Reading::Ignored { reason, about, .. }) => {
                let same = matches!(&enveloped, Some(Reading::Ignored { reason: r, about: a, .. }) if *r == reason && *a == about);
                prop_assert!(same, "{:?} is not {:?}", enveloped, reason);
                return Ok(());
            }
            None => return Ok(()),
        };
        // What has no whole head, or is in as many envelopes as are opened, is another thing within an envelope.
        if before.notes.iter().any(|n| n == "broken-header" || n == "too-deep") || before.subject.contains("pec-nested-5") {
            return Ok(());
        }
        let Some(Reading::Message(after)) = enveloped else {
            return Err(TestCaseError::fail(format!("{enveloped:?}")));
        };
        prop_assert_eq!(&after.text, &before.text);
        prop_assert_eq!((&after.quoted, &after.signature), (&before.quoted, &before.signature));
        prop_assert_eq!((&after.sender, &after.recipients, &after.subject), (&before.sender, &before.recipients, &before.subject));
        prop_assert_eq!((&after.thread.own, &after.thread.fingerprint), (&before.thread.own, &before.thread.fingerprint));
        prop_assert!(before.thread.refs.len() > 95 || after.thread.refs.starts_with(&before.thread.refs));
        prop_assert!(after.thread.refs.iter().any(|r| r == "mid:envelope@pec.example"));
        let parts: Vec<Vec<u32>> = before.attachments.iter().map(|a| [&[2], a.part.as_slice()].concat()).collect();
        prop_assert_eq!(after.attachments.iter().map(|a| a.part.clone()).collect::<Vec<_>>(), parts);
    }

    #[test]
    fn any_certification_data_are_read_or_refused(pieces in vec(0..XML.len(), 0..60)) {
        let data: String = pieces.iter().map(|n| XML[*n]).collect();
        let letter = b"From: anna@pec.example\nSubject: x\n\nuna buca\n";
        for data in [data.clone(), format!("<postacert>{data}</postacert>")] {
            let raw = envelope(letter, data.as_bytes());
            sound(&raw)?;
            let Some(message) = message(&raw) else { return Err(TestCaseError::fail("no message")) };
            prop_assert_eq!(&message.text, "una buca");
            let json = serde_json::to_string(&message.certified).expect("JSON");
            prop_assert!(!json.contains("\\u0000"));
            prop_assert_eq!(serde_json::from_str::<Option<Certified>>(&json).expect("read again"), message.certified);
        }
    }

    #[test]
    fn no_changed_letter_keeps_its_signature(at in any::<Index>(), byte in any::<u8>()) {
        let signature = |raw: &[u8]| message(raw).and_then(|m| m.certified).map(|c| c.seal.signature);
        let mut letter = SIGNED.clone();
        prop_assert_eq!(signature(&letter), Some(Signature::Holds));
        let boundaries: Vec<usize> = letter.windows(7).enumerate().filter(|(_, w)| *w == b"\n--sig\n").map(|(n, _)| n).collect();
        let (from, to) = (boundaries[0] + 7, boundaries[1]);
        let at = from + at.index(to - from);
        // The kind of line end is no part of what is signed.
        if letter[at] == byte || matches!(letter[at], b'\r' | b'\n') || matches!(byte, b'\r' | b'\n') {
            return Ok(());
        }
        letter[at] = byte;
        prop_assert_ne!(signature(&letter), Some(Signature::Holds));
        sound(&letter)?;
    }

    #[test]
    fn a_changed_signature_changes_no_letter(changes in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let mut letter = SIGNED.clone();
        let before = message(&letter).map(|m| (m.text, m.thread));
        let from = letter.windows(11).rposition(|w| w == b"smime.p7s\"\n").map_or(0, |n| n + 12);
        for (at, byte) in changes {
            let at = from + at.index(letter.len() - from - 12);
            letter[at] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[usize::from(byte % 64)];
        }
        prop_assert_eq!(message(&letter).map(|m| (m.text, m.thread)), before);
    }

    #[test]
    fn splitting_loses_no_word(lines in vec((0..LINES.len(), 0u32..1000), 1..40), reply in any::<bool>()) {
        let body: Vec<String> = lines.iter().map(|(n, word)| LINES[*n].replace("{}", &format!("w{word}"))).collect();
        let body = body.join("\n");
        let refs = if reply { "References: <x@example.it>\n" } else { "" };
        let letter = format!("From: a@example.it\nMessage-ID: <a@example.it>\n{refs}Content-Type: text/plain; charset=utf-8\n\n{body}\n");
        let Some(m) = message(letter.as_bytes()) else { return Err(TestCaseError::fail("no message")) };
        let kept = format!("{}\n{}\n{}", m.text, m.quoted, m.signature);
        prop_assert_eq!(words(&kept), words(&body));
        prop_assert!(!m.text.is_empty() || !body.chars().any(char::is_alphanumeric));
    }

    #[test]
    fn a_notice_below_changes_no_word_of_the_text(which in any::<Index>(), words in vec("[a-z]{2,9}", 3..30)) {
        let notices = [
            "Le informazioni contenute in questo messaggio sono riservate al destinatario e ne è vietata la diffusione.",
            "AVVISO DI RISERVATEZZA\nQuesto messaggio è destinato esclusivamente alla persona in indirizzo.",
            "This e-mail is confidential. If you are not the intended recipient, please delete it.",
            "Prima di stampare, pensa all'ambiente",
        ];
        let text = words.join(" ");
        let letter = format!(
            "From: a@example.it\nMessage-ID: <a@example.it>\nContent-Type: text/plain; charset=utf-8\n\n{text}.\n\n{}\n",
            notices[which.index(notices.len())]
        );
        let Some(m) = message(letter.as_bytes()) else { return Err(TestCaseError::fail("no message")) };
        prop_assert_eq!(m.text, format!("{text}."));
    }

    #[test]
    fn a_changed_wrapping_is_opened_or_stays_whole(which in any::<Index>(), changes in vec(change(), 1..6)) {
        let mut file = WRAPPED[which.index(WRAPPED.len())].1.clone();
        for change in &changes {
            apply(&mut file, change);
        }
        let media = WRAPPED[which.index(WRAPPED.len())].0;
        let head = format!("From: a@example.it\nMessage-ID: <a@example.it>\nContent-Type: {media}\n\n");
        sound(&[head.as_bytes(), &file].concat())?;
    }

    #[test]
    fn an_mbox_gives_back_its_letters(bodies in vec("[a-zF>\n ]{0,60}(\nFrom [a-z]{1,5}\n)?", 1..6), crlf in any::<bool>()) {
        let letters: Vec<String> = bodies.iter().map(|b| format!("From: a@example.it\nSubject: x\n\n{b}\n")).collect();
        let mut mbox = String::new();
        for letter in &letters {
            mbox.push_str("From a@example.it Mon Nov 23 06:47:03 2026\n");
            for line in letter.split_inclusive('\n') {
                if line.trim_start_matches('>').starts_with("From ") {
                    mbox.push('>');
                }
                mbox.push_str(line);
            }
            mbox.push('\n');
        }
        let adapt = |s: &str| if crlf { s.replace('\n', "\r\n") } else { s.to_owned() };
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("m.mbox");
        fs::write(&path, adapt(&mbox)).expect("written");
        let found: Vec<String> = import::open([path])
            .map(|item| String::from_utf8_lossy(&item.expect("read").bytes).into_owned())
            .collect();
        let expected: Vec<String> = letters.iter().map(|l| adapt(l)).collect();
        prop_assert_eq!(found, expected);
    }
}
