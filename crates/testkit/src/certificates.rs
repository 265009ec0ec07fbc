//! Certificates for servers on this machine, and the CA that signed them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// From when until when a certificate is valid: two days, as year, month, day.
pub type Days = [(i32, u8, u8); 2];

/// A CA, and a certificate for localhost and 127.0.0.1 that it signed: CA, certificate, key (PEM).
pub fn made() -> Result<(String, String, String), rcgen::Error> {
    made_for(None)
}

/// The same, with a certificate that is valid only for these days.
pub fn made_for(days: Option<Days>) -> Result<(String, String, String), rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "CA di prova di smista");
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    server.distinguished_name.push(DnType::CommonName, "localhost");
    if let Some([from, until]) = days {
        server.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
        server.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
    }
    let certificate = server.signed_by(&key, &issuer)?;
    Ok((ca_certificate.pem(), certificate.pem(), key.serialize_pem()))
}
