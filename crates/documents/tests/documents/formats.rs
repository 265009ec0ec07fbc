//! Each format with Italian in it.

use smista_documents::{Kind, Unreadable};

use crate::{make, read, sample};

const BODY: &str = "La sottoscritta Perpetua Dell'Àncora, residente in città, segnala che\n\
                    davanti al civico 12 c'è una buca profonda: così non si può più passare.\n\
                    Già lunedì un'anziana è caduta perché l'asfalto è dissestato; chiede la manutenzione del manto stradale. \
                    Importo dei danni: € 120,00.";

#[test]
fn pdf_with_the_fonts_that_every_reader_has() {
    let document = read(&sample("istanza-winansi.pdf")).expect("read");
    assert_eq!((document.kind, document.scan, document.truncated), (Kind::Pdf, false, false));
    let [first, second] = document.pages.as_slice() else { panic!("{document:?}") };
    assert_eq!(
        *first,
        format!(
            "Spett.le Comune di Borgo Esempio\nOggetto: buca pericolosa in via dell'Università\n\n{BODY}"
        )
    );
    assert_eq!(second, "Allega copia del documento d'identità.\nDistinti saluti, Perpetua Dell'Àncora");
}

#[test]
fn pdf_with_an_embedded_truetype_font_and_only_glyph_numbers() {
    let document = read(&sample("istanza-truetype.pdf")).expect("read");
    assert!(document.pages[0].contains(BODY), "{document:?}");
    assert_eq!(document.pages.len(), 2);
}

#[test]
fn pdf_with_a_letterhead_whose_picture_is_no_text() {
    let document = read(&sample("istanza-con-logo.pdf")).expect("read");
    assert!(document.pages[0].contains(BODY) && !document.scan, "{document:?}");
}

#[test]
fn pdf_form_whose_words_are_in_its_fields() {
    let document = read(&sample("modulo.pdf")).expect("read");
    assert!(document.pages[0].contains("Il lampione di via Città è spento da giovedì"), "{document:?}");
}

#[test]
fn pdf_operators_that_show_text_on_the_next_line() {
    let content = b"BT /F1 12 Tf 14 TL 50 700 Td (uno) Tj (perch\xE9 s\xEC) ' 1 0 (tre) \" [(qua) -30 (ttro) -400 (cinque)] TJ ET";
    let document = read(&make::page(content, "", &[])).expect("read");
    assert_eq!(document.pages, ["uno\nperché sì\ntrequattro cinque"]);
}

#[test]
fn pdf_colours_and_pictures_that_a_library_does_not_know_cost_no_words() {
    let content =
        b"/Sconosciuto cs 1 scn q 1 0 0 1 0 0 cm /Im1 Do Q 1 w BT /F1 12 Tf 50 700 Td (la buca) Tj ET";
    let picture = make::stream("/Type/XObject/Subtype/Image/Width 1/Height 1", b"q w Tj Tf cm \xFF\xD8");
    let document = read(&make::page(content, "/XObject<</Im1 6 0 R>>", &[picture])).expect("read");
    assert_eq!((document.pages.as_slice(), document.scan), (&["la buca".to_owned()][..], true));
}

#[test]
fn pdf_text_in_a_form_that_the_page_draws() {
    let content = b"BT /F1 12 Tf 50 700 Td (sopra) Tj ET /Fm1 Do";
    let form = make::stream(
        "/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F1 5 0 R>>>>",
        b"BT /F1 12 Tf 50 600 Td (dentro) Tj ET",
    );
    let document = read(&make::page(content, "/XObject<</Fm1 6 0 R>>", &[form])).expect("read");
    assert_eq!(document.pages, ["sopra\ndentro"]);
}

#[test]
fn a_scan_is_told_from_a_letter_even_with_a_stamp_on_it() {
    let document = read(&sample("scansione.pdf")).expect("read");
    assert!(document.scan);
    assert_eq!(document.pages, ["Prot. n. 4711", "Prot. n. 4711"]);
    let photograph = read(b"\xFF\xD8\xFF\xE0\0\x10JFIF\0").expect("a picture");
    assert_eq!((photograph.kind, photograph.scan), (Kind::Image, true));
}

#[test]
fn a_password_and_an_old_word_are_named() {
    assert_eq!(read(&sample("cifrato.pdf")), Err(Unreadable::Encrypted));
    assert_eq!(read(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0"), Err(Unreadable::OldOffice));
}

#[test]
fn docx_paragraphs_pages_and_what_is_no_text() {
    let body = "<w:p><w:r><w:t>Perch\u{e9} la citt\u{e0} &amp; il </w:t></w:r><w:r><w:t>sindaco</w:t><w:tab/><w:t>tace</w:t></w:r></w:p>\
        <w:p><w:del><w:r><w:delText>prima</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText><w:t>una buca</w:t></w:r></w:p>\
        <mc:AlternateContent><mc:Choice><w:p><w:r><w:t>riquadro</w:t></w:r></w:p></mc:Choice><mc:Fallback><w:p><w:r><w:t>riquadro</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>\
        <w:p><w:r><w:br w:type=\"page\"/></w:r></w:p><w:p><w:r><w:lastRenderedPageBreak/><w:t>seconda pagina</w:t></w:r></w:p>";
    let document = read(&make::docx(body)).expect("read");
    assert_eq!(document.kind, Kind::Docx);
    assert_eq!(document.pages, ["Perché la città & il sindaco tace\nuna buca\nriquadro", "seconda pagina"]);
}

#[test]
fn docx_of_pictures_alone_is_a_scan() {
    let document = read(&make::docx("<w:p><w:drawing/></w:p>")).expect("read");
    assert!(document.scan);
    assert_eq!(read(&make::docx("<w:p/>")), Err(Unreadable::Empty));
}

#[test]
fn odt_paragraphs_and_what_is_no_text() {
    let body = "<text:tracked-changes><text:p>cancellato</text:p></text:tracked-changes>\
        <text:h>Richiesta</text:h><text:p>Il lampione\n<text:s text:c=\"2\"/>di via Citt\u{e0} \u{e8}<text:line-break/>spento<office:annotation><text:p>nota</text:p></office:annotation></text:p>\
        <text:p><text:soft-page-break/>dopo</text:p>";
    let document = read(&make::odt(body)).expect("read");
    assert_eq!(document.kind, Kind::Odt);
    assert_eq!(document.pages, ["Richiesta\nIl lampione di via Città è\nspento", "dopo"]);
}

#[test]
fn rtf_charsets_unicode_and_what_is_no_text() {
    let rtf = br"{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset238 Arial CE;}}
{\colortbl;\red0\green0\blue0;}{\*\generator Nessuno;}{\info{\author Ignoto}}
\pard\f0\fs24 La citt\'e0 \'e8 \b bella\b0 : \u232?\u8364 EUR perch\'e9\par
\f1\'e8\f0  cos\'ec{\field{\*\fldinst HYPERLINK}{\fldrslt qui}}\tab fine\page due{\pict\bin3 }{\} tre\par}";
    let document = read(rtf).expect("read");
    assert_eq!(document.kind, Kind::Rtf);
    assert_eq!(document.pages, ["La città è bella: è€UR perché\nč cosìqui fine", "due tre"]);
}

#[test]
fn plain_text_in_any_charset() {
    for bytes in [
        "Perché la città è al buio".as_bytes().to_vec(),
        b"Perch\xE9 la citt\xE0 \xE8 al buio".to_vec(),
        [0xFF, 0xFE]
            .into_iter()
            .chain("Perché la città è al buio".encode_utf16().flat_map(u16::to_le_bytes))
            .collect(),
    ] {
        let document = read(&bytes).expect("read");
        assert_eq!(
            (document.kind, document.pages.as_slice()),
            (Kind::Text, &["Perché la città è al buio".to_owned()][..])
        );
    }
    assert_eq!(read(b"<?xml version='1.0'?><a>Segnatura</a>"), Err(Unreadable::UnknownFormat));
    assert_eq!(read(b"\x7FELF\x02\x01\x01\0"), Err(Unreadable::UnknownFormat));
}
