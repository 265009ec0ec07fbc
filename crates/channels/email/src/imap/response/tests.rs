use proptest::prelude::*;

use super::*;

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

fn said(line: &str) -> Response {
    parse(&parts(line.as_bytes()))
}

#[test]
fn statuses() {
    let Response::Tagged(tag, Status::No, text) = said("A7 NO [AUTHENTICATIONFAILED] wrong \u{e8}") else {
        panic!()
    };
    assert_eq!((tag.as_str(), text.has_code("AUTHENTICATIONFAILED")), ("A7", true));
    assert_eq!(text.to_string(), "[AUTHENTICATIONFAILED] wrong \u{e8}");
    for line in ["* OK", "* OK [", "* OK []", "* ok [UIDVALIDITY 7] x", "* NO [ALERT] quota"] {
        assert!(matches!(said(line), Response::Untagged(..)), "{line}");
    }
    assert!(matches!(said("A1 BAD"), Response::Tagged(_, Status::Bad, _)));
    assert_eq!(said("+"), Response::Continue);
    assert_eq!(said("+ idling"), Response::Continue);
    for line in ["", "*", "* ", "* WHAT 7 (foo", "A1", "A1 HUH", "* 7", "* 7 HUH"] {
        assert_eq!(said(line), Response::Other, "{line}");
    }
}

#[test]
fn numbers_and_lists() {
    assert_eq!(said("* 23 EXISTS"), Response::Exists(23));
    assert_eq!(said("* 3 EXPUNGE"), Response::Expunged);
    assert_eq!(said("* SEARCH  5 3 99999999999 x "), Response::Search(vec![5, 3]));
    assert_eq!(said("* SEARCH"), Response::Search(vec![]));
    assert_eq!(
        said("* ESEARCH (TAG \"A1\") UID ALL 1:3,9,12:11"),
        Response::Search(vec![1, 2, 3, 9, 11, 12])
    );
    assert_eq!(
        said("* CAPABILITY IMAP4rev1 idle"),
        Response::Capability(vec!["IMAP4REV1".into(), "IDLE".into()])
    );
    let list = |a: &[&str], n: &str| Response::List {
        attributes: a.iter().map(|s| (*s).to_owned()).collect(),
        name: n.to_owned(),
    };
    assert_eq!(said(r#"* LIST (\Noselect \X) "/" "a \"b\"""#), list(&["\\Noselect", "\\X"], "a \"b\""));
    assert_eq!(said("* LIST () NIL @na me@"), list(&[], "na me"));
}

#[test]
fn fetch_answers_of_many_servers() {
    let body = || Some(Body { bytes: Bytes::from_static(b"abc"), length: 3 });
    for line in [
        "* 1 FETCH (UID 7 BODY[] @abc@)",
        "* 1 FETCH (BODY[] @abc@ UID 7)",
        "* 1 fetch(UID  7  body[] @abc@ )",
        "* 1 FETCH (UID 7 BODY[] \"abc\")",
        "* 1 FETCH (UID 7 BODY[]<0> @abc@)",
        "* 1 FETCH (FLAGS () UID 7 BODY[] @abc@)",
        "* 1 FETCH (FLAGS (\\Seen [Gmail]/x foo]bar foo[bar Non\u{e8}) UID 7 BODY[] @abc@)",
        "* 1 FETCH (UID 7 MODSEQ (12345) X-FOO bar EMAILID (M1) INTERNALDATE NIL BODY[] @abc@)",
        "* 1 FETCH (BODY[HEADER.FIELDS (FROM TO)] @x@ ENVELOPE (NIL \"s\" ((NIL)) ()) UID 7 BODY[] @abc@)",
    ] {
        let Response::Fetch(got) = said(line) else { panic!("{line}") };
        assert_eq!((got.uid, got.body), (Some(7), body()), "{line}");
    }
}

#[test]
fn what_is_missing_is_none() {
    for line in ["* 1 FETCH", "* 1 FETCH (", "* 1 FETCH ()", "* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (UID)"]
    {
        let Response::Fetch(got) = said(line) else { panic!("{line}") };
        assert_eq!((got.uid, got.body), (None, None), "{line}");
    }
    let Response::Fetch(got) = said("* 1 FETCH (UID 7 BODY[] NIL RFC822.SIZE 12)") else { panic!() };
    assert_eq!((got.uid, got.body, got.size), (Some(7), None, Some(12)));
    let Response::Fetch(got) = said("* 1 FETCH (UID 99999999999 RFC822.SIZE -1)") else { panic!() };
    assert_eq!((got.uid, got.size), (None, None));
    let Response::Fetch(got) =
        said("* 1 FETCH (INTERNALDATE \" 3-Jul-2025 02:44:25 +0200\" FLAGS (\\Seen a))")
    else {
        panic!()
    };
    assert_eq!(got.date.as_deref(), Some(" 3-Jul-2025 02:44:25 +0200"));
    assert_eq!(got.flags, Some(vec!["\\Seen".to_owned(), "a".to_owned()]));
}

#[test]
fn depth_costs_nothing() {
    let line = format!("* 1 FETCH (BODYSTRUCTURE {}{} UID 7)", "(".repeat(200_000), ")".repeat(200_000));
    let Response::Fetch(got) = said(&line) else { panic!() };
    assert_eq!(got.uid, Some(7));
}

proptest! {
    #[test]
    fn every_input_has_an_answer(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        parse(&parts(&line));
    }

    #[test]
    fn every_untagged_input_has_an_answer(
        line in r#"\* ([0-9]{1,3} FETCH|LIST|ESEARCH|SEARCH|OK|CAPABILITY) [()"\\\[\]@ A-Z0-9:,.<>{}]{0,80}"#
    ) {
        parse(&parts(line.as_bytes()));
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
    /// What imap-proto can read, we read alike.
    #[test]
    fn fetch_is_read_as_by_another_parser(items in proptest::collection::vec(item(), 1..6)) {
        use imap_proto::AttributeValue as A;
        let line = [b"* 7 FETCH (".to_vec(), items.join(&b' '), b")\r\n".to_vec()].concat();
        // what it cannot read is drawn again; if it could read next to nothing, this test would fail
        let theirs = imap_proto::Response::parse(&line);
        prop_assume!(theirs.is_ok());
        let Ok((_, imap_proto::Response::Fetch(7, theirs))) = theirs else { panic!("{theirs:?}") };
        let mut expected = Fetched::default();
        for attribute in theirs {
            match attribute {
                A::Uid(uid) => expected.uid = Some(uid),
                A::Rfc822Size(size) => expected.size = Some(u64::from(size)),
                A::InternalDate(date) => expected.date = Some(date.into_owned()),
                A::Flags(flags) => expected.flags = Some(flags.into_iter().map(std::borrow::Cow::into_owned).collect()),
                A::BodySection { data: Some(data), .. } => {
                    let bytes = Bytes::from(data.into_owned());
                    expected.body = Some(Body { length: bytes.len() as u64, bytes });
                }
                _ => {}
            }
        }
        prop_assert_eq!(parse(&cut(&line)), Response::Fetch(expected));
    }
}
