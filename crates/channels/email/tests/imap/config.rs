//! `[[email]]`: what is read, and what is said about mistakes.

use std::path::{Path, PathBuf};

use smista_email::{
    EmailSettings,
    config::{After, Start, TlsMode, codes},
};
use smista_settings::{Diagnostics, Environment, Severity, Sources, parse};

/// Codes of what is wrong (errors first), and the mailboxes that could be read.
fn read(text: &str) -> (Vec<EmailSettings>, Vec<(&'static str, Severity)>) {
    let environment: Environment = [("URP_PASSWORD", "perché no?")].into_iter().collect();
    let mut sources = Sources::new(PathBuf::from("/nonexistent"), environment);
    let diagnostics = Diagnostics::new();
    let file = sources.add("smista.toml".into(), text.as_bytes().to_vec()).expect("text");
    let mut root = parse(&mut sources, file, &diagnostics).expect("TOML");
    let mailboxes: Vec<_> = root
        .tables("email")
        .into_iter()
        .filter_map(|section| {
            let span = section.span();
            Some((EmailSettings::read(section, Path::new("/nonexistent/state"))?, span))
        })
        .collect();
    EmailSettings::check_all(&mailboxes, &diagnostics);
    let found = diagnostics.into_sorted(&sources);
    for diagnostic in &found {
        assert!(diagnostic.span.is_some(), "it has a place: {diagnostic:?}");
        assert!(diagnostic.hint.is_some(), "it says what to do: {diagnostic:?}");
    }
    (
        mailboxes.into_iter().map(|(settings, _)| settings).collect(),
        found.iter().map(|d| (d.code, d.severity)).collect(),
    )
}

const BASE: &str = "[[email]]\nname = \"urp\"\nhost = \"imap.example.org\"\nuser = \"urp\"\npassword_env = \"URP_PASSWORD\"\n";

fn with(more: &str) -> (Vec<EmailSettings>, Vec<(&'static str, Severity)>) {
    read(&format!("{BASE}{more}\n"))
}

#[test]
fn defaults() {
    let (mailboxes, found) = with("");
    assert_eq!(found, []);
    let [urp] = mailboxes.as_slice() else { panic!() };
    assert_eq!((urp.name.as_str(), urp.port, urp.tls), ("email/urp", 993, TlsMode::Implicit));
    assert_eq!(
        (urp.start, &urp.after, urp.folders.as_slice()),
        (Start::All, &After::Keep, &["INBOX".to_owned()][..])
    );
    assert_eq!((urp.poll.as_secs(), urp.max_message_bytes), (120, 26_214_400));
}

#[test]
fn everything_that_can_be_said() {
    let (mailboxes, found) = with(
        "tls = \"starttls\"\nfolders = [\"inbox\", \"Città\"]\nstart = 2026-11-01\nafter = \"move:Archivio\"\npoll_secs = 30\n\
         max_message_bytes = 1000000\npassword_expires = 2027-02-01",
    );
    assert_eq!(found, []);
    let [urp] = mailboxes.as_slice() else { panic!() };
    let day = jiff::civil::date(2026, 11, 1);
    assert_eq!((urp.port, urp.tls, urp.start), (143, TlsMode::StartTls, Start::Since(day)));
    assert_eq!(urp.folders, ["INBOX", "Città"], "INBOX is INBOX however it is written");
    assert_eq!(urp.after, After::Move("Archivio".into()));
    for (more, start, after) in [
        ("start = \"new\"\nafter = \"seen\"", Start::New, After::Seen),
        ("start = \"2026-11-01\"\nafter = \"delete\"", Start::Since(day), After::Delete { days: 30 }),
        ("start = \"all\"\nafter = \"delete\"\ndelete_after_days = 0", Start::All, After::Delete { days: 0 }),
    ] {
        let (mailboxes, found) = with(more);
        assert_eq!(found, [], "{more}");
        assert_eq!((mailboxes[0].start, &mailboxes[0].after), (start, &after), "{more}");
    }
    let plain = BASE.replace("imap.example.org", "localhost") + "tls = \"none\"\nport = 1143\n";
    let (mailboxes, found) = read(&plain);
    assert_eq!((mailboxes[0].tls, mailboxes[0].port, found.as_slice()), (TlsMode::None, 1143, &[][..]));
}

#[test]
fn mistakes_are_errors_and_the_mailbox_is_not_used() {
    for (more, code) in [
        ("tls = \"none\"", codes::UNENCRYPTED),
        ("ca_file = \"nessuno.pem\"", codes::CA_FILE),
        ("folders = []", codes::FOLDER),
        ("folders = [\"INBOX\", \"inbox\"]", codes::FOLDER_TWICE),
        ("start = \"ieri\"", codes::START),
        ("after = \"archivia\"", codes::AFTER),
        ("after = \"move:\"", codes::AFTER),
        ("after = \"move:inbox\"", codes::MOVE_LOOP),
        ("folders = [\"INBOX\", \"Archivio\"]\nafter = \"move:Archivio\"", codes::MOVE_LOOP),
        ("port = 0", "invalid-value"),
        ("poll_secs = 1", "invalid-value"),
        ("tls = \"ssl\"", "unknown-word"),
        ("foldes = [\"INBOX\"]", "unknown-key"),
    ] {
        let (mailboxes, found) = with(more);
        assert_eq!(found, [(code, Severity::Error)], "{more}");
        // a key that nobody knows is said, but the mailbox is whole
        assert_eq!(mailboxes.len(), usize::from(code == "unknown-key"), "{more}");
    }
    for (from, to, code) in [
        ("name = \"urp\"", "name = \"Casella URP\"", codes::NAME),
        ("imap.example.org", "imap://imap.example.org:993/", codes::HOST),
        ("password_env = \"URP_PASSWORD\"", "", codes::PASSWORD),
        ("URP_PASSWORD", "NIENTE", "secret-missing"),
        ("password_env", "password", "secret-in-file"),
        ("user = \"urp\"", "", "missing-key"),
    ] {
        let (mailboxes, found) = read(&BASE.replace(from, to));
        assert_eq!(found, [(code, Severity::Error)], "{to}");
        // a password that cannot be read now is said, and the mailbox fails alone when it logs in
        assert_eq!(mailboxes.len(), usize::from(code == "secret-missing"), "{to}");
    }
}

#[test]
fn oddities_are_warnings_and_the_mailbox_is_used() {
    for (more, code) in [
        ("port = 143", codes::PORT),
        ("tls = \"starttls\"\nport = 993", codes::PORT),
        ("delete_after_days = 3", codes::DELETE_UNUSED),
    ] {
        let (mailboxes, found) = with(more);
        assert_eq!(found, [(code, Severity::Warning)], "{more}");
        assert_eq!(mailboxes.len(), 1, "{more}");
    }
}

#[test]
fn mailboxes_are_compared_with_each_other() {
    let (_, found) = read(&format!("{BASE}{}", BASE.replace("example.org", "example.com")));
    assert_eq!(found, [(codes::NAME_TWICE, Severity::Error)]);
    let (_, found) = read(&format!("{BASE}{}", BASE.replace("name = \"urp\"", "name = \"altra\"")));
    assert_eq!(found, [(codes::MAILBOX_TWICE, Severity::Error)]);
}

#[test]
fn a_password_that_expires_is_announced() {
    let (mailboxes, _) = with("password_expires = 2027-02-01");
    let urp = &mailboxes[0];
    assert!(urp.password_warning(jiff::civil::date(2026, 12, 1), 14).is_none());
    let soon = urp.password_warning(jiff::civil::date(2027, 1, 30), 14).expect("soon");
    assert!(soon.text.it.contains("scade tra 2 giorni"), "{soon:?}");
    let over = urp.password_warning(jiff::civil::date(2027, 2, 3), 14).expect("over");
    assert!(over.text.it.contains("scaduta da 2 giorni"), "{over:?}");
}

#[test]
fn codes_are_unique() {
    let unique: std::collections::BTreeSet<_> = codes::ALL.iter().collect();
    assert_eq!(unique.len(), codes::ALL.len());
    assert!(codes::ALL.iter().all(|code| code.starts_with("email-")));
}
