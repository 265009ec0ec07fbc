//! What can go wrong between us and a token endpoint, told apart by what it asks for. Nothing here ever holds a token, a secret or
//! the provider's own sentence, which may name a person: of its answer only the error's code is kept.

use std::{fmt, io, time::Duration};

use smista_domain::Remedy;

/// A provider's error, as far as it is repeated: its code, and Microsoft's number if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `error` of RFC 6749 5.2, for instance `invalid_grant`; at most 40 letters and underscores.
    pub code: String,
    /// `AADSTS...` (learn.microsoft.com, "Microsoft Entra authentication and authorization error codes").
    pub number: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        self.number.as_ref().map_or(Ok(()), |number| write!(f, ", {number}"))
    }
}

/// What happened.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// Nobody has logged in for this mailbox on this machine, or did so for another application.
    #[error("this machine has no refresh token for the mailbox")]
    LoginNeeded,
    /// The refresh token was revoked, has expired or was used by somebody else.
    #[error("the provider no longer accepts the refresh token ({0})")]
    GrantLost(Refusal),
    /// The application or its secret is not accepted: secrets expire.
    #[error("the provider does not accept 'client_id' and its secret ({0})")]
    ClientRefused(Refusal),
    /// The provider refuses for another reason.
    #[error("the provider refuses ({0})")]
    Refused(Refusal),
    /// Granted, but without a refresh token: it would end within the hour.
    #[error("the provider gave no refresh token")]
    NoRefreshToken,
    /// The code that was shown was not used in time.
    #[error("the code was not confirmed in time")]
    CodeExpired,
    /// What was pasted is not the address of the page.
    #[error("this is not the address that the browser showed in the end: {0}")]
    Pasted(&'static str),
    /// Nobody answers, or not in time.
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// Too many requests, or its own trouble. Not asked again before `after` has passed.
    #[error("it answered with status {status}")]
    Busy {
        /// HTTP status.
        status: u16,
        /// How long it wants to be left alone.
        after: Option<Duration>,
    },
    /// An answer that is none of RFC 6749.
    #[error("its answer cannot be understood: {0}")]
    Malformed(&'static str),
    /// No root certificates to check it against, or no client that could ask.
    #[error("it cannot be asked: {0}")]
    Client(String),
    /// The secret of the application could not be read.
    #[error("the client secret cannot be read: {0}")]
    Secret(String),
    /// The file with the refresh token.
    #[error("{file} cannot be {what}: {source}")]
    Store {
        /// The file.
        file: String,
        /// `read`, `written`.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another process is renewing the token and does not come to an end.
    #[error("{0} is being renewed by another process")]
    Locked(String),
}

/// A fault, and where it occurred.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct TokenError {
    /// The host of the endpoint.
    pub place: String,
    /// What happened.
    #[source]
    pub fault: TokenFault,
}

impl TokenError {
    /// The code under which `status` and [`crate::advice`] speak of it, and what it asks for.
    pub fn code(&self) -> (&'static str, Remedy) {
        match &self.fault {
            TokenFault::LoginNeeded => ("oauth-login-needed", Remedy::AskOperator),
            TokenFault::GrantLost(_) => ("oauth-grant-lost", Remedy::AskOperator),
            TokenFault::ClientRefused(_) => ("oauth-client-refused", Remedy::AskOperator),
            TokenFault::Refused(_)
            | TokenFault::NoRefreshToken
            | TokenFault::CodeExpired
            | TokenFault::Pasted(_) => ("oauth-refused", Remedy::AskOperator),
            TokenFault::Unreachable(_) | TokenFault::Busy { .. } | TokenFault::Malformed(_) => {
                ("oauth-unavailable", Remedy::Reconnect)
            }
            TokenFault::Client(_) => ("tls-roots", Remedy::AskOperator),
            TokenFault::Secret(_) => ("oauth-secret", Remedy::AskOperator),
            TokenFault::Store { .. } => ("oauth-store", Remedy::AskOperator),
            TokenFault::Locked(_) => ("oauth-store", Remedy::Reconnect),
        }
    }
}
