//! One of the real IMAP servers, whichever it is: what holds for both is tested on both, by IMAP alone.

use std::io;

use crate::{
    cyrus::{Cyrus, CyrusOptions},
    dovecot::{Dovecot, DovecotOptions, PASSWORD},
    imap_client::ImapClient,
};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Dovecot.
    Dovecot,
    /// Cyrus.
    Cyrus,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Dovecot, Self::Cyrus];
}

/// How it is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Does not announce IDLE.
    pub without_idle: bool,
    /// Every mailbox has a quota, in units of 1024 octets.
    pub quota: Option<u32>,
}

/// A running server.
pub enum MailServer {
    /// Dovecot.
    Dovecot(Box<Dovecot>),
    /// Cyrus.
    Cyrus(Box<Cyrus>),
}

impl MailServer {
    /// Starts one.
    pub async fn start(kind: Kind, options: Options) -> io::Result<Self> {
        Ok(match kind {
            Kind::Dovecot => {
                let capability =
                    options.without_idle.then(|| "IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS MOVE".to_owned());
                let options =
                    DovecotOptions { capability, quota: options.quota, ..DovecotOptions::default() };
                Self::Dovecot(Box::new(Dovecot::start_with(&options).await?))
            }
            Kind::Cyrus => {
                let options = CyrusOptions { idle: !options.without_idle, quota: options.quota };
                Self::Cyrus(Box::new(Cyrus::start(options).await?))
            }
        })
    }

    /// Port with TLS from the first octet.
    pub fn imaps(&self) -> u16 {
        match self {
            Self::Dovecot(server) => server.imaps,
            Self::Cyrus(server) => server.imaps,
        }
    }

    /// The CA's certificate (PEM).
    pub fn ca_pem(&self) -> Vec<u8> {
        match self {
            Self::Dovecot(server) => server.ca_pem(),
            Self::Cyrus(server) => server.ca_pem(),
        }
    }

    /// Another program in the mailbox of this user.
    pub async fn client(&self, user: &str) -> io::Result<ImapClient> {
        let port = match self {
            Self::Dovecot(server) => server.imap,
            Self::Cyrus(server) => server.imap,
        };
        ImapClient::log_in(port, user, PASSWORD).await
    }
}
