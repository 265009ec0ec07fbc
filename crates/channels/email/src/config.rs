//! `[[email]]`: one IMAP mailbox, read from the configuration into a type that cannot be wrong.
//!
//! Everything that can be known without the network is checked here: files are readable, certificates are certificates, nothing
//! goes unencrypted over a network, and what is moved out of a watched folder does not land in a watched one.

mod ca;
mod form;
pub mod oauth;
mod pec;
mod read;

use std::{collections::BTreeMap, path::Path, time::Duration};

use jiff::{Timestamp, civil::Date};
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use smista_domain::ChannelName;
use smista_settings::{Diagnostic, Diagnostics, SecretSource, Section, Span};

pub use self::pec::PecSettings;
pub use crate::imap::session::TlsMode;
use crate::read::form::FormSettings;
use oauth::OAuthSettings;

/// Every code of this section's diagnostics.
pub mod codes {
    /// The name has not the form of a name.
    pub const NAME: &str = "email-name";
    /// Two mailboxes have one name.
    pub const NAME_TWICE: &str = "email-name-twice";
    /// `host` is no host name.
    pub const HOST: &str = "email-host";
    /// No encryption to another machine.
    pub const UNENCRYPTED: &str = "email-unencrypted";
    /// The port is that of another `tls`.
    pub const PORT: &str = "email-port";
    /// `ca_file` cannot be used.
    pub const CA_FILE: &str = "email-ca-file";
    /// `ca_file` without TLS.
    pub const CA_UNUSED: &str = "email-ca-unused";
    /// No password named.
    pub const PASSWORD: &str = "email-password";
    /// The password has expired or soon will.
    pub const PASSWORD_EXPIRES: &str = "email-password-expires";
    /// A password beside `[email.oauth]`.
    pub const OAUTH_AND_PASSWORD: &str = "email-oauth-and-password";
    /// A `flow` that the provider does not have.
    pub const OAUTH_FLOW: &str = "email-oauth-flow";
    /// No client secret named.
    pub const OAUTH_SECRET: &str = "email-oauth-secret";
    /// The client secret has expired or soon will.
    pub const OAUTH_SECRET_EXPIRES: &str = "email-oauth-secret-expires";
    /// No refresh token on this machine, or one that ends soon.
    pub const OAUTH_GRANT_EXPIRES: &str = "email-oauth-grant-expires";
    /// `tenant` is none.
    pub const OAUTH_TENANT: &str = "email-oauth-tenant";
    /// An address to which no secret may be sent.
    pub const OAUTH_URL: &str = "email-oauth-url";
    /// A key of `[email.oauth]` that has no effect.
    pub const OAUTH_UNUSED: &str = "email-oauth-unused";
    /// A folder's name that cannot be, or no folder.
    pub const FOLDER: &str = "email-folder";
    /// A folder twice.
    pub const FOLDER_TWICE: &str = "email-folder-twice";
    /// `start` is none of its words and no date.
    pub const START: &str = "email-start";
    /// `after` is none of its words.
    pub const AFTER: &str = "email-after";
    /// Mail would be moved into a folder that is watched.
    pub const MOVE_LOOP: &str = "email-move-loop";
    /// `delete_after_days` without `after = "delete"`.
    pub const DELETE_UNUSED: &str = "email-delete-unused";
    /// One mailbox is watched twice.
    pub const MAILBOX_TWICE: &str = "email-mailbox-twice";
    /// A form's `from` is no mail address.
    pub const FORM_FROM: &str = "email-form-from";
    /// Two forms take the same letters.
    pub const FORM_TWICE: &str = "email-form-twice";
    /// A form names no label.
    pub const FORM_LABELS: &str = "email-form-labels";
    /// A label has neither letter nor digit.
    pub const FORM_LABEL: &str = "email-form-label";
    /// One label stands for two things.
    pub const FORM_LABEL_TWICE: &str = "email-form-label-twice";
    /// `categories` without the label of the category.
    pub const FORM_CATEGORIES_UNUSED: &str = "email-form-categories-unused";

    /// All of them, for the test that says that codes are unique.
    pub const ALL: &[&str] = &[
        NAME,
        NAME_TWICE,
        HOST,
        UNENCRYPTED,
        PORT,
        CA_FILE,
        CA_UNUSED,
        PASSWORD,
        PASSWORD_EXPIRES,
        OAUTH_AND_PASSWORD,
        OAUTH_FLOW,
        OAUTH_SECRET,
        OAUTH_SECRET_EXPIRES,
        OAUTH_GRANT_EXPIRES,
        OAUTH_TENANT,
        OAUTH_URL,
        OAUTH_UNUSED,
        FOLDER,
        FOLDER_TWICE,
        START,
        AFTER,
        MOVE_LOOP,
        DELETE_UNUSED,
        MAILBOX_TWICE,
        FORM_FROM,
        FORM_TWICE,
        FORM_LABELS,
        FORM_LABEL,
        FORM_LABEL_TWICE,
        FORM_CATEGORIES_UNUSED,
    ];
}

/// What is taken in when a folder is met for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Everything that is there.
    All,
    /// What arrives from now on.
    New,
    /// What the server received on this day or later (INTERNALDATE, in the server's own zone), and what arrives from now on.
    Since(Date),
}

/// What the server is told once a letter is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing: the mailbox stays as it is.
    Keep,
    /// `\Seen`.
    Seen,
    /// It goes to another folder.
    Move(String),
    /// It is deleted, this many days after its commit.
    Delete {
        /// Days to wait, 0 or more.
        days: u32,
    },
}

/// Where the password comes from.
#[derive(Debug, Clone)]
pub enum Password {
    /// A file or a variable; read anew at each connection.
    Source(SecretSource),
    /// The password itself (tests).
    Fixed(SecretString),
}

impl Password {
    /// The password.
    pub fn load(&self) -> Result<SecretString, Diagnostic> {
        match self {
            Self::Source(source) => source.load(),
            Self::Fixed(secret) => Ok(secret.clone()),
        }
    }
}

/// What lets us in.
#[derive(Debug, Clone)]
pub enum Login {
    /// A password.
    Password(Password),
    /// An access token of the mail provider.
    OAuth(Box<OAuthSettings>),
}

/// One mailbox.
#[derive(Debug, Clone)]
pub struct EmailSettings {
    /// `email/urp`.
    pub name: ChannelName,
    /// The server's name: it must stand in its certificate.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// The operator's own CA; empty: the system's roots.
    pub ca: Vec<CertificateDer<'static>>,
    /// The login name.
    pub user: String,
    /// What lets us in.
    pub login: Login,
    /// The folders that are watched, each once.
    pub folders: Vec<String>,
    /// Where to begin.
    pub start: Start,
    /// What to tell the server afterwards.
    pub after: After,
    /// How often the server is asked, IDLE or not.
    pub poll: Duration,
    /// Letters larger than this (octets) are taken in with their beginning only.
    pub max_message_bytes: usize,
    /// The day on which the password expires, if the operator said so.
    pub password_expires: Option<Date>,
    /// Automatic mail and mailing lists are messages, with a note, instead of being ignored.
    pub keep_automatic: bool,
    /// Of a citizen's letter that a clerk sends on, the citizen is the sender.
    pub forwards: bool,
    /// More letters of one sender within ten minutes are a flood; 0: any number is taken.
    pub flood: u32,
    /// The web forms whose letters come here.
    pub forms: Vec<FormSettings>,
}

impl EmailSettings {
    /// Reads one `[[email]]`. Whatever is wrong is in the section's diagnostics; `None` when it cannot be used. Refresh tokens lie
    /// under `state_dir`.
    pub fn read(section: Section, state_dir: &Path) -> Option<Self> {
        read::Reader::new(section).read(state_dir)
    }

    /// How an access token is got, where one is.
    pub fn oauth(&self) -> Option<&OAuthSettings> {
        match &self.login {
            Login::Password(_) => None,
            Login::OAuth(settings) => Some(settings),
        }
    }

    /// What only shows when all mailboxes are looked at together: one name twice, one folder of one mailbox watched twice.
    pub fn check_all(all: &[(Self, Option<Span>)], diagnostics: &Diagnostics) {
        let mut names = BTreeMap::new();
        let mut places = BTreeMap::new();
        for (settings, span) in all {
            let twice = |diagnostic: Diagnostic, first: Option<Span>| {
                let diagnostic = diagnostic.at_opt(*span);
                diagnostics.push(match first {
                    Some(first) => diagnostic.label(first, "la prima è questa", "the first one is here"),
                    None => diagnostic,
                });
            };
            if let Some(first) = names.insert(settings.name.clone(), *span) {
                let name = settings.name.as_str().trim_start_matches("email/");
                twice(
                    Diagnostic::error(
                        codes::NAME_TWICE,
                        format!("due caselle [[email]] si chiamano «{name}»"),
                        format!("two [[email]] mailboxes are called '{name}'"),
                    )
                    .hint("dare a ciascuna casella un nome diverso", "give each mailbox a name of its own"),
                    first,
                );
                continue;
            }
            for folder in &settings.folders {
                let place = (settings.host.to_lowercase(), settings.user.clone(), folder_key(folder));
                if let Some(first) = places.insert(place, *span) {
                    twice(
                        Diagnostic::error(
                            codes::MAILBOX_TWICE,
                            format!("la cartella «{folder}» di questa casella è già letta da un'altra [[email]]"),
                            format!("the folder '{folder}' of this mailbox is already watched by another [[email]]"),
                        )
                        .hint(
                            "togliere una delle due: ogni messaggio verrebbe aperto due volte",
                            "remove one of them: every message would be opened twice",
                        ),
                        first,
                    );
                }
            }
        }
    }

    /// A warning when the password has expired or will within `days` days of `today`.
    pub fn password_warning(&self, today: Date, days: i32) -> Option<Diagnostic> {
        let left = days_left(self.password_expires?, today, days)?;
        let name = &self.name;
        let text = if left < 0 {
            (
                format!("la password della casella {name} risulta scaduta da {} giorni", -left),
                format!("the password of mailbox {name} expired {} days ago", -left),
            )
        } else {
            (
                format!("la password della casella {name} scade tra {left} giorni"),
                format!("the password of mailbox {name} expires in {left} days"),
            )
        };
        Some(Diagnostic::warning(codes::PASSWORD_EXPIRES, text.0, text.1).hint(
            "cambiarla presso il gestore della posta, scriverla nel suo file e aggiornare «password_expires»",
            "change it with the mail provider, write it into its file and update 'password_expires'",
        ))
    }

    /// A warning when the client secret has expired or will within `days` days of `today`.
    pub fn secret_warning(&self, today: Date, days: i32) -> Option<Diagnostic> {
        self.oauth()?.secret_warning(self.name.as_str(), today, days)
    }

    /// A warning when this machine has no refresh token for the mailbox, or one that ends within `days` days if it is not used.
    pub fn grant_warning(&self, now: Timestamp, days: i32) -> Option<Diagnostic> {
        self.oauth()?.grant_warning(self.name.as_str(), now, days)
    }
}

/// How many days are left until `end` (below 0: it has passed), if no more than `days`.
fn days_left(end: Date, today: Date, days: i32) -> Option<i32> {
    today.until(end).ok().map(|left| left.get_days()).filter(|left| *left <= days)
}

/// INBOX is INBOX however it is written (RFC 3501 5.1); other names are as they are.
pub(crate) fn folder_key(folder: &str) -> String {
    if folder.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { folder.to_owned() }
}
