//! `smista import mail`: letters from disk, once, whatever lies between them.

use std::fs;

use super::{Office, letter, path};
use crate::support::reply;

#[tokio::test(flavor = "multi_thread")]
async fn eml_mbox_and_maildir_come_in_once_however_often_they_are_imported() {
    let office = Office::new().await;
    let eml = office.letters("lettere", &[letter(1), letter(2)]);
    let mbox = office.town.path().join("archivio.mbox");
    let mut text = Vec::new();
    for bytes in [letter(3), reply(4, 3)] {
        text.extend_from_slice(b"From cittadina@example.it Mon Nov 23 08:00:00 2026\n");
        text.extend_from_slice(&bytes);
        text.extend_from_slice(b"\n");
    }
    fs::write(&mbox, text).expect("an mbox");
    let maildir = office.town.path().join("Maildir");
    for part in ["cur", "new", "tmp"] {
        fs::create_dir_all(maildir.join(part)).expect("a folder");
    }
    fs::write(maildir.join("cur/1700000000.1.host:2,S"), letter(5)).expect("a letter");
    fs::write(maildir.join("new/1700000001.2.host"), letter(6)).expect("a letter");

    let all = ["import", "mail", path(&eml), path(&mbox), path(&maildir)];
    assert_eq!(office.town.json(&all), serde_json::json!({"new": 6, "known": 0, "errors": 0}));
    let counts = |what: &str| office.town.count("email/import", what);
    assert_eq!((counts("delivered"), counts("opened"), counts("appended")), (6, 5, 1));
    assert_eq!(office.town.json(&all), serde_json::json!({"new": 0, "known": 6, "errors": 0}));
    assert_eq!((counts("delivered"), counts("opened"), counts("appended")), (6, 5, 1));
    assert_eq!(office.store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_file_among_good_ones_is_named_and_stops_nothing() {
    let office = Office::new().await;
    let dir = office.letters("lettere", &[letter(1), letter(2)]);
    fs::write(dir.join("001a.bin"), b"\x00\x01\x02\x03 no letter at all").expect("a file");
    let missing = office.town.path().join("non-esiste.eml");
    let said = office.town.run(&["import", "mail", "--json", path(&missing), path(&dir)]);
    assert_eq!((said.code, &said.json()["new"]), (1, &2.into()), "{said:?}");
    assert!(said.err.contains("001a.bin") && said.err.contains("non-esiste.eml"), "{said:?}");
    assert_eq!(said.json()["errors"], 2);
    let english = office.town.run(&["import", "mail", "--lang", "en", path(&missing)]);
    assert!(
        said.err.contains("non si riesce a leggere") && english.err.contains("cannot be read"),
        "{english:?}"
    );
    assert_eq!(office.town.count("email/import", "opened"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_only_stored_waits_and_is_counted_for_its_channel() {
    let office = Office::new().await;
    let dir = office.letters("lettere", &[letter(1)]);
    let said = office.town.run(&["import", "mail", "--no-sort", "--channel", "email/vecchia", path(&dir)]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("Lettere nuove: 1"), "{said:?}");
    let row = office.town.ledger("email/vecchia").expect("a row");
    assert_eq!((&row["waiting"], &row["opened"]), (&1.into(), &0.into()), "{row}");
    let wrong = office.town.run(&["import", "mail", "--channel", "meta/pagina", path(&dir)]);
    assert!(wrong.code == 2 && wrong.err.contains("email/import"), "{wrong:?}");
}
