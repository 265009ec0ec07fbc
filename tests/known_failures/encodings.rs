//! Letters in every charset, declared or not, and certified mail.

use serde_json::Value;
use smista_testkit::{
    dovecot::Dovecot,
    installation::Mailbox,
    pec::{Authority, Gestore, How, Post, Shape},
};

use super::{cases, deliveries, import, office, only_rules, settled, sound};
use crate::{
    cli::{Office, run_with},
    support::letter,
};

/// A letter of these further fields and this body, as they are.
fn plain(fields: &[u8], body: &[u8]) -> Vec<u8> {
    let head = b"From: Anna <anna@example.it>\r\nTo: urp@comune.gubbio.pg.it\r\n";
    [head, fields, b"\r\n\r\n", body, b"\r\n"].concat()
}

/// Subject and text of the first message of each case.
fn words(office: &Office) -> Vec<(String, String)> {
    let word = |message: &Value, field: &str| message[field].as_str().expect("a text").to_owned();
    let first = |case: &Value| {
        let message = &case["message_list"][0];
        (word(message, "subject"), word(message, "text"))
    };
    cases(office).iter().map(first).collect()
}

/// UTF-8 by its own account, with octets that are none: in the subject, in the text, in a file's name.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_2722_an_invalid_byte_sequence_makes_a_letter_unprocessable() {
    let body = b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nLa buca \xC3\x28 \xE2\x82 \xF0\x9F di via Dante\x80.\r\n\
                 --b\r\nContent-Type: image/jpeg; name=\"fot\xC3.jpg\"\r\n\r\nx\r\n--b--";
    let fields = b"Subject: Buca \xF0\x28\x8C\x28 in via\r\nMessage-ID: <x\xFF@example.it>\r\n\
                   Content-Type: multipart/mixed; boundary=b";
    let office = office(None, &[]).await;
    import(&office, &[plain(fields, body), letter(1)]);
    let all = words(&office);
    assert_eq!(all.len(), 2);
    let (subject, text) = all.iter().find(|(subject, _)| subject.contains("in via")).expect("its case");
    assert!(
        subject.starts_with("Buca") && text.contains("La buca") && text.contains("di via Dante"),
        "{all:?}"
    );
    let case = cases(&office).into_iter().find(|c| c["subject"] == subject.as_str()).expect("its case");
    assert_eq!(case["message_list"][0]["attachments"].as_array().map(Vec::len), Some(1), "{case}");
    sound(&office).await;
}

/// Raw letters with no word about their charset, as each of four programs writes them.
#[tokio::test(flavor = "multi_thread")]
async fn zammad_3155_no_charset_is_declared_and_the_letters_are_wrong() {
    let sentence = "Perché in città c'è più d'una buca? Costa 100 €";
    let windows: Vec<u8> = sentence
        .chars()
        .map(|c| if c == '€' { 0x80 } else { u8::try_from(u32::from(c)).expect("Windows-1252") })
        .collect();
    let iso: Vec<u8> = sentence
        .chars()
        .map(|c| if c == '€' { 0xA4 } else { u8::try_from(u32::from(c)).expect("ISO-8859-15") })
        .collect();
    let letters = [
        plain(b"Message-ID: <1@x>", sentence.as_bytes()),
        plain(b"Message-ID: <2@x>", &windows),
        plain(b"Message-ID: <3@x>\r\nContent-Type: text/plain", &windows),
        plain(b"Message-ID: <4@x>\r\nContent-Type: text/plain; charset=us-ascii", sentence.as_bytes()),
        plain(b"Message-ID: <5@x>\r\nContent-Type: text/plain; charset=iso-8859-15", &iso),
    ];
    let office = office(None, &[]).await;
    import(&office, &letters);
    let all = words(&office);
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|(_, text)| text.trim() == sentence), "{all:?}");
    sound(&office).await;
}

/// A rule on a subject with accents, and that subject in every way in which mail programs write it.
#[test]
fn freescout_1919_a_rule_with_accented_words_does_not_match() {
    let town = smista_testkit::installation::Installation::new(crate::support::program(), "", None, &[]);
    only_rules(
        &town.config(),
        "[[rule]]\nid = \"accenti\"\nsubject = [\"perché la città è già al buio\"]\nsector = \"lavori-pubblici\"\nweight = 30\n",
    );
    let subjects: [&[u8]; 8] = [
        "Perché la città è già al buio".as_bytes(),
        b"Perch\xE9 la citt\xE0 \xE8 gi\xE0 al buio",
        b"=?utf-8?Q?Perch=C3=A9_la_citt=C3=A0_=C3=A8_gi=C3=A0_al_buio?=",
        b"=?iso-8859-1?Q?Perch=E9_la_citt=E0_=E8_gi=E0_al_buio?=",
        b"=?utf-8?B?UGVyY2jDqSBsYSBjaXR0w6Agw6ggZ2nDoCBhbCBidWlv?=",
        "Perche\u{301} la citta\u{300} e\u{300} gia\u{300} al buio".as_bytes(),
        "PERCHÉ LA CITTÀ È GIÀ AL BUIO".as_bytes(),
        b"Perche' la citta' e' gia' al buio",
    ];
    for subject in subjects {
        let fields = [b"Message-ID: <1@x>\r\nSubject: ", subject].concat();
        let said = run_with(&town, &["explain", "-", "--json"], &plain(&fields, b"Saluti")).json();
        assert_eq!(said["sector"], "lavori-pubblici", "{}: {said}", String::from_utf8_lossy(subject));
        assert_eq!(said["votes"][0]["rule"], "accenti", "{said}");
    }
}

const POST: Post<'_> = Post {
    from: "anna.rossi@pec.example",
    to: "urp@comune.gubbio.pg.it",
    subject: "Buca in via Dante",
    message_id: "m_1@client.example",
    serial: 1,
    rest: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=interno\r\n\r\n--interno\r\nContent-Type: text/plain\r\n\r\n\
           In via Dante c'e' una buca profonda.\r\n--interno\r\nContent-Type: image/jpeg; name=foto.jpg\r\n\
           Content-Disposition: attachment; filename=foto.jpg\r\nContent-Transfer-Encoding: base64\r\n\r\n/9j/4AAQ\r\n--interno--\r\n",
};

/// The envelope of each provider's making: one case, with the letter in it.
async fn envelopes() -> (Office, Vec<Value>) {
    let authority = Authority::new("CA di prova");
    let office = office(None, &[]).await;
    let mut letters = Vec::new();
    for (serial, shape) in [Shape::Aruba, Shape::Namirial, Shape::Poste].into_iter().enumerate() {
        let id = format!("m_{serial}@client.example");
        let post = Post { message_id: &id, serial, ..POST };
        letters.push(Gestore::new(shape, &authority, How::Rsa).envelope(&post));
    }
    import(&office, &letters);
    let all = cases(&office);
    assert_eq!(all.len(), 3);
    (office, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn ddeboer_imap_512_the_body_of_a_pec_letter_cannot_be_read() {
    let (office, all) = envelopes().await;
    for case in all {
        let message = &case["message_list"][0];
        let text = message["text"].as_str().expect("a text");
        assert!(
            text.contains("una buca profonda") && !text.contains("Messaggio di posta certificata"),
            "{case}"
        );
        assert_eq!((&case["sector"], &message["subject"]), (&"lavori-pubblici".into(), &POST.subject.into()));
    }
    sound(&office).await;
}

/// Sender and attachments, too, are those of the letter within.
#[tokio::test(flavor = "multi_thread")]
async fn bichon_150_the_letter_within_a_pec_envelope_is_not_shown() {
    let (office, all) = envelopes().await;
    for case in all {
        let message = &case["message_list"][0];
        assert_eq!(message["sender"]["address"], POST.from, "{case}");
        let names: Vec<&str> = message["attachments"]
            .as_array()
            .expect("attachments")
            .iter()
            .filter_map(|a| a["name"].as_str())
            .collect();
        assert!(names.contains(&"foto.jpg"), "{names:?}");
        assert!(
            message["certified"]["envelope"].is_object(),
            "and what is certified stands beside it: {case}"
        );
    }
    sound(&office).await;
}

/// The receipts of a letter of ours: each is a row with its reason and its octets, and stays in the mailbox.
#[tokio::test(flavor = "multi_thread")]
async fn l10n_italy_1219_the_receipts_of_a_pec_vanish() {
    let authority = Authority::new("CA di prova");
    let gestore = Gestore::new(Shape::Aruba, &authority, How::Rsa);
    let ours =
        Post { from: POST.to, to: POST.from, serial: 2, message_id: "risposta@comune.gubbio.pg.it", ..POST };
    let receipts = [gestore.receipt("accettazione", &ours), gestore.receipt("avvenuta-consegna", &ours)];
    let dovecot = Dovecot::start().await.expect("Dovecot");
    dovecot.deliver_all("urp", "INBOX", receipts.clone()).expect("delivered");
    dovecot.deliver("urp", "INBOX", &gestore.envelope(&POST)).expect("delivered");
    let office = office(Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]).await;
    let daemon = office.town.daemon();
    settled(&office, "email/urp", 3).await;
    assert_eq!(daemon.terminate(), 0);
    assert_eq!(office.town.count("email/urp", "opened"), 1);
    let ignored = deliveries(&office, "--outcome", "ignored");
    let mut reasons: Vec<&str> = ignored.iter().filter_map(|row| row["reason"].as_str()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["pec-accettazione", "pec-consegna"]);
    for row in ignored {
        let raw =
            office.town.command().args(["deliveries", "show", &row["id"].to_string(), "--raw"]).output();
        assert!(receipts.contains(&raw.expect("its octets").stdout), "{row}");
    }
    let left = dovecot.letters("urp", "INBOX").expect("letters");
    assert!(left.len() == 3 && left.iter().all(|(_, flags)| flags.is_empty()), "nothing is taken away there");
    sound(&office).await;
}
