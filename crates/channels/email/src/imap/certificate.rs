//! What a server's certificate says of itself: for whom it is, who issued it, from when to when. For people; whether it is
//! trusted is decided elsewhere (`tls`).

use std::{fmt, net::IpAddr};

use der::Decode as _;
use jiff::{Timestamp, tz::TimeZone};
use smista_domain::Text;
use x509_cert::{
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
    time::Time,
};

/// The most names that are told, and the most characters of one.
const NAMES: usize = 5;
const LONGEST: usize = 100;

/// A certificate (RFC 5280 4.1), as far as people need it. Its names are on one line and not long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is: the common name, with the organisation if there is one.
    pub subject: String,
    /// Who issued it, likewise.
    pub issuer: String,
    /// The host names and addresses that it is for (subjectAltName), the first few.
    pub names: Vec<String>,
    /// Valid from.
    pub from: Timestamp,
    /// Valid until.
    pub until: Timestamp,
}

impl Certificate {
    /// Reads DER; `None` where it cannot be read.
    pub fn read(der: &[u8]) -> Option<Self> {
        let whole = x509_cert::Certificate::from_der(der).ok()?;
        let body = whole.tbs_certificate();
        let names = match body.get_extension::<SubjectAltName>() {
            Ok(Some((_, names))) => names.0.iter().filter_map(host).take(NAMES).collect(),
            _ => Vec::new(),
        };
        Some(Self {
            subject: in_words(body.subject()),
            issuer: in_words(body.issuer()),
            names,
            from: instant(body.validity().not_before)?,
            until: instant(body.validity().not_after)?,
        })
    }

    /// Whole days from `now` to its end; negative when that is past.
    pub fn days_left(&self, now: Timestamp) -> i64 {
        self.until.duration_since(now).as_secs().div_euclid(86_400)
    }

    /// Says nothing but that it vouches for itself.
    pub fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }

    /// In both languages.
    pub fn text(&self) -> Text {
        let (of, by) = (self.of(), &self.issuer);
        let (from, until) = (day(self.from), day(self.until));
        let (by_it, by_en) = if self.is_self_signed() {
            ("firmato da sé stesso".to_owned(), "signed by itself".to_owned())
        } else {
            (format!("emesso da {by}"), format!("issued by {by}"))
        };
        Text::new(
            format!("certificato per {of}, {by_it}, valido dal {from} al {until}"),
            format!("certificate for {of}, {by_en}, valid from {from} until {until}"),
        )
    }

    fn of(&self) -> String {
        if self.names.is_empty() { self.subject.clone() } else { self.names.join(", ") }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().en)
    }
}

/// The day in UTC, as ISO 8601.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).date().to_string()
}

fn instant(time: Time) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok()
}

fn in_words(name: &Name) -> String {
    let common = name.common_name().ok().flatten().map(|n| n.value().to_string());
    let organisation = name.organization().ok().flatten().map(|n| n.value().to_string());
    harmless(&match (common, organisation) {
        (Some(common), Some(organisation)) if common != organisation => format!("{common} ({organisation})"),
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => name.to_string(),
    })
}

fn host(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(harmless(name.as_str())),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok().map(|a| a.to_string())
        }
        _ => None,
    }
}

fn harmless(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    #[test]
    fn a_certificate_in_words() {
        let (_, pem, _) = smista_testkit::certificates::made().expect("made");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM");
        let read = Certificate::read(&der).expect("readable");
        assert_eq!((read.subject.as_str(), read.issuer.as_str()), ("localhost", "CA di prova di smista"));
        assert_eq!(read.names, ["localhost", "127.0.0.1"]);
        assert!(!read.is_self_signed() && read.from < read.until);
        let eve = read.until.checked_sub(jiff::SignedDuration::from_hours(25)).expect("in range");
        assert_eq!((read.days_left(eve), read.days_left(read.until)), (1, 0));
        assert!(
            read.days_left(read.until.checked_add(jiff::SignedDuration::from_secs(1)).expect("in range")) < 0
        );
        assert!(
            read.text()
                .it
                .starts_with("certificato per localhost, 127.0.0.1, emesso da CA di prova di smista, ")
        );
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        assert_eq!(Certificate::read(b""), None);
        assert_eq!(Certificate::read(b"\x30\x82\xff\xff\x00"), None);
    }
}
