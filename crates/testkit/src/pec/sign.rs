//! Signatures as providers of certified mail make them: S/MIME, detached (RFC 8551, section 3.5.3), CMS with signed attributes
//! (RFC 5652, sections 5.3 and 5.4), over the first part as it stands.

use der::{Decode as _, Encode as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use ring::{
    digest, rand,
    signature::{self, EcdsaKeyPair, RsaKeyPair},
};
use x509_cert::Certificate;

/// Made for this; it protects nothing. ring makes no RSA keys, and providers have no others.
const RSA_KEY: &[u8] = include_bytes!("provider.pk8");

/// How a provider signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// RSA as nearly all do (PKCS #1 1.5), SHA-256.
    Rsa,
    /// RSASSA-PSS, SHA-256.
    RsaPss,
    /// ECDSA on P-256, SHA-256.
    Ecdsa,
}

/// An authority that vouches for providers.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    pem: String,
}

impl Authority {
    /// One that nobody knew before.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let (der, pem) = (certificate.der().to_vec(), certificate.pem());
        Self { issuer: Issuer::new(params, key), certificate: der, pem }
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

enum Key {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
}

/// A provider's seal.
pub struct Signer {
    how: How,
    key: Key,
    certificate: Vec<u8>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("how", &self.how).finish_non_exhaustive()
    }
}

impl Signer {
    /// With a certificate of `authority` that is made out to `address`, valid from and to the first days of these years.
    pub fn new(authority: &Authority, address: &str, how: How, years: std::ops::Range<i32>) -> Self {
        let (named, key) = match how {
            How::Rsa | How::RsaPss => {
                let named = KeyPair::from_pkcs8_der_and_sign_algo(&RSA_KEY.into(), &rcgen::PKCS_RSA_SHA256);
                (named.expect("an RSA key"), Key::Rsa(RsaKeyPair::from_pkcs8(RSA_KEY).expect("an RSA key")))
            }
            How::Ecdsa => {
                let named = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
                let curve = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(curve, named.serialized_der(), &rand::SystemRandom::new());
                (named, Key::Ecdsa(key.expect("a key")))
            }
        };
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "Posta Certificata");
        params.subject_alt_names.push(SanType::Rfc822Name(address.try_into().expect("an address")));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::EmailProtection);
        params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
        let certificate = params.signed_by(&named, &authority.issuer).expect("a certificate").der().to_vec();
        Self { how, key, certificate }
    }

    /// The contents of `smime.p7s` for these bytes, DER.
    pub fn sign(&self, content: &[u8]) -> Vec<u8> {
        let digest = digest::digest(&digest::SHA256, content);
        let attribute =
            |oid: &[u8], value: Vec<u8>| element(0x30, &[element(6, &[oid]), element(0x31, &[value])]);
        let attributes = [
            attribute(CONTENT_TYPE, element(6, &[DATA])),
            attribute(MESSAGE_DIGEST, element(4, &[digest.as_ref()])),
        ]
        .concat();
        // Signed as a SET, sent as [0] (RFC 5652, section 5.4).
        let signed = self.signature(&element(0x31, &[&attributes]));
        let certificate = Certificate::from_der(&self.certificate).expect("our own");
        let name = certificate.tbs_certificate().issuer().to_der().expect("our own");
        let serial = certificate.tbs_certificate().serial_number().to_der().expect("our own");
        let hash = element(0x30, &[element(6, &[SHA256])]);
        let algorithm = match self.how {
            How::Rsa => element(0x30, &[element(6, &[RSA]), vec![5, 0]]),
            // RSASSA-PSS-params (RFC 4055, section 3.1): hash, mask, length of salt.
            How::RsaPss => {
                let mask = element(0x30, &[element(6, &[MGF1]), hash.clone()]);
                let of = [element(0xA0, &[&hash]), element(0xA1, &[mask]), element(0xA2, &[[2, 1, 32]])];
                element(0x30, &[element(6, &[RSA_PSS]), element(0x30, &of)])
            }
            How::Ecdsa => element(0x30, &[element(6, &[ECDSA_SHA256])]),
        };
        let info = element(
            0x30,
            &[
                vec![2, 1, 1],
                element(0x30, &[name, serial]),
                hash.clone(),
                element(0xA0, &[attributes]),
                algorithm,
                element(4, &[signed]),
            ],
        );
        let data = element(
            0x30,
            &[
                vec![2, 1, 1],
                element(0x31, &[hash]),
                element(0x30, &[element(6, &[DATA])]),
                element(0xA0, &[&self.certificate]),
                element(0x31, &[info]),
            ],
        );
        element(0x30, &[element(6, &[SIGNED_DATA]), element(0xA0, &[data])])
    }

    fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let padding: &'static dyn signature::RsaEncoding = match self.how {
                    How::RsaPss => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut out = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, bytes, &mut out).expect("signed");
                out
            }
            Key::Ecdsa(key) => key.sign(&random, bytes).expect("signed").as_ref().to_vec(),
        }
    }
}

/// RFC 5652, sections 4, 5.1, 11.1, 11.2; RFC 5754, section 2.2; RFC 8017, appendix C; RFC 5758, section 3.2: as the contents of
/// their DER.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 3];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 4];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// One element of DER (X.690, section 8.1) around these contents.
fn element(tag: u8, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut out = vec![tag];
    der::Length::try_from(size).expect("small").encode_to_vec(&mut out).expect("small");
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    out
}
