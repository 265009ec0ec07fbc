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
