//! Files: documents in attachments, mailboxes that are imported.

use std::{collections::HashSet, fmt::Write as _, fs, panic, sync::Once};

use smista_documents::{Limits, text_of};
use smista_email::import::{ImportFault, ImportOptions, estimate, open_with};

use super::how;

/// Limits that small files reach.
fn limits(how: u8) -> Limits {
    match how % 4 {
        0 => Limits::default(),
        1 => Limits { text: 200, pages: 2, ..Limits::default() },
        2 => Limits { unpacked: 4096, entries: 4, ..Limits::default() },
        _ => Limits { envelopes: 1, file: 8192, ..Limits::default() },
    }
}

fn document(data: &[u8]) {
    let (how, file) = how(data);
    let limits = limits(how);
    let read = text_of(file, &limits);
    assert_eq!(read, text_of(file, &limits), "the same file, the same text");
    let Ok(read) = read else { return };
    let octets: usize = read.pages.iter().map(String::len).sum();
    assert!(octets <= limits.text, "{octets} octets of text");
    assert!(read.pages.len() <= limits.pages.max(1), "{} pages", read.pages.len());
    assert!(!read.pages.iter().any(|page| page.contains('\0')));
    assert!(read.scan || read.pages.iter().any(|page| page.contains(char::is_alphanumeric)));
}

/// DOCX, ODT, RTF, text, and these in signatures: our own readers. PDF is a target of its own, since the libraries beneath it may
/// panic, which costs a page.
pub fn documents(data: &[u8]) {
    // As it stands, and in base64 at any of the three places.
    const PDF: [&[u8]; 4] = [b"%PDF-", b"JVBERi", b"UERGL", b"lBER"];
    if !PDF.iter().any(|mark| data.windows(mark.len()).any(|w| w == *mark)) {
        document(data);
    }
}

/// PDF. What the libraries panic at is caught, as in the program.
pub fn pdf(data: &[u8]) {
    static QUIET: Once = Once::new();
    // libFuzzer's own hook would end the process before anybody can catch anything.
    QUIET.call_once(|| panic::set_hook(Box::new(|_| {})));
    let (how, content) = how(data);
    if content.starts_with(b"%PDF-") {
        document(data);
    }
    // A page that shows this.
    document(&[&[how], page(content).as_slice()].concat());
}

/// A PDF of one page with this content.
fn page(content: &[u8]) -> Vec<u8> {
    let objects: [&[u8]; 5] = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        &[format!("<</Length {}>>stream\n", content.len()).as_bytes(), content, b"\nendstream"].concat(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ];
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (n, object) in (1..).zip(objects) {
        let _ = writeln!(table, "{:010} 00000 n ", out.len());
        out.extend([format!("{n} 0 obj\n").as_bytes(), object, b"\nendobj\n"].concat());
    }
    let end =
        format!("{table}trailer<</Size {}/Root 1 0 R>>\nstartxref\n{}\n%%EOF", objects.len() + 1, out.len());
    out.extend(end.bytes());
    out
}

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

/// A mailbox in a file: letters in their order, each within the limit, each with a key of its own, and no octet twice.
pub fn mbox(data: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join("posta.mbox");
        fs::write(&path, data).expect("written");
        let options = ImportOptions { max_letter_bytes: 2000 };
        let (mut octets, mut taken, mut next) = (0, 0, 0);
        let mut keys = HashSet::new();
        for item in open_with([path.clone()], options) {
            match item {
                Ok(item) => {
                    assert!(item.bytes.len() as u64 <= options.max_letter_bytes);
                    assert!(keys.insert(item.key.0.clone()), "{} twice", item.key.0);
                    if let Some(at) = item.origin.offset {
                        assert!(at >= next, "{at} is before {next}");
                        next = at + item.consumed;
                    }
                    octets += item.bytes.len();
                    taken += item.consumed;
                }
                Err(error) => assert!(!matches!(error.kind, ImportFault::Io(_)), "{error:?}"),
            }
        }
        assert!(octets <= data.len() && taken <= data.len() as u64, "{octets} and {taken} of {}", data.len());
        assert!(estimate([path]).bytes <= data.len() as u64);
    });
}
