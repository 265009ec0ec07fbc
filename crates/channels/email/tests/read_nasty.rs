//! Letters that no parser likes: each is read as well as can be, or refused with a reason, in bounded time and memory.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; the lints' exemption for tests does not reach helper functions"
)]

use std::sync::LazyLock;

use bytes::Bytes;
use smista_domain::{
    CertificationData, ChannelName, Delivery, DeliveryKey, IgnoreReason, Message, Reading, Signature,
    Unreadable, Upstream,
};
use smista_email::read::{ReadSettings, attachment, read};
use smista_testkit::nasty::nasty;

fn delivery(bytes: Vec<u8>) -> Delivery {
    Delivery {
        channel: "email/urp".parse::<ChannelName>().expect("valid"),
        scope: "INBOX".to_owned(),
        key: DeliveryKey("INBOX/1/1".to_owned()),
        bytes: Bytes::from(bytes),
        received_at: "2026-11-23T07:00:00Z".parse().expect("valid"),
        upstream: Upstream::Void,
        facts: serde_json::Value::Null,
        recognise: false,
    }
}

fn reading(bytes: Vec<u8>) -> Result<Reading, Unreadable> {
    read(&delivery(bytes), &ReadSettings::default())
}

/// The letter of that name, which must be a message.
fn message(name: &str) -> Message {
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no letter {name}"));
    match reading(bytes.clone()) {
        Ok(Reading::Message(message)) => *message,
        other => panic!("{name}: {other:?}"),
    }
}

/// Every letter, made once.
static ALL: LazyLock<Vec<(&'static str, Vec<u8>)>> = LazyLock::new(nasty);

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_is_there_and_has_a_name_of_its_own() {
    let all = &ALL;
    assert!(all.len() >= 50, "{}", all.len());
    let mut names: Vec<&str> = all.iter().map(|(n, _)| *n).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}

#[test]
fn the_words_of_a_person_survive_everything() {
    for (name, bytes) in ALL.iter() {
        let result = reading(bytes.clone());
        match *name {
            "no-bytes" | "binary-noise" => assert!(result.is_err(), "{name}: {result:?}"),
            "bounce" => assert_eq!(
                result,
                Ok(Reading::Ignored {
                    reason: IgnoreReason::Bounce,
                    about: Some("mid:answer-1@comune.example".into()),
                    receipt: None,
                })
            ),
            "auto-reply" => {
                let expected =
                    Reading::Ignored { reason: IgnoreReason::AutoReply, about: None, receipt: None };
                assert_eq!(result, Ok(expected));
            }
            "pec-receipt-endless-word" => {
                let Ok(Reading::Ignored { reason, receipt: Some(receipt), .. }) = result else {
                    panic!("{name}: {result:?}")
                };
                assert_eq!(reason, IgnoreReason::PecReceipt);
                assert!(receipt.kind.as_str().len() <= 60);
            }
            _ => {
                let Ok(Reading::Message(message)) = result else { panic!("{name}: {result:?}") };
                let wordless = matches!(
                    *name,
                    "head-only"
                        | "cut-within-head"
                        | "empty-body"
                        | "multipart-without-parts"
                        | "smime-opaque"
                        | "multiparts-nested-2000"
                        | "letters-nested-20000"
                        | "pec-nested-10000"
                        | "pec-nested-multiparts-10000"
                        | "signed-within-signed-12"
                );
                assert_eq!(
                    words(&message.text).contains("lampione davanti"),
                    !wordless,
                    "{name}: {:.300}",
                    message.text
                );
                assert!(message.text.len() <= ReadSettings::default().max_text_bytes, "{name}");
                assert!(!message.subject.contains(['\n', '\r', '\0']), "{name}");
                let strings = [&message.subject, &message.text, &message.quoted, &message.signature];
                assert!(strings.iter().all(|s| !s.contains('\0')), "{name}");
                assert_eq!(message.thread.fingerprint.len(), 64, "{name}");
                assert!(message.thread.refs.len() <= 100, "{name}");
                assert!(message.recipients.len() <= 1000, "{name}");
            }
        }
    }
}

#[test]
fn attachments_are_found_again() {
    let mut found = 0;
    for (name, bytes) in ALL.iter() {
        let Ok(Reading::Message(message)) = reading(bytes.clone()) else { continue };
        for a in message.attachments.iter().take(20) {
            let content =
                attachment(bytes, &a.part).unwrap_or_else(|| panic!("{name}: part {:?} is gone", a.part));
            assert_eq!(content.len() as u64, a.size, "{name}");
            assert_eq!(smista_domain::Digest::of(&content), a.sha256, "{name}");
            assert!(!a.name.is_empty() && !a.name.contains(['/', '\\', '\0']), "{name}: {}", a.name);
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn charsets_are_read_as_they_are_not_as_they_say() {
    let names = [
        "base64-bad",
        "base64-that-is-text",
        "base64-with-footer",
        "utf8-that-is-latin1",
        "latin1-that-is-utf8",
        "us-ascii-with-bytes",
        "charset-unknown",
        "charset-default",
        "charset-undeclared",
        "charset-empty",
        "utf16-body",
        "utf16-undeclared",
        "utf16-whole-letter",
    ];
    for name in names {
        assert!(
            message(name).text.ends_with("È pericoloso perché la città è buia."),
            "{name}: {}",
            message(name).text
        );
    }
    assert!(message("utf7").text.ends_with("Città buia."));
    assert!(message("utf8-cut").text.ends_with("si accende."));
}

#[test]
fn what_is_wrong_is_noted() {
    for (name, note) in [
        ("boundary-undeclared", "broken-structure"),
        ("boundary-never-comes", "broken-structure"),
        ("no-closing-boundary", "broken-structure"),
        ("cut-within-base64", "broken-structure"),
        ("multiparts-nested-2000", "too-deep"),
        ("parts-20000", "too-many-parts"),
        ("empty-from", "no-sender"),
        ("no-from", "no-sender"),
        ("from-without-address", "no-sender"),
        ("two-from", "several-senders"),
        ("no-separator", "broken-header"),
        ("no-head", "broken-header"),
        ("rubbish-in-head", "broken-header"),
        ("head-only", "empty"),
        ("empty-body", "empty"),
        ("subject-1-megabyte", "subject-cut"),
        ("line-2-megabytes", "text-cut"),
        ("winmail", "winmail-dat"),
        ("smime-opaque", "encrypted"),
        ("only-an-attached-letter", "text-from-attached-message"),
        ("pec-nested-10000", "too-deep"),
        ("pec-nested-multiparts-10000", "too-deep"),
        ("pec-daticert-noise-1-megabyte", "pec-no-data"),
        ("pec-daticert-unclosed", "pec-no-data"),
        ("pec-daticert-is-a-comment", "pec-no-data"),
        ("pec-letter-cut", "broken-structure"),
        ("pec-letter-is-noise", "pec-no-letter"),
        ("signed-within-signed-12", "too-deep"),
        ("signed-20000-parts", "too-many-parts"),
        ("tnef-length-lies", "broken-structure"),
        ("tnef-properties-lie", "broken-structure"),
        ("tnef-rtf-bomb", "winmail-dat"),
        ("tnef-rtf-short", "winmail-dat"),
        ("tnef-within-tnef-200", "too-deep"),
        ("calendar-nested-50000", "text-from-calendar"),
    ] {
        let message = message(name);
        assert!(message.notes.iter().any(|n| n == note), "{name}: {:?}", message.notes);
    }
    for name in [
        "bare-lf",
        "bare-cr",
        "mbox-line-before-head",
        "empty-lines-before-head",
        "byte-order-mark",
        "smime-signed",
        "signed-within-signed-4",
        "notices-5000",
    ] {
        assert_eq!(message(name).notes, Vec::<String>::new(), "{name}");
    }
}

#[test]
fn senders_that_are_broken() {
    let address = |name: &str| message(name).sender.address.unwrap_or_default();
    assert_eq!(address("two-from"), "anna@example.it");
    assert_eq!(address("from-broken"), "anna@example.it");
    assert_eq!(address("empty-from"), "");
    assert_eq!(
        address("blanks-before-head"),
        address("empty-lines-before-head"),
        "a line of blanks is an empty line"
    );
    assert!(message("blanks-before-head").notes.is_empty(), "its head is whole");
    assert_eq!(message("from-without-address").sender.name.as_deref(), Some("Anna Bianchi"));
    assert_eq!(message("raw-latin1-head").sender.name.as_deref(), Some("Niccolò"));
    assert_eq!(message("raw-latin1-head").subject, "città al buio");
    assert_eq!(message("encoded-words-broken").subject, "ècittà =?utf-8?Z?x?= =?utf-8?Q?aperta");
}

#[test]
fn dates_that_cannot_be_are_none() {
    for name in ["date-year-0", "date-year-9999", "date-nonsense"] {
        assert_eq!(message(name).sent_at, None, "{name}");
    }
    assert_eq!(message("bare-cr").sent_at.map(|t| t.to_string()).as_deref(), Some("2026-11-23T06:59:00Z"));
}

#[test]
fn thread_keys_of_odd_letters() {
    assert_eq!(message("no-message-id").thread.own, None);
    assert_eq!(message("own-reference").thread.refs, Vec::<String>::new());
    let refs = message("references-5000").thread.refs;
    assert_eq!(
        (refs.len(), refs[0].as_str(), refs[99].as_str()),
        (100, "mid:ref4999@example.it", "mid:ref4900@example.it")
    );
}

#[test]
fn odd_contents_are_read() {
    assert!(message("html-tables").text.starts_with("Codice Prezzo\n1 2"));
    let uu = message("uuencode");
    assert_eq!((uu.attachments[0].name.as_str(), uu.attachments[0].size), ("nota.txt", 4));
    assert!(!uu.text.contains("begin"));
    assert!(
        message("format-flowed-delsp").text.contains("al civico 12 di via Dante non"),
        "{}",
        message("format-flowed-delsp").text
    );
    assert_eq!(message("file-name-path").attachments[0].name, "b.pdf");
    assert_eq!(message("calendar").attachments[0].media_type, "text/calendar");
    assert_eq!(message("smime-signed").attachments[0].name, "smime.p7s");
}

#[test]
fn wrappings_are_opened_within_limits() {
    let names =
        |name: &str| -> Vec<String> { message(name).attachments.into_iter().map(|a| a.name).collect() };
    assert_eq!(names("signed-within-signed-4"), Vec::<String>::new());
    assert_eq!(names("signed-within-signed-12"), ["smime.p7m"], "what is too deep stays an attachment");
    assert_eq!(names("tnef-files-5000").len(), 500);
    assert_eq!(names("tnef-length-lies"), ["file.bin"]);
    assert_eq!(names("tnef-properties-lie"), ["file.bin"]);
    // As it was numbered before anything was opened.
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == "tnef-length-lies").expect("there");
    assert!(attachment(bytes, &[2]).is_some_and(|file| file.starts_with(b"\x78\x9F\x3E\x22")));
    assert!(attachment(bytes, &[2, 1]).is_some_and(|file| file == b"nota"));
    assert_eq!(attachment(bytes, &[2, 2]), None);
    // The line that looks like the letter's boundary is inside.
    assert!(message("signed-boundary-of-the-letter").text.contains("uno\n--b"));
    assert_eq!(message("signed-800-times").attachments, vec![]);
    let notices = message("notices-5000");
    assert_eq!((notices.text.lines().count(), notices.quoted.as_str()), (1, ""));
}

#[test]
fn certificates_are_bounded() {
    let certified = |name: &str| message(name).certified.unwrap_or_else(|| panic!("{name}"));
    assert_eq!(certified("pec-billion-laughs").envelope, CertificationData::default());
    assert_eq!(certified("pec-daticert-recipients-5000").envelope.recipients.len(), 1000);
    assert_eq!(certified("pec-daticert-attributes-30000").envelope, CertificationData::default());
    let unreadable = Signature::Unchecked("unreadable".to_owned());
    assert_eq!(certified("pec-signature-nested-60000").seal.signature, unreadable);
    assert_eq!(certified("pec-nested-10000").within, vec![]);
    assert_eq!(message("pec-nested-5").notes, ["pec-no-data"]);
    assert_eq!(message("pec-nested-5").subject, "Lampione pec-nested-5");
    assert_eq!(message("pec-letters-900").sender.address.as_deref(), Some("anna@example.it"));
    assert_eq!(message("segnatura-billion-laughs").protocol, None);
}

#[test]
fn a_letter_fetched_in_part_is_read_and_says_so() {
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == "attachment-4-megabytes").expect("there");
    let mut cut = delivery(bytes[..65_536].to_vec());
    cut.facts = serde_json::json!({ "size": bytes.len(), "truncated": true });
    let Ok(Reading::Message(message)) = read(&cut, &ReadSettings::default()) else { panic!("a message") };
    assert!(message.text.contains("lampione davanti"));
    assert_eq!(message.notes, ["truncated", "broken-structure"]);
    assert_eq!(message.attachments[0].name, "grande.pdf");
}

#[test]
fn the_limits_of_the_settings_hold() {
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == "line-2-megabytes").expect("there");
    let small = ReadSettings { max_text_bytes: 100, ..ReadSettings::default() };
    let Ok(Reading::Message(message)) = read(&delivery(bytes.clone()), &small) else { panic!("a message") };
    assert!(message.text.len() <= 100 && message.text.contains("lampione"));
    assert_eq!(message.notes, ["text-cut"]);
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == "smime-signed").expect("there");
    let small = ReadSettings { max_parts: 2, ..ReadSettings::default() };
    let Ok(Reading::Message(message)) = read(&delivery(bytes.clone()), &small) else { panic!("a message") };
    assert_eq!((message.attachments.len(), message.notes), (0, vec!["too-many-parts".to_owned()]));
}

#[test]
fn lf_crlf_and_cr_make_the_same_letter() {
    let crlf = message("bare-lf");
    let (_, bytes) = ALL.iter().find(|(n, _)| *n == "bare-lf").expect("there");
    let other = String::from_utf8(bytes.clone()).expect("ASCII").replace('\n', "\r\n").into_bytes();
    let Ok(Reading::Message(other)) = reading(other) else { panic!("a message") };
    assert_eq!(*other, crlf);
}
