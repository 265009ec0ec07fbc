//! `[email.oauth]`: how an access token is got for a mailbox whose provider takes no passwords.

mod read;

use jiff::{SignedDuration, Timestamp, civil::Date};
use reqwest::Url;
use rustls_pki_types::CertificateDer;
use smista_settings::Diagnostic;

pub(super) use read::read;

use super::{Password, codes};
use crate::oauth::{Grant, GrantFile, TokenError};

/// Whose tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Microsoft 365.
    Microsoft,
    /// Google Workspace and Gmail.
    Google,
    /// Another one: its addresses stand in the configuration.
    Other,
}

/// How an access token is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// With the application's own id and secret (RFC 6749 4.4).
    ClientCredentials,
    /// With a refresh token, that `smista login` gets once (RFC 6749 6).
    RefreshToken,
}

/// How an access token is got for one mailbox.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// Whose tokens.
    pub provider: Provider,
    /// How they are got.
    pub flow: Flow,
    /// The application's id.
    pub client_id: String,
    /// Its secret; some have none.
    pub client_secret: Option<Password>,
    /// The day on which the secret expires, if the operator said so.
    pub client_secret_expires: Option<Date>,
    /// The token endpoint.
    pub token_url: String,
    /// The device authorization endpoint (RFC 8628), where mail is given to devices.
    pub device_url: Option<String>,
    /// The page on which a person consents, where it is not.
    pub auth_url: Option<String>,
    /// What is asked for.
    pub scope: String,
    /// The operator's own CA for these addresses; empty: the system's roots.
    pub ca: Vec<CertificateDer<'static>>,
    /// After so many days without use the provider forgets a refresh token; none: not known.
    pub idle_days: Option<u32>,
    /// Where the refresh token lies.
    pub grant_file: GrantFile,
}

impl OAuthSettings {
    /// The host of the token endpoint, for errors.
    pub(crate) fn place(&self) -> String {
        Url::parse(&self.token_url).ok().and_then(|u| u.host_str().map(str::to_owned)).unwrap_or_default()
    }

    /// True for a grant of this application at this endpoint.
    pub(crate) fn is_ours(&self, grant: &Grant) -> bool {
        grant.client_id == self.client_id && grant.token_url == self.token_url
    }

    /// When the refresh token ends if nobody uses it from `now` on.
    pub fn grant_ends_at(&self, grant: &Grant) -> Option<Timestamp> {
        let days = self.idle_days.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        let forgotten = days.and_then(|days| grant.used_at.checked_add(days).ok());
        match (grant.expires_at, forgotten) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// A warning when the application's secret has expired or will within `days` days of `today`.
    pub(super) fn secret_warning(&self, name: &str, today: Date, days: i32) -> Option<Diagnostic> {
        let left = super::days_left(self.client_secret_expires?, today, days)?;
        let text = if left < 0 {
            (
                format!(
                    "il segreto dell'applicazione (client secret) della casella {name} risulta scaduto da {} giorni",
                    -left
                ),
                format!("the client secret of mailbox {name} expired {} days ago", -left),
            )
        } else {
            (
                format!(
                    "il segreto dell'applicazione (client secret) della casella {name} scade tra {left} giorni"
                ),
                format!("the client secret of mailbox {name} expires in {left} days"),
            )
        };
        Some(Diagnostic::warning(codes::OAUTH_SECRET_EXPIRES, text.0, text.1).hint(
            "crearne uno nuovo presso il gestore della posta, scriverlo nel suo file e aggiornare «client_secret_expires»",
            "make a new one with the mail provider, write it into its file and update 'client_secret_expires'",
        ))
    }

    /// A warning when there is no refresh token on this machine, or when it has ended or will within `days` days.
    pub(super) fn grant_warning(&self, name: &str, now: Timestamp, days: i32) -> Option<Diagnostic> {
        if self.flow == Flow::ClientCredentials {
            return None;
        }
        let login = |what: (String, String)| {
            Diagnostic::warning(codes::OAUTH_GRANT_EXPIRES, what.0, what.1).hint(
                format!("eseguire su questa macchina «smista login {name}», che indica i passi da fare"),
                format!("run 'smista login {name}' on this machine: it tells the steps"),
            )
        };
        let grant = match self.grant_file.read().map(|found| found.filter(|grant| self.is_ours(grant))) {
            Ok(Some(grant)) => grant,
            Ok(None) => {
                return Some(login((
                    format!("la casella {name} non ha ancora un token di accesso su questa macchina"),
                    format!("mailbox {name} has no refresh token on this machine yet"),
                )));
            }
            Err(fault) => {
                let error = TokenError { place: self.place(), fault };
                let advice = crate::advice(error.code().0)?;
                let (it, en) = (advice.what.0, advice.what.1);
                return Some(
                    Diagnostic::warning(
                        codes::OAUTH_GRANT_EXPIRES,
                        format!("casella {name}: {it} ({})", error.fault),
                        format!("mailbox {name}: {en} ({})", error.fault),
                    )
                    .hint(advice.todo.0, advice.todo.1),
                );
            }
        };
        let left = self.grant_ends_at(&grant)?.duration_since(now).as_hours().div_euclid(24);
        if left > i64::from(days) {
            return None;
        }
        Some(login(if left < 0 {
            (
                format!("il token della casella {name} risulta scaduto da {} giorni", -left),
                format!("the refresh token of mailbox {name} ended {} days ago", -left),
            )
        } else {
            (
                format!("il token della casella {name} scade tra {left} giorni"),
                format!("the refresh token of mailbox {name} ends in {left} days"),
            )
        }))
    }
}
