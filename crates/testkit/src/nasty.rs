//! Letters that no parser likes: what arrives in a mailbox that has been public for ten years.
//!
//! Each is a whole letter as bytes, with a name. They are for tests from end to end: every one must end as exactly one
//! settled or quarantined delivery, and the next letter must not wait for it. Where a letter has words at all, they
//! contain `lampione` (or the letter is one that is rightly ignored or quarantined).

mod pec;
mod wrapped;

/// The sentence that a person wrote, in ASCII.
pub const WORDS: &str = "Buongiorno, il lampione davanti al civico 12 di via Dante non si accende.";

/// A head with the usual fields, without the empty line.
fn head(name: &str, more: &str) -> String {
    format!(
        "Return-Path: <anna@example.it>\r\nReceived: from mx.example.it by mail.comune.example; Mon, 23 Nov 2026 08:00:00 +0100\r\n\
         From: Anna Bianchi <anna@example.it>\r\nTo: urp@comune.example\r\nSubject: Lampione {name}\r\n\
         Date: Mon, 23 Nov 2026 07:59:00 +0100\r\nMessage-ID: <{name}@example.it>\r\nMIME-Version: 1.0\r\n{more}"
    )
}

/// A letter with these further fields and this body.
fn mail(name: &str, more: &str, body: &str) -> Vec<u8> {
    format!("{}\r\n{body}", head(name, more)).into_bytes()
}

/// The same with a body of bytes.
fn mail_bytes(name: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("{}\r\n", head(name, more)).into_bytes();
    out.extend_from_slice(body);
    out
}

/// A multipart with boundary `b` of these parts (each with its head).
fn parts(name: &str, subtype: &str, parts: &[&str]) -> Vec<u8> {
    let mut body = String::from("This is a multi-part message in MIME format.\r\n");
    for part in parts {
        body.push_str("--b\r\n");
        body.push_str(part);
        body.push_str("\r\n");
    }
    body.push_str("--b--\r\n");
    mail(name, &format!("Content-Type: multipart/{subtype}; boundary=\"b\"\r\n"), &body)
}

/// Base64 in lines of 76.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len() * 4 / 3 + bytes.len() / 40);
    for (n, group) in bytes.chunks(3).enumerate() {
        if n > 0 && n % 19 == 0 {
            out.push_str("\r\n");
        }
        let octet = |i: usize| u32::from(group.get(i).copied().unwrap_or_default());
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for i in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap_or_default();
            let digit = ALPHABET.get(six).copied().unwrap_or(b'A');
            out.push(if i > group.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

/// UTF-16 in little-endian order, with its mark.
fn utf16(text: &str) -> Vec<u8> {
    let mut out = vec![0xFF, 0xFE];
    out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    out
}

/// Text as Windows-1252, for letters up to U+00FF.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n";

/// All kinds, by name. The largest has about five megabytes.
pub fn nasty() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = broken_structure();
    all.extend(broken_heads());
    all.extend(broken_encodings());
    all.extend(huge());
    all.extend(odd_contents());
    all.extend(pec::all());
    all.extend(wrapped::all());
    all
}

/// Boundaries, nesting, truncation.
fn broken_structure() -> Vec<(&'static str, Vec<u8>)> {
    let plain = format!("{TEXT}\r\n{WORDS}");
    let jpeg = "Content-Type: image/jpeg; name=foto.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let whole = parts("cut", "mixed", &[&plain, &format!("{jpeg}{}", base64(&[7; 9000]))]);
    vec![
        ("boundary-undeclared", {
            let body = format!("--xyzw\r\nContent-Type: text/plain\r\n\r\n{WORDS}\r\n--xyzw--\r\n");
            mail("boundary-undeclared", "Content-Type: multipart/mixed\r\n", &body)
        }),
        ("boundary-never-comes", {
            mail(
                "boundary-never-comes",
                "Content-Type: multipart/mixed; boundary=nowhere\r\n",
                &format!("{WORDS}\r\n"),
            )
        }),
        (
            "boundary-empty",
            mail(
                "boundary-empty",
                "Content-Type: multipart/mixed; boundary=\"\"\r\n",
                &format!("--\r\n\r\n{WORDS}\r\n----\r\n"),
            ),
        ),
        ("boundary-same-inside", {
            let inner =
                format!("Content-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\n{plain}\r\n--b--");
            parts("boundary-same-inside", "mixed", &[&inner, jpeg])
        }),
        ("boundary-prefix-of-another", {
            let inner = format!(
                "Content-Type: multipart/alternative; boundary=\"bb\"\r\n\r\n--bb\r\n{plain}\r\n--bb--"
            );
            parts("boundary-prefix-of-another", "mixed", &[&inner])
        }),
        (
            "multipart-without-parts",
            mail("multipart-without-parts", "Content-Type: multipart/mixed; boundary=b\r\n", "--b--\r\n"),
        ),
        ("multipart-empty-parts", parts("multipart-empty-parts", "mixed", &["", "", &plain, ""])),
        ("no-closing-boundary", {
            let body = format!("--b\r\n{plain}\r\n--b\r\n{jpeg}{}\r\n", base64(&[1; 300]));
            mail("no-closing-boundary", "Content-Type: multipart/mixed; boundary=b\r\n", &body)
        }),
        ("cut-within-base64", whole.get(..whole.len() * 2 / 3).unwrap_or(&whole).to_vec()),
        ("cut-within-head", head("cut-within-head", "Content-Ty").into_bytes()),
        (
            "cut-after-boundary",
            mail(
                "cut-after-boundary",
                "Content-Type: multipart/mixed; boundary=b\r\n",
                &format!("--b\r\n{plain}\r\n--b"),
            ),
        ),
        ("multiparts-nested-2000", {
            let levels = (0..2000)
                .map(|n| format!("--n{n}\r\nContent-Type: multipart/mixed; boundary=n{}\r\n\r\n", n + 1));
            let body = levels.collect::<Vec<_>>().concat();
            mail("multiparts-nested-2000", "Content-Type: multipart/mixed; boundary=n0\r\n", &body)
        }),
        ("letters-nested-20000", {
            let mut out = head("letters-nested-20000", "Content-Type: message/rfc822\r\n").into_bytes();
            out.extend_from_slice(b"\r\n");
            for _ in 0..20_000 {
                out.extend_from_slice(b"Content-Type: message/rfc822\r\n\r\n");
            }
            out.extend_from_slice(WORDS.as_bytes());
            out
        }),
        ("parts-20000", {
            let mut body = format!("--b\r\n{plain}\r\n");
            for _ in 0..20_000 {
                body.push_str("--b\r\n\r\nx\r\n");
            }
            mail("parts-20000", "Content-Type: multipart/mixed; boundary=b\r\n", &body)
        }),
        ("parts-with-missing-boundaries-5000", {
            let mut body = format!("--b\r\n{plain}\r\n");
            let parts = (0..5000)
                .map(|n| format!("--b\r\nContent-Type: multipart/mixed; boundary=never{n}\r\n\r\nx\r\n"));
            body.extend(parts);
            mail("parts-with-missing-boundaries-5000", "Content-Type: multipart/mixed; boundary=b\r\n", &body)
        }),
        ("only-an-attached-letter", {
            let inner = format!(
                "Content-Type: message/rfc822\r\n\r\nFrom: c@example.it\r\nSubject: inner\r\n\r\n{WORDS}"
            );
            parts("only-an-attached-letter", "mixed", &[&inner])
        }),
    ]
}

/// Fields that are missing, doubled, endless or no fields.
fn broken_heads() -> Vec<(&'static str, Vec<u8>)> {
    let bare = |fields: &str| format!("{fields}\r\n\r\n{WORDS}\r\n").into_bytes();
    vec![
        ("empty-from", bare("From: \r\nTo: urp@comune.example\r\nSubject: senza mittente\r\nMessage-ID: <empty-from@x>")),
        ("no-from", bare("To: urp@comune.example\r\nSubject: senza From\r\nMessage-ID: <no-from@x>")),
        ("two-from", bare("From: anna@example.it\r\nFrom: Bruno <bruno@example.it>\r\nSubject: due mittenti\r\nMessage-ID: <two-from@x>")),
        ("from-without-address", bare("From: Anna Bianchi\r\nSubject: solo il nome\r\nMessage-ID: <from-without-address@x>")),
        ("from-broken", bare("From: \"Anna <anna@example.it\r\nSubject: virgolette aperte\r\nMessage-ID: <from-broken@x>")),
        ("no-message-id", bare("From: anna@example.it\r\nSubject: senza Message-ID")),
        ("message-id-broken", bare("From: anna@example.it\r\nSubject: id rotto\r\nMessage-ID: <<a b>@ x>>>, <c")),
        ("date-year-0", bare("From: anna@example.it\r\nSubject: anno 0\r\nDate: Mon, 1 Jan 0000 00:00:00 +0000\r\nMessage-ID: <date-year-0@x>")),
        ("date-year-9999", bare("From: anna@example.it\r\nSubject: anno 9999\r\nDate: Fri, 31 Dec 9999 23:59:60 -9999\r\nMessage-ID: <date-year-9999@x>")),
        ("date-nonsense", bare("From: anna@example.it\r\nSubject: data\r\nDate: ieri sera, 31 Feb 2026 25:61:61\r\nMessage-ID: <date-nonsense@x>")),
        ("no-separator", format!("From: anna@example.it\r\nSubject: senza riga vuota\r\nMessage-ID: <no-separator@x>\r\n{WORDS}\r\n").into_bytes()),
        ("no-head", format!("{WORDS}\r\nGrazie\r\n").into_bytes()),
        ("empty-lines-before-head", format!("\r\n\r\n{}\r\n{WORDS}\r\n", head("empty-lines-before-head", "")).into_bytes()),
        ("blanks-before-head", format!("{:400}\r\n\t\r\n{}\r\n{WORDS}\r\n", "", head("blanks-before-head", "")).into_bytes()),
        ("mbox-line-before-head", {
            format!("From anna@example.it Mon Nov 23 06:47:03 2026\r\n{}\r\n{WORDS}\r\n", head("mbox-line-before-head", "")).into_bytes()
        }),
        ("rubbish-in-head", {
            mail("rubbish-in-head", &format!("this is no field\r\n\x01\x02\r\nX-Ok: 1\r\n{TEXT}"), WORDS)
        }),
        ("blanks-as-separator", format!("{} \t \r\n{WORDS}\r\n", head("blanks-as-separator", TEXT)).into_bytes()),
        ("head-only", head("head-only", "").into_bytes()),
        ("bare-lf", String::from_utf8_lossy(&mail("bare-lf", TEXT, WORDS)).replace("\r\n", "\n").into_bytes()),
        ("bare-cr", String::from_utf8_lossy(&mail("bare-cr", TEXT, WORDS)).replace("\r\n", "\r").into_bytes()),
        ("cr-within-lines", mail("cr-within-lines", "X-A: b\rc\r\n", &WORDS.replace(' ', "\r"))),
        ("nul-bytes", mail("nul-bytes", "X-A: \0\0\r\n", &format!("\0\0{}\0", WORDS.replace(' ', " \0")))),
        ("byte-order-mark", [&[0xEF, 0xBB, 0xBF][..], &mail("byte-order-mark", TEXT, WORDS)].concat()),
        ("raw-latin1-head", {
            let mut out = latin1("From: Niccol\u{f2} <n@example.it>\r\nSubject: citt\u{e0} al buio\r\nMessage-ID: <raw-latin1-head@x>\r\n\r\n");
            out.extend_from_slice(WORDS.as_bytes());
            out
        }),
        ("encoded-words-broken", {
            bare("From: =?utf-8?Q?Anna?=<anna@example.it>\r\nSubject: =?utf-8?B?w6g=?= =?x?Q?=?= =?utf-8?Q?citt=C3?=\r\n =?utf-8?Q?=A0?= =?utf-8?Z?x?= =?utf-8?Q?aperta\r\nMessage-ID: <encoded-words-broken@x>")
        }),
        ("references-5000", {
            let ids: Vec<String> = (0..5000).map(|n| format!("<ref{n}@example.it>")).collect();
            mail("references-5000", &format!("References: {}\r\n", ids.join("\r\n ")), WORDS)
        }),
        ("own-reference", mail("own-reference", "In-Reply-To: <own-reference@example.it>\r\nReferences: <own-reference@example.it>\r\n", WORDS)),
    ]
}

/// Charsets and transfer encodings that are not what they say.
fn broken_encodings() -> Vec<(&'static str, Vec<u8>)> {
    let accents = format!("{WORDS} \u{c8} pericoloso perch\u{e9} la citt\u{e0} \u{e8} buia.");
    let charset = |label: &str| format!("Content-Type: text/plain; charset={label}\r\n");
    vec![
        ("base64-bad", {
            let text = base64(accents.as_bytes()).replace('\n', "\n**");
            mail("base64-bad", &format!("{TEXT}Content-Transfer-Encoding: base64\r\n"), &text)
        }),
        (
            "base64-that-is-text",
            mail("base64-that-is-text", &format!("{TEXT}Content-Transfer-Encoding: base64\r\n"), &accents),
        ),
        ("base64-with-footer", {
            let text =
                format!("{}\r\n\r\n-- \r\nNo virus found in this message.\r\n", base64(accents.as_bytes()));
            mail("base64-with-footer", &format!("{TEXT}Content-Transfer-Encoding: base64\r\n"), &text)
        }),
        ("quoted-printable-broken", {
            let text = format!("{WORDS} =\r\ncitt=C3=A0 =ZZ =4 100%= \r\nfine=");
            mail(
                "quoted-printable-broken",
                &format!("{TEXT}Content-Transfer-Encoding: quoted-printable\r\n"),
                &text,
            )
        }),
        (
            "transfer-encoding-unknown",
            mail(
                "transfer-encoding-unknown",
                &format!("{TEXT}Content-Transfer-Encoding: x-rot13\r\n"),
                WORDS,
            ),
        ),
        ("utf8-that-is-latin1", mail_bytes("utf8-that-is-latin1", &charset("utf-8"), &latin1(&accents))),
        ("latin1-that-is-utf8", mail("latin1-that-is-utf8", &charset("iso-8859-1"), &accents)),
        ("us-ascii-with-bytes", mail_bytes("us-ascii-with-bytes", &charset("us-ascii"), &latin1(&accents))),
        ("charset-unknown", mail_bytes("charset-unknown", &charset("x-unknown"), &latin1(&accents))),
        (
            "charset-default",
            mail_bytes("charset-default", &charset("\"default_charset\""), &latin1(&accents)),
        ),
        ("charset-undeclared", mail_bytes("charset-undeclared", "", &latin1(&accents))),
        (
            "charset-empty",
            mail_bytes("charset-empty", "Content-Type: text/plain; charset=\r\n", &latin1(&accents)),
        ),
        ("utf7", mail("utf7", &charset("utf-7"), &format!("{WORDS} Citt+AOA- buia."))),
        ("utf16-body", mail_bytes("utf16-body", &charset("utf-16"), &utf16(&accents))),
        ("utf16-undeclared", mail_bytes("utf16-undeclared", TEXT, &utf16(&accents))),
        ("utf16-whole-letter", utf16(&String::from_utf8_lossy(&mail("utf16-whole-letter", TEXT, &accents)))),
        ("utf8-cut", {
            let text = format!("{WORDS} \u{e8}");
            mail_bytes("utf8-cut", TEXT, text.as_bytes().get(..text.len() - 1).unwrap_or_default())
        }),
        ("controls", mail("controls", TEXT, &format!("\x07\x08{WORDS}\x1b[31m\x7f\u{202e}\u{feff}"))),
        (
            "content-type-broken",
            mail("content-type-broken", "Content-Type: ;;; charset charset=\"utf-8; =x\r\n", WORDS),
        ),
    ]
}

/// Sizes.
fn huge() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("headers-10000", {
            let more: Vec<String> = (0..10_000).map(|n| format!("X-Spam-{n}: {n}\r\n")).collect();
            let more = more.concat();
            mail("headers-10000", &more, WORDS)
        }),
        (
            "header-1-megabyte",
            mail("header-1-megabyte", &format!("X-Large: {}\r\n", "a".repeat(1 << 20)), WORDS),
        ),
        (
            "subject-1-megabyte",
            format!(
                "From: anna@example.it\r\nMessage-ID: <subject-1-megabyte@x>\r\nSubject: {}\r\n\r\n{WORDS}",
                "=?utf-8?Q?=C3=A8?= ".repeat(50_000)
            )
            .into_bytes(),
        ),
        ("content-type-200000-parameters", {
            let params: Vec<String> = (0..100_000).map(|n| format!("; a*{n}=x")).collect();
            let params = params.concat();
            mail("content-type-200000-parameters", &format!("Content-Type: text/plain{params}\r\n"), WORDS)
        }),
        ("recipients-20000", {
            let to: Vec<String> = (0..20_000).map(|n| format!("<p{n}@example.it>")).collect();
            mail("recipients-20000", &format!("Cc: {}\r\n", to.join(",\r\n ")), WORDS)
        }),
        ("line-2-megabytes", mail("line-2-megabytes", TEXT, &format!("{WORDS} {}", "x ".repeat(1 << 20)))),
        ("html-5-megabytes-nested", {
            let body =
                format!("<p>{WORDS}</p>{}{}", "<div><b>".repeat(20_000), "<span>a</span>".repeat(350_000));
            mail("html-5-megabytes-nested", "Content-Type: text/html; charset=utf-8\r\n", &body)
        }),
        (
            "quotes-100000",
            mail("quotes-100000", TEXT, &format!("{WORDS}\r\n{}", "> > >\r\n".repeat(100_000))),
        ),
        ("attachment-4-megabytes", {
            let noise: Vec<u8> =
                (0u32..3_000_000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
            let file = format!(
                "Content-Type: application/pdf; name=grande.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&noise)
            );
            parts("attachment-4-megabytes", "mixed", &[&format!("{TEXT}\r\n{WORDS}"), &file])
        }),
    ]
}

/// Contents that are not text, or not as one would like.
fn odd_contents() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty-body", mail("empty-body", TEXT, "")),
        ("no-bytes", Vec::new()),
        (
            "binary-noise",
            (0u32..5000).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1] | 0x80).collect(),
        ),
        ("placeholder-plain", {
            let html = format!(
                "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>{WORDS}</p></body></html>"
            );
            let plain = format!("{TEXT}\r\nIl tuo programma di posta non supporta i messaggi HTML.");
            parts("placeholder-plain", "alternative", &[&plain, &html])
        }),
        ("html-tables", {
            let html =
                format!("<table><tr><td>Codice</td><td>Prezzo</td></tr><tr><td>1<td>2</table><p>{WORDS}");
            mail("html-tables", "Content-Type: text/html\r\n", &html)
        }),
        (
            "html-unclosed",
            mail(
                "html-unclosed",
                "Content-Type: text/html\r\n",
                &format!("<html><head><style>p{{}}<body><div><a href=\"x>{WORDS}"),
            ),
        ),
        (
            "uuencode",
            mail("uuencode", "", &format!("{WORDS}\r\nbegin 644 nota.txt\r\n$8G5C80\r\n`\r\nend\r\n")),
        ),
        ("winmail", {
            let tnef = format!(
                "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(b"\x78\x9f\x3e\x22\x01\x00")
            );
            parts("winmail", "mixed", &[&format!("{TEXT}\r\n{WORDS}"), &tnef])
        }),
        ("smime-signed", {
            let signature = format!(
                "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&[48; 60])
            );
            parts(
                "smime-signed",
                "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256",
                &[&format!("{TEXT}\r\n{WORDS}"), &signature],
            )
        }),
        ("smime-opaque", {
            mail(
                "smime-opaque",
                "Content-Type: application/pkcs7-mime; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n",
                &base64(&[48; 300]),
            )
        }),
        ("calendar", {
            let event = "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR";
            parts("calendar", "alternative", &[&format!("{TEXT}\r\n{WORDS}"), event])
        }),
        ("format-flowed-delsp", {
            let text = WORDS.replace("civico", "civi \r\nco").replace("via ", "via  \r\n");
            mail("format-flowed-delsp", "Content-Type: text/plain; format=flowed; delsp=yes\r\n", &text)
        }),
        ("file-name-path", {
            let file = "Content-Type: application/pdf; name=\"../../etc/passwd\"\r\nContent-Disposition: attachment; filename=\"C:\\\\a\\\\..\\\\b.pdf\"\r\n\r\nx";
            parts("file-name-path", "mixed", &[&format!("{TEXT}\r\n{WORDS}"), file])
        }),
        ("bounce", {
            let status = "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.it\r\n\r\nAction: failed\r\nStatus: 5.1.1";
            let original = "Content-Type: message/rfc822\r\n\r\nFrom: urp@comune.example\r\nMessage-ID: <answer-1@comune.example>\r\nSubject: risposta\r\n\r\nx";
            parts(
                "bounce",
                "report; report-type=delivery-status",
                &[&format!("{TEXT}\r\nNon consegnato"), status, original],
            )
        }),
        ("auto-reply", mail("auto-reply", "Auto-Submitted: auto-replied\r\n", "Sono in ferie.")),
    ]
}
