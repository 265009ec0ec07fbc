//! The provider's signature: S/MIME, detached (RFC 8551, section 3.5.3; PKCS #7 in RFC 5652; RFC 6109, section 3).
//!
//! What is said is only whether the signed bytes, the first part of the `multipart/signed` as it stands, are the ones that
//! the key of the accompanying certificate signed. Anybody can make a certificate: whether it is a provider's is not asked
//! here. Invariant: what cannot be read or computed is `Unchecked`, never `Broken`; nothing fails, and sizes are bounded.

use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Decode, Encode, EncodingRules,
    asn1::{ObjectIdentifier, OctetString},
};
use ring::{digest, signature as rsa};
use smista_domain::Signature;
use x509_cert::Certificate;

use super::super::structure::Part;

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
/// RFC 8017, appendix C.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The tag of a SET (X.690, section 8.12).
const SET: u8 = 0x31;

/// Why nothing can be said.
type Reason = &'static str;

/// A digest with the way to verify a signature over it: RFC 3370 (SHA-1: envelopes until about 2019), RFC 5754. Keys of
/// 1024 bits are as old as those.
struct Algorithm {
    digest: &'static digest::Algorithm,
    verify: &'static rsa::RsaParameters,
}

fn algorithm(oid: ObjectIdentifier) -> Option<Algorithm> {
    let (digest, verify) = match oid.to_string().as_str() {
        // The digest, or RSA together with it.
        "1.3.14.3.2.26" | "1.2.840.113549.1.1.5" => {
            (&digest::SHA1_FOR_LEGACY_USE_ONLY, &rsa::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY)
        }
        "2.16.840.1.101.3.4.2.1" | "1.2.840.113549.1.1.11" => {
            (&digest::SHA256, &rsa::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)
        }
        "2.16.840.1.101.3.4.2.2" | "1.2.840.113549.1.1.12" => {
            (&digest::SHA384, &rsa::RSA_PKCS1_2048_8192_SHA384)
        }
        "2.16.840.1.101.3.4.2.3" | "1.2.840.113549.1.1.13" => {
            (&digest::SHA512, &rsa::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY)
        }
        _ => return None,
    };
    Some(Algorithm { digest, verify })
}

/// Checks the signature of a whole envelope or receipt.
pub(super) fn check(root: &Part<'_>) -> Signature {
    let result = parts(root).ok_or("no-signature").and_then(|(signed, signature)| {
        let file = signature.transfer().decode(signature.body);
        verify(signed.raw, &file)
    });
    match result {
        Ok(true) => Signature::Holds,
        Ok(false) => Signature::Broken,
        Err(reason) => Signature::Unchecked(reason.to_owned()),
    }
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

/// True if every signer's signature holds.
fn verify(signed: &[u8], file: &[u8]) -> Result<bool, Reason> {
    // Java's libraries write BER with indefinite lengths; DER is BER as well.
    let info = ContentInfo::from_ber(file).map_err(|_| "unreadable")?;
    if info.content_type != SIGNED_DATA {
        return Err("unreadable");
    }
    let data: SignedData = info.content.decode_as_encoding(EncodingRules::Ber).map_err(|_| "unreadable")?;
    let signers = data.signer_infos.0.as_slice();
    if signers.is_empty() || signers.len() > MAX_SIGNERS {
        return Err("unreadable");
    }
    let mut holds = true;
    for signer in signers {
        let certificates = data.certificates.iter().flat_map(|set| set.0.iter());
        let mut certificates = certificates.filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        });
        let certificate = certificates.find(|c| is_of(c, &signer.sid)).ok_or("no-certificate")?;
        holds &= verify_signer(signed, signer, certificate)?;
    }
    Ok(holds)
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
    let digested = algorithm(signer.digest_alg.oid).ok_or("algorithm")?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    let how = match signer.signature_algorithm.oid {
        // The digest is the one named before.
        RSA => digested.verify,
        other => algorithm(other).ok_or("algorithm")?.verify,
    };
    if key.algorithm.oid != RSA {
        return Err("algorithm");
    }
    let key = rsa::UnparsedPublicKey::new(how, key.subject_public_key.raw_bytes());
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
