//! Why the private PostgreSQL is not there, in words that say what to do.

use std::path::Path;

use smista_domain::{Lang, Text};

/// Why the private PostgreSQL could not be started, found or stopped. `Display` is English, for logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", text.en)]
pub struct PrivateError {
    /// Stable word: `no-server`, `wrong-version`, `no-user`, `no-access`, `not-ours`, `init-failed`, `start-failed`, `io`.
    pub code: &'static str,
    /// What happened, where, and what to do now.
    pub text: Text,
}

impl PrivateError {
    pub(super) fn new(code: &'static str, it: impl Into<String>, en: impl Into<String>) -> Self {
        Self { code, text: Text::new(it, en) }
    }

    /// The text in a language.
    pub fn in_lang(&self, lang: Lang) -> &str {
        self.text.in_lang(lang)
    }

    pub(super) fn io(what_it: &str, what_en: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(
            "io",
            format!("{what_it} {}: {error}", path.display()),
            format!("{what_en} {}: {error}", path.display()),
        )
    }
}
