//! What exactly went wrong, in both languages, for `smista check --connect`. What only engineers understand stays English.

use smista_domain::{Text, chain};

use super::{
    certificate::{Certificate, day},
    error::{Fault, ImapError},
    trouble::Trouble,
};

impl Trouble {
    /// The particulars: which name, which address, which certificate, what the server said.
    pub(crate) fn detail(&self) -> Text {
        match self {
            Self::Imap(e) => imap(e),
            Self::Folder(e) => e.fault.detail(),
            Self::Token(e) => same(&chain(e)),
            Self::NoValidity | Self::Intake(_) => same(&self.to_string()),
        }
    }
}

fn imap(error: &ImapError) -> Text {
    let detail = error.fault.detail();
    match &error.fault {
        // these name their step themselves
        Fault::Resolve { .. }
        | Fault::Connect(_)
        | Fault::Tls { .. }
        | Fault::NotImap(_)
        | Fault::Roots(_)
        | Fault::Insecure(_)
        | Fault::NoBearer
        | Fault::Password(_) => detail,
        _ => Text::new(
            format!("{}: {}", error.command, detail.it),
            format!("{}: {}", error.command, detail.en),
        ),
    }
}

fn same(words: &str) -> Text {
    Text::new(words, words)
}

impl Fault {
    fn detail(&self) -> Text {
        let it = match self {
            Self::Resolve { host, error } => format!("il nome «{host}» non ha un indirizzo: {error}"),
            Self::Connect(tried) => return tried.text(),
            Self::Tls { error, certificate } => return tls(error, certificate.as_deref()),
            Self::NotImap(what) => {
                let what = if *what == "something else" { "altro" } else { what };
                format!("la porta parla {what}, non IMAP")
            }
            Self::NoBearer => "il server non offre né XOAUTH2 né OAUTHBEARER".to_owned(),
            Self::Insecure(_) | Self::Roots(_) | Self::Password(_) | Self::Garbled(_) => {
                return same(&self.to_string());
            }
            Self::Lost(error) => format!("la connessione si è interrotta: {error}"),
            Self::Closed => "il server ha chiuso la connessione".to_owned(),
            Self::Silence(time) => format!("nessuna risposta per {} secondi", time.as_secs()),
            Self::TooSlow(time) => format!("non ha finito in {} secondi", time.as_secs()),
            Self::Bye(said) => format!("il server ha chiuso dicendo: {said}"),
            Self::No(said) => format!("il server risponde NO: {said}"),
            Self::Bad(said) => format!("il server risponde BAD: {said}"),
        };
        Text::new(it, self.to_string())
    }
}

fn tls(error: &std::io::Error, certificate: Option<&Certificate>) -> Text {
    use rustls::{CertificateError as C, Error as E};
    let known = error.get_ref().and_then(|e| e.downcast_ref::<E>());
    let Some(certificate) = certificate else { return same(&error.to_string()) };
    let shown = certificate.text();
    let why = match known {
        Some(E::InvalidCertificate(C::Expired | C::ExpiredContext { .. })) => {
            let until = day(certificate.until);
            Text::new(format!("scaduto il {until}"), format!("expired on {until}"))
        }
        Some(E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. })) => {
            let from = day(certificate.from);
            Text::new(
                format!("vale soltanto dal {from} (l'orologio di questa macchina è giusto?)"),
                format!("not valid before {from} (is this machine's clock right?)"),
            )
        }
        Some(E::InvalidCertificate(C::UnknownIssuer)) => {
            let by = &certificate.issuer;
            Text::new(
                format!("l'ente «{by}» non è tra quelli di cui ci si fida"),
                format!("the issuer '{by}' is none of those that are trusted"),
            )
        }
        Some(E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. })) => {
            Text::new("non vale per il nome scritto in «host»", "not for the name in 'host'")
        }
        _ => same(&error.to_string()),
    };
    Text::new(format!("{} ({})", why.it, shown.it), format!("{} ({})", why.en, shown.en))
}
