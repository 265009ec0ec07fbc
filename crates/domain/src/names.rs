//! Names that cannot be wrong: each is checked when it is made, so that the rest of the program need not ask again.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A name that does not have the form that its kind asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not a valid {what}: {rule}")]
pub struct InvalidName {
    /// What kind of name was expected, for instance `sector id`.
    pub what: &'static str,
    /// What was given.
    pub value: String,
    /// The form that is asked for, in words.
    pub rule: &'static str,
}

const SLUG_RULE: &str =
    "lower-case letters, digits and single hyphens, 1 to 60 characters, starting with a letter";

/// True for `lavori-pubblici`, `urp`, `a1`: what may stand in an id, in a role name and in a URL unescaped.
fn is_slug(s: &str) -> bool {
    let mut chars = s.chars();
    s.len() <= 60
        && chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && s.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !s.ends_with('-')
        && !s.contains("--")
}

macro_rules! slug {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the form and makes the name.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                if is_slug(&value) { Ok(Self(value)) } else { Err(InvalidName { what: $what, value, rule: SLUG_RULE }) }
            }
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slug!(
    /// A sector's id, for instance `lavori-pubblici`.
    SectorId,
    "sector id"
);
slug!(
    /// A kind's id, for instance `segnalazione` or `accesso-civico`.
    KindId,
    "kind id"
);

/// What sort of source a channel is: the first half of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// An IMAP mailbox, PEC or ordinary.
    Email,
    /// A Facebook page or an Instagram account.
    Meta,
    /// Telephone logs and call sheets.
    Phone,
    /// The front desk, the citizens' form, Open311.
    Desk,
}

impl ChannelKind {
    /// The kind as it stands in channel names: `email`, `meta`, `phone`, `desk`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Meta => "meta",
            Self::Phone => "phone",
            Self::Desk => "desk",
        }
    }
}

/// One configured source, for instance `email/urp`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

impl ChannelName {
    /// Joins a kind and a name (a slug) to `kind/name`.
    pub fn new(kind: ChannelKind, name: &str) -> Result<Self, InvalidName> {
        if is_slug(name) {
            Ok(Self(format!("{}/{name}", kind.as_str())))
        } else {
            Err(InvalidName { what: "channel name", value: name.to_owned(), rule: SLUG_RULE })
        }
    }
    /// `email/urp`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The part before the slash.
    pub fn kind(&self) -> ChannelKind {
        match self.0.split('/').next() {
            Some("meta") => ChannelKind::Meta,
            Some("phone") => ChannelKind::Phone,
            Some("desk") => ChannelKind::Desk,
            _ => ChannelKind::Email,
        }
    }
}

impl FromStr for ChannelName {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let rule = "a kind (email, meta, phone, desk), a slash and a name, for instance email/urp";
        let wrong = || InvalidName { what: "channel name", value: value.to_owned(), rule };
        let (kind, name) = value.split_once('/').ok_or_else(wrong)?;
        let kind = match kind {
            "email" => ChannelKind::Email,
            "meta" => ChannelKind::Meta,
            "phone" => ChannelKind::Phone,
            "desk" => ChannelKind::Desk,
            _ => return Err(wrong()),
        };
        Self::new(kind, name)
    }
}
impl TryFrom<String> for ChannelName {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}
impl From<ChannelName> for String {
    fn from(name: ChannelName) -> String {
        name.0
    }
}
impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A segnalazione's number as citizens and clerks write it: `2026-000123` (year of the town's zone, six digits at least).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(String);

impl Number {
    /// The number as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl FromStr for Number {
    type Err = InvalidName;
    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let ok = value.split_once('-').is_some_and(|(year, n)| {
            year.len() == 4
                && (6..=12).contains(&n.len())
                && year.bytes().all(|b| b.is_ascii_digit())
                && n.bytes().all(|b| b.is_ascii_digit())
        });
        if ok {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName {
                what: "number of a segnalazione",
                value: value.to_owned(),
                rule: "the year, a hyphen and at least six digits, for instance 2026-000123",
            })
        }
    }
}
impl TryFrom<String> for Number {
    type Error = InvalidName;
    fn try_from(value: String) -> Result<Self, InvalidName> {
        value.parse()
    }
}
impl From<Number> for String {
    fn from(number: Number) -> String {
        number.0
    }
}
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a ruleset: the SHA-256 of everything that a decision depends on, in lower-case hex (64 characters).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RulesetId(pub String);

impl RulesetId {
    /// The first twelve characters, as people see it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sector_ids_are_slugs() {
        for good in ["urp", "lavori-pubblici", "a1"] {
            assert!(SectorId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Urp", "lavori pubblici", "-a", "a-", "a--b", "città", "1a", &"x".repeat(61)] {
            assert!(SectorId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn channel_names_have_a_known_kind() {
        let name: ChannelName = "email/urp".parse().expect("valid");
        assert_eq!((name.kind(), name.as_str()), (ChannelKind::Email, "email/urp"));
        for bad in ["urp", "fax/urp", "email/", "email/Urp", "email/a/b"] {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_have_a_year_and_six_digits_or_more() {
        for good in ["2026-000123", "2026-1000000"] {
            assert!(good.parse::<Number>().is_ok(), "{good}");
        }
        for bad in ["2026-123", "26-000123", "2026000123", "2026-00012a", ""] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }
}
