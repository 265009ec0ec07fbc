//! Protocol facts of other administrations: `segnatura.xml` beside their letter, `Segnatura` (annex C to AgID's circular
//! 60/2013) or `SegnaturaInformatica` (annex 6 to the guidelines on electronic documents, 2020).
//!
//! The sender's own registration is `Intestazione/Identificatore`; other identifiers in the file are of documents that it
//! answers or refers to. What is no such file is passed over: the name of its outermost element decides.

use jiff::civil::Date;
use smista_domain::Protocol;

use super::{structure::Part, xml};

/// XML files of a letter that are looked at.
const MAX_FILES: usize = 10;
/// Codes and numbers are cut here.
const MAX_WORD: usize = 100;

/// The facts, if an attachment has them.
pub(super) fn find(root: &Part<'_>) -> Option<Protocol> {
    let named = |part: &&Part<'_>| {
        matches!(part.media(), "application/xml" | "text/xml")
            || part.file_name().is_some_and(|name| name.to_lowercase().ends_with(".xml"))
    };
    root.leaves().into_iter().filter(named).take(MAX_FILES).find_map(|part| {
        // Encoded, nothing is longer than three times itself.
        let small = part.body.len() <= xml::MAX_FILE * 3;
        small.then(|| read(&part.transfer().decode(part.body), part.content.get("charset")))?
    })
}

pub(super) fn read(file: &[u8], label: Option<&str>) -> Option<Protocol> {
    let mut protocol = Protocol::default();
    // Only the first one is the sender's.
    let mut done = false;
    xml::walk(file, label, &["segnatura", "segnaturainformatica"], |element| {
        let Some((_, path)) = element.path.split_once('/').filter(|_| !done) else { return };
        let short = || {
            let text: String = element.text.chars().take(MAX_WORD).collect();
            (!text.is_empty()).then_some(text)
        };
        match path {
            "intestazione/identificatore/codiceamministrazione" => protocol.administration = short(),
            "intestazione/identificatore/codiceaoo" => protocol.area = short(),
            "intestazione/identificatore/codiceregistro" => protocol.register = short(),
            "intestazione/identificatore/numeroregistrazione" => protocol.number = short(),
            "intestazione/identificatore/dataregistrazione" => {
                protocol.date = short().as_deref().and_then(date);
            }
            "intestazione/identificatore" => done = true,
            _ => {}
        }
    })
    .ok()?;
    (protocol != Protocol::default()).then_some(protocol)
}

/// `2026-09-19`, with or without a zone or an hour behind it; `19/09/2026` in older files.
fn date(text: &str) -> Option<Date> {
    let iso = text.get(..10).and_then(|day| day.parse().ok());
    iso.or_else(|| {
        let mut parts = text.split(['/', '-', '.']);
        let (d, m, y) =
            (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Date::new(y, m, d).ok().filter(|d| d.year() > 1900)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read() {
        let old = br#"<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE Segnatura SYSTEM "Segnatura.dtd">
            <Segnatura><Intestazione><Identificatore><CodiceAmministrazione>r_umbria</CodiceAmministrazione>
            <CodiceAOO>GRU</CodiceAOO><NumeroRegistrazione>0001234</NumeroRegistrazione>
            <DataRegistrazione>19/09/2026</DataRegistrazione></Identificatore></Intestazione>
            <Riferimenti><Messaggio><Identificatore><NumeroRegistrazione>9</NumeroRegistrazione></Identificatore></Messaggio></Riferimenti></Segnatura>"#;
        let found = read(old, None).expect("read");
        assert_eq!(found.administration.as_deref(), Some("r_umbria"));
        assert_eq!(found.number.as_deref(), Some("0001234"));
        assert_eq!(found.date.map(|d| d.to_string()).as_deref(), Some("2026-09-19"));
        let new = br#"<p:SegnaturaInformatica xmlns:p="http://www.agid.gov.it/protocollo/"><p:Intestazione><p:Identificatore>
            <p:CodiceAmministrazione>c_x001</p:CodiceAmministrazione><p:CodiceAOO>A1</p:CodiceAOO><p:CodiceRegistro>RP</p:CodiceRegistro>
            <p:NumeroRegistrazione>77</p:NumeroRegistrazione><p:DataRegistrazione>2026-09-19+02:00</p:DataRegistrazione>
            </p:Identificatore></p:Intestazione></p:SegnaturaInformatica>"#;
        let found = read(new, None).expect("read");
        assert_eq!((found.area.as_deref(), found.register.as_deref()), (Some("A1"), Some("RP")));
        assert_eq!(found.date.map(|d| d.to_string()).as_deref(), Some("2026-09-19"));
    }

    #[test]
    fn other_files_are_no_protocol() {
        for file in ["<FatturaElettronica/>", "<Segnatura/>", "<Segnatura><Intestazione>", ""] {
            assert_eq!(read(file.as_bytes(), None), None, "{file}");
        }
        assert_eq!(date("31/02/2026"), None);
        assert_eq!(date("ieri"), None);
        assert_eq!(date("èèèèèèèèèè"), None);
    }
}
