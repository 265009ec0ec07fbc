//! Whose signature it is: a provider's, if its certificate leads to an authority that the operator named and is made out to
//! the address that sent the envelope (RFC 6109, section 5; RFC 8550, section 3; RFC 5280, section 6).
//!
//! Chains are verified by webpki, as for TLS: RSA from 2048 bits, ECDSA, no SHA-1. Revocation is not looked up: reading has no
//! network.

use der::{Decode, Encode, asn1::ObjectIdentifier};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use smista_domain::Trust;
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{
    Certificate,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::signature::Verified;

/// RFC 5280, sections 4.2.1.6 and 4.2.1.12; PKCS #9 (RFC 2985, section 5.2.1).
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const EMAIL_ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");
/// id-kp-emailProtection, 1.3.6.1.5.5.7.3.4, as the contents of its DER.
const EMAIL_PROTECTION: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 4];

/// Whom the settings trust, and the time that counts.
#[derive(Debug, Clone, Copy)]
pub(in crate::read) struct Authorities<'a> {
    /// Certificates of authorities; empty: nobody asks.
    pub(in crate::read) certificates: &'a [CertificateDer<'static>],
    /// When the letter was received: certificates must have been valid then, however late it is read.
    pub(in crate::read) at: Timestamp,
}

impl Authorities<'_> {
    /// Nobody asks.
    pub(in crate::read) const NONE: Self = Authorities { certificates: &[], at: Timestamp::UNIX_EPOCH };

    /// What a signature that holds (else None) of a letter from this address is worth.
    pub(super) fn judge(&self, verified: Option<Verified>, from: Option<&str>) -> Trust {
        if self.certificates.is_empty() {
            return Trust::NotAsked;
        }
        let judged = verified.ok_or("signature").and_then(|verified| self.chains(&verified, from));
        match judged {
            Ok(()) => Trust::Trusted,
            Err(reason) => Trust::Untrusted(reason.to_owned()),
        }
    }

    /// Every signer's certificate leads to an authority, and is made out to the sender.
    fn chains(&self, verified: &Verified, from: Option<&str>) -> Result<(), &'static str> {
        let anchors: Vec<_> =
            self.certificates.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
        let der = |c: &Certificate| c.to_der().map(CertificateDer::from).map_err(|_| "certificate");
        let others = verified.all.iter().map(der).collect::<Result<Vec<_>, _>>()?;
        let at = u64::try_from(self.at.as_second()).map_err(|_| "expired")?;
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
        for signer in &verified.signers {
            let own = der(signer)?;
            let usage: KeyUsage = KeyUsage::required_if_present(EMAIL_PROTECTION);
            verify(&own, &anchors, &others, at, usage)?;
            if !from.is_some_and(|from| names(signer).any(|name| name.eq_ignore_ascii_case(from))) {
                return Err("address");
            }
        }
        Ok(())
    }
}

fn verify(
    own: &CertificateDer<'_>,
    anchors: &[rustls_pki_types::TrustAnchor<'_>],
    others: &[CertificateDer<'_>],
    at: UnixTime,
    usage: impl ExtendedKeyUsageValidator,
) -> Result<(), &'static str> {
    let end = EndEntityCert::try_from(own).map_err(|_| "certificate")?;
    let result = end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, anchors, others, at, usage, None, None);
    result.map(|_| ()).map_err(|error| match error {
        Error::UnknownIssuer => "issuer",
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } => "expired",
        _ => "certificate",
    })
}

/// The mail addresses that a certificate is made out to.
fn names(certificate: &Certificate) -> impl Iterator<Item = String> {
    let certificate = certificate.tbs_certificate();
    let extensions = certificate.extensions().into_iter().flatten();
    let alternative = extensions
        .filter(|e| e.extn_id == SUBJECT_ALT_NAME)
        .filter_map(|e| SubjectAltName::from_der(e.extn_value.as_bytes()).ok())
        .flat_map(|names| names.0)
        .filter_map(|name| match name {
            GeneralName::Rfc822Name(address) => Some(address.to_string()),
            _ => None,
        });
    let subject = certificate.subject().iter().filter(|pair| pair.oid == EMAIL_ADDRESS).filter_map(|pair| {
        let text = pair.value.value();
        Some(std::str::from_utf8(text).ok()?.to_owned())
    });
    alternative.chain(subject)
}
