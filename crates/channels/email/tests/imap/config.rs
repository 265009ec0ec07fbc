//! `[[email]]`: what is read, and what is said about mistakes.

use std::path::{Path, PathBuf};

use smista_email::{
    EmailSettings,
    config::{
        After, Start, TlsMode, codes,
        oauth::{Flow, OAuthSettings},
    },
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

const OAUTH: &str = "[[email]]\nname = \"urp\"\nhost = \"imap.example.org\"\nuser = \"urp\"\n[email.oauth]\nclient_id = \"app\"\n\
                     client_secret_env = \"URP_PASSWORD\"\n";

fn oauth(more: &str) -> (Option<OAuthSettings>, Vec<(&'static str, Severity)>) {
    let (mailboxes, found) = read(&format!("{OAUTH}{more}\n"));
    (mailboxes.first().and_then(|m| m.oauth().cloned()), found)
}

#[test]
fn of_the_large_providers_the_addresses_are_known() {
    let (microsoft, found) =
        oauth("provider = \"microsoft\"\nflow = \"client-credentials\"\ntenant = \"comune.example\"");
    let (microsoft, at) =
        (microsoft.expect("usable"), "https://login.microsoftonline.com/comune.example/oauth2/v2.0");
    assert_eq!((microsoft.token_url, found), (format!("{at}/token"), vec![]));
    assert_eq!(microsoft.scope, "https://outlook.office365.com/.default");
    let (microsoft, _) =
        oauth("provider = \"microsoft\"\nflow = \"refresh-token\"\ntenant = \"comune.example\"");
    let microsoft = microsoft.expect("usable");
    assert_eq!((microsoft.device_url, microsoft.auth_url), (Some(format!("{at}/devicecode")), None));
    assert!(microsoft.scope.contains("IMAP.AccessAsUser.All") && microsoft.scope.contains("offline_access"));
    assert_eq!((microsoft.idle_days, microsoft.flow), (Some(90), Flow::RefreshToken));
    let place = microsoft.grant_file.path().display().to_string();
    assert_eq!(place, "/nonexistent/state/oauth/email-urp.json");
    let (google, found) = oauth("provider = \"google\"\nflow = \"refresh-token\"");
    let google = google.expect("usable");
    assert_eq!((google.scope.as_str(), found), ("https://mail.google.com/", vec![]));
    assert!(google.device_url.is_none() && google.auth_url.is_some(), "no devices for Gmail");
    let (local, found) = oauth(
        "provider = \"google\"\nflow = \"refresh-token\"\ntoken_url = \"http://127.0.0.1:9/t\"\ndevice_url = \"http://localhost:9/d\"",
    );
    let local = local.expect("usable");
    assert_eq!((local.token_url.as_str(), local.auth_url, found), ("http://127.0.0.1:9/t", None, vec![]));
}

#[test]
fn mistakes_of_tokens_are_errors() {
    let good = "provider = \"other\"\nflow = \"client-credentials\"\nscope = \"x\"\n";
    for (more, code) in [
        ("token_url = \"http://login.example/token\"", codes::OAUTH_URL),
        ("token_url = \"https://u:p@login.example/token\"", codes::OAUTH_URL),
        ("token_url = \"login.example\"", codes::OAUTH_URL),
        ("", "missing-key"),
        ("token_url = \"https://login.example/token\"\nca_file = \"nessuno.pem\"", codes::CA_FILE),
        ("token_url = \"https://login.example/token\"\nidle_days = 0", "invalid-value"),
    ] {
        let (settings, found) = oauth(&format!("{good}{more}"));
        assert_eq!(found, [(code, Severity::Error)], "{more}");
        assert!(settings.is_none(), "{more}");
    }
}

#[test]
fn codes_are_unique() {
    let unique: std::collections::BTreeSet<_> = codes::ALL.iter().collect();
    assert_eq!(unique.len(), codes::ALL.len());
    assert!(codes::ALL.iter().all(|code| code.starts_with("email-")));
}
