//! Why work on a folder ended, from any side: the mail server, the token endpoint or the database.

use smista_domain::{ChannelError, IntakeError, Remedy};

use super::{
    advice::advice,
    error::{Fault, ImapError},
};
use crate::oauth::TokenError;

/// What ended the work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The connection is spent, or the server refuses.
    #[error(transparent)]
    Imap(#[from] ImapError),
    /// There is no access token.
    #[error(transparent)]
    Token(#[from] TokenError),
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
        let (code, remedy) = self.code();
        let todo = advice(code).map_or("", |advice| advice.todo.1);
        ChannelError {
            code,
            text: format!("{at}: {self}; {todo}"),
            remedy,
            worked,
            source: Some(Box::new(self)),
        }
    }

    /// The code, and what it asks for.
    pub(crate) fn code(&self) -> (&'static str, Remedy) {
        match self {
            Self::Intake(IntakeError::LostLease { .. }) => ("lease-lost", Remedy::Yield),
            Self::Intake(IntakeError::Unavailable(_) | IntakeError::Refused(_)) => {
                ("database", Remedy::WaitForDatabase)
            }
            Self::Folder(_) => ("folder-missing", Remedy::AskOperator),
            Self::NoValidity => ("uidvalidity-missing", Remedy::AskOperator),
            Self::Token(e) => e.code(),
            Self::Imap(e) => imap_code(e),
        }
    }
}

fn imap_code(error: &ImapError) -> (&'static str, Remedy) {
    let login = matches!(error.command, "LOGIN" | "AUTHENTICATE") || error.is_login_with_token();
    match &error.fault {
        Fault::Resolve { .. } => ("dns", Remedy::Reconnect),
        Fault::Connect(_) => ("connect", Remedy::Reconnect),
        Fault::Tls { error, .. } => tls_code(error),
        Fault::NotImap("TLS") => ("tls-at-once", Remedy::AskOperator),
        Fault::NotImap(_) => ("not-imap", Remedy::AskOperator),
        Fault::Roots(_) => ("tls-roots", Remedy::AskOperator),
        Fault::Insecure(_) => ("insecure", Remedy::AskOperator),
        Fault::Password(_) => ("password", Remedy::AskOperator),
        Fault::NoBearer => ("oauth-unsupported", Remedy::AskOperator),
        Fault::No(_) | Fault::Bad(_) if error.refuses_token() => ("oauth-token-refused", Remedy::AskOperator),
        Fault::No(_) if login && !error.fault.passes_by_itself() => ("login-refused", Remedy::AskOperator),
        Fault::No(_) if login => ("login-unavailable", Remedy::Reconnect),
        Fault::No(_) | Fault::Bad(_) => ("command-refused", Remedy::Reconnect),
        Fault::Silence(_) | Fault::Closed if error.command == "greeting" => {
            ("no-greeting", Remedy::Reconnect)
        }
        Fault::Silence(_) | Fault::TooSlow(_) => ("timeout", Remedy::Reconnect),
        Fault::Garbled(_) => ("protocol", Remedy::Reconnect),
        Fault::Lost(_) | Fault::Closed | Fault::Bye(_) => ("connection-lost", Remedy::Reconnect),
    }
}

fn tls_code(error: &std::io::Error) -> (&'static str, Remedy) {
    use rustls::{CertificateError as C, Error as E};
    match error.get_ref().and_then(|e| e.downcast_ref::<E>()) {
        Some(E::InvalidCertificate(C::UnknownIssuer | C::BadSignature)) => {
            ("tls-untrusted", Remedy::AskOperator)
        }
        Some(E::InvalidCertificate(C::Expired | C::ExpiredContext { .. })) => {
            ("tls-expired", Remedy::AskOperator)
        }
        Some(E::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. })) => {
            ("tls-not-yet", Remedy::AskOperator)
        }
        Some(E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. })) => {
            ("tls-name", Remedy::AskOperator)
        }
        Some(E::InvalidCertificate(_)) => ("tls-certificate", Remedy::AskOperator),
        Some(E::InvalidMessage(_)) => ("tls-none", Remedy::AskOperator),
        _ => ("tls", Remedy::Reconnect),
    }
}
