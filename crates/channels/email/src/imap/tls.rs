//! TLS to a mail server: rustls with ring, checked against the system's root certificates or, with `ca_file`, against the
//! operator's own CA alone. There is no way to switch the check off.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use rustls_platform_verifier::Verifier;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{certificate::Certificate, error::Fault, wire::Stream};

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

/// How a server's certificate is checked, for every connection of a run.
#[derive(Clone)]
pub(crate) struct Trust {
    config: ClientConfig,
    verifier: Arc<dyn ServerCertVerifier>,
}

impl Trust {
    /// `own_ca` empty: the system's roots.
    pub(crate) fn new(own_ca: &[CertificateDer<'static>]) -> Result<Arc<Self>, Fault> {
        let unusable = |e: &dyn std::fmt::Display| Fault::Roots(e.to_string());
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = if own_ca.is_empty() {
            Arc::new(Verifier::new(Arc::clone(&provider)).map_err(|e| unusable(&e))?)
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in own_ca {
                roots.add(certificate.clone()).map_err(|e| unusable(&e))?;
            }
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .map_err(|e| unusable(&e))?
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| unusable(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier))
            .with_no_client_auth();
        Ok(Arc::new(Self { config, verifier }))
    }

    /// For a client that makes its handshakes itself.
    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }
}

/// Passes everything on to the verifier that decides, and remembers which certificate it was about: rustls tells why one is
/// refused, but not whose it is.
#[derive(Debug)]
struct Witness {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: OnceLock<Certificate>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(certificate) = Certificate::read(end_entity) {
            let _ = self.seen.set(certificate);
        }
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// An encrypted connection, for people.
#[derive(Debug, Clone)]
pub(crate) struct Protection {
    /// `TLS 1.3`.
    pub(crate) version: &'static str,
    /// The server's certificate, where it can be read.
    pub(crate) certificate: Option<Certificate>,
}

/// The handshake.
pub(crate) async fn handshake<S: Stream>(
    trust: &Trust,
    host: &str,
    stream: S,
) -> Result<(TlsStream<S>, Protection), Fault> {
    let name = ServerName::try_from(host.to_owned()).map_err(|e| Fault::Tls {
        error: io::Error::new(io::ErrorKind::InvalidInput, e),
        certificate: None,
    })?;
    let witness = Arc::new(Witness { verifier: Arc::clone(&trust.verifier), seen: OnceLock::new() });
    let mut config = trust.config.clone();
    // the same check as before, with a witness
    config.dangerous().set_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>);
    let done = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let certificate = witness.seen.get().cloned();
    match done {
        Ok(stream) => {
            let version = match stream.get_ref().1.protocol_version() {
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS",
            };
            Ok((stream, Protection { version, certificate }))
        }
        Err(error) => Err(Fault::Tls { error, certificate: certificate.map(Box::new) }),
    }
}
