//! The first token: somebody allows smista to read the mailbox, with a browser that need not be on this machine.
//!
//! Two ways. The device grant (RFC 8628): a code is shown, confirmed in any browser, and the endpoint is asked until it is.
//! Where the provider does not give mail to devices (Google: its device grant knows no Gmail scope), the code grant with PKCE
//! (RFC 6749 4.1, RFC 7636): the browser ends at an address on the person's own machine, where nobody listens; whoever sits there
//! pastes that address.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{
    Tokens,
    endpoint::Answer,
    error::{TokenError, TokenFault},
    expiry,
    grant::Grant,
};

/// Where the browser ends (RFC 8252 7.3): an address of the machine it runs on.
pub const REDIRECT: &str = "http://localhost";
/// How often the endpoint is asked if it does not say (RFC 8628 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// Nobody waits longer for the next question.
const LONGEST_INTERVAL: Duration = Duration::from_mins(1);
/// How long a code is good if the endpoint does not say.
const LIFETIME: Duration = Duration::from_mins(15);

/// What a person has to do.
#[derive(Debug)]
pub enum Begun {
    /// Open `url` and write `code` there.
    Device(Device),
    /// Open [`Browser::url`], and paste the address at which the browser ends.
    Browser(Browser),
}

/// A device grant that waits for its confirmation.
#[derive(Debug)]
pub struct Device {
    /// Where the code is written.
    pub url: String,
    /// The code.
    pub code: String,
    /// For how long it is good.
    pub lifetime: Duration,
    secret: SecretString,
    interval: Duration,
}

/// A code grant that waits for its code.
#[derive(Debug)]
pub struct Browser {
    /// The provider's page.
    pub url: String,
    verifier: SecretString,
    state: String,
}

impl Tokens {
    /// Begins a login.
    pub async fn begin_login(&self) -> Result<Begun, TokenError> {
        let settings = &self.0.settings;
        let fault = |fault| self.0.error(fault);
        if let Some(url) = &settings.device_url {
            let answer = self.0.ask(url, &[("scope", &settings.scope)]).await.map_err(fault)?;
            return device(&answer).map(Begun::Device).map_err(fault);
        }
        let page = settings.auth_url.as_deref().unwrap_or_default();
        let (verifier, state) = (random().map_err(fault)?, random().map_err(fault)?);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let asked = [
            ("client_id", settings.client_id.as_str()),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT),
            ("scope", &settings.scope),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            // Google: without these two no refresh token comes, or none at the second login
            // (developers.google.com/identity/protocols/oauth2/web-server, "access_type", "prompt")
            ("access_type", "offline"),
            ("prompt", "consent"),
        ];
        let url = Url::parse_with_params(page, asked)
            .map_err(|_| fault(TokenFault::Malformed("'auth_url' is no address")))?;
        Ok(Begun::Browser(Browser { url: url.into(), verifier: verifier.into(), state }))
    }

    /// Asks until the code is confirmed, refused or too old, and keeps the refresh token. `slower` is by how much the pauses
    /// grow when the endpoint says `slow_down` (RFC 8628 3.5: 5 seconds).
    pub async fn await_device(&self, device: &Device, slower: Duration) -> Result<(), TokenError> {
        let end = Instant::now() + device.lifetime;
        let mut interval = device.interval;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device.secret.expose_secret()),
        ];
        loop {
            tokio::time::sleep(interval).await;
            let fault = match self.0.ask(&self.0.settings.token_url, &form).await {
                Ok(answer) => return self.keep(&answer).await,
                Err(fault) => fault,
            };
            match &fault {
                TokenFault::Refused(refusal) if refusal.code == "authorization_pending" => {}
                TokenFault::Refused(refusal) if refusal.code == "slow_down" => interval += slower,
                // RFC 8628 3.5: a time-out is a reason to ask less often, not to give up
                TokenFault::Unreachable(_) | TokenFault::Busy { .. } => {
                    interval = (interval * 2).max(slower);
                }
                _ => return Err(self.0.error(fault)),
            }
            if Instant::now() >= end {
                let in_time = matches!(fault, TokenFault::Refused(_));
                return Err(self.0.error(if in_time { TokenFault::CodeExpired } else { fault }));
            }
        }
    }

    /// Exchanges what the browser's address says for tokens, and keeps the refresh token.
    pub async fn redeem(&self, browser: &Browser, pasted: &str) -> Result<(), TokenError> {
        let code = browser.code(pasted).map_err(|fault| self.0.error(fault))?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", browser.verifier.expose_secret()),
        ];
        let answer = self.0.ask(&self.0.settings.token_url, &form).await;
        self.keep(&answer.map_err(|fault| self.0.error(fault))?).await
    }

    /// Writes the first grant. What is in memory of an older one is forgotten.
    async fn keep(&self, answer: &Answer) -> Result<(), TokenError> {
        let inner = &self.0;
        let kept = async {
            answer.access()?;
            let refresh_token = answer.secret("refresh_token").ok_or(TokenFault::NoRefreshToken)?;
            let now = (inner.now)();
            let grant = Grant {
                refresh_token,
                client_id: inner.settings.client_id.clone(),
                token_url: inner.settings.token_url.clone(),
                obtained_at: now,
                used_at: now,
                rotated_at: None,
                expires_at: expiry(answer, now),
            };
            let locked = inner.file.lock(inner.patience.lock).await?;
            locked.prepare()?.commit(&grant)
        };
        kept.await.map_err(|fault| inner.error(fault))?;
        *inner.remembered.lock().await = None;
        super::set(&inner.unsaved, None);
        Ok(())
    }
}

fn device(answer: &Answer) -> Result<Device, TokenFault> {
    // Google's older answers say `verification_url`
    let url = answer.text("verification_uri").or_else(|| answer.text("verification_url"));
    let missing = TokenFault::Malformed("it has no code for a device");
    let (Some(url), Some(code), Some(secret)) = (url, answer.text("user_code"), answer.secret("device_code"))
    else {
        return Err(missing);
    };
    Ok(Device {
        url: url.to_owned(),
        code: code.to_owned(),
        lifetime: answer.seconds("expires_in").unwrap_or(LIFETIME),
        secret,
        interval: answer.seconds("interval").unwrap_or(INTERVAL).min(LONGEST_INTERVAL),
    })
}

/// 256 bits that nobody can guess (RFC 7636 4.1).
fn random() -> Result<String, TokenFault> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| TokenFault::Client("the system gives no random numbers".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Browser {
    /// The code in the address that the browser showed in the end.
    fn code(&self, pasted: &str) -> Result<SecretString, TokenFault> {
        let url = Url::parse(pasted.trim()).map_err(|_| TokenFault::Pasted("it is no address"))?;
        let value = |key: &str| url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned());
        if let Some(error) = value("error") {
            let code = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
            return Err(TokenFault::Refused(super::Refusal { code, number: None }));
        }
        if value("state").as_deref() != Some(self.state.as_str()) {
            return Err(TokenFault::Pasted("it is not of this login"));
        }
        value("code").map(SecretString::from).ok_or(TokenFault::Pasted("there is no code in it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_pasted_only_the_code_of_this_login_counts() {
        let browser = Browser { url: String::new(), verifier: "v".into(), state: "s1".to_owned() };
        let code = |pasted: &str| browser.code(pasted).map(|code| code.expose_secret().to_owned());
        assert_eq!(code(" http://localhost/?state=s1&code=4%2F0Ab\n").expect("a code"), "4/0Ab");
        assert!(matches!(code("4/0Ab"), Err(TokenFault::Pasted(_))));
        assert!(matches!(code("http://localhost/?state=s2&code=x"), Err(TokenFault::Pasted(_))));
        assert!(matches!(code("http://localhost/?state=s1"), Err(TokenFault::Pasted(_))));
        let refused = code("http://localhost/?error=access_denied&state=s1").expect_err("refused");
        assert!(refused.to_string().contains("access_denied"), "{refused}");
    }
}
