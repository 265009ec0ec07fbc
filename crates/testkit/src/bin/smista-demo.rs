//! `make demo`: a real Dovecot with citizens' letters in its mailbox, and `smista demo` that fetches, sorts and shows them.
//! Leaves nothing behind and may be repeated.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a program for the developer's machine")]

use std::{fs, path::Path, process::ExitCode};

use smista_testkit::{
    dovecot::Dovecot,
    installation::{Installation, Mailbox, beside},
};

#[tokio::main]
async fn main() -> ExitCode {
    let program = beside("smista");
    let letters = Path::new(env!("CARGO_MANIFEST_DIR")).join("../smista/demo/letters");
    eprintln!("Avvio un Dovecot privato ...");
    let dovecot = match Dovecot::start().await {
        Ok(dovecot) => dovecot,
        Err(error) => {
            eprintln!(
                "Dovecot non parte: {error}\nCosa fare: installare il pacchetto dovecot-imapd (lo fa `make demo`)."
            );
            return ExitCode::from(69);
        }
    };
    let mut paths: Vec<_> =
        fs::read_dir(&letters).expect("the demo's letters").flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in &paths {
        let letter = fs::read(path).expect("a letter");
        dovecot.deliver("urp", "INBOX", &letter).expect("delivered");
    }
    eprintln!(
        "{} lettere di cittadini sono nella casella urp di Dovecot (IMAP, TLS, 127.0.0.1:{}).",
        paths.len(),
        dovecot.imaps
    );
    let town = Installation::new(&program, "", Some(&dovecot), &[Mailbox::of(&dovecot, "urp")]);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut words = vec!["demo", "--once", "--from-config"];
    words.extend(arguments.iter().map(String::as_str));
    let code = town.show(&words);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
