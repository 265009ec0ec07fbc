//! The two XML files that the reader looks into.

use smista_email::read::fuzz;

use super::{how, is_line, is_storable};

/// Charsets that a part's head may declare.
const LABELS: [Option<&str>; 4] = [None, Some("utf-8"), Some("windows-1252"), Some("utf-16")];

fn label(how: u8) -> Option<&'static str> {
    LABELS[usize::from(how) % LABELS.len()]
}

/// Certification data of certified mail.
pub fn daticert(data: &[u8]) {
    let (how, file) = how(data);
    let read = fuzz::daticert(file, label(how));
    assert_eq!(read, fuzz::daticert(file, label(how)), "the same bytes, the same data");
    let Some(read) = read else { return };
    is_storable(&read);
    assert!(read.recipients.len() <= 1000 && read.taken_for.len() <= 1000);
    let words = [&read.kind, &read.error, &read.provider, &read.id, &read.message_id];
    words.into_iter().flatten().for_each(|word| is_line(word, 250));
    read.error_text.iter().for_each(|text| is_line(text, 1000));
    let parties = read.recipients.iter().chain(&read.sender).map(|party| &party.address);
    for address in parties.chain(&read.taken_for).chain(&read.delivered_to) {
        is_line(address, 320);
        assert!(address.contains('@') && !address.contains(char::is_whitespace), "{address:?}");
    }
}

/// Protocol facts of other administrations.
pub fn segnatura(data: &[u8]) {
    let (how, file) = how(data);
    let read = fuzz::segnatura(file, label(how));
    assert_eq!(read, fuzz::segnatura(file, label(how)), "the same bytes, the same facts");
    let Some(read) = read else { return };
    is_storable(&read);
    let words = [&read.administration, &read.area, &read.register, &read.number];
    words.into_iter().flatten().for_each(|word| is_line(word, 100));
}
