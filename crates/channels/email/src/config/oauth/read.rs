//! Reads one `[email.oauth]`, with what is known of the two large providers as defaults.

use std::path::Path;

use reqwest::Url;
use smista_settings::{Diagnostic, Section, Span, Spanned};

use super::{Flow, OAuthSettings, Provider};
use crate::{
    config::{Password, ca, codes, read},
    oauth::GrantFile,
};

/// learn.microsoft.com, "Authenticate an IMAP, POP or SMTP connection using OAuth".
const MICROSOFT_APP: &str = "https://outlook.office365.com/.default";
const MICROSOFT_USER: &str = "https://outlook.office.com/IMAP.AccessAsUser.All offline_access";
/// developers.google.com, "Using OAuth 2.0 to Access Google APIs", "OAuth 2.0 Mechanism" (IMAP).
const GOOGLE_TOKEN: &str = "https://oauth2.googleapis.com/token";
const GOOGLE_AUTH: &str = "https://accounts.google.com/o/oauth2/v2/auth";
const GOOGLE_SCOPE: &str = "https://mail.google.com/";

impl Provider {
    /// learn.microsoft.com, "Refresh tokens in the Microsoft identity platform": 90 days; developers.google.com, "Refresh token
    /// expiration": six months.
    fn idle_days(self) -> Option<u32> {
        match self {
            Self::Microsoft => Some(90),
            Self::Google => Some(180),
            Self::Other => None,
        }
    }
}

/// Where to ask, and for what.
#[derive(Default)]
struct Addresses {
    token: Option<String>,
    device: Option<String>,
    auth: Option<String>,
    scope: Option<String>,
}

impl Addresses {
    /// The provider's own. Google has no device grant for mail: its list of scopes for devices does not have that of Gmail
    /// (developers.google.com, "OAuth 2.0 for TV and Limited-Input Device Applications", "Allowed scopes").
    fn of(provider: Provider, flow: Flow, tenant: Option<&str>) -> Self {
        match provider {
            Provider::Microsoft => {
                // learn.microsoft.com, "Microsoft identity platform and the OAuth 2.0 device authorization grant flow"
                let at = |end: &str| {
                    tenant.map(|t| format!("https://login.microsoftonline.com/{t}/oauth2/v2.0/{end}"))
                };
                let scope = if flow == Flow::ClientCredentials { MICROSOFT_APP } else { MICROSOFT_USER };
                Self {
                    token: at("token"),
                    device: at("devicecode"),
                    auth: None,
                    scope: Some(scope.to_owned()),
                }
            }
            Provider::Google => Self {
                token: Some(GOOGLE_TOKEN.to_owned()),
                device: None,
                auth: Some(GOOGLE_AUTH.to_owned()),
                scope: Some(GOOGLE_SCOPE.to_owned()),
            },
            Provider::Other => Self::default(),
        }
    }
}

/// Reads it. None when it cannot be used; what is wrong is in the diagnostics.
pub(in crate::config) fn read(section: Section, state_dir: &Path, name: &str) -> Option<OAuthSettings> {
    (Reader { section, sound: true }).read(state_dir, name)
}

struct Reader {
    section: Section,
    sound: bool,
}

impl Reader {
    fn wrong(&mut self, diagnostic: Diagnostic, span: Option<Span>) {
        self.sound = false;
        self.section.diagnostics().push(diagnostic.at_opt(span));
    }

    /// What is there and could not be read has been reported.
    fn heard<T>(&mut self, key: &str, read: Option<T>) -> Option<T> {
        self.sound &= read.is_some() || !self.section.has(key);
        read
    }

    fn choice<T: Copy>(&mut self, key: &str, allowed: &[(&str, T)]) -> Option<Spanned<T>> {
        if !self.section.has(key) {
            let first = allowed.first().map_or("", |(word, _)| word);
            self.section.missing(key, &format!("{key} = \"{first}\""));
        }
        let chosen = self.section.choice(key, allowed);
        self.sound &= chosen.is_some();
        chosen
    }

    fn read(mut self, state_dir: &Path, name: &str) -> Option<OAuthSettings> {
        let provider = self.choice(
            "provider",
            &[("microsoft", Provider::Microsoft), ("google", Provider::Google), ("other", Provider::Other)],
        );
        let flow = self.choice(
            "flow",
            &[("refresh-token", Flow::RefreshToken), ("client-credentials", Flow::ClientCredentials)],
        );
        let client_id = self.section.required_string("client_id");
        self.sound &= client_id.is_some();
        let client_secret = self.client_secret();
        let expires = self.section.date("client_secret_expires");
        let expires = self.heard("client_secret_expires", expires);
        let tenant = self.tenant(provider.as_ref().map(|p| p.value));
        let token = self.url("token_url");
        let device = self.url("device_url");
        let auth = self.url("auth_url");
        let scope = self.section.string("scope");
        let scope = self.heard("scope", scope).map(|s| s.value);
        let ca = ca::of_server(&mut self.section);
        let idle_days = self.section.int_between("idle_days", 1, 3650);
        let idle_days = self.heard("idle_days", idle_days).and_then(|d| u32::try_from(d.value).ok());
        let chosen = provider.zip(flow).map(|(provider, flow)| {
            self.check(provider.value, &flow, client_secret.is_some());
            let usual = Addresses::of(provider.value, flow.value, tenant.as_deref());
            // the one that is given decides how one logs in
            let given = device.is_some() || auth.is_some();
            let addresses = Addresses {
                token: token.or(usual.token),
                device: device.or(usual.device.filter(|_| !given)),
                auth: auth.or(usual.auth.filter(|_| !given)),
                scope: scope.or(usual.scope),
            };
            self.check_addresses(provider.value, flow.value, &addresses);
            (provider.value, flow.value, addresses)
        });
        self.section.finish();
        if !self.sound {
            return None;
        }
        let (provider, flow, addresses) = chosen?;
        Some(OAuthSettings {
            provider,
            flow,
            client_id: client_id?.value,
            client_secret: client_secret.map(Password::Source),
            client_secret_expires: expires.map(|d| d.value),
            token_url: addresses.token?,
            device_url: addresses.device,
            auth_url: addresses.auth,
            scope: addresses.scope?,
            ca: ca?,
            idle_days: idle_days.or(provider.idle_days()),
            grant_file: GrantFile::of(state_dir, name),
        })
    }

    fn client_secret(&mut self) -> Option<smista_settings::SecretSource> {
        let named = self.names_secret();
        let source = self.section.secret("client_secret");
        self.sound &= source.is_some() || !named;
        // As with passwords: said, but not fatal.
        if let Some(Err(diagnostic)) = source.as_ref().map(smista_settings::SecretSource::load) {
            self.section.diagnostics().push(diagnostic);
        }
        source
    }

    /// The tenant, which becomes part of an address.
    fn tenant(&mut self, provider: Option<Provider>) -> Option<String> {
        let tenant = self.section.string("tenant");
        let tenant = self.heard("tenant", tenant);
        let (has, given) = (self.section.has("tenant"), self.section.has("token_url"));
        match provider {
            Some(Provider::Microsoft) if !has && !given => {
                self.sound = false;
                self.section.missing("tenant", "tenant = \"comune.example.it\"");
            }
            Some(Provider::Google | Provider::Other) if has => {
                self.unused("tenant", "provider = \"microsoft\"");
            }
            _ => {}
        }
        let tenant = tenant?;
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if !tenant.value.is_empty() && tenant.value.chars().all(fine) {
            return Some(tenant.value);
        }
        self.wrong(
            Diagnostic::error(
                codes::OAUTH_TENANT,
                format!("«{}» non è un tenant", tenant.value),
                format!("'{}' is no tenant", tenant.value),
            )
            .hint(
                "scrivere l'ID del tenant (Entra, Panoramica) o il dominio con cui il comune è registrato presso Microsoft",
                "write the tenant's id (Entra, Overview) or the domain under which the comune is registered with Microsoft",
            ),
            tenant.span,
        );
        None
    }

    fn unused(&mut self, key: &str, with: &str) {
        self.section.diagnostics().push(
            Diagnostic::warning(
                codes::OAUTH_UNUSED,
                format!("«{key}» vale solo con {with}"),
                format!("'{key}' counts only with {with}"),
            )
            .hint(format!("togliere «{key}»"), format!("remove '{key}'"))
            .at_opt(self.section.key_span(key)),
        );
    }

    /// An address to which secrets may be sent: https, or http to this very machine.
    fn url(&mut self, key: &str) -> Option<String> {
        let text = self.section.string(key);
        let text = self.heard(key, text)?;
        let parsed = Url::parse(text.value.trim()).ok().filter(|url| {
            let host = url.host_str().unwrap_or_default();
            let safe = url.scheme() == "https" || url.scheme() == "http" && read::is_loopback(host);
            safe && !host.is_empty() && url.username().is_empty() && url.password().is_none()
        });
        if let Some(url) = parsed.filter(|url| url.fragment().is_none()) {
            return Some(url.into());
        }
        self.wrong(
            Diagnostic::error(
                codes::OAUTH_URL,
                format!("«{key}» non è un indirizzo a cui si possa mandare un segreto"),
                format!("'{key}' is no address to which a secret may be sent"),
            )
            .hint(
                format!("scrivere {key} = \"https://...\", senza utente e password; http:// vale solo verso questa stessa macchina"),
                format!("write {key} = \"https://...\", without user and password; http:// is for this very machine only"),
            ),
            text.span,
        );
        None
    }

    /// What the provider cannot do, and what it needs.
    fn check(&mut self, provider: Provider, flow: &Spanned<Flow>, has_secret: bool) {
        let app = flow.value == Flow::ClientCredentials;
        if provider == Provider::Google && app {
            self.wrong(
                Diagnostic::error(
                    codes::OAUTH_FLOW,
                    "Google non dà token di posta alla sola applicazione",
                    "Google gives an application alone no tokens for mail",
                )
                .hint(
                    "scrivere flow = \"refresh-token\" e poi eseguire «smista login email/NOME»",
                    "write flow = \"refresh-token\", then run 'smista login email/NAME'",
                ),
                flow.span,
            );
        } else if (app || provider == Provider::Google) && !has_secret && !self.names_secret() {
            self.wrong(
                Diagnostic::error(
                    codes::OAUTH_SECRET,
                    "manca il segreto dell'applicazione (client secret)",
                    "the application's client secret is missing",
                )
                .hint(
                    "aggiungere client_secret_file = \"...\" (un file con dentro solo il segreto) o client_secret_env = \"...\"",
                    "add client_secret_file = \"...\" (a file with nothing but the secret) or client_secret_env = \"...\"",
                ),
                self.section.span().or(flow.span),
            );
        }
    }

    fn names_secret(&self) -> bool {
        ["client_secret", "client_secret_file", "client_secret_env"].iter().any(|key| self.section.has(key))
    }

    fn check_addresses(&mut self, provider: Provider, flow: Flow, addresses: &Addresses) {
        if provider == Provider::Other {
            for (key, found, example) in [
                ("token_url", &addresses.token, "https://login.example.it/token"),
                ("scope", &addresses.scope, "imap offline_access"),
            ] {
                if found.is_none() && !self.section.has(key) {
                    self.sound = false;
                    self.section.missing(key, &format!("{key} = \"{example}\""));
                }
            }
        }
        match (flow, &addresses.device, &addresses.auth) {
            (Flow::ClientCredentials, ..) => {
                for key in ["device_url", "auth_url"] {
                    if self.section.has(key) {
                        self.unused(key, "flow = \"refresh-token\"");
                    }
                }
            }
            (Flow::RefreshToken, None, None)
                if provider == Provider::Other
                    && !self.section.has("device_url")
                    && !self.section.has("auth_url") =>
            {
                self.sound = false;
                self.section.missing("device_url", "device_url = \"https://login.example.it/device\"");
            }
            _ => {}
        }
    }
}
