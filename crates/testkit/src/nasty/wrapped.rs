//! Letters in wrappings (S/MIME, TNEF, iCalendar) made by somebody who wants the reader to fall over.

use super::{TEXT, WORDS, base64, mail, parts};

const SIGNED: &str = "Content-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n";
const TNEF: &str =
    "Content-Type: application/ms-tnef; name=winmail.dat\r\nContent-Transfer-Encoding: base64\r\n";
const CALENDAR: &str = "Content-Type: text/calendar; charset=utf-8; method=REQUEST\r\n";
/// 1.2.840.113549.1.7.2 and .1: what is signed, and data.
const SIGNED_DATA: &[u8] = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x02";
const DATA: &[u8] = b"\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x01";

/// An element of DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[tag, 0x84], &length[..], content].concat()
}

/// A signature without signers around this entity.
fn signature(entity: &[u8]) -> Vec<u8> {
    let content = der(0x30, &[DATA, &der(0xA0, &der(0x04, entity))].concat());
    let data = der(0x30, &[&[2, 1, 1], &der(0x31, &[])[..], &content, &der(0x31, &[])].concat());
    der(0x30, &[SIGNED_DATA, &der(0xA0, &data)].concat())
}

/// A file of Outlook's format: attributes of level, identifier and data.
fn tnef(attributes: &[(u8, u32, &[u8])]) -> Vec<u8> {
    let mut out = b"\x78\x9F\x3E\x22\x01\x00".to_vec();
    for (level, id, data) in attributes {
        out.push(*level);
        out.extend(id.to_le_bytes());
        out.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(data);
        out.extend([0, 0]);
    }
    out
}

/// One property of bytes.
fn property(kind: u16, id: u16, value: &[u8]) -> Vec<u8> {
    let size = u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes();
    let fill = vec![0; value.len().next_multiple_of(4) - value.len()];
    [&[1, 0, 0, 0], &kind.to_le_bytes()[..], &id.to_le_bytes(), &[1, 0, 0, 0], &size, value, &fill].concat()
}

/// The words, and beside them this wrapping.
fn beside(name: &str, head: &str, content: &[u8]) -> Vec<u8> {
    parts(name, "mixed", &[&format!("{TEXT}\r\n{WORDS}"), &format!("{head}\r\n{}", base64(content))])
}

/// All kinds, by name.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let text = format!("{TEXT}\r\n{WORDS}").into_bytes();
    let wrapped = |inner: &[u8]| format!("{SIGNED}\r\n{}", base64(&signature(inner))).into_bytes();
    vec![
        ("signed-within-signed-4", {
            let inner = (0..3).fold(text.clone(), |inner, _| wrapped(&inner));
            mail("signed-within-signed-4", SIGNED, &base64(&signature(&inner)))
        }),
        ("signed-within-signed-12", {
            let inner = (0..11).fold(text.clone(), |inner, _| wrapped(&inner));
            mail("signed-within-signed-12", SIGNED, &base64(&signature(&inner)))
        }),
        ("signed-800-times", {
            let one = String::from_utf8_lossy(&wrapped(&text)).into_owned();
            parts("signed-800-times", "mixed", &vec![one.as_str(); 800])
        }),
        ("signed-20000-parts", {
            let body = format!("--i\r\n{TEXT}\r\n{WORDS}\r\n{}", "--i\r\n\r\n\r\n".repeat(20_000));
            let entity = format!("Content-Type: multipart/mixed; boundary=i\r\n\r\n{body}");
            mail("signed-20000-parts", SIGNED, &base64(&signature(entity.as_bytes())))
        }),
        ("signed-length-lies", {
            let mut file = signature(&text);
            file.truncate(file.len() - text.len() / 2);
            beside("signed-length-lies", SIGNED, &file)
        }),
        ("signed-indefinite-nested-50000", {
            let head = [
                b"\x30\x80",
                SIGNED_DATA,
                b"\xA0\x80\x30\x80\x02\x01\x01\x31\x00\x30\x80",
                DATA,
                b"\xA0\x80",
            ];
            beside(
                "signed-indefinite-nested-50000",
                SIGNED,
                &[&head.concat()[..], &b"\x24\x80".repeat(50_000)].concat(),
            )
        }),
        ("signed-boundary-of-the-letter", {
            let entity = format!("{TEXT}\r\nuno\r\n--b\r\n{TEXT}\r\ndue\r\n--b--\r\n");
            beside("signed-boundary-of-the-letter", SIGNED, &signature(entity.as_bytes()))
        }),
        ("tnef-files-5000", {
            let file: [(u8, u32, &[u8]); 2] = [(2, 0x0006_9002, &[0; 14]), (2, 0x0006_800F, b"x")];
            beside("tnef-files-5000", TNEF, &tnef(&file.repeat(5000)))
        }),
        ("tnef-length-lies", {
            let mut file = tnef(&[(2, 0x0006_9002, &[0; 14]), (2, 0x0006_800F, b"nota")]);
            file.extend(b"\x02\x0F\x80\x06\x00\xFF\xFF\xFF\xFFx");
            beside("tnef-length-lies", TNEF, &file)
        }),
        ("tnef-properties-lie", {
            let many = [&u32::MAX.to_le_bytes()[..], &[0x1F, 0x10, 0, 0x10, 0xFF, 0xFF, 0xFF, 0xFF]].concat();
            let values = [&[1u8, 0, 0, 0][..], &[0x01, 0x10, 0, 0x30, 0xFF, 0xFF, 0xFF, 0xFF]].concat();
            let file: [(u8, u32, &[u8]); 4] = [
                (1, 0x0006_9003, &many),
                (1, 0x0006_9003, &values),
                (2, 0x0006_9002, &[0; 14]),
                (2, 0x0006_800F, b"nota"),
            ];
            beside("tnef-properties-lie", TNEF, &tnef(&file))
        }),
        ("tnef-rtf-bomb", {
            // References to what was just written, a hundred thousand times; sizes that promise four gigabytes.
            let body = [0xFF, 0, 0x0F]
                .iter()
                .copied()
                .chain([0, 0x0F].repeat(7))
                .collect::<Vec<u8>>()
                .repeat(20_000);
            let size = u32::try_from(body.len() + 12).unwrap_or_default().to_le_bytes();
            let rtf = [&size[..], &[0xFF; 4], b"LZFu", &[0; 4], &body].concat();
            let properties = property(0x102, 0x1009, &rtf);
            beside("tnef-rtf-bomb", TNEF, &tnef(&[(1, 0x0006_9003, &properties)]))
        }),
        ("tnef-rtf-short", {
            let properties = property(0x102, 0x1009, b"\x0A\0\0\0\xFF\xFF\xFF\x7FMELA\0\0");
            beside("tnef-rtf-short", TNEF, &tnef(&[(1, 0x0006_9003, &properties)]))
        }),
        ("tnef-within-tnef-200", {
            let inner = (0..200).fold(tnef(&[(1, 0x0002_800C, b"interno")]), |inner, _| {
                let properties = property(0x0D, 0x3701, &[&[0; 16], &inner[..]].concat());
                tnef(&[(2, 0x0006_9002, &[0; 14]), (2, 0x0006_9005, &properties)])
            });
            beside("tnef-within-tnef-200", TNEF, &inner)
        }),
        ("calendar-nested-50000", {
            let event = format!("BEGIN:VEVENT\r\nSUMMARY:{WORDS}\r\nEND:VEVENT\r\n");
            let body = format!("BEGIN:VCALENDAR\r\n{event}{}", "BEGIN:VEVENT\r\n".repeat(50_000));
            mail("calendar-nested-50000", CALENDAR, &body)
        }),
        ("calendar-line-folded-100000", {
            let body =
                format!("BEGIN:VEVENT\r\nDESCRIPTION:{WORDS}\r\n{}END:VEVENT\r\n", " \\\r\n".repeat(100_000));
            mail("calendar-line-folded-100000", CALENDAR, &body)
        }),
        ("calendar-impossible", {
            let body = format!(
                "BEGIN:VEVENT\r\nSUMMARY:{WORDS}\r\nDTSTART;TZID=\"\":99999999T999999Z\r\nDTEND:è0261123T1\r\nATTENDEE;PARTSTAT:x\r\n:\r\n;:\r\nEND:VEVENT\r\n"
            );
            mail("calendar-impossible", CALENDAR, &body)
        }),
        ("notices-5000", {
            let notice = "Le informazioni contenute in questo messaggio sono riservate al destinatario; e' vietata la diffusione.\r\n\r\n";
            mail("notices-5000", TEXT, &format!("{WORDS}\r\n\r\n{}", notice.repeat(5000)))
        }),
        ("attributions-50000", {
            mail("attributions-50000", TEXT, &format!("{WORDS}\r\n\r\n{}", "Il prato\r\n".repeat(50_000)))
        }),
    ]
}
