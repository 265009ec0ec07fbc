//! What a person wrote and how files are called comes through: around quotes, in any charset, in every spelling of a name.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; the lints' exemption for tests does not reach helper functions"
)]

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use smista_domain::{ChannelName, Delivery, DeliveryKey, Message, Reading, Upstream};
use smista_email::read::{ReadSettings, attachment, read};

fn message(raw: &[u8]) -> Message {
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
    match read(&delivery, &ReadSettings::default()) {
        Ok(Reading::Message(message)) => *message,
        other => panic!("no message: {other:?}"),
    }
}

/// What stands above a quote, and what it looks like: programs put an empty line between, or none.
const QUOTES: &[(&str, &str)] = &[
    ("Il giorno lun 23 nov 2026 alle ore 10:02 URP <urp@comune.example> ha scritto:\n", "> "),
    ("Il giorno lun 23 nov 2026 alle ore 10:02 URP\n<urp@comune.example> ha scritto:\n\n", "> "),
    ("In data 23 novembre 2026 10:02:11 CET, URP <urp@comune.example> ha scritto:\n", ">"),
    ("On Mon, 23 Nov 2026 at 10:02, URP <urp@comune.example> wrote:\n", "> "),
    ("Am 23.11.2026 um 10:02 schrieb URP:\n", "> "),
    ("", "> "),
];

/// Lines of words that mean nothing to anybody.
fn lines() -> impl Strategy<Value = Vec<String>> {
    vec("(le|il|on|mar|zz)? ?w[a-z]{3,9}( w[a-zàèìòù]{2,9}){0,6}[.,?!]?", 1..5)
}

/// Bytes of a text in a charset.
fn encoded(text: &str, charset: &str) -> Vec<u8> {
    match charset {
        "utf-16" => [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
        "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        label => {
            let charset = encoding_rs::Encoding::for_label(label.as_bytes()).expect("a charset");
            let (bytes, _, failed) = charset.encode(text);
            assert!(!failed, "{text:?} in {label}");
            bytes.into_owned()
        }
    }
}

/// Every octet as two digits behind this mark.
fn digits(mark: &str, bytes: &[u8]) -> String {
    bytes.iter().flat_map(|b| [mark.to_owned(), hex::encode_upper([*b])]).collect()
}

fn percent(bytes: &[u8]) -> String {
    digits("%", bytes)
}

/// A letter with one attachment whose head has these lines.
fn with_attachment(head: &[u8]) -> Vec<u8> {
    [
        b"From: anna@example.it\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=b-7f3a\r\n\r\n--b-7f3a\r\n\r\nuna buca\r\n--b-7f3a\r\n",
        head,
        b"\r\n\r\ncontenuto\r\n--b-7f3a--\r\n",
    ]
    .concat()
}

/// The spellings of a file name that programs send.
fn spellings(name: &str) -> Vec<Vec<u8>> {
    let bytes = name.as_bytes();
    let third = bytes.len() / 3;
    let (first, rest) = bytes.split_at(third);
    let (second, last) = rest.split_at(third);
    let word = |piece: &[u8]| digits("=", piece);
    [
        // RFC 2231, in one piece and split within characters.
        format!("Content-Disposition: attachment; filename*=utf-8'it'{}", percent(bytes)),
        format!(
            "Content-Disposition: attachment;\r\n filename*0*=utf-8''{};\r\n filename*1*={};\r\n filename*2*={}",
            percent(first),
            percent(second),
            percent(last)
        ),
        format!("Content-Disposition: attachment; filename*1*={}; filename*0*=UTF-8''{}", percent(rest), percent(first)),
        // RFC 2047 where it has no place, split within characters.
        format!("Content-Type: application/pdf; name=\"=?utf-8?Q?{}?=\r\n =?utf-8?Q?{}?=\"", word(first), word(rest)),
    ]
    .map(String::into_bytes)
    .to_vec()
}

/// The name that an attachment gets, whose content is found again under its number.
fn name_of(head: &[u8]) -> String {
    let letter = with_attachment(head);
    let message = message(&letter);
    assert_eq!(message.attachments.len(), 1, "{:?}", message.attachments);
    let attached = &message.attachments[0];
    assert_eq!(attachment(&letter, &attached.part).as_deref(), Some(&b"contenuto"[..]));
    attached.name.clone()
}

/// A name that is a name: one component, one line, nothing that is not seen or that turns the writing around.
fn is_a_name(name: &str) -> Result<(), TestCaseError> {
    prop_assert!(!name.is_empty() && name.chars().count() <= 200, "{name:?}");
    prop_assert!(!matches!(name, "." | ".."), "{name:?}");
    let bad = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    prop_assert!(!name.contains(bad), "{name:?}");
    Ok(())
}

#[test]
fn names_that_want_to_be_paths_or_something_else_are_data() {
    let long = format!("{}.pdf", "à".repeat(10_000));
    for (declared, name) in [
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
        ("..\\..", "part-2.txt"),
        ("/", "part-2.txt"),
        ("a\0b.pdf", "ab.pdf"),
        ("foto\r\nBcc: x@example.it.jpg", "foto Bcc: x@example.it.jpg"),
        ("fattura\u{202e}fdp.exe", "fatturafdp.exe"),
        ("\u{feff}nota\u{200b}.txt", "nota.txt"),
        ("-rf *; $(reboot).pdf", "-rf *; $(reboot).pdf"),
        ("perché la città.pdf", "perché la città.pdf"),
    ] {
        for head in spellings(declared) {
            let expected = if head.starts_with(b"Content-Type: application/pdf") && name == "part-2.txt" {
                "part-2.pdf"
            } else {
                name
            };
            assert_eq!(name_of(&head), expected, "{}", String::from_utf8_lossy(&head));
        }
    }
    // A field is read up to 16 kB: of a name that is longer the end may be missing, but it stays a name.
    for head in spellings(&long) {
        is_a_name(&name_of(&head)).expect("a name");
    }
    let name = name_of(&spellings(&format!("{}.pdf", "a".repeat(4000)))[0]);
    assert!(name.ends_with("aaa.pdf") && name.len() == 200, "{name}");
}

proptest! {
    #[test]
    fn what_stands_above_and_below_a_quote_is_the_writers(
        above in lines(), quoted in lines(), below in lines(), how in 0..QUOTES.len(), gap in any::<bool>(), end in any::<bool>(),
    ) {
        let (introduction, mark) = QUOTES[how];
        let (above, below) = (above.join("\n"), if end { below.join("\n") } else { String::new() });
        let marked: String = quoted.iter().flat_map(|line| [mark, line, "\n"]).collect();
        let gap = if gap { "\n" } else { "" };
        let body = format!("{above}\n{gap}{introduction}{marked}\n{below}\n");
        let letter = format!("From: anna@example.it\nIn-Reply-To: <a@comune.example>\nContent-Type: text/plain; charset=utf-8\n\n{body}");
        let message = message(letter.as_bytes());
        let own = if end { format!("{above}\n\n{below}") } else { above };
        prop_assert_eq!(message.text, own, "{}", body);
        prop_assert_eq!(message.quoted.lines().filter(|l| l.starts_with('>')).count(), quoted.len(), "{}", body);
    }

    #[test]
    fn a_text_comes_through_in_every_charset(words in vec("[a-zA-Zàèéìòùç]{2,10}", 3..30), which in 0..9usize) {
        // As declared, and how it is written in truth.
        let (declared, real) = [
            ("utf-8", "utf-8"),
            ("windows-1252", "windows-1252"),
            ("iso-8859-15", "iso-8859-15"),
            ("iso-8859-1", "windows-1252"),
            ("utf-16", "utf-16"),
            ("utf-16be", "utf-16be"),
            ("iso-8859-1", "utf-8"),
            ("us-ascii", "utf-8"),
            ("x-unknown", "utf-8"),
        ][which];
        let text = words.join(" ");
        let head = format!("From: anna@example.it\r\nContent-Type: text/plain; charset={declared}\r\n\r\n");
        prop_assert_eq!(&message(&[head.as_bytes(), &encoded(&text, real)].concat()).text, &text);
        // The same in a subject, word by word.
        let subject: Vec<String> =
            words.iter().map(|w| format!("=?{declared}?Q?{}=20?=", digits("=", &encoded(w, real)))).collect();
        if !declared.starts_with("utf-16") {
            let letter = format!("From: anna@example.it\r\nSubject: {}\r\n\r\nx\r\n", subject.join("\r\n "));
            let subject = message(letter.as_bytes()).subject;
            prop_assert_eq!(subject.trim(), &text);
        }
    }

    #[test]
    fn a_name_comes_through_in_every_spelling(stem in "[a-zA-Z0-9àèéìòù€](([ -_.'()]{0,1})[a-zA-Z0-9àèéìòù€]){0,40}") {
        let name = format!("{}.pdf", stem.replace(['/', '\\', '"', '?', '='], "-"));
        for head in spellings(&name) {
            prop_assert_eq!(&name_of(&head), &name, "{}", String::from_utf8_lossy(&head));
        }
    }

    #[test]
    fn whatever_is_declared_a_name_is_a_name(declared in "\\PC{1,60}|(\\.|/|\\\\|\\x00|\u{202e}|\u{feff}|a|\"| ){1,40}") {
        for head in spellings(&declared) {
            is_a_name(&name_of(&head))?;
        }
    }
}
