//! Asking a token endpoint: one POST of a form, one small JSON object back (RFC 6749 5).
//!
//! Invariants: no redirect is followed, since it would carry the secret elsewhere; every wait ends; an answer beyond [`LARGEST`]
//! is none; what the endpoint says in its own words is thrown away.

use std::time::Duration;

use reqwest::{Client, StatusCode, header::RETRY_AFTER, redirect::Policy};
use rustls_pki_types::CertificateDer;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::error::{Refusal, TokenFault};
use crate::imap::tls;

/// The largest answer, in octets: Microsoft's tokens have a few thousand.
const LARGEST: usize = 256 * 1024;
/// The longest time for which an endpoint may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How long asking may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// TCP connect and TLS.
    pub connect: Duration,
    /// The whole of one request.
    pub request: Duration,
    /// For another process that is renewing the same token.
    pub lock: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(30),
            lock: Duration::from_mins(1),
        }
    }
}

/// A client for endpoints.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(Client);

/// An answer with status 200: a JSON object.
pub(super) struct Answer(Map<String, Value>);

impl Endpoint {
    /// `own_ca` empty: the system's roots.
    pub(super) fn new(own_ca: &[CertificateDer<'static>], patience: Patience) -> Result<Self, TokenFault> {
        let trust = tls::Trust::new(own_ca).map_err(|fault| TokenFault::Client(fault.to_string()))?;
        Client::builder()
            .tls_backend_preconfigured(trust.config().clone())
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(patience.connect)
            .timeout(patience.request)
            .build()
            .map(Self)
            .map_err(|error| TokenFault::Client(error.to_string()))
    }

    /// Asks once.
    pub(super) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer, TokenFault> {
        // the address stands in the configuration; an error must not repeat it with what it may carry
        let unreachable = |error: reqwest::Error| TokenFault::Unreachable(error.without_url());
        let mut response = self.0.post(url).form(form).send().await.map_err(unreachable)?;
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
            return Err(TokenFault::Busy {
                status: status.as_u16(),
                after: after.map(|secs| Duration::from_secs(secs).min(LONGEST_PAUSE)),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(TokenFault::Malformed("it is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_redirection() {
            return Err(TokenFault::Malformed("it points elsewhere, which is not followed"));
        }
        let answer = match serde_json::from_slice(&body) {
            Ok(Value::Object(answer)) => Answer(answer),
            _ => return Err(TokenFault::Malformed("it is no JSON object")),
        };
        match answer.refusal() {
            Some(refusal) => Err(classified(refusal)),
            None if status.is_success() => Ok(answer),
            None => Err(TokenFault::Malformed("it names no error")),
        }
    }
}

/// Which of the provider's errors asks for what (RFC 6749 5.2, RFC 8628 3.5).
fn classified(refusal: Refusal) -> TokenFault {
    match refusal.code.as_str() {
        "invalid_grant" => TokenFault::GrantLost(refusal),
        "invalid_client" | "unauthorized_client" => TokenFault::ClientRefused(refusal),
        // its own trouble, told with status 400 (Google: internal_failure)
        "temporarily_unavailable" | "server_error" | "internal_failure" => {
            TokenFault::Busy { status: 400, after: None }
        }
        "expired_token" => TokenFault::CodeExpired,
        _ => TokenFault::Refused(refusal),
    }
}

impl Answer {
    fn refusal(&self) -> Option<Refusal> {
        let said = self.0.get("error")?.as_str().unwrap_or_default();
        let code: String = said.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
        let number = self.text("error_description").and_then(|description| {
            let (_, rest) = description.split_once("AADSTS")?;
            let digits: String = rest.chars().take_while(char::is_ascii_digit).take(12).collect();
            (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
        });
        Some(Refusal { code, number })
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// A secret that is not empty.
    pub(super) fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key).map(SecretString::from)
    }

    /// A duration in seconds, as a number or (some providers) as a text; a year at most.
    pub(super) fn seconds(&self, key: &str) -> Option<Duration> {
        let value = self.0.get(key)?;
        let secs = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Duration::from_secs(secs).min(Duration::from_hours(24 * 366)))
    }

    /// The access token, and how long it is good for (an hour if that is not said: RFC 6749 5.1 only recommends to say it).
    pub(super) fn access(&self) -> Result<(SecretString, Duration), TokenFault> {
        let token = self.secret("access_token").ok_or(TokenFault::Malformed("it has no access token"))?;
        if self.text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(TokenFault::Malformed("its token is no bearer token"));
        }
        Ok((token, self.seconds("expires_in").unwrap_or(Duration::from_hours(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> TokenFault {
        let Ok(Value::Object(answer)) = serde_json::from_str(json) else { panic!("an object") };
        classified(Answer(answer).refusal().expect("an error"))
    }

    #[test]
    fn of_what_a_provider_says_only_codes_are_kept() {
        let said = r#"{"error":"invalid_grant","error_description":"AADSTS50173: The grant of anna.bianchi@comune.example was revoked."}"#;
        let fault = fault(said);
        assert_eq!(
            fault.to_string(),
            "the provider no longer accepts the refresh token (invalid_grant, AADSTS50173)"
        );
        assert!(!format!("{fault:?}").contains("anna"));
    }

    #[test]
    fn an_error_in_no_form_is_refused_all_the_same() {
        for said in [r#"{"error":{"code":403}}"#, r#"{"error":"a\r\nb c"}"#, r#"{"error":""}"#] {
            assert!(matches!(fault(said), TokenFault::Refused(_)), "{said}");
        }
    }
}
