//! Bytes that want to harm: limits hold, and nothing of ours panics.

use proptest::prelude::*;
use smista_documents::{Limits, Unreadable, text_of};

use crate::{make, read, sample};

#[test]
fn an_archive_that_unpacks_beyond_any_proportion_is_refused() {
    let zeros = vec![b' '; 30 << 20];
    let bomb = make::archive(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", &zeros)]);
    assert!(bomb.len() < 100_000);
    assert_eq!(read(&bomb), Err(Unreadable::Bomb));
    let limits = Limits { entries: 1, ..Limits::default() };
    assert_eq!(text_of(&make::docx("<w:p/>"), &limits), Err(Unreadable::Bomb));
    let limits = Limits { file: 10, ..Limits::default() };
    assert_eq!(text_of(&make::docx("<w:p/>"), &limits), Err(Unreadable::TooLarge));
}

#[test]
fn text_and_pages_are_cut_at_their_limits() {
    let body = "<w:p><w:r><w:t>parole parole parole</w:t><w:br w:type=\"page\"/></w:r></w:p>".repeat(50);
    let document = text_of(&make::docx(&body), &Limits { pages: 3, ..Limits::default() }).expect("read");
    assert_eq!((document.pages.len(), document.truncated), (3, true));
    let document = text_of(&make::docx(&body), &Limits { text: 30, ..Limits::default() }).expect("read");
    assert_eq!((document.pages.concat().len(), document.truncated), (30, true));
    let document =
        text_of(&sample("istanza-winansi.pdf"), &Limits { pages: 1, ..Limits::default() }).expect("read");
    assert_eq!((document.pages.len(), document.truncated), (1, true));
}

#[test]
fn entities_are_not_expanded() {
    let body = "<!DOCTYPE a [<!ENTITY l \"haha\">]><w:p><w:r><w:t>una &l; buca</w:t></w:r></w:p>";
    let document = read(&make::docx(body)).expect("read");
    assert_eq!(document.pages, ["una buca"]);
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        make::docx("<w:p><w:r><w:t>perché</w:t></w:r></w:p>"),
        make::odt("<text:p>perché</text:p>"),
        br"{\rtf1\ansi{\fonttbl{\f0\fcharset0 Arial;}}\u232?\'e8\bin5 abc\par}".to_vec(),
        sample("istanza-ber.pdf.p7m"),
        sample("istanza.pdf.p7m.p7m"),
        make::page(b"BT /F1 12 Tf 50 700 Td (buca) Tj ET", "", &[]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
        for magic in [&b"{\\rtf1"[..], b"PK\x03\x04mimetypeapplication/vnd.oasis.opendocument.text", b"\x30\x80\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02\xA0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80\x06\x01\x2A\xA0\x80\x24\x80"] {
            let _ = read(&[magic, &bytes].concat());
        }
    }

    #[test]
    fn damaged_documents_are_read_or_refused(
        which in 0..6usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = samples().swap_remove(which);
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }

    #[test]
    fn what_is_kept_never_exceeds_the_limits(text in "\\PC{0,400}", most in 0..100usize) {
        let limits = Limits { text: most, ..Limits::default() };
        if let Ok(document) = text_of(text.as_bytes(), &limits) {
            prop_assert!(document.pages.iter().map(String::len).sum::<usize>() <= most);
        }
    }
}
