//! Certified mail (PEC) made by somebody who wants the reader to fall over.

use super::{TEXT, WORDS, base64, mail, parts};

const TRANSPORT: &str = "X-Trasporto: posta-certificata\r\n";
const LETTER: &str = "Content-Type: message/rfc822; name=\"postacert.eml\"\r\n\r\n";

/// A letter in an envelope, with these certification data.
fn envelope(name: &str, daticert: &str) -> Vec<u8> {
    let data = format!("Content-Type: application/xml; name=\"daticert.xml\"\r\n\r\n{daticert}");
    let letter = format!("{LETTER}{}", String::from_utf8_lossy(&mail(name, TEXT, WORDS)));
    marked(TRANSPORT, &parts(name, "mixed", &[&data, &letter]))
}

/// With a further field in front.
fn marked(field: &str, letter: &[u8]) -> Vec<u8> {
    [field.as_bytes(), letter].concat()
}

/// Entities that would unfold to three gigabytes.
fn laughs(root: &str) -> String {
    let levels = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)));
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE {root} [<!ENTITY l0 \"ha\">{}]><{root}><a>&l9;</a></{root}>",
        levels.collect::<Vec<_>>().concat()
    )
}

/// All kinds, by name.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let noise = (0u32..250_000).map(|n| format!("{:04x}<", n.wrapping_mul(2_654_435_761) >> 16));
    let noise = noise.collect::<Vec<_>>().concat();
    vec![
        ("pec-nested-10000", {
            let mut out =
                mail("pec-nested-10000", &format!("{TRANSPORT}Content-Type: message/rfc822\r\n"), "");
            out.extend(
                format!("{TRANSPORT}Content-Type: message/rfc822\r\n\r\n").repeat(10_000).into_bytes(),
            );
            out.extend_from_slice(WORDS.as_bytes());
            out
        }),
        ("pec-nested-multiparts-10000", {
            let levels = (0..10_000).map(|n| {
                format!(
                    "{TRANSPORT}Subject: {n}\r\nContent-Type: multipart/signed; boundary=n{n}\r\n\r\n--n{n}\r\n{LETTER}"
                )
            });
            [
                levels.collect::<Vec<_>>().concat().into_bytes(),
                mail("pec-nested-multiparts-10000", TEXT, WORDS),
            ]
            .concat()
        }),
        ("pec-nested-5", {
            let mut letter = mail("pec-nested-5", TEXT, WORDS);
            for n in 0..5 {
                let inner = format!(
                    "Content-Type: message/rfc822; name=postacert.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                    base64(&letter)
                );
                letter = marked(TRANSPORT, &parts(&format!("pec-level-{n}"), "mixed", &[&inner]));
            }
            letter
        }),
        ("pec-billion-laughs", envelope("pec-billion-laughs", &laughs("postacert"))),
        ("pec-daticert-noise-1-megabyte", envelope("pec-daticert-noise-1-megabyte", &noise)),
        ("pec-daticert-unclosed", envelope("pec-daticert-unclosed", &"<postacert>".repeat(40_000))),
        ("pec-daticert-attributes-30000", {
            let attributes = (0..30_000).map(|n| format!(" a{n}='{n}'")).collect::<Vec<_>>().concat();
            envelope("pec-daticert-attributes-30000", &format!("<postacert{attributes} tipo='x'/>"))
        }),
        ("pec-daticert-recipients-5000", {
            let to = (0..5000).map(|n| format!("<destinatari>p{n}@pec.example</destinatari>"));
            let to = to.collect::<Vec<_>>().concat();
            envelope(
                "pec-daticert-recipients-5000",
                &format!("<postacert><intestazione>{to}</intestazione></postacert>"),
            )
        }),
        ("pec-daticert-is-a-comment", envelope("pec-daticert-is-a-comment", "<!-- <postacert/>")),
        ("pec-letters-900", {
            let first = format!("{LETTER}{}", String::from_utf8_lossy(&mail("pec-letters-900", TEXT, WORDS)));
            let other = format!("{LETTER}From: altri@example.it\r\n\r\nx");
            let mut all = vec![first.as_str()];
            all.extend(std::iter::repeat_n(other.as_str(), 900));
            marked(TRANSPORT, &parts("pec-letters-900", "mixed", &all))
        }),
        ("pec-letter-cut", {
            let long = format!("{WORDS}\r\n{}", "Ancora la stessa cosa.\r\n".repeat(500));
            let letter = format!(
                "Content-Type: message/rfc822; name=postacert.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&mail("pec-letter-cut", TEXT, &long))
            );
            let whole = marked(TRANSPORT, &parts("pec-letter-cut", "mixed", &[&letter]));
            whole.get(..whole.len() / 2).unwrap_or(&whole).to_vec()
        }),
        ("pec-letter-is-noise", {
            let letter = format!(
                "Content-Type: message/rfc822; name=postacert.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&[0xFE; 3000])
            );
            marked(
                TRANSPORT,
                &parts("pec-letter-is-noise", "mixed", &[&format!("{TEXT}\r\n{WORDS}"), &letter]),
            )
        }),
        ("pec-signature-nested-60000", {
            let letter = format!("{LETTER}{}", String::from_utf8_lossy(&mail("signed", TEXT, WORDS)));
            let signature = format!(
                "Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64(&b"\x30\x80".repeat(60_000))
            );
            marked(TRANSPORT, &parts("pec-signature-nested-60000", "signed", &[&letter, &signature]))
        }),
        ("segnatura-billion-laughs", {
            let file =
                format!("Content-Type: text/xml; name=\"segnatura.xml\"\r\n\r\n{}", laughs("Segnatura"));
            parts("segnatura-billion-laughs", "mixed", &[&format!("{TEXT}\r\n{WORDS}"), &file])
        }),
        (
            "pec-receipt-endless-word",
            mail("pec-receipt-endless-word", &format!("X-Ricevuta: {}\r\n", "a".repeat(1 << 20)), "Ricevuta"),
        ),
    ]
}
