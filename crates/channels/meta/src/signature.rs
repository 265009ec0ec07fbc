//! Whether Meta sent a body: `X-Hub-Signature-256` is the HMAC-SHA256 of the raw bytes under the app's secret.
//!
//! Source: Meta, "Graph API: Webhooks, getting started", "Validating payloads". Invariant: the bytes are those that came, never
//! JSON written anew (Meta escapes in its own way); comparing takes the same time wherever a difference is. SHA-1
//! (`X-Hub-Signature`) is not accepted.

use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

/// The header, in lower case.
pub const HEADER: &str = "x-hub-signature-256";

/// Why a body is not taken as Meta's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `X-Hub-Signature-256`. (`X-Hub-Signature` alone is SHA-1.)
    #[error("there is no X-Hub-Signature-256")]
    Missing,
    /// It is not `sha256=` and 64 hexadecimal digits.
    #[error("X-Hub-Signature-256 is not 'sha256=' and 64 hexadecimal digits")]
    Malformed,
    /// It fits none of the app secrets: somebody else sent it, or our secret is not the app's.
    #[error("X-Hub-Signature-256 fits none of the app secrets")]
    Wrong,
}

/// `Ok` if `header` is the signature of `body` under one of the secrets.
pub fn verify(header: Option<&[u8]>, body: &[u8], secrets: &[SecretString]) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let digits = header.strip_prefix(b"sha256=").ok_or(SignatureError::Malformed)?;
    let mut signature = [0_u8; 32];
    hex::decode_to_slice(digits, &mut signature).map_err(|_| SignatureError::Malformed)?;
    let fits = |secret: &SecretString| hmac::verify(&key(secret.expose_secret()), body, &signature).is_ok();
    if secrets.iter().any(fits) { Ok(()) } else { Err(SignatureError::Wrong) }
}

/// The header's value for a body: what Meta would send.
pub fn sign(body: &[u8], secret: &SecretString) -> String {
    format!("sha256={}", hex::encode(hmac::sign(&key(secret.expose_secret()), body)))
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn same(given: &str, expected: &SecretString) -> bool {
    let said = b"hub.verify_token";
    hmac::verify(&key(expected.expose_secret()), said, hmac::sign(&key(given), said).as_ref()).is_ok()
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_several_secrets_and_nothing_else() {
        let secrets = ["first".into(), "second".into()];
        let body = br#"{"text":"\u00e8 qui"}"#;
        let good = sign(body, &secrets[1]);
        assert_eq!(verify(Some(good.as_bytes()), body, &secrets), Ok(()));
        assert_eq!(verify(Some(good.as_bytes()), body, &secrets[..1]), Err(SignatureError::Wrong));
        assert_eq!(verify(Some(good.as_bytes()), b"{}", &secrets), Err(SignatureError::Wrong));
        assert_eq!(verify(Some(good.as_bytes()), body, &[]), Err(SignatureError::Wrong));
        assert_eq!(verify(None, body, &secrets), Err(SignatureError::Missing));
        let sha1: &[u8] = b"sha1=0123456789012345678901234567890123456789";
        for bad in [sha1, b"", b"sha256=", b"sha256=zz", &good.as_bytes()[..70], &good.as_bytes()[7..]] {
            assert_eq!(verify(Some(bad), body, &secrets), Err(SignatureError::Malformed));
        }
    }

    #[test]
    fn it_is_the_hmac_of_rfc_4231() {
        // RFC 4231, section 4.3.
        let tag = sign(b"what do ya want for nothing?", &"Jefe".into());
        assert_eq!(tag, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn secrets_are_compared_whole() {
        let token: SecretString = "a token".into();
        assert!(same("a token", &token));
        assert!(!same("a toke", &token) && !same("", &token) && !same("a token ", &token));
    }
}
