//! The letter is in the attachment: from a certified letter with a formula of transmission to the right queue, and what becomes of
//! documents that cannot be read. The samples are those of the room `documents`.

use std::{fmt::Write as _, fs, path::Path};

use super::{Office, path, run_with};

/// An attachment, encoded as every octet by itself.
fn attached(name: &str, media: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../documents/tests/samples");
    let bytes = fs::read(folder.join(name)).expect("a sample");
    let mut part = format!(
        "Content-Type: {media}; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    );
    for line in bytes.chunks(24) {
        for byte in line {
            let _ = write!(part, "={byte:02X}");
        }
        part.push_str("=\r\n");
    }
    part
}

fn letter(id: &str, text: &str, attachments: &[String]) -> String {
    let mut out = format!(
        "From: Perpetua Dell'Ancora <perpetua@pec.example>\r\nTo: urp@comune.gubbio.pg.it\r\nSubject: Trasmissione\r\n\
         Message-ID: <{id}@pec.example>\r\nDate: Mon, 23 Nov 2026 08:00:00 +0100\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=x{id}\r\n\r\n--x{id}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    );
    for part in attachments {
        let _ = write!(out, "--x{id}\r\n{part}\r\n");
    }
    let _ = write!(out, "--x{id}--\r\n");
    out
}

/// In the envelope of certified mail (RFC 6109, section 3.1.5).
fn certified(letter: &str) -> Vec<u8> {
    format!(
        "X-Trasporto: posta-certificata\r\nFrom: \"Per conto di: perpetua@pec.example\" <posta-certificata@pec.example>\r\n\
         To: urp@comune.gubbio.pg.it\r\nSubject: POSTA CERTIFICATA: Trasmissione\r\nMessage-ID: <busta@pec.example>\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=busta\r\n\r\n--busta\r\nContent-Type: text/plain\r\n\r\n\
         Messaggio di posta certificata\r\n--busta\r\nContent-Type: message/rfc822; name=\"postacert.eml\"\r\n\r\n{letter}\r\n--busta--\r\n"
    )
    .into_bytes()
}

const FORMULA: &str = "Si trasmette quanto in oggetto.\r\nDistinti saluti";

#[tokio::test(flavor = "multi_thread")]
async fn a_certified_letter_is_routed_by_the_words_of_its_signed_document() {
    let p7m = attached("istanza.pdf.p7m", "application/pkcs7-mime");
    let office = Office::with(&[certified(&letter("firmata", FORMULA, &[p7m]))]).await;
    let number = office.number();
    let decision = office.town.json(&["explain", &number]);
    assert_eq!(decision["sector"], "lavori-pubblici", "{decision}");
    let places = decision["votes"]
        .as_array()
        .expect("votes")
        .iter()
        .flat_map(|v| v["evidence"].as_array().expect("evidence"));
    assert!(
        places.map(|e| e["place"].as_str()).any(|p| p == Some("document:istanza.pdf.p7m#1")),
        "{decision}"
    );
    let said = office.town.run(&["explain", &number]);
    assert!(said.out.contains("(allegato istanza.pdf.p7m, pag. 1, riga"), "{said:?}");
    let case = office.town.json(&["queue", "show", &number]);
    let page = &case["message_list"][0]["documents"][0];
    assert_eq!((page["attachment"].as_str(), page["page"].as_u64()), (Some("istanza.pdf.p7m"), Some(1)));
    assert!(page["text"].as_str().is_some_and(|t| t.contains("c'è una buca profonda")), "{case}");
    let said = office.town.run(&["queue", "show", &number]);
    assert!(said.out.contains("(letto per smistare: istanza.pdf.p7m)"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_scan_goes_to_the_fallback_sector_with_that_reason() {
    let scan = attached("scansione.pdf", "application/pdf");
    let office = Office::with(&[certified(&letter("scansione", FORMULA, &[scan]))]).await;
    let number = office.number();
    let decision = office.town.json(&["explain", &number]);
    assert_eq!(
        (decision["fallback"].as_bool(), decision["fallback_reason"].as_str()),
        (Some(true), Some("only-scan")),
        "{decision}"
    );
    let said = office.town.run(&["queue", "show", &number]);
    assert!(said.out.contains("un allegato è solo una scansione"), "{said:?}");
    assert!(said.out.contains("la lettera rimanda all'allegato"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_takes_its_reader_down_costs_only_itself() {
    let bomb = || attached("senza-fine.pdf", "application/pdf");
    let good = attached("istanza-truetype.pdf", "application/pdf");
    let alone = letter("sola", "Vedi allegato", &[bomb()]);
    let office = Office::new().await;
    let decision = run_with(&office.town, &["explain", "-", "--json"], alone.as_bytes()).json();
    assert_eq!(decision["fallback_reason"], "unreadable-document", "{decision}");
    let both = office.letters("entrambi", &[letter("due", "Vedi allegato", &[bomb(), good]).into_bytes()]);
    let said = office.town.run(&["import", "mail", path(&both)]);
    assert_eq!(said.code, 0, "{said:?}");
    let case = office.town.json(&["queue", "show", &office.number()]);
    assert_eq!(
        case["entry"]["sector"].as_str().or(case["sector"].as_str()),
        Some("lavori-pubblici"),
        "{case}"
    );
    assert_eq!(case["message_list"][0]["notes"], serde_json::json!(["document-unreadable"]), "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_speaks_for_itself_is_not_looked_into() {
    let scan = attached("scansione.pdf", "application/pdf");
    let text = "In via Dante, davanti al civico 12, c'è una buca profonda nell'asfalto. ".repeat(5);
    let office = Office::with(&[letter("parla", &text, &[scan]).into_bytes()]).await;
    let case = office.town.json(&["queue", "show", &office.number()]);
    assert_eq!(
        (&case["message_list"][0]["documents"], &case["message_list"][0]["notes"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
}
