//! Golden letters: each file in `tests/corpus` says what it expects, then has the raw letter.
//!
//! ```text
//! # why this letter is here
//! charset: windows-1252                the raw letter is written in this charset (default: UTF-8)
//! own: urp@comune.example              one of the mailbox's own addresses
//! form: noreply@comune.example         a form's letters come from there, with the labels of `form` below
//! expect: subject = Buca in via Dante  the field is exactly this (`\n` is a line end, `\x20` a blank at an end)
//! expect: text ~ via Dante             the field contains this
//! expect: text !~ ha scritto           the field does not contain this
//!
//! From: ...
//! ```
//!
//! Every letter is read with LF and with CRLF line ends, with another Received field and as it stands: the reading is the
//! same each time. Nothing that the letter's text says is lost: what is expected to be quoted or a signature is kept.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; the lints' exemption for tests does not reach helper functions"
)]

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use smista_domain::{
    CertificationData, ChannelName, Delivery, DeliveryKey, Message, Party, Reading, Signature, Upstream,
};
use smista_email::read::{
    ReadSettings, attachment,
    form::{FormField, FormSettings},
    read,
};

/// A corpus file.
struct Case {
    name: String,
    settings: ReadSettings,
    expect: Vec<(String, String, String)>,
    raw: Vec<u8>,
}

fn unescape(value: &str) -> String {
    value.replace("\\n", "\n").replace("\\x20", " ").replace("\\t", "\t")
}

fn parse(path: &Path) -> Case {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let content = fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (head, raw) = content.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no letter"));
    let mut settings =
        ReadSettings { own_domains: vec!["comune.example".to_owned()], ..ReadSettings::default() };
    let mut expect = Vec::new();
    let mut charset = "utf-8".to_owned();
    for line in head.lines().filter(|l| !l.starts_with('#')) {
        let (key, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: {line}"));
        match key {
            "charset" => value.clone_into(&mut charset),
            "own" => settings.own_addresses.push(value.to_owned()),
            "form" => settings.forms.push(form(value)),
            "keep-automatic" => settings.keep_automatic = value == "true",
            "forwards" => settings.forwards = value == "true",
            "keep-everything" => settings.keep_everything = value == "true",
            "expect" => {
                let mut words = value.splitn(3, ' ');
                let field = words.next().expect("a field").to_owned();
                let how = words.next().unwrap_or_else(|| panic!("{name}: {line}")).to_owned();
                expect.push((field, how, unescape(words.next().unwrap_or_default())));
            }
            _ => panic!("{name}: unknown key {key}"),
        }
    }
    assert!(!expect.is_empty(), "{name} expects nothing");
    let encoding =
        encoding_rs::Encoding::for_label(charset.as_bytes()).unwrap_or_else(|| panic!("{name}: {charset}"));
    let (raw, _, failed) = encoding.encode(raw);
    assert!(!failed, "{name}: not in {charset}");
    Case { name, settings, expect, raw: raw.into_owned() }
}

/// The form of the corpus.
fn form(from: &str) -> FormSettings {
    let labels = [
        (FormField::Name, "Nome e cognome"),
        (FormField::Address, "E-mail"),
        (FormField::Phone, "Telefono"),
        (FormField::Place, "Luogo"),
        (FormField::Category, "Categoria"),
        (FormField::Text, "Messaggio"),
        (FormField::Other, "Privacy"),
    ];
    FormSettings {
        from: from.to_owned(),
        subject: None,
        labels: labels.map(|(field, label)| (field, label.to_owned())).to_vec(),
        categories: vec![("Buche".to_owned(), "strade/buche".to_owned())],
    }
}

fn reading(raw: &[u8], settings: &ReadSettings) -> Result<Reading, String> {
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
    read(&delivery, settings).map_err(|e| e.to_string())
}

/// The fields that a file may speak of.
fn fields(reading: &Result<Reading, String>) -> BTreeMap<&'static str, String> {
    let mut out = BTreeMap::new();
    match reading {
        Err(reason) => {
            out.insert("kind", "unreadable".to_owned());
            out.insert("reason", reason.clone());
        }
        Ok(Reading::Ignored { reason, about, receipt }) => {
            out.insert("kind", "ignored".to_owned());
            out.insert("reason", reason.as_str().to_owned());
            out.insert("about", about.clone().unwrap_or_default());
            if let Some(receipt) = receipt {
                let of = |o: &Option<String>| o.clone().unwrap_or_default();
                out.insert("receipt", receipt.kind.as_str().to_owned());
                out.insert("extent", of(&receipt.extent));
                out.insert("direct", receipt.direct.to_string());
                out.insert("signed", signed(&receipt.seal.signature));
                certificate(&receipt.data, &mut out);
            }
        }
        Ok(Reading::Message(m)) => {
            out.insert("kind", "message".to_owned());
            out.insert("name", m.sender.name.clone().unwrap_or_default());
            out.insert("address", m.sender.address.clone().unwrap_or_default());
            out.insert("recipients", m.recipients.join(" "));
            out.insert("subject", m.subject.clone());
            out.insert("text", m.text.clone());
            out.insert("quoted", m.quoted.clone());
            out.insert("signature", m.signature.clone());
            out.insert("sent", m.sent_at.map(|t| t.to_string()).unwrap_or_default());
            out.insert("own", m.thread.own.clone().unwrap_or_default());
            out.insert("refs", m.thread.refs.join(" "));
            out.insert("number", m.thread.number.as_ref().map(|n| n.as_str().to_owned()).unwrap_or_default());
            out.insert("notes", m.notes.join(" "));
            out.insert("attachments", attachments(m));
            let place = m.place.as_ref().and_then(|p| p.text.clone());
            out.insert("place", place.unwrap_or_default());
            let form = m.form.clone().unwrap_or_default();
            out.insert("form", form.from);
            out.insert("category", form.category.unwrap_or_default());
            out.insert("phone", form.phone.unwrap_or_default());
            let by = m.forwarded_by.as_ref().and_then(|s| s.address.clone());
            out.insert("forwarded-by", by.unwrap_or_default());
            out.insert("certified", m.certified.is_some().to_string());
            if let Some(certified) = &m.certified {
                let ids = certified.within.iter().map(|d| d.id.clone().unwrap_or_default());
                out.insert("within", ids.collect::<Vec<_>>().join(" "));
                out.insert("signed", signed(&certified.seal.signature));
                certificate(&certified.envelope, &mut out);
            }
            let protocol = m.protocol.clone().unwrap_or_default();
            let date = protocol.date.map(|d| d.to_string());
            let facts = [protocol.administration, protocol.area, protocol.register, protocol.number, date];
            out.insert("protocol", facts.map(|f| f.unwrap_or_else(|| "-".to_owned())).join(" "));
        }
    }
    out
}

fn signed(signature: &Signature) -> String {
    match signature {
        Signature::Holds => "holds".to_owned(),
        Signature::Broken => "broken".to_owned(),
        Signature::Unchecked(reason) => format!("unchecked: {reason}"),
    }
}

/// What is certified, of a letter or by a receipt.
fn certificate(data: &CertificationData, out: &mut BTreeMap<&'static str, String>) {
    let of = |o: &Option<String>| o.clone().unwrap_or_default();
    let party = |p: &Party| format!("{} ({:?})", p.address, p.standing);
    out.insert("tipo", of(&data.kind));
    out.insert("error", of(&data.error));
    out.insert("error-text", of(&data.error_text));
    out.insert("provider", of(&data.provider));
    out.insert("instant", data.instant.map(|i| i.to_string()).unwrap_or_default());
    out.insert("id", of(&data.id));
    out.insert("msgid", of(&data.message_id));
    out.insert("from", data.sender.as_ref().map(party).unwrap_or_default());
    out.insert("to", data.recipients.iter().map(party).collect::<Vec<_>>().join(" "));
    out.insert("delivered", of(&data.delivered_to));
    out.insert("taken", data.taken_for.join(" "));
}

fn attachments(m: &Message) -> String {
    let one = |a: &smista_domain::Attachment| {
        let part: Vec<String> = a.part.iter().map(u32::to_string).collect();
        let inline = if a.inline { " inline" } else { "" };
        format!("{} ({}, {}, {}{inline})", a.name, a.media_type, a.size, part.join("."))
    };
    m.attachments.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn cases() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut paths: Vec<_> =
        fs::read_dir(dir).expect("the corpus").map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    assert!(
        paths.iter().all(|p| p.extension().is_some_and(|e| e == "txt")),
        "a forgotten file in the corpus"
    );
    paths.iter().map(|p| parse(p)).collect()
}

#[test]
fn every_letter_is_read_as_its_file_says() {
    let cases = cases();
    assert!(cases.len() >= 50, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let found = fields(&reading(&case.raw, &case.settings));
        for (field, how, value) in &case.expect {
            let Some(actual) = found.get(field.as_str()) else {
                wrong.push(format!("{}: no field {field}: {found:?}", case.name));
                continue;
            };
            let right = match how.as_str() {
                "=" => actual == value,
                "~" => actual.contains(value.as_str()),
                "!~" => !actual.contains(value.as_str()),
                other => panic!("{}: unknown comparison {other}", case.name),
            };
            if !right {
                wrong.push(format!("{}: {field} {how} {value:?}\n   but is {actual:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} expectations are not met:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_way_that_a_letter_took_changes_nothing() {
    for case in cases() {
        if case.raw.contains(&b'\r') {
            continue;
        }
        let lf = reading(&case.raw, &case.settings);
        let mut crlf = Vec::new();
        for line in case.raw.split_inclusive(|b| *b == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(line) => crlf.extend([line, b"\r\n"].concat()),
                None => crlf.extend_from_slice(line),
            }
        }
        let received =
            [b"Received: from a by b; Mon, 23 Nov 2026 11:00:00 +0100\r\nX-Spam: no\r\n", &crlf[..]].concat();
        let others = if matches!(lf, Ok(Reading::Message(ref m)) if m.notes.iter().any(|n| n == "broken-header"))
        {
            vec![crlf]
        } else {
            vec![crlf, received]
        };
        for raw in others {
            let other = reading(&raw, &case.settings);
            match (&lf, &other) {
                (Ok(Reading::Message(a)), Ok(Reading::Message(b))) => {
                    assert_eq!(a.thread, b.thread, "{}", case.name);
                    assert_eq!(
                        (&a.text, &a.quoted, &a.signature),
                        (&b.text, &b.quoted, &b.signature),
                        "{}",
                        case.name
                    );
                }
                (a, b) => assert_eq!(a, b, "{}", case.name),
            }
        }
    }
}

#[test]
fn attachments_are_found_again() {
    let mut found = 0;
    for case in cases() {
        let Ok(Reading::Message(m)) = reading(&case.raw, &case.settings) else { continue };
        for a in &m.attachments {
            let content =
                attachment(&case.raw, &a.part).unwrap_or_else(|| panic!("{}: {:?}", case.name, a.part));
            assert_eq!(smista_domain::Digest::of(&content), a.sha256, "{}", case.name);
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn different_letters_have_different_fingerprints() {
    let mut letters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for case in cases() {
        let Ok(Reading::Message(m)) = reading(&case.raw, &case.settings) else { continue };
        letters.entry(m.thread.fingerprint).or_default().push(case.name);
    }
    // Files of one name but for `--copy` are one letter that came by two ways.
    for names in letters.values() {
        let plain = |n: &String| n.trim_end_matches(".txt").trim_end_matches("--copy").to_owned();
        let first = plain(&names[0]);
        assert!(names.iter().all(|n| plain(n) == first), "the same fingerprint: {names:?}");
        assert!(names.len() > 1 || !names[0].contains("--copy"), "{} has a fingerprint of its own", names[0]);
    }
    assert!(letters.values().any(|names| names.len() > 1), "no copies in the corpus");
}

#[test]
fn a_letter_without_id_and_date_is_heard_again_on_another_day() {
    let read_on = |second: i64| {
        let delivery = smista_domain::Delivery {
            channel: "email/urp".parse().expect("a channel"),
            scope: "INBOX".to_owned(),
            key: smista_domain::DeliveryKey("INBOX/1/1".to_owned()),
            bytes: bytes::Bytes::from_static(
                b"From: anna@example.it\r\nSubject: Buca\r\n\r\nIn via Dante\r\n",
            ),
            received_at: jiff::Timestamp::from_second(second).expect("an instant"),
            upstream: smista_domain::Upstream::Void,
            facts: serde_json::Value::Null,
            recognise: false,
        };
        match smista_email::read::read(&delivery, &smista_email::read::ReadSettings::default()) {
            Ok(smista_domain::Reading::Message(message)) => message.thread.fingerprint,
            other => panic!("{other:?}"),
        }
    };
    let (morning, evening, month_later) =
        (read_on(1_790_000_000), read_on(1_790_010_000), read_on(1_792_600_000));
    assert_eq!(morning, evening, "a copy of the same day is a copy");
    assert_ne!(morning, month_later);
}
