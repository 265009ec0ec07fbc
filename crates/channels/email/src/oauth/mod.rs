//! Access tokens for mailboxes whose provider takes no passwords (Microsoft 365, Google): fetched with the application's own
//! credentials (RFC 6749 4.4) or with a refresh token (RFC 6749 6), kept in memory until shortly before they end.
//!
//! Invariants: a refresh token that the provider replaces is on the disk before the access token that came with it is used;
//! whatever ends the caller, a renewal that was begun is brought to its end; what the provider gave and the disk did not take
//! is kept in memory and written first at the next attempt; an endpoint that asks to be left alone is left alone.

pub mod endpoint;
pub mod error;
pub mod grant;
pub mod login;

use std::{
    sync::{Arc, Mutex as Cell, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::Mutex, time::Instant};

pub use crate::config::oauth::{Flow, OAuthSettings, Provider};
use endpoint::{Answer, Endpoint, Patience};
pub use error::{Refusal, TokenError, TokenFault};
pub use grant::{Grant, GrantFile};

/// So long before its end an access token is no longer used: a login takes a moment, and clocks differ.
const MARGIN: Duration = Duration::from_mins(2);
/// An endpoint that wants to be left alone without saying for how long.
const PAUSE: Duration = Duration::from_secs(30);
/// A refresh token that was not used for so long is used, only to be kept alive and to find out that it is dead.
const KEEP_ALIVE: SignedDuration = SignedDuration::from_hours(24);

/// An access token.
#[derive(Debug, Clone)]
pub struct Access {
    /// The token.
    pub token: SecretString,
    /// It was in memory: the provider may have revoked it since.
    pub remembered: bool,
}

/// The tokens of one mailbox. Clones share what they remember.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: OAuthSettings,
    file: GrantFile,
    patience: Patience,
    now: fn() -> Timestamp,
    /// Held while a token is fetched.
    remembered: Mutex<Option<(SecretString, Instant)>>,
    /// A grant that the disk did not take.
    unsaved: Cell<Option<Grant>>,
    /// Until when the endpoint wants to be left alone, and with which status it said so.
    not_before: Cell<Option<(Instant, u16)>>,
}

fn get<T: Clone>(cell: &Cell<T>) -> T {
    cell.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set<T>(cell: &Cell<T>, value: T) {
    *cell.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

impl Tokens {
    /// For a mailbox with these settings.
    pub fn new(settings: OAuthSettings, patience: Patience, now: fn() -> Timestamp) -> Self {
        let file = settings.grant_file.clone();
        Self(Arc::new(Inner {
            settings,
            file,
            patience,
            now,
            remembered: Mutex::default(),
            unsaved: Cell::default(),
            not_before: Cell::default(),
        }))
    }

    /// An access token: the one in memory while it is good, else a new one.
    pub async fn access(&self) -> Result<Access, TokenError> {
        self.but(None).await
    }

    /// An access token that is not this one, which the mail server has refused.
    pub async fn instead_of(&self, refused: &SecretString) -> Result<Access, TokenError> {
        self.but(Some(refused)).await
    }

    async fn but(&self, refused: Option<&SecretString>) -> Result<Access, TokenError> {
        let mut remembered = self.0.remembered.lock().await;
        let refused = refused.map(ExposeSecret::expose_secret);
        if let Some((token, until)) = &*remembered
            && *until > Instant::now()
            && refused != Some(token.expose_secret())
        {
            return Ok(Access { token: token.clone(), remembered: true });
        }
        *remembered = None;
        let (token, lifetime) = self.fetch().await?;
        *remembered = Some((token.clone(), Instant::now() + lifetime.saturating_sub(MARGIN)));
        Ok(Access { token, remembered: false })
    }

    /// Uses the refresh token if it has not been used for a day: unused ones die unnoticed (after 90 days at Microsoft, six
    /// months at Google), also on a machine that only stands by. True if it was used.
    pub async fn keep_alive(&self) -> Result<bool, TokenError> {
        if self.0.settings.flow == Flow::ClientCredentials {
            return Ok(false);
        }
        let grant = self.grant()?.ok_or_else(|| self.0.error(TokenFault::LoginNeeded))?;
        if (self.0.now)().duration_since(grant.used_at) < KEEP_ALIVE {
            return Ok(false);
        }
        let mut remembered = self.0.remembered.lock().await;
        let (token, lifetime) = self.fetch().await?;
        *remembered = Some((token, Instant::now() + lifetime.saturating_sub(MARGIN)));
        Ok(true)
    }

    /// What is known of the refresh token; none: nobody has logged in on this machine, or for another application.
    pub fn grant(&self) -> Result<Option<Grant>, TokenError> {
        let found = self.0.file.read().map_err(|fault| self.0.error(fault))?;
        Ok(found.filter(|grant| self.0.settings.is_ours(grant)))
    }

    /// Fetches in a task of its own: a caller that is stopped must not leave a token that was replaced and not written.
    async fn fetch(&self) -> Result<(SecretString, Duration), TokenError> {
        let inner = Arc::clone(&self.0);
        let fetching = tokio::spawn(async move { inner.fetch().await.map_err(|fault| inner.error(fault)) });
        match fetching.await {
            Ok(fetched) => fetched,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(self.0.error(TokenFault::Client("the program is ending".to_owned()))),
            },
        }
    }
}

impl Inner {
    fn error(&self, fault: TokenFault) -> TokenError {
        TokenError { place: self.settings.place(), fault }
    }

    fn endpoint(&self) -> Result<Endpoint, TokenFault> {
        Endpoint::new(&self.settings.ca, self.patience)
    }

    fn client_secret(&self) -> Result<Option<SecretString>, TokenFault> {
        let loaded = self.settings.client_secret.as_ref().map(crate::config::Password::load).transpose();
        loaded.map_err(|diagnostic| TokenFault::Secret(diagnostic.text.en))
    }

    /// Asks the endpoint, with the application's credentials beside `form`, unless it wants to be left alone.
    async fn ask(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer, TokenFault> {
        if let Some((until, status)) = get(&self.not_before) {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(TokenFault::Busy { status, after: Some(left) });
            }
        }
        let secret = self.client_secret()?;
        let mut form = form.to_vec();
        form.push(("client_id", &self.settings.client_id));
        form.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
        let answer = self.endpoint()?.post(url, &form).await;
        let pause = match &answer {
            Err(TokenFault::Busy { status, after }) => {
                after.or((*status == 429).then_some(PAUSE)).map(|after| (Instant::now() + after, *status))
            }
            _ => None,
        };
        set(&self.not_before, pause);
        answer
    }

    async fn fetch(&self) -> Result<(SecretString, Duration), TokenFault> {
        match self.settings.flow {
            Flow::ClientCredentials => {
                let form = [("grant_type", "client_credentials"), ("scope", self.settings.scope.as_str())];
                self.ask(&self.settings.token_url, &form).await?.access()
            }
            Flow::RefreshToken => self.renew().await,
        }
    }

    async fn renew(&self) -> Result<(SecretString, Duration), TokenFault> {
        let locked = self.file.lock(self.patience.lock).await?;
        let mut grant = locked.read()?.filter(|grant| self.settings.is_ours(grant));
        if let Some(unsaved) = get(&self.unsaved) {
            // unless somebody has logged in since
            if grant.as_ref().is_none_or(|on_disk| on_disk.obtained_at <= unsaved.obtained_at) {
                locked.prepare()?.commit(&unsaved)?;
                grant = Some(unsaved);
            }
            set(&self.unsaved, None);
        }
        let grant = grant.ok_or(TokenFault::LoginNeeded)?;
        let room = locked.prepare()?;
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", grant.refresh_token.expose_secret()),
            ("scope", self.settings.scope.as_str()),
        ];
        let answer = self.ask(&self.settings.token_url, &form).await?;
        let access = answer.access()?;
        let now = (self.now)();
        let replaced = answer
            .secret("refresh_token")
            .filter(|new| new.expose_secret() != grant.refresh_token.expose_secret());
        let renewed = Grant {
            used_at: now,
            rotated_at: if replaced.is_some() { Some(now) } else { grant.rotated_at },
            expires_at: expiry(&answer, now).or(grant.expires_at.filter(|_| replaced.is_none())),
            refresh_token: replaced.unwrap_or(grant.refresh_token),
            ..grant
        };
        if let Err(fault) = room.commit(&renewed) {
            set(&self.unsaved, Some(renewed));
            return Err(fault);
        }
        Ok(access)
    }
}

/// When the refresh token of an answer ends, if it says so. RFC 6749 has no field for it; Google and others call it
/// `refresh_token_expires_in`, Keycloak `refresh_expires_in` (0: never).
fn expiry(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let after =
        answer.seconds("refresh_token_expires_in").or_else(|| answer.seconds("refresh_expires_in"))?;
    (!after.is_zero()).then(|| now.checked_add(after).ok())?
}
