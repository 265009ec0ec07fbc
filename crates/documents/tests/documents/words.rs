//! What a document says comes through, whatever it says and in whatever format.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::{
    make, read,
    signed::{element, signed},
};

/// Letters, accents, signs and what means something in XML, RTF and PDF; at least one word.
const TEXT: &str = "[a-z]{3}( [a-zàèéìòùA-Z0-9€<>&;{}'\"\\\\.,ñčжа中😀-]{1,12}){0,20}";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// RTF with everything beyond ASCII as `\u`, for which a `?` stands where that is not known.
fn rtf(text: &str) -> Vec<u8> {
    let mut out = String::from("{\\rtf1\\ansi\\ansicpg1252 ");
    for c in text.chars() {
        match c {
            '\\' | '{' | '}' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{}?", unit.cast_signed());
                }
            }
        }
    }
    (out + "\\par}").into_bytes()
}

fn text_of(bytes: &[u8]) -> Option<String> {
    read(bytes).ok().map(|document| document.pages.concat())
}

proptest! {
    #[test]
    fn a_text_comes_through_in_every_format(text in TEXT) {
        let xml = escaped(&text);
        // An entity on its own, and split over runs and spans, as programs do.
        let (first, rest) = text.split_at(text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at));
        let (first, rest) = (escaped(first), escaped(rest));
        for bytes in [
            make::docx(&format!("<w:p><w:r><w:t>{xml}</w:t></w:r></w:p>")),
            make::docx(&format!("<w:p><w:r><w:t xml:space=\"preserve\">{first}</w:t></w:r><w:r><w:t>{rest}</w:t></w:r></w:p>")),
            make::odt(&format!("<text:p>{xml}</text:p>")),
            make::odt(&format!("<text:p>{first}<text:span>{rest}</text:span></text:p>")),
            rtf(&text),
            text.clone().into_bytes(),
            [&[0xEF, 0xBB, 0xBF][..], text.as_bytes()].concat(),
            [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect(),
        ] {
            prop_assert_eq!(text_of(&bytes), Some(text.clone()));
            // The same within a signature, in as many pieces.
            let pieces: Vec<u8> = bytes.chunks(100).flat_map(|piece| element(0x04, piece)).collect();
            for signed in [signed(&element(0x04, &bytes)), signed(&element(0x24, &pieces))] {
                prop_assert_eq!(text_of(&signed), Some(text.clone()));
            }
        }
    }

    #[test]
    fn pages_come_in_their_order(words in proptest::collection::vec("[a-z]{4,9}", 1..8)) {
        let broken = |between: &str| words.join(between);
        let docx = make::docx(&format!("<w:p><w:r><w:t>{}</w:t></w:r></w:p>", broken("</w:t><w:br w:type=\"page\"/><w:t>")));
        let rtf = format!("{{\\rtf1 {}\\par}}", broken("\\page ")).into_bytes();
        for bytes in [docx, rtf] {
            prop_assert_eq!(&read(&bytes).expect("read").pages, &words);
        }
    }
}
