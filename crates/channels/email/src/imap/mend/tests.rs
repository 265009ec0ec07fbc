//! What comes out for what servers send: read by imap-proto as async-imap does, and understood as the session does.

use async_imap::imap_proto::{AttributeValue, MailboxDatum};
use proptest::prelude::*;

use super::*;
use crate::imap::{
    error::Fault,
    response::{Body, Fetched, Heard, Said},
};

/// `@abc@` in the line stands for the literal `abc`.
fn parts(line: &[u8]) -> Vec<Part> {
    line.split(|b| *b == b'@')
        .enumerate()
        .map(|(i, piece)| {
            let bytes = Bytes::copy_from_slice(piece);
            if i % 2 == 0 { Part::Text(bytes) } else { Part::Literal { length: bytes.len() as u64, bytes } }
        })
        .collect()
}

/// What the library gets; None if nothing.
fn given(parts: &[Part]) -> Option<Vec<u8>> {
    match mend(parts) {
        Mended::Response { pieces, .. } => Some(pieces.into_iter().collect::<Vec<_>>().concat()),
        Mended::Numbers(mut numbers) => {
            let mut all = Vec::new();
            loop {
                let line = numbers.line();
                assert!(line.len() < 4096, "the library reads it at once");
                all.extend_from_slice(&line);
                if numbers.is_done() {
                    return Some(all);
                }
            }
        }
        Mended::Nothing => None,
    }
}

fn with<T>(line: &str, work: impl FnOnce(&Heard<'_>) -> T) -> Option<T> {
    let given = given(&parts(line.as_bytes()))?;
    let (rest, response) = Response::parse(&given).expect("imap-proto can read it");
    assert!(rest.is_empty(), "{line}");
    Some(work(&Heard { response: &response, cut: None }))
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough over lifetimes"
)]
fn said(line: &str) -> Option<Said> {
    with(line, |h| h.said())
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method is not general enough over lifetimes"
)]
fn fetched(line: &str) -> Option<Fetched> {
    with(line, |h| h.fetched()).flatten()
}

#[test]
fn statuses() {
    let Some(Said::Done(tag, Err(Fault::No(text)))) = said("A7 NO [AUTHENTICATIONFAILED] wrong \u{e8}")
    else {
        panic!()
    };
    assert_eq!((tag.0.as_str(), text.has_code("AUTHENTICATIONFAILED")), ("A7", true));
    assert_eq!(text.to_string(), "[AUTHENTICATIONFAILED] wrong \u{e8}");
    for line in ["* OK", "*  OK  x", "* OK [", "* OK []", "* OK [FROB (1] x", "* ok [UIDVALIDITY 7] x"] {
        assert!(matches!(said(line), Some(Said::Fine(_, false))), "{line}");
    }
    assert!(matches!(said("* NO [ALERT] quota"), Some(Said::Remark(_))));
    assert!(matches!(said("* PREAUTH in"), Some(Said::Fine(_, true))));
    assert!(matches!(said("* BYE"), Some(Said::Bye(_))));
    assert!(matches!(said("A1 BAD"), Some(Said::Done(_, Err(Fault::Bad(_))))));
    assert!(matches!(said("A1  OK\t\0x"), None | Some(Said::Done(_, Ok(_)))));
    for line in ["+", "+ idling", "+idling", "+ [ALERT]\u{e8}"] {
        assert!(matches!(said(line), Some(Said::Continue)), "{line}");
    }
    for line in ["", "*", "* ", "* WHAT 7 (foo", "A1", "A1 HUH", "* 7", "* 7 HUH", "SSH-2.0-OpenSSH_9"] {
        assert_eq!(given(&parts(line.as_bytes())), None, "{line}");
    }
}

/// imap-proto panics at the first of them and does not know the form of the others; what they say is understood all the same.
#[test]
fn codes_in_odd_forms() {
    let code = |line: &str| match said(line) {
        Some(Said::Fine(said, _) | Said::Done(_, Ok(said))) => {
            let code = said.code.expect("a code");
            (code.name, code.args, said.text)
        }
        _ => panic!("{line}"),
    };
    for (line, name, args, text) in [
        ("* OK [READ-ONLY]\u{e8} aperta", "READ-ONLY", "", "\u{e8} aperta"),
        ("* OK [UIDVALIDITY 7]x", "UIDVALIDITY", "7", "x"),
        ("* OK [UIDVALIDITY  7 ] x", "UIDVALIDITY", "7", "x"),
        ("* OK [uidnext 9] x", "UIDNEXT", "9", "x"),
        ("A1 OK [CAPABILITY IMAP4rev2 idle] x", "CAPABILITY", "IMAP4rev2 idle", "x"),
        ("A1 OK [CAPABILITY IMAP4rev1 idle AUTH=plain] x", "CAPABILITY", "IMAP4REV1 IDLE AUTH=PLAIN", "x"),
        ("A1 OK [PERMANENTFLAGS]", "PERMANENTFLAGS", "", ""),
    ] {
        assert_eq!(code(line), (name.into(), args.into(), text.into()), "{line}");
    }
    let line = "* OK [PERMANENTFLAGS (foo]bar \\*)]\u{e8}";
    assert!(said(line).is_some());
    // a tagged answer is cut, not dropped
    assert!(matches!(said(&format!("A1 OK {}", "x".repeat(100_000))), Some(Said::Done(_, Ok(_)))));
}

#[test]
fn numbers_and_lists() {
    let found = |line: &str| {
        let given = given(&parts(line.as_bytes())).expect("numbers");
        let (mut rest, mut all) = (given.as_slice(), Vec::new());
        while !rest.is_empty() {
            let (after, response) = Response::parse(rest).expect("imap-proto can read it");
            let Response::MailboxData(MailboxDatum::Search(some)) = response else { panic!("{response:?}") };
            all.extend(some);
            rest = after;
        }
        all
    };
    assert_eq!(found("* SEARCH  5 \t3 99999999999 x "), [5, 3]);
    assert_eq!(found("* SEARCH 5 3 (MODSEQ 917)"), [5, 3]);
    assert!(found("* search").is_empty());
    assert_eq!(found("* ESEARCH (TAG \"A1\") UID ALL 1:3,9,12:11"), [1, 2, 3, 9, 11, 12]);
    assert!(found("* ESEARCH (TAG \"A1\") UID").is_empty());
    assert_eq!(found("* ESEARCH ALL 1:1000"), (1..=1000).collect::<Vec<_>>());
    assert_eq!(found("* ESEARCH ALL 1:4294967295").len(), MAX_NUMBERS);
    assert_eq!(
        with("*  23  EXISTS", |h| matches!(h.response, Response::MailboxData(MailboxDatum::Exists(23)))),
        Some(true)
    );
    assert_eq!(with("* 3 EXPUNGE", |h| matches!(h.response, Response::Expunge(3))), Some(true));
    assert_eq!(with("* VANISHED 3:5", |h| matches!(h.response, Response::Vanished { .. })), Some(true));
    for (line, words) in [
        ("* CAPABILITY IMAP4rev1 idle", vec!["IMAP4REV1", "IDLE"]),
        ("* CAPABILITY IMAP4rev2  AUTH=PLAIN \"x\" ", vec!["IMAP4REV1", "IMAP4REV2", "AUTH=PLAIN"]),
    ] {
        let heard = with(line, |h| match h.response {
            Response::Capabilities(words) => crate::imap::response::capabilities(words),
            other => panic!("{other:?}"),
        });
        assert_eq!(heard, Some(words.into_iter().map(str::to_owned).collect()));
    }
    for line in [r#"* LIST (\Noselect \X) "/" "a \"b\"""#, "* LIST () NIL @na me@"] {
        assert_eq!(
            with(line, |h| matches!(h.response, Response::MailboxData(MailboxDatum::List(_)))),
            Some(true)
        );
    }
}

#[test]
fn fetch_answers_of_many_servers() {
    let body = |text: &'static str| {
        Some(Body { bytes: Bytes::from_static(text.as_bytes()), length: text.len() as u64 })
    };
    for line in [
        "* 1 FETCH (UID 7 BODY[] @abc@)",
        "* 1 FETCH (BODY[] @abc@ UID 7)",
        "* 1 FETCH (BODY[] @abc@UID 7)",
        "* 1 fetch(UID  7  body[]@abc@ )",
        "* 1 FETCH (UID 7 BODY[] \"abc\")",
        "* 1 FETCH (UID 7 BODY[]<0> @abc@)",
        "* 1 FETCH (FLAGS () UID 7 BODY[] @abc@)",
        "* 1 FETCH (FLAGS (\\Seen [Gmail]/x foo]bar foo[bar Non\u{e8} 50%) UID 7 BODY[] @abc@)",
        "* 1 FETCH (UID 7 MODSEQ (12345) X-FOO bar EMAILID (M1) INTERNALDATE NIL BODY[] @abc@)",
        "* 1 FETCH (BODY[HEADER.FIELDS (FROM TO)] @x@ ENVELOPE (NIL \"s\" ((NIL)) ()) UID 7 BODY[] @abc@)",
        "* 1 FETCH (INTERNALDATE NILS UID 7 BODY[] @abc@ X-OTHER @x@)",
        "* 1 FETCH (UID 7 BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" -1 1) BODY[] @abc@",
    ] {
        let got = fetched(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((got.uid, got.body), (Some(7), body("abc")), "{line}");
    }
    let got = fetched(r#"* 1 FETCH (UID 7 BODY[] "a\"b\\c\d")"#).expect("readable");
    assert_eq!(got.body, body("a\"b\\cd"));
}

#[test]
fn what_is_missing_is_none() {
    for line in ["* 1 FETCH", "* 1 FETCH (", "* 1 FETCH ()", "* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (UID)"]
    {
        let got = fetched(line).unwrap_or_default();
        assert_eq!((got.uid, got.body), (None, None), "{line}");
    }
    let got = fetched("* 1 FETCH (UID 7 BODY[] NIL RFC822.SIZE 12)").expect("readable");
    assert_eq!((got.uid, got.body, got.size), (Some(7), None, Some(12)));
    let got = fetched("* 1 FETCH (UID 99999999999 RFC822.SIZE -1)").expect("readable");
    assert_eq!((got.uid, got.size), (None, None));
    let got =
        fetched("* 1 FETCH (INTERNALDATE \" 3-Jul-2025 02:44:25 +0200\" FLAGS (\\Seen a \u{e8} \\b]c 9%))")
            .expect("readable");
    assert_eq!(got.date.as_deref(), Some(" 3-Jul-2025 02:44:25 +0200"));
    assert_eq!(got.flags, Some(vec!["\\Seen".to_owned(), "a".to_owned()]));
}

/// imap-proto would recurse until the stack ends, and that ends the process.
#[test]
fn depth_costs_nothing() {
    for deep in ["BODYSTRUCTURE", "BODY", "X", "FLAGS"] {
        for closing in [200_000, 0] {
            let line = format!("* 1 FETCH (UID 7 {deep} {}{})", "(".repeat(200_000), ")".repeat(closing));
            assert_eq!(fetched(&line).map(|got| got.uid), Some(Some(7)));
        }
    }
}

#[test]
fn the_full_length_of_a_cut_letter_is_told() {
    let cut = |name: &str| {
        let literal = Part::Literal { bytes: Bytes::from_static(b"abc"), length: 9 };
        let line = [
            Part::Text(format!("* 1 FETCH (UID 7 {name} ").into_bytes().into()),
            literal,
            Part::Text(Bytes::from_static(b")")),
        ];
        let Mended::Response { cut, .. } = mend(&line) else { panic!() };
        cut
    };
    assert_eq!(cut("BODY[]"), Some(9));
    assert_eq!(cut("X-OTHER"), None);
}

/// A text without end is no reason to read it again and again.
#[test]
fn long_texts_are_bounded() {
    let long = "x".repeat(1_000_000);
    assert_eq!(fetched(&format!("* 1 FETCH (FLAGS ({long}) UID 7)")), None);
    assert_eq!(given(&parts(format!("* LIST () NIL {long}").as_bytes())), None);
    let got = fetched(&format!("* 1 FETCH (X-FOO {long} UID 7 BODY[] \"{long}\")")).expect("readable");
    assert_eq!((got.uid, got.body.map(|b| b.length)), (Some(7), Some(1_000_000)));
}

proptest! {
    /// Neither we nor imap-proto panic.
    #[test]
    fn every_input_has_an_answer(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        given(&parts(&line));
    }

    #[test]
    fn every_untagged_input_has_an_answer(
        line in r#"(\*|A1|\+) ([0-9]{1,3} FETCH|LIST|ESEARCH|SEARCH|OK|NO|VANISHED|METADATA|ID|CAPABILITY) [()"\\\[\]@ A-Z0-9:,.<>{}à]{0,80}"#
    ) {
        given(&parts(line.as_bytes()));
    }

    /// What is told to people is told whatever it is; a tagged answer ends its command.
    #[test]
    fn every_tagged_answer_arrives(text in "[^\r\n]{0,40}", code in r"(\[[A-Z]{1,9}[^\r\n]{0,9}\])?") {
        let done = with(&format!("A12 NO {code}{text}"), |h| matches!(h.said(), Said::Done(_, Err(Fault::No(_)))));
        // `@` makes a literal here
        prop_assert!(done == Some(true) || text.contains('@') || code.contains('@'));
    }
}

/// One item of a FETCH answer, as it is written.
fn item() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (1u32..).prop_map(|n| format!("UID {n}").into_bytes()),
        any::<u32>().prop_map(|n| format!("RFC822.SIZE {n}").into_bytes()),
        "INTERNALDATE \" ?[0-9]{1,2}-Jul-20[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-]0[0-9]00\""
            .prop_map(String::into_bytes),
        r"FLAGS \((\\Seen)?\)".prop_map(String::into_bytes),
        r"FLAGS \(\\Answered \$[A-Za-z]{1,5}\)".prop_map(String::into_bytes),
        (1u64..1 << 60).prop_map(|n| format!("MODSEQ ({n})").into_bytes()),
        Just(b"BODY[] NIL".to_vec()),
        "BODY\\[\\] \"[a-z ]{0,9}\"".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|body| [
            format!("BODY[] {{{}}}\r\n", body.len()).into_bytes(),
            body
        ]
        .concat()),
    ]
}

/// The same bytes cut as the wire cuts them.
fn cut(bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = Bytes::copy_from_slice(bytes);
    while let Some(at) = rest.windows(3).position(|w| w == b"}\r\n") {
        let open = rest[..at].iter().rposition(|b| *b == b'{').unwrap();
        let length: usize = std::str::from_utf8(&rest[open + 1..at]).unwrap().parse().unwrap();
        parts.push(Part::Text(rest.slice(..open)));
        let body = rest.slice(at + 3..at + 3 + length);
        parts.push(Part::Literal { length: length as u64, bytes: body });
        rest = rest.slice(at + 3 + length..);
    }
    parts.push(Part::Text(rest.slice(..rest.len() - 2)));
    parts
}

proptest! {
    /// What imap-proto can read by itself, it reads alike when it has been mended.
    #[test]
    fn mending_changes_nothing_that_was_right(items in proptest::collection::vec(item(), 1..6)) {
        let line = [b"* 7 FETCH (".to_vec(), items.join(&b' '), b")\r\n".to_vec()].concat();
        // what it cannot read is drawn again; if it could read next to nothing, this test would fail
        let theirs = Response::parse(&line);
        prop_assume!(theirs.is_ok());
        let (_, response) = theirs.expect("just seen");
        let expected = Heard { response: &response, cut: None }.fetched();
        let asked_for = |item: &AttributeValue<'_>| !matches!(
            item, AttributeValue::ModSeq(_) | AttributeValue::BodySection { data: None, .. });
        let Response::Fetch(7, items) = &response else { panic!("{response:?}") };
        let empty = !items.iter().any(asked_for);
        let mended = given(&cut(&line));
        let ours = mended.as_deref().map(|bytes| Response::parse(bytes).expect("readable").1);
        let ours = ours.as_ref().and_then(|response| Heard { response, cut: None }.fetched());
        prop_assert_eq!(ours.or(empty.then(Fetched::default)), expected);
    }
}
