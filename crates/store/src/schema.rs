//! The name of a town hall's schema: checked once, so that it can stand in SQL wherever a bind variable cannot.

use std::{fmt, str::FromStr};

use smista_domain::InvalidName;

/// A schema's name: lower-case letters, digits and underscores, not starting with a digit or `pg_`, at most 40 characters
/// (roles are named `<schema>_<sector>`, and PostgreSQL cuts names at 63).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SchemaName(String);

impl SchemaName {
    /// The rule in words, for error texts.
    pub const RULE: &'static str = "lower-case letters, digits and underscores, starting with a letter or an underscore, \
                                    at most 40 characters, and not 'public', 'pg_...' or 'information_schema'";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name between double quotes, as it stands in SQL (a name may be a key word).
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

impl Default for SchemaName {
    fn default() -> Self {
        Self("smista".to_owned())
    }
}

impl FromStr for SchemaName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        let first = value.bytes().next();
        let ok = first.is_some_and(|b| b.is_ascii_lowercase() || b == b'_')
            && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            && value.len() <= 40
            && !value.starts_with("pg_")
            && !matches!(value, "public" | "information_schema");
        if ok {
            Ok(Self(value.to_owned()))
        } else {
            Err(InvalidName { what: "schema name", value: value.to_owned(), rule: Self::RULE })
        }
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_safe_in_sql() {
        for good in ["smista", "_a", "gubbio_2", "user"] {
            assert!(good.parse::<SchemaName>().is_ok(), "{good}");
        }
        let long = "a".repeat(41);
        for bad in
            ["", "Smista", "1a", "a-b", "a\"b", "a b", "public", "pg_x", "information_schema", "città", &long]
        {
            assert!(bad.parse::<SchemaName>().is_err(), "{bad}");
        }
    }
}
