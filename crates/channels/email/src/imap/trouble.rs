//! Why work on a folder ended, from either side: the mail server or the database.

use smista_domain::{ChannelError, IntakeError, Remedy};

use super::error::{Fault, ImapError};

/// What ended the work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The connection is spent, or the server refuses.
    #[error(transparent)]
    Imap(#[from] ImapError),
    /// The database, or another daemon.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The folder cannot be opened, while the connection is well.
    #[error("the folder cannot be opened: {0}")]
    Folder(#[source] ImapError),
    /// The server's UIDs do not last, so that nothing could be recognised.
    #[error("the server tells no UIDVALIDITY for this folder")]
    NoValidity,
}

impl Trouble {
    /// The error as the supervisor and `status` show it. `place` is host and port.
    pub(crate) fn into_channel_error(self, place: &str, folder: Option<&str>, worked: bool) -> ChannelError {
        let at = folder.map_or_else(|| place.to_owned(), |f| format!("{place}, folder {f}"));
        let (code, what, advice, remedy) = match &self {
            Self::Intake(IntakeError::LostLease { .. }) => {
                ("lease-lost", self.to_string(), "nothing to do: the other daemon goes on", Remedy::Yield)
            }
            Self::Intake(IntakeError::Unavailable(_) | IntakeError::Refused(_)) => (
                "database",
                self.to_string(),
                "fetching goes on when the database is back; nothing is lost meanwhile",
                Remedy::WaitForDatabase,
            ),
            Self::Folder(e) => (
                "folder-missing",
                e.to_string(),
                "see 'folders' in the mailbox's [[email]], and that this user may read it",
                Remedy::AskOperator,
            ),
            Self::NoValidity => (
                "uidvalidity-missing",
                self.to_string(),
                "this server cannot be watched safely: another server or another protocol is needed",
                Remedy::AskOperator,
            ),
            Self::Imap(e) => {
                let (code, advice, remedy) = imap_advice(e);
                (code, e.to_string(), advice, remedy)
            }
        };
        ChannelError {
            code,
            text: format!("{at}: {what}; {advice}"),
            remedy,
            worked,
            source: Some(Box::new(self)),
        }
    }
}

fn imap_advice(error: &ImapError) -> (&'static str, &'static str, Remedy) {
    const BY_ITSELF: &str = "it is tried again by itself";
    match (&error.fault, error.command) {
        (Fault::Resolve(_), _) => {
            ("dns", "see 'host', and the machine's name server; it is tried again", Remedy::Reconnect)
        }
        (Fault::Connect(_), _) => (
            "connect",
            "see 'host' and 'port', and whether the server runs; it is tried again",
            Remedy::Reconnect,
        ),
        (Fault::Tls(e), _) => tls_advice(e),
        (Fault::Roots(_), _) => {
            ("tls-roots", "install the package ca-certificates, or set 'ca_file'", Remedy::AskOperator)
        }
        (Fault::Insecure(_), _) => {
            ("insecure", "see 'tls' and 'port'; the password is never sent in the clear", Remedy::AskOperator)
        }
        (Fault::Password(_), _) => ("password", "see 'password_file' or 'password_env'", Remedy::AskOperator),
        (Fault::No(_) | Fault::Bad(_), "LOGIN" | "AUTHENTICATE") if !error.fault.passes_by_itself() => {
            ("login-refused", "see 'user' and the password; it may have expired", Remedy::AskOperator)
        }
        (Fault::No(_), "LOGIN" | "AUTHENTICATE") => ("login-unavailable", BY_ITSELF, Remedy::Reconnect),
        (Fault::No(_) | Fault::Bad(_), _) => ("command-refused", BY_ITSELF, Remedy::Reconnect),
        (Fault::Silence(_) | Fault::TooSlow(_), _) => ("timeout", BY_ITSELF, Remedy::Reconnect),
        (Fault::Garbled(_), _) => ("protocol", BY_ITSELF, Remedy::Reconnect),
        (Fault::Lost(_) | Fault::Closed | Fault::Bye(_), _) => {
            ("connection-lost", BY_ITSELF, Remedy::Reconnect)
        }
    }
}

fn tls_advice(error: &std::io::Error) -> (&'static str, &'static str, Remedy) {
    use rustls::{CertificateError as C, Error as E};
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<E>());
    match inner {
        Some(E::InvalidCertificate(C::UnknownIssuer | C::BadSignature)) => (
            "tls-untrusted",
            "the certificate's issuer is not trusted: for an own CA set 'ca_file'",
            Remedy::AskOperator,
        ),
        Some(E::InvalidCertificate(C::Expired | C::ExpiredContext { .. })) => (
            "tls-expired",
            "the server's certificate has expired: its administrator must renew it",
            Remedy::AskOperator,
        ),
        Some(E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. })) => (
            "tls-name",
            "the certificate is for another name: set 'host' to the name that the provider states",
            Remedy::AskOperator,
        ),
        Some(E::InvalidCertificate(_)) => {
            ("tls-certificate", "the server's certificate is not acceptable", Remedy::AskOperator)
        }
        Some(E::InvalidMessage(_)) => (
            "tls-none",
            "the port does not speak TLS at once: perhaps tls = \"starttls\", or another 'port'",
            Remedy::AskOperator,
        ),
        _ => ("tls", "it is tried again", Remedy::Reconnect),
    }
}
