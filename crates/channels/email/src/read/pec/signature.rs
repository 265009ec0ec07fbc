//! The provider's signature: S/MIME, detached (RFC 8551, section 3.5.3; PKCS #7 in RFC 5652; RFC 6109, section 3).
//!
//! What is said here is whether the signed bytes, the first part of the `multipart/signed` as it stands, are the ones that
//! the key of the accompanying certificate signed. Anybody can make a certificate: whether it is a provider's is asked in
//! `trust`. Invariant: what cannot be read or computed is `Unchecked`, never `Broken`; nothing fails, and sizes are bounded.

use ::ring::{digest, signature as ring};
use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Decode, Encode, EncodingRules,
    asn1::{ObjectIdentifier, OctetString},
};
use smista_domain::{Seal, Signature};
use x509_cert::{Certificate, spki::SubjectPublicKeyInfoOwned};

use super::{super::structure::Part, trust::Authorities};

/// A larger signature is not looked at: with its chain of certificates it has about 10 kB.
const MAX_SIGNATURE: usize = 256 * 1024;
/// Providers sign once.
const MAX_SIGNERS: usize = 4;

/// RFC 5652, sections 4, 5.1, 11.1 and 11.2.
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// RFC 5280, section 4.2.1.2.
const SUBJECT_KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
/// RFC 8017, appendix C: RSA, and RSASSA-PSS.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
/// RFC 5480, section 2.1.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// The tag of a SET (X.690, section 8.12).
const SET: u8 = 0x31;

/// Why nothing can be said.
type Reason = &'static str;

type Scheme = &'static dyn ring::VerificationAlgorithm;

/// A digest with the ways to verify a signature over it: RFC 3370 (SHA-1: envelopes until about 2019), RFC 5754, RFC 4056, RFC
/// 5753. RSA keys of 1024 bits are as old as SHA-1.
struct Hash {
    digest: &'static digest::Algorithm,
    rsa: Scheme,
    pss: Option<Scheme>,
    p256: Option<Scheme>,
    p384: Option<Scheme>,
}

/// By the identifier of the digest, or of RSA or ECDSA together with it.
fn hash(oid: ObjectIdentifier) -> Option<Hash> {
    Some(match oid.to_string().as_str() {
        "1.3.14.3.2.26" | "1.2.840.113549.1.1.5" => Hash {
            digest: &digest::SHA1_FOR_LEGACY_USE_ONLY,
            rsa: &ring::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            pss: None,
            p256: None,
            p384: None,
        },
        "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => Hash {
            digest: &digest::SHA256,
            rsa: &ring::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            pss: Some(&ring::RSA_PSS_2048_8192_SHA256),
            p256: Some(&ring::ECDSA_P256_SHA256_ASN1),
            p384: Some(&ring::ECDSA_P384_SHA256_ASN1),
        },
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Hash {
            digest: &digest::SHA384,
            rsa: &ring::RSA_PKCS1_2048_8192_SHA384,
            pss: Some(&ring::RSA_PSS_2048_8192_SHA384),
            p256: Some(&ring::ECDSA_P256_SHA384_ASN1),
            p384: Some(&ring::ECDSA_P384_SHA384_ASN1),
        },
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.1.1.13" => Hash {
            digest: &digest::SHA512,
            rsa: &ring::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
            pss: Some(&ring::RSA_PSS_2048_8192_SHA512),
            p256: None,
            p384: None,
        },
        _ => return None,
    })
}

/// How a signer's signature is verified. `digested` is the digest that he names beside it.
fn scheme(signer: &SignerInfo, key: &SubjectPublicKeyInfoOwned, digested: &Hash) -> Option<Scheme> {
    let how = signer.signature_algorithm.oid;
    if key.algorithm.oid == EC {
        let curve: ObjectIdentifier = key.algorithm.parameters.as_ref()?.decode_as().ok()?;
        // Some name the key's algorithm only.
        let hashed = if how == EC { None } else { Some(hash(how)?) };
        let hashed = hashed.as_ref().unwrap_or(digested);
        return match curve {
            P256 => hashed.p256,
            P384 => hashed.p384,
            _ => None,
        };
    }
    match (key.algorithm.oid, how) {
        (RSA | RSA_PSS, RSA_PSS) => digested.pss,
        (RSA, RSA) => Some(digested.rsa),
        (RSA, other) => Some(hash(other)?.rsa),
        _ => None,
    }
}

/// What a whole envelope's or receipt's signature is worth.
pub(super) fn check(root: &Part<'_>, authorities: &Authorities<'_>) -> Seal {
    let result = parts(root).ok_or("no-signature").and_then(|(signed, signature)| {
        let file = signature.transfer().decode(signature.body);
        verify(signed.raw, &file)
    });
    let signature = match &result {
        Ok(verified) if verified.holds => Signature::Holds,
        Ok(_) => Signature::Broken,
        Err(reason) => Signature::Unchecked((*reason).to_owned()),
    };
    let from = super::sender::mailboxes(root.fields.get("from").unwrap_or_default(), 1);
    let from = from.into_iter().next().and_then(|sender| sender.address);
    let trust = authorities.judge(result.ok().filter(|v| v.holds), from.as_deref());
    Seal { signature, trust }
}

/// What the certificates of a signature that was computed are.
pub(super) struct Verified {
    /// Every signer's signature fits.
    pub(super) holds: bool,
    /// Each signer's certificate.
    pub(super) signers: Vec<Certificate>,
    /// All that came with the signature.
    pub(super) all: Vec<Certificate>,
}

/// What is signed, and the signature.
pub(super) fn parts<'a, 'x>(root: &'a Part<'x>) -> Option<(&'a Part<'x>, &'a Part<'x>)> {
    let (signed, rest) = root.children.split_first()?;
    let signature = rest.iter().find(|part| {
        matches!(part.media(), "application/pkcs7-signature" | "application/x-pkcs7-signature")
    })?;
    let small = signature.body.len() <= MAX_SIGNATURE;
    (root.media() == "multipart/signed" && small).then_some((signed, signature))
}

fn verify(signed: &[u8], file: &[u8]) -> Result<Verified, Reason> {
    // Java's libraries write BER with indefinite lengths; DER is BER as well.
    let info = ContentInfo::from_ber(file).map_err(|_| "unreadable")?;
    if info.content_type != SIGNED_DATA {
        return Err("unreadable");
    }
    let data: SignedData = info.content.decode_as_encoding(EncodingRules::Ber).map_err(|_| "unreadable")?;
    let infos = data.signer_infos.0.as_slice();
    if infos.is_empty() || infos.len() > MAX_SIGNERS {
        return Err("unreadable");
    }
    let all: Vec<Certificate> = data
        .certificates
        .into_iter()
        .flat_map(|set| set.0.into_vec())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let (mut holds, mut signers) = (true, Vec::new());
    for info in infos {
        let certificate = all.iter().find(|c| is_of(c, &info.sid)).ok_or("no-certificate")?;
        holds &= verify_signer(signed, info, certificate)?;
        signers.push(certificate.clone());
    }
    Ok(Verified { holds, signers, all })
}

/// The certificate is the one that the signer names.
fn is_of(certificate: &Certificate, sid: &SignerIdentifier) -> bool {
    let certificate = certificate.tbs_certificate();
    match sid {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            *certificate.issuer() == named.issuer && *certificate.serial_number() == named.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => {
            let extensions = certificate.extensions().into_iter().flatten();
            let mut ids = extensions.filter(|e| e.extn_id == SUBJECT_KEY_IDENTIFIER);
            ids.any(|e| {
                OctetString::from_der(e.extn_value.as_bytes())
                    .is_ok_and(|id| id.as_bytes() == named.0.as_bytes())
            })
        }
    }
}

fn verify_signer(content: &[u8], signer: &SignerInfo, certificate: &Certificate) -> Result<bool, Reason> {
    let digested = hash(signer.digest_alg.oid).ok_or("algorithm")?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    let how = scheme(signer, key, &digested).ok_or("algorithm")?;
    let key = ring::UnparsedPublicKey::new(how, key.subject_public_key.raw_bytes());
    let fits = |bytes: &[u8]| key.verify(bytes, signer.signature.as_bytes()).is_ok();
    // Letters from an mbox have LF, and were signed with CRLF.
    let Some(attributes) = &signer.signed_attrs else {
        return Ok(fits(content) || canonical(content).is_some_and(|bytes| fits(&bytes)));
    };
    // RFC 5652, section 5.4: the attributes are signed, as the DER of a SET, and one of them is the content's digest.
    let value = |oid: ObjectIdentifier| {
        let attribute = attributes.iter().find(|a| a.oid == oid)?;
        attribute.values.iter().next()
    };
    let declared: OctetString = value(MESSAGE_DIGEST)
        .and_then(|v| v.decode_as_encoding(EncodingRules::Ber).ok())
        .ok_or("unreadable")?;
    let media: Option<ObjectIdentifier> = value(CONTENT_TYPE).and_then(|v| v.decode_as().ok());
    let digest_is = |bytes: &[u8]| digest::digest(digested.digest, bytes).as_ref() == declared.as_bytes();
    if media != Some(DATA)
        || !(digest_is(content) || canonical(content).is_some_and(|bytes| digest_is(&bytes)))
    {
        return Ok(false);
    }
    let mut encoded: Vec<Vec<u8>> =
        attributes.iter().map(Encode::to_der).collect::<Result<_, _>>().map_err(|_| "unreadable")?;
    encoded.sort();
    Ok(fits(&set(&encoded.concat()).ok_or("unreadable")?))
}

/// The DER of a SET with this content.
fn set(content: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![SET];
    der::Length::try_from(content.len()).ok()?.encode_to_vec(&mut out).ok()?;
    out.extend_from_slice(content);
    Some(out)
}

/// With CRLF line ends, which is how it was signed (RFC 8551, section 3.1.1); None if it has no others. Letters from an
/// mbox have LF.
fn canonical(signed: &[u8]) -> Option<Vec<u8>> {
    let bare = memchr::memchr_iter(b'\n', signed)
        .filter(|at| at.checked_sub(1).and_then(|before| signed.get(before)) != Some(&b'\r'));
    let bare = bare.count();
    if bare == 0 {
        return None;
    }
    let mut out = Vec::with_capacity(signed.len() + bare);
    for line in signed.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
                out.extend_from_slice(b"\r\n");
            }
            None => out.extend_from_slice(line),
        }
    }
    Some(out)
}
