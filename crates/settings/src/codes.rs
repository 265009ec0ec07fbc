//! Every code of this crate's diagnostics. `docs/reference/diagnostics.md` explains each.

/// A file is not text, or far too large.
pub const NOT_TEXT: &str = "not-text";
/// The file does not follow the rules of TOML.
pub const SYNTAX: &str = "syntax";
/// The same key or table twice.
pub const DUPLICATE_KEY: &str = "duplicate-key";
/// A key or table that nobody knows.
pub const UNKNOWN_KEY: &str = "unknown-key";
/// A key or table that must be there is not.
pub const MISSING_KEY: &str = "missing-key";
/// A text where a number is asked for, and the like.
pub const WRONG_TYPE: &str = "wrong-type";
/// A value of the right type that cannot be.
pub const INVALID_VALUE: &str = "invalid-value";
/// A word that is none of those allowed.
pub const UNKNOWN_WORD: &str = "unknown-word";
/// A secret's key is there twice over (`_file` and `_env`).
pub const SECRET_TWICE: &str = "secret-twice";
/// A secret cannot be found where the configuration says.
pub const SECRET_MISSING: &str = "secret-missing";
/// A secret stands in the configuration itself.
pub const SECRET_IN_FILE: &str = "secret-in-file";
/// An environment variable `SMISTA_...__...` that can set nothing.
pub const ENVIRONMENT: &str = "environment";
/// A file of the configuration is not there.
pub const FILE_MISSING: &str = "file-missing";
/// A file of the configuration cannot be read.
pub const FILE_UNREADABLE: &str = "file-unreadable";
/// A file in the configuration directory that is not read.
pub const FILE_IGNORED: &str = "file-ignored";
/// A section or value of a later version.
pub const NOT_YET: &str = "not-yet";
/// The same id twice.
pub const DUPLICATE_ID: &str = "duplicate-id";
/// A sector that sectors.toml does not have.
pub const UNKNOWN_SECTOR: &str = "unknown-sector";
/// A kind that sectors.toml does not have.
pub const UNKNOWN_KIND: &str = "unknown-kind";
/// Sectors that are each other's parents.
pub const SECTOR_CIRCLE: &str = "sector-circle";
/// What should be a mail address is none.
pub const BAD_ADDRESS: &str = "bad-address";
/// An external sector that nothing can reach.
pub const EXTERNAL_WITHOUT_MAIL: &str = "external-without-mail";
/// The fallback sector is not an office of the town hall.
pub const EXTERNAL_FALLBACK: &str = "external-fallback";
/// `\b` or `\f` in double quotes.
pub const INVISIBLE_CHARACTER: &str = "invisible-character";

/// All of them.
pub const ALL: &[&str] = &[
    NOT_TEXT,
    SYNTAX,
    DUPLICATE_KEY,
    UNKNOWN_KEY,
    MISSING_KEY,
    WRONG_TYPE,
    INVALID_VALUE,
    UNKNOWN_WORD,
    SECRET_TWICE,
    SECRET_MISSING,
    SECRET_IN_FILE,
    ENVIRONMENT,
    FILE_MISSING,
    FILE_UNREADABLE,
    FILE_IGNORED,
    NOT_YET,
    DUPLICATE_ID,
    UNKNOWN_SECTOR,
    UNKNOWN_KIND,
    SECTOR_CIRCLE,
    BAD_ADDRESS,
    EXTERNAL_WITHOUT_MAIL,
    EXTERNAL_FALLBACK,
    INVISIBLE_CHARACTER,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ALL;

    #[test]
    fn codes_are_unique_plain_words_and_documented() {
        let page = include_str!("../../../docs/reference/diagnostics.md");
        let unique: BTreeSet<&str> = ALL.iter().copied().collect();
        assert_eq!(unique.len(), ALL.len());
        for code in ALL {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
            assert_eq!(
                page.matches(&format!("| `{code}` |")).count(),
                1,
                "{code} in docs/reference/diagnostics.md"
            );
        }
    }

    #[test]
    fn none_is_forgotten_in_the_list() {
        let constants = include_str!("codes.rs")
            .lines()
            .filter(|l| l.starts_with("pub const ") && l.contains(": &str ="));
        assert_eq!(constants.count(), ALL.len());
    }
}
