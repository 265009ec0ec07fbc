//! `check --connect` tells the steps apart, each with its own words.
#![allow(clippy::disallowed_methods, reason = "a certificate that expires soon must know what day it is")]

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use smista_domain::{Channel as _, Step, Verdict};
use smista_email::{
    EmailChannel, EmailSettings, MemoryBudget, Timing,
    config::{After, Login, Password, TlsMode},
    imap::tls::certificates,
};
use smista_testkit::{
    certificates::{Days, made, made_for},
    ports::Port,
    scripted_imap::{Fault, ScriptedImap},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::support::{Mailbox, letter, settings, timing};

async fn probe(settings: EmailSettings) -> Vec<Step> {
    let timing = Timing { silence: Duration::from_secs(1), ..timing() };
    EmailChannel::with(settings, MemoryBudget::default(), timing).probe().await
}

/// The last step, which failed.
#[track_caller]
fn failure(steps: &[Step]) -> (&'static str, &'static str, &str, &str) {
    let last = steps.last().expect("at least one step");
    assert_eq!(last.verdict, Verdict::Error, "{steps:?}");
    assert!(last.todo.is_some(), "{last:?}");
    assert!(steps.iter().rev().skip(1).all(|s| s.verdict != Verdict::Error), "{steps:?}");
    (last.step, last.code.expect("a code"), &last.text.it, &last.text.en)
}

fn step<'s>(steps: &'s [Step], name: &str) -> &'s Step {
    steps.iter().find(|s| s.step == name).unwrap_or_else(|| panic!("{name}: {steps:?}"))
}

/// TLS before a scripted server: its port, and the CA.
async fn tls_before(imap: &ScriptedImap, days: Option<Days>) -> (u16, Vec<CertificateDer<'static>>) {
    let (ca, certificate, key) = made_for(days).expect("made");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
        )
        .expect("a certificate with its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
    let (port, behind) = (listener.local_addr().expect("bound").port(), imap.port);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(near).await else { return };
                let mut far = TcpStream::connect(("127.0.0.1", behind)).await.expect("connected");
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (port, certificates(ca.as_bytes()).expect("a CA"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_well_says_everything_worth_knowing() {
    let mailbox = Mailbox::start().await;
    mailbox.deliver_many("INBOX", 3);
    let steps = mailbox.channel().probe().await;
    assert!(steps.iter().all(|s| s.verdict == Verdict::Ok), "{steps:?}");
    let names: Vec<&str> = steps.iter().map(|s| s.step).collect();
    assert_eq!(names, ["dns", "tcp", "tls", "login", "capabilities", "folder"]);
    assert_eq!(step(&steps, "tcp").text.en, format!("127.0.0.1:{}", mailbox.dovecot.imaps));
    let tls = &step(&steps, "tls").text;
    assert!(
        tls.en.starts_with(
            "TLS 1.3, certificate for localhost, 127.0.0.1, issued by CA di prova di smista, valid from "
        ),
        "{tls:?}"
    );
    assert!(tls.it.contains("emesso da CA di prova di smista"), "{tls:?}");
    assert!(step(&steps, "capabilities").text.en.starts_with("IDLE, MOVE, UIDPLUS"));
    assert_eq!(step(&steps, "folder").text.it, "INBOX: 3 messaggi");

    let port = mailbox.dovecot.imap;
    let mailbox = mailbox.with(|s| (s.tls, s.port) = (TlsMode::StartTls, port));
    let steps = mailbox.channel().probe().await;
    assert!(step(&steps, "tls").text.en.starts_with("TLS 1.3 (STARTTLS), certificate for "), "{steps:?}");
    // it looked, and took nothing
    let letters = mailbox.dovecot.letters("urp", "INBOX").expect("readable");
    assert!(letters.len() == 3 && letters.iter().all(|(_, flags)| flags.is_empty()));
}

#[tokio::test]
async fn name_and_port() {
    // a label of more than 63 octets (RFC 1035 2.3.4) never reaches a name server
    let mut settings = settings(993, TlsMode::Implicit);
    settings.host = format!("{}.example", "a".repeat(64));
    settings.ca = certificates(made().expect("made").0.as_bytes()).expect("a CA");
    let steps = probe(settings.clone()).await;
    let (step, code, it, en) = failure(&steps);
    assert_eq!((step, code, steps.len()), ("dns", "dns", 1));
    assert!(
        it.contains("aaaa.example») non ha un indirizzo") || it.contains("aaaa.example» non ha un indirizzo"),
        "{it}"
    );
    assert!(en.contains("aaaa.example' has no address"), "{en}");

    let port = Port::reserve().expect("a port where nobody listens");
    (settings.host, settings.port) = ("127.0.0.1".to_owned(), port.number());
    let steps = probe(settings).await;
    let (step, code, it, en) = failure(&steps);
    assert_eq!((step, code), ("tcp", "connect"));
    assert!(it.contains(&format!("127.0.0.1:{} rifiuta", port.number())), "{it}");
    assert!(en.contains(&format!("127.0.0.1:{} refuses (nobody listens", port.number())), "{en}");
}

#[tokio::test]
async fn certificates_are_told_apart() {
    let imap = ScriptedImap::start().await.expect("it listens");
    let with = |port: u16, ca: &[CertificateDer<'static>], host: &str| {
        let mut settings = settings(port, TlsMode::Implicit);
        (settings.ca, settings.host) = (ca.to_vec(), host.to_owned());
        settings
    };
    let (port, ca) = tls_before(&imap, Some([(2020, 1, 2), (2021, 3, 4)])).await;
    let steps = probe(with(port, &ca, "127.0.0.1")).await;
    let (step, code, it, en) = failure(&steps);
    assert_eq!((step, code), ("tls", "tls-expired"));
    assert!(
        it.contains("scaduto il 2021-03-04 (certificato per localhost, 127.0.0.1, emesso da CA di prova"),
        "{it}"
    );
    assert!(
        en.contains("expired on 2021-03-04 (certificate for localhost, 127.0.0.1, issued by CA di prova"),
        "{en}"
    );

    let (port, ca) = tls_before(&imap, Some([(2090, 1, 2), (2091, 3, 4)])).await;
    let steps = probe(with(port, &ca, "127.0.0.1")).await;
    let (step, code, it, _) = failure(&steps);
    assert_eq!((step, code), ("tls", "tls-not-yet"));
    assert!(it.contains("vale soltanto dal 2090-01-02"), "{it}");

    let (port, ca) = tls_before(&imap, None).await;
    let other = certificates(made().expect("made").0.as_bytes()).expect("a CA");
    let steps = probe(with(port, &other, "127.0.0.1")).await;
    let (step, code, it, en) = failure(&steps);
    assert_eq!((step, code), ("tls", "tls-untrusted"));
    assert!(
        it.contains("CA di prova di smista") && en.contains("issued by CA di prova di smista"),
        "{it} {en}"
    );
    assert!(steps.last().is_some_and(|s| s.todo.as_ref().is_some_and(|t| t.it.contains("ca_file"))));

    // the system's `localhost` is in the certificate, this name of the same machine is not
    let steps = probe(with(port, &ca, "127.0.0.2")).await;
    let (step, ..) = failure(&steps);
    assert_eq!(step, "tcp", "nobody listens there: {steps:?}");
    let twin = TcpListener::bind(("127.0.0.2", port)).await.expect("bound");
    tokio::spawn(async move {
        while let Ok((mut near, _)) = twin.accept().await {
            let mut far = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        }
    });
    let steps = probe(with(port, &ca, "127.0.0.2")).await;
    let (step, code, it, _) = failure(&steps);
    assert_eq!((step, code), ("tls", "tls-name"));
    assert!(it.contains("certificato per localhost, 127.0.0.1"), "{it}");
}

#[tokio::test]
async fn a_certificate_that_expires_within_a_fortnight_is_a_warning() {
    let imap = ScriptedImap::start().await.expect("it listens");
    let today = Timestamp::now().to_zoned(TimeZone::UTC);
    for (days, warned) in [(10, true), (20, false)] {
        let end = today.checked_add(SignedDuration::from_hours(24 * days)).expect("in range");
        let [month, day] = [end.month(), end.day()].map(|n| u8::try_from(n).expect("small"));
        let (port, ca) = tls_before(&imap, Some([(2020, 1, 1), (i32::from(end.year()), month, day)])).await;
        let mut settings = settings(port, TlsMode::Implicit);
        settings.ca = ca;
        let steps = probe(settings).await;
        let warning = steps.iter().find(|s| s.verdict == Verdict::Warning);
        assert_eq!(warning.and_then(|s| s.code), warned.then_some("certificate-expires-soon"), "{steps:?}");
        if let Some(warning) = warning {
            assert!(warning.text.it.contains(&end.date().to_string()), "{warning:?}");
        }
        assert_eq!(steps.last().map(|s| s.verdict), Some(Verdict::Ok), "it goes on: {steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_port_or_the_wrong_tls() {
    let mailbox = Mailbox::start().await;
    let (imap, imaps) = (mailbox.dovecot.imap, mailbox.dovecot.imaps);
    let with = |port, tls| {
        let mut settings = mailbox.settings.clone();
        (settings.port, settings.tls) = (port, tls);
        settings
    };
    let steps = probe(with(imap, TlsMode::Implicit)).await;
    assert_eq!((failure(&steps).0, failure(&steps).1), ("tls", "tls-none"));
    // a port that wants TLS at once waits for us to begin
    let steps = probe(with(imaps, TlsMode::StartTls)).await;
    let (step, code, it, _) = failure(&steps);
    assert_eq!((step, code), ("greeting", "no-greeting"));
    assert!(it.contains("nessuna risposta per 1 secondi"), "{it}");

    for (greeting, what, code) in [
        ("+OK POP3 ready", "POP3", "not-imap"),
        ("220 mail.example.org ESMTP", "SMTP", "not-imap"),
        ("SSH-2.0-OpenSSH_9.2", "SSH", "not-imap"),
        ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}F", "TLS", "tls-at-once"),
    ] {
        let server = ScriptedImap::start().await.expect("it listens");
        server.set_greeting(greeting);
        let steps = probe(settings(server.port, TlsMode::None)).await;
        let (step, said, it, en) = failure(&steps);
        assert_eq!((step, said), ("greeting", code));
        assert!(it.contains(&format!("la porta parla {what}, non IMAP")), "{it}");
        assert!(en.contains(&format!("the port speaks {what}, not IMAP")), "{en}");
    }
}

#[tokio::test]
async fn no_starttls_no_login_no_folder() {
    let server = ScriptedImap::start().await.expect("it listens");
    server.deliver(&letter(1));
    let mut starttls = settings(server.port, TlsMode::StartTls);
    starttls.ca = certificates(made().expect("made").0.as_bytes()).expect("a CA");
    server.fault("STARTTLS", "", 1, Fault::Bad);
    let steps = probe(starttls).await;
    let (step, code, _, en) = failure(&steps);
    assert_eq!((step, code), ("tls", "insecure"));
    assert!(en.contains("refuses STARTTLS"), "{en}");

    server.fault("AUTHENTICATE", "", 1, Fault::No("AUTHENTICATIONFAILED"));
    let mut wrong = settings(server.port, TlsMode::None);
    wrong.login = Login::Password(Password::Fixed("sbagliatissima".into()));
    let steps = probe(wrong).await;
    let (step, code, it, _) = failure(&steps);
    assert_eq!((step, code), ("login", "login-refused"));
    assert!(it.contains("[AUTHENTICATIONFAILED]"), "{it}");
    assert!(!format!("{steps:?}").contains("sbagliatissima"));

    let mut missing = settings(server.port, TlsMode::None);
    missing.folders = vec!["INBOX".to_owned(), "Manca".to_owned()];
    let steps = probe(missing).await;
    let (step, code, it, en) = failure(&steps);
    assert_eq!((step, code), ("folder", "folder-missing"));
    assert!(it.contains("Manca: ") && it.contains("nella casella ci sono: INBOX"), "{it}");
    assert!(en.contains("the mailbox has: INBOX"), "{en}");

    server.set_capability("IMAP4rev1 IDLE");
    let mut moves = settings(server.port, TlsMode::None);
    moves.after = After::Move("Archivio".to_owned());
    let steps = probe(moves).await;
    let warnings: Vec<_> = steps.iter().filter(|s| s.verdict == Verdict::Warning).collect();
    assert_eq!(warnings.iter().filter_map(|s| s.code).collect::<Vec<_>>(), ["no-uidplus"]);
    assert!(steps.iter().any(|s| s.text.it == "IDLE; mancano MOVE, UIDPLUS, QUOTA"), "{steps:?}");
}

#[tokio::test]
async fn space_is_shown_and_a_nearly_full_mailbox_is_a_warning() {
    let server = ScriptedImap::start().await.expect("it listens");
    server.set_quota("STORAGE 51200 102400 MESSAGE 95 100 X-OTHER 1 1");
    let steps = probe(settings(server.port, TlsMode::None)).await;
    let space: Vec<&Step> = steps.iter().filter(|s| s.step == "quota").collect();
    assert_eq!(space[0].text.en, "50 % full: 50 MB of 100 MB");
    assert_eq!((space[1].verdict, space[1].code), (Verdict::Warning, Some("mailbox-nearly-full")));
    assert!(space[1].text.it.contains("piena al 95 %: 95 messaggi su 100"), "{space:?}");
}
