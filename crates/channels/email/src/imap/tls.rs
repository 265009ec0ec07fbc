//! TLS to a mail server: rustls with ring, checked against the system's root certificates or, with `ca_file`, against the
//! operator's own CA alone. There is no way to switch the check off.

use std::{io, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{error::Fault, wire::Stream};

/// The certificates in a PEM file.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(list) if list.is_empty() => Err("it has no certificate (PEM, BEGIN CERTIFICATE)".to_owned()),
        Ok(list) => {
            let mut roots = RootCertStore::empty();
            for certificate in &list {
                roots
                    .add(certificate.clone())
                    .map_err(|e| format!("one of its certificates is unusable: {e}"))?;
            }
            Ok(list)
        }
        Err(e) => Err(format!("it is no PEM file: {e}")),
    }
}

/// The configuration for a connection. `own_ca` empty: the system's roots.
pub(crate) fn client_config(own_ca: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, Fault> {
    let roots_error = |e: rustls::Error| Fault::Roots(e.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(roots_error)?;
    let config = if own_ca.is_empty() {
        builder.with_platform_verifier().map_err(roots_error)?.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for certificate in own_ca {
            roots.add(certificate.clone()).map_err(roots_error)?;
        }
        builder.with_root_certificates(roots).with_no_client_auth()
    };
    Ok(Arc::new(config))
}

/// The handshake.
pub(crate) async fn handshake<S: Stream>(
    config: Arc<ClientConfig>,
    host: &str,
    stream: S,
) -> Result<TlsStream<S>, Fault> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|e| Fault::Tls(io::Error::new(io::ErrorKind::InvalidInput, e)))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(Fault::Tls)
}

/// Who signed the server's certificate, for `check --connect`: the common name or organisation of its issuer.
pub(crate) fn issuer(certificate: &[u8]) -> Option<String> {
    // Certificate ::= SEQ { tbs SEQ { [0] version?, serial INTEGER, signature SEQ, issuer SEQ ... } ... } (RFC 5280 4.1)
    let (_, body, _) = der(certificate)?;
    let (_, mut tbs, _) = der(body)?;
    let (tag, _, rest) = der(tbs)?;
    if tag == 0xa0 {
        tbs = rest;
    }
    let (_, _, rest) = der(tbs)?;
    let (_, _, rest) = der(rest)?;
    let (_, mut names, _) = der(rest)?;
    let (mut common, mut organisation) = (None, None);
    while let Some((_, set, rest)) = der(names) {
        names = rest;
        let Some((_, pair, _)) = der(set) else { continue };
        let Some((_, oid, value)) = der(pair) else { continue };
        let Some((_, text, _)) = der(value) else { continue };
        let text: String =
            String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(100).collect();
        match oid {
            [0x55, 4, 3] => common = Some(text),
            [0x55, 4, 10] => organisation = Some(text),
            _ => {}
        }
    }
    common.or(organisation)
}

/// One DER element: tag, content, what follows.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(*first & 0x7f))?;
        if digits.len() > 3 {
            return None;
        }
        (digits.iter().fold(0, |n, d| (n << 8) | usize::from(*d)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}
