//! Mail addresses and domains, checked as far as a typing mistake shows.

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressFault {
    NoAt,
    SeveralAts,
    Space,
    NoLocal,
    Domain,
    Other,
}

impl AddressFault {
    /// In Italian and English.
    pub(crate) fn in_words(self) -> (&'static str, &'static str) {
        match self {
            Self::NoAt => ("manca la chiocciola (@)", "the @ is missing"),
            Self::SeveralAts => ("c'è più di una chiocciola (@)", "there is more than one @"),
            Self::Space => ("contiene uno spazio", "it contains a space"),
            Self::NoLocal => ("manca il nome prima della chiocciola", "the name before the @ is missing"),
            Self::Domain => {
                ("il dominio dopo la chiocciola non è completo", "the domain after the @ is not complete")
            }
            Self::Other => ("contiene caratteri non ammessi", "it contains characters that are not allowed"),
        }
    }
}

/// A plain address (RFC 5321 dot-string, no quoting): `urp@comune.gubbio.pg.it`.
pub(crate) fn check_address(text: &str) -> Result<(), AddressFault> {
    if text.chars().any(char::is_whitespace) {
        return Err(AddressFault::Space);
    }
    let (local, domain) = text.split_once('@').ok_or(AddressFault::NoAt)?;
    if domain.contains('@') {
        return Err(AddressFault::SeveralAts);
    }
    if local.is_empty() {
        return Err(AddressFault::NoLocal);
    }
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if local.len() > 64 || !local.split('.').all(|part| !part.is_empty() && part.chars().all(atext)) {
        return Err(AddressFault::Other);
    }
    if is_domain(domain) { Ok(()) } else { Err(AddressFault::Domain) }
}

/// A full domain name: labels of letters, digits and inner hyphens, at least two of them.
pub(crate) fn is_domain(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last_is_word =
        text.rsplit('.').next().is_some_and(|l| l.len() >= 2 && !l.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && text.contains('.') && text.split('.').all(label) && last_is_word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_mistakes_show() {
        for good in ["urp@comune.gubbio.pg.it", "a.b-c+d@example.org", "o'neil@pec.it"] {
            assert_eq!(check_address(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("urp.comune.gubbio.pg.it", AddressFault::NoAt),
            ("urp@@comune.it", AddressFault::SeveralAts),
            ("urp @comune.it", AddressFault::Space),
            ("@comune.it", AddressFault::NoLocal),
            ("urp@comune", AddressFault::Domain),
            ("urp@comune..it", AddressFault::Domain),
            ("urp@comune.it,", AddressFault::Domain),
            ("urp@1.2.3.4", AddressFault::Domain),
            ("urp..a@comune.it", AddressFault::Other),
            ("<urp@comune.it", AddressFault::Other),
        ] {
            assert_eq!(check_address(bad), Err(fault), "{bad}");
        }
    }
}
