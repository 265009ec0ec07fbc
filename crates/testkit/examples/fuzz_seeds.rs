//! Writes the letters of the fuzz corpora (`tests/fuzz/corpus`: mime, pec, daticert) and whom they are signed by, from what the
//! tests have. The other seeds are made by `tests/fuzz/seeds.py`.
//!
//!     cargo run -p smista-testkit --example fuzz_seeds

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "whoever runs it sees what is wrong"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use smista_testkit::{
    nasty::nasty,
    pec::{Authority, Gestore, How, Post, RECEIPTS, Shape, Signer},
};

/// Larger letters say nothing that smaller ones do not, and are slow.
const MAX: usize = 5000;

const LETTER: Post<'_> = Post {
    from: "anna@pec.example",
    to: "urp@comune.example",
    subject: "Fontana",
    message_id: "m1@pec.example",
    serial: 1,
    rest: "\r\nLa fontana perde acqua.\r\n",
};

/// What `letters.rs` puts a signature under.
const SIGNED: &str = "Content-Type: multipart/mixed; boundary=dentro-7f3a\r\n\r\n--dentro-7f3a\r\nContent-Type: application/xml; \
    name=daticert.xml\r\n\r\n<postacert tipo=\"posta-certificata\" errore=\"nessuno\"><intestazione><mittente>anna@pec.example</mittente>\
    </intestazione></postacert>\r\n--dentro-7f3a\r\nContent-Type: message/rfc822; name=postacert.eml\r\n\r\nFrom: anna@pec.example\r\n\
    Subject: Fontana\r\nMessage-ID: <m1@pec.example>\r\n\r\nLa fontana perde acqua.\r\n--dentro-7f3a--\r\n";

fn put(target: &str, name: &str, parts: &[&[u8]]) {
    let folder = root().join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), parts.concat()).expect("written");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

fn main() {
    for (name, letter) in nasty().iter().filter(|(_, letter)| letter.len() < MAX) {
        put("mime", name, &[letter]);
        if name.starts_with("pec") {
            put("pec", name, &[b"\x05", letter]);
        }
    }
    let golden = root().join("../../crates/channels/email/tests/corpus");
    for file in fs::read_dir(golden).expect("the golden letters") {
        let path = file.expect("readable").path();
        let text = fs::read_to_string(&path).expect("text");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let Some((_, letter)) = text.split_once("\n\n").filter(|(_, letter)| letter.len() < MAX) else {
            continue;
        };
        // One of each kind is enough of certified mail: the shapes of providers follow below.
        if !name.starts_with("pec-") {
            put("mime", &name, &[letter.as_bytes()]);
        }
    }
    let authority = Authority::new("CA di prova");
    fs::write(root().join("authority.der"), authority.certificate()).expect("written");
    fs::write(root().join("signed-part.eml"), SIGNED).expect("written");
    for (name, how) in [("rsa", How::Rsa), ("rsa-pss", How::RsaPss), ("ecdsa", How::Ecdsa)] {
        let signer = Signer::new(&authority, "posta-certificata@pec.example", how, 2020..2040);
        put("pec", &format!("signature-{name}"), &[b"\x02", &signer.sign(SIGNED.as_bytes())]);
        put("pec", &format!("signature-{name}-of-another"), &[b"\x02", &signer.sign(b"altro")]);
    }
    for shape in Shape::ALL {
        let gestore = Gestore::new(shape, &authority, How::Ecdsa);
        put("pec", &format!("envelope-{shape:?}").to_lowercase(), &[b"\x05", &gestore.envelope(&LETTER)]);
        put("pec", &format!("anomaly-{shape:?}").to_lowercase(), &[b"\x05", &gestore.anomaly(&LETTER)]);
    }
    let gestore = Gestore::new(Shape::Aruba, &authority, How::Ecdsa);
    for (kind, _) in RECEIPTS {
        let receipt = gestore.receipt(kind, &LETTER);
        put("pec", &format!("receipt-{kind}"), &[b"\x05", &receipt]);
        let text = String::from_utf8_lossy(&receipt).into_owned();
        if let Some(at) = text.find("\r\nMIME-Version") {
            put("pec", &format!("receipt-body-{kind}"), &[b"\x03", &receipt[at + 2..]]);
        }
    }
    put("pec", "letter", &[b"\x00", LETTER.ordinary().as_bytes()]);
    put("pec", "letter-within", &[b"\x04", LETTER.ordinary().as_bytes()]);
    let gestore = Gestore::new(Shape::Sogei, &authority, How::Ecdsa);
    let plain = String::from_utf8_lossy(&gestore.receipt("errore-consegna", &LETTER)).into_owned();
    if let Some((from, to)) = plain.find("<?xml").zip(plain.find("</postacert>")) {
        let data = &plain.as_bytes()[from..to + "</postacert>".len()];
        put("daticert", "errore-consegna", &[b"\x00", data]);
        put("daticert", "errore-consegna-in-utf-16", &[b"\x03", data]);
        put("pec", "daticert", &[b"\x01", data]);
    }
}
