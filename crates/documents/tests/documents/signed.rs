//! CAdES: DER and BER as openssl writes them, base64, signatures around signatures.

use smista_documents::{Kind, Limits, Unreadable, text_of};

use crate::{read, sample};

fn is_the_letter(bytes: &[u8]) {
    let document = read(bytes).expect("read");
    assert_eq!(document.kind, Kind::Pdf);
    assert!(document.pages[0].contains("c'è una buca profonda"), "{document:?}");
}

#[test]
fn der_and_ber_of_indefinite_length_are_unwrapped() {
    is_the_letter(&sample("istanza.pdf.p7m"));
    is_the_letter(&sample("istanza-ber.pdf.p7m"));
}

#[test]
fn a_signature_around_a_signature_in_base64_is_unwrapped() {
    is_the_letter(&sample("istanza.pdf.p7m.p7m"));
    let bare: String = String::from_utf8(sample("istanza.pdf.p7m.p7m"))
        .expect("PEM")
        .lines()
        .filter(|l| !l.starts_with('-'))
        .collect::<Vec<_>>()
        .join("\r\n");
    is_the_letter(bare.as_bytes());
}

#[test]
fn what_stands_after_the_content_may_be_missing() {
    let file = sample("istanza.pdf.p7m");
    is_the_letter(&file[..file.len() - 400]);
}

/// A definite length around these bytes.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("small").to_be_bytes();
    [&[tag, 0x84][..], &length, content].concat()
}

/// A signature around the octets of what is signed.
pub(crate) fn signed(octets: &[u8]) -> Vec<u8> {
    let data_type = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x01";
    let signed_type = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02";
    let encapsulated = element(0x30, &[&data_type[..], &element(0xA0, octets)].concat());
    let data = element(0x30, &[&b"\x02\x01\x01\x31\x00"[..], &encapsulated].concat());
    element(0x30, &[&signed_type[..], &element(0xA0, &data)].concat())
}

#[test]
fn strings_in_pieces_and_pieces_of_pieces_are_joined() {
    let text = |octets: &[u8]| read(&signed(octets)).map(|d| d.pages.concat());
    let piece = |text: &[u8]| element(0x04, text);
    assert_eq!(text(&piece(b"una buca")).as_deref(), Ok("una buca"));
    let pieces = [piece(b"una "), element(0x24, &[piece(b"bu"), piece(b"c")].concat()), piece(b"a")].concat();
    assert_eq!(text(&element(0x24, &pieces)).as_deref(), Ok("una buca"));
    let indefinite =
        [&b"\x24\x80"[..], &piece(b"una "), b"\x24\x80", &piece(b"buca"), b"\0\0", &piece(b" qui"), b"\0\0"]
            .concat();
    assert_eq!(text(&indefinite).as_deref(), Ok("una buca qui"));
}

#[test]
fn depth_is_bounded_and_a_signature_alone_is_named() {
    let limits = Limits { envelopes: 1, ..Limits::default() };
    assert_eq!(text_of(&sample("istanza.pdf.p7m.p7m"), &limits), Err(Unreadable::TooDeep));
    assert_eq!(read(&sample("staccata.p7m")), Err(Unreadable::Detached));
    assert_eq!(read(&signed(b"\x05\x00")), Err(Unreadable::Broken));
}
