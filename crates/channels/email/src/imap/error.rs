//! What can go wrong between us and an IMAP server, told apart, because each asks for something else: a `NO` leaves the
//! connection usable, everything else spends it; only some of them can be mended by the operator.

use std::{fmt, io, time::Duration};

use super::{certificate::Certificate, dial::Tried, response::Code};

/// A server's refusal or farewell: its response code and its words, made harmless (one line, 200 characters at most).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerText {
    /// The response code (RFC 3501 7.1, RFC 5530), for instance `AUTHENTICATIONFAILED`.
    pub code: Option<Code>,
    /// The human-readable text.
    pub text: String,
}

impl ServerText {
    /// True if the response code is `name` (upper case).
    pub fn has_code(&self, name: &str) -> bool {
        self.code.as_ref().is_some_and(|c| c.name == name)
    }
}

impl fmt::Display for ServerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.text.is_empty()) {
            (Some(code), true) => write!(f, "[{}]", code.name),
            (Some(code), false) => write!(f, "[{}] {}", code.name, self.text),
            (None, true) => f.write_str("(no text)"),
            (None, false) => f.write_str(&self.text),
        }
    }
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The host's name has no address.
    #[error("the name '{host}' has no address: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        #[source]
        error: io::Error,
    },
    /// Nobody answers at the port: what became of each address.
    #[error("no connection: {0}")]
    Connect(Tried),
    /// No agreement on TLS, or a certificate that is not trusted.
    #[error("TLS failed: {error}{}", shown(certificate.as_deref()))]
    Tls {
        /// Why.
        #[source]
        error: io::Error,
        /// The server's certificate, if it showed one.
        certificate: Option<Box<Certificate>>,
    },
    /// Whatever listens there greets in another protocol.
    #[error("the port speaks {0}, not IMAP")]
    NotImap(&'static str),
    /// No root certificates to check the server against.
    #[error("no usable root certificates: {0}")]
    Roots(String),
    /// Going on would mean to send the password in the clear, or to trust what came in the clear.
    #[error("{0}")]
    Insecure(&'static str),
    /// A token is there, and the server takes none.
    #[error("the server offers neither XOAUTH2 nor OAUTHBEARER")]
    NoBearer,
    /// The password could not be read.
    #[error("the password cannot be read: {0}")]
    Password(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Lost(#[source] io::Error),
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// The server said nothing for this long.
    #[error("the server was silent for {} seconds", .0.as_secs())]
    Silence(Duration),
    /// The server kept talking but did not finish within this time.
    #[error("the command was not finished after {} seconds", .0.as_secs())]
    TooSlow(Duration),
    /// `BYE`: the server ends the session.
    #[error("the server ended the session: {0}")]
    Bye(ServerText),
    /// `NO`: the server refuses; the connection is still usable.
    #[error("the server answered NO: {0}")]
    No(ServerText),
    /// `BAD`: the server did not understand us, or is confused.
    #[error("the server answered BAD: {0}")]
    Bad(ServerText),
    /// What came is not IMAP.
    #[error("the server's answer is not IMAP: {0}")]
    Garbled(&'static str),
}

impl Fault {
    /// True for `NO` alone: the session may go on.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::No(_))
    }

    /// True if a `NO` names a state that passes by itself (RFC 5530, or the words that servers without codes use).
    pub fn passes_by_itself(&self) -> bool {
        let Self::No(said) = self else {
            return !matches!(self, Self::Password(_) | Self::Insecure(_) | Self::NoBearer);
        };
        match said.code.as_ref().map(|c| c.name.as_str()) {
            Some("UNAVAILABLE" | "INUSE" | "LIMIT" | "SERVERBUG") => true,
            Some(
                "AUTHENTICATIONFAILED"
                | "AUTHORIZATIONFAILED"
                | "EXPIRED"
                | "CONTACTADMIN"
                | "NOPERM"
                | "PRIVACYREQUIRED"
                | "NONEXISTENT",
            ) => false,
            _ => {
                let text = said.text.to_ascii_lowercase();
                ["temporar", "try again", "too many", "maximum number of connections", "unavailable"]
                    .iter()
                    .any(|word| text.contains(word))
            }
        }
    }
}

/// How Exchange Online (2022 to 2026) calls a mailbox that a good token does not open: it says OK to the login, and this with BAD to
/// the next command.
const NOT_CONNECTED: &str = "authenticated but not connected";
fn shown(certificate: Option<&Certificate>) -> String {
    certificate.map_or_else(String::new, |c| format!(" ({c})"))
}

/// A fault with the command during which it occurred.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {fault}")]
pub struct ImapError {
    /// The command or step (`connect`, `TLS`, `greeting`, `LOGIN`, `UID FETCH` ...). Never its arguments.
    pub command: &'static str,
    /// What happened.
    #[source]
    pub fault: Fault,
}

impl ImapError {
    /// A fault at a command.
    pub fn new(command: &'static str, fault: Fault) -> Self {
        Self { command, fault }
    }

    /// True if the server refused an access token, or would not open the mailbox to it.
    pub fn refuses_token(&self) -> bool {
        match &self.fault {
            Fault::No(_) => self.is_login_with_token() && !self.fault.passes_by_itself(),
            Fault::Bad(said) => said.text.to_ascii_lowercase().contains(NOT_CONNECTED),
            _ => false,
        }
    }

    /// True if it occurred at a login with an access token.
    pub fn is_login_with_token(&self) -> bool {
        matches!(self.command, "XOAUTH2" | "OAUTHBEARER")
    }
}
