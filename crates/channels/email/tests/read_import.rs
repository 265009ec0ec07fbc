//! Importing letters from files: every letter once, nothing left out silently, memory bounded.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking; the lints' exemption for tests does not reach helper functions"
)]

use std::{fs, path::Path};

use smista_email::import::{self, ImportFault, ImportItem, ImportOptions};

fn letter(subject: &str, body: &str) -> String {
    format!("From: a@example.it\nSubject: {subject}\nMessage-ID: <{subject}@example.it>\n\n{body}\n")
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
    fs::write(path, content).expect("written");
}

fn all(path: &Path) -> (Vec<ImportItem>, Vec<String>) {
    let (mut items, mut errors) = (Vec::new(), Vec::new());
    for found in import::open([path.to_owned()]) {
        match found {
            Ok(item) => items.push(item),
            Err(error) => errors.push(error.kind.to_string()),
        }
    }
    (items, errors)
}

fn text(item: &ImportItem) -> String {
    String::from_utf8_lossy(&item.bytes).into_owned()
}

#[test]
fn mozillas_separator_without_a_date_separates_too() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("Inbox");
    let first = letter("uno", "Da qui:\n\nFrom - to: the road is closed.\n\nFrom -\nThat was all.");
    write(&path, format!("From - \n{first}\nFrom - \n{}", letter("due", "testo")));
    let (items, errors) = all(&path);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(items.iter().map(text).collect::<Vec<_>>(), [first, letter("due", "testo")]);
}

#[test]
fn an_mbox_is_split_at_its_separators_only() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("vecchia.mbox");
    let first = letter(
        "uno",
        "Buongiorno,\n\nFrom what I see nothing happens.\n\n>From ieri va meglio.\n>>From due\n>> From quote",
    );
    let mbox = format!(
        "From a@example.it Mon Nov 23 06:47:03 2026\n{first}\nFrom - Tue Nov 24 08:00:00 2026\n{}\nFrom b@example.it Wed Nov 25 09:10:11 2026 +0100\nReceived: by x; Thu, 26 Nov 2026 10:00:00 +0100\n{}",
        letter("due", "testo"),
        letter("tre", "cut in the mid"),
    );
    write(&path, &mbox);
    let (items, errors) = all(&path);
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(items.len(), 3);
    assert_eq!(
        text(&items[0]),
        first.replace(">From ieri", "From ieri").replace(">>From due", ">From due"),
        "one level of protection is taken off, quotes stay"
    );
    assert_eq!(text(&items[1]), letter("due", "testo"));
    assert!(items[2].bytes.ends_with(b"cut in the mid\n"));
    let times: Vec<String> = items.iter().map(|i| i.received_at.expect("known").to_string()).collect();
    assert_eq!(times, ["2026-11-23T06:47:03Z", "2026-11-24T08:00:00Z", "2026-11-26T09:00:00Z"]);
    assert_eq!(items[0].folder, "vecchia");
    assert_eq!(items[0].origin.offset, Some(0));
    let offset = usize::try_from(items[1].origin.offset.expect("mbox")).expect("small");
    assert!(mbox[offset..].starts_with("From - Tue"));
    let consumed: u64 = items.iter().map(|i| i.consumed).sum();
    assert!(
        consumed <= mbox.len() as u64 && consumed + 10 > mbox.len() as u64,
        "{consumed} of {}",
        mbox.len()
    );
}

#[test]
fn an_mbox_with_crlf_and_cut_in_the_middle() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("x");
    let mbox = format!(
        "From a@example.it Mon Nov 23 06:47:03 2026\n{}\nFrom b@example.it Mon Nov 23 06:47:04 2026\nFrom: b@exa",
        letter("uno", "testo")
    )
    .replace('\n', "\r\n");
    write(&path, &mbox);
    let (items, errors) = all(&path);
    assert_eq!((items.len(), errors.len()), (2, 0));
    assert_eq!(text(&items[0]), letter("uno", "testo").replace('\n', "\r\n"));
    assert_eq!(items[1].bytes, &b"From: b@exa"[..]);
}

#[test]
fn equal_letters_of_one_source_have_keys_of_their_own() {
    let dir = tempfile::tempdir().expect("temporary directory");
    for name in ["a.eml", "b.eml", "c.eml"] {
        write(&dir.path().join("in").join(name), letter("uguale", "x"));
    }
    let (items, _) = all(&dir.path().join("in"));
    let keys: Vec<&str> = items.iter().map(|i| i.key.0.as_str()).collect();
    let hash = keys[0];
    assert_eq!(hash.len(), "sha256:".len() + 64);
    assert_eq!(keys, [hash, &format!("{hash}#2"), &format!("{hash}#3")]);
    // The same source again: the same keys, so that importing again changes nothing.
    let (again, _) = all(&dir.path().join("in"));
    assert_eq!(again.iter().map(|i| i.key.0.as_str()).collect::<Vec<_>>(), keys);
    assert_eq!(import::eml(&dir.path().join("in/a.eml")).expect("read").key.0, hash);
}

#[test]
fn a_maildir_with_folders_is_read_without_its_tmp() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().join("Maildir");
    for sub in ["cur", "new", "tmp", ".Archivio.2024/cur", ".Archivio.2024/new"] {
        fs::create_dir_all(root.join(sub)).expect("created");
    }
    write(&root.join("cur/1.host:2,S"), letter("letta", "x"));
    write(&root.join("new/2.host"), letter("nuova", "x"));
    write(&root.join("tmp/3.host"), letter("incompleta", "x"));
    write(&root.join(".Archivio.2024/cur/4.host:2,"), letter("vecchia", "x"));
    write(&root.join("dovecot.index.log"), "x");
    write(&root.join(".Archivio.2024/dovecot-uidlist"), "x");
    let (items, errors) = all(&root);
    assert!(errors.is_empty(), "{errors:?}");
    let mut found: Vec<(String, String)> = items
        .iter()
        .map(|i| (i.folder.clone(), text(i).lines().nth(1).expect("subject").replace("Subject: ", "")))
        .collect();
    found.sort();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(found, [pair("Archivio.2024", "vecchia"), pair("INBOX", "letta"), pair("INBOX", "nuova")]);
}

#[test]
fn what_is_no_mail_is_said_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().join("posta");
    write(&root.join("a.eml"), letter("a", "x"));
    write(&root.join("b.msg"), b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 outlook");
    write(&root.join("c/d.eml"), letter("d", "x"));
    write(&root.join("c/rotta.eml"), "senza intestazione");
    write(&root.join("Inbox.msf"), "index");
    write(&root.join("vuota"), "");
    let (items, errors) = all(&root);
    assert_eq!(items.len(), 3);
    assert_eq!(errors, ["this is no letter and no mailbox (.eml, mbox or Maildir)"]);
    let folders: Vec<&str> = items.iter().map(|i| i.folder.as_str()).collect();
    assert_eq!(folders, ["posta", "posta/c", "posta/c"]);
    let (items, errors) = all(&dir.path().join("non-esiste"));
    assert_eq!((items.len(), errors), (0, vec!["cannot be read".to_owned()]));
}

#[test]
fn links_are_not_followed() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write(&dir.path().join("fuori/segreta.eml"), letter("segreta", "x"));
    write(&dir.path().join("posta/a.eml"), letter("a", "x"));
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(dir.path().join(target), dir.path().join("posta").join(name))
            .expect("linked");
    };
    link("fuori/segreta.eml", "link.eml");
    link("fuori", "cartella");
    link("posta", "anello");
    let (items, errors) = all(&dir.path().join("posta"));
    assert_eq!(items.len(), 1);
    assert_eq!(errors, ["a symbolic link, not followed"; 3]);
}

#[test]
fn a_letter_over_the_limit_is_an_error_and_the_next_one_comes() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("m.mbox");
    let mbox = format!(
        "From a Mon Nov 23 06:47:03 2026\n{}\nFrom b Mon Nov 23 06:47:04 2026\n{}",
        letter("grande", &"x".repeat(100_000)),
        letter("piccola", "y")
    );
    write(&path, &mbox);
    write(&dir.path().join("grande.eml"), letter("grande", &"x".repeat(100_000)));
    let options = ImportOptions { max_letter_bytes: 10_000 };
    let found: Vec<_> = import::open_with([path, dir.path().join("grande.eml")], options).collect();
    assert_eq!(found.len(), 3);
    assert!(matches!(&found[0], Err(e) if matches!(e.kind, ImportFault::TooLarge { limit: 10_000 })));
    assert!(matches!(&found[1], Ok(item) if text(item) == letter("piccola", "y")));
    assert!(matches!(&found[2], Err(e) if matches!(e.kind, ImportFault::TooLarge { .. })));
}

#[test]
fn the_estimate_counts_files_and_octets() {
    let dir = tempfile::tempdir().expect("temporary directory");
    write(&dir.path().join("a.eml"), letter("a", "x"));
    write(&dir.path().join("b.eml"), letter("b", "x"));
    let estimate = import::estimate([dir.path().to_owned()]);
    let (items, _) = all(dir.path());
    assert_eq!(estimate.files, 2);
    assert_eq!(estimate.bytes, items.iter().map(|i| i.consumed).sum::<u64>());
}
