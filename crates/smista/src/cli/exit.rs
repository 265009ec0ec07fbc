//! How a command ends: its exit code and the sentence that says what to do now.

use std::fmt;

use smista_domain::Text;
use smista_store::StoreError;

/// A check found something.
pub(crate) const FOUND: u8 = 1;
/// The call's words are off.
pub(crate) const USAGE: u8 = 2;
/// A dependency cannot be reached (EX_UNAVAILABLE of sysexits.h).
pub(crate) const UNAVAILABLE: u8 = 69;
/// The configuration is wrong (EX_CONFIG of sysexits.h).
pub(crate) const CONFIG: u8 = 78;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) code: u8,
    /// What happened.
    pub(crate) text: Text,
    /// What to do now.
    pub(crate) hint: Option<Text>,
}

impl Failure {
    /// A failure with its exit code.
    pub(crate) fn new(code: u8, it: impl Into<String>, en: impl Into<String>) -> Self {
        Self { code, text: Text::new(it, en), hint: None }
    }
    /// Adds what to do now.
    pub(crate) fn hint(mut self, it: impl Into<String>, en: impl Into<String>) -> Self {
        self.hint = Some(Text::new(it, en));
        self
    }
    /// Everything is said already; only the exit code is left.
    pub(crate) fn silent(code: u8) -> Self {
        Self { code, text: Text::new("", ""), hint: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text.en)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let chain = error.chain();
        match error {
            StoreError::Rejected { message, hint, .. } => {
                let mut failure = Self::new(FOUND, message.clone(), message);
                failure.hint = hint.map(|h| Text::new(h.clone(), h));
                failure
            }
            StoreError::Unavailable(_) => Self::new(
                UNAVAILABLE,
                format!("Il database non risponde: {chain}"),
                format!("The database does not answer: {chain}"),
            )
            .hint(
                "Controllare che PostgreSQL sia acceso; `smista status` funziona anche senza.",
                "Check that PostgreSQL runs; `smista status` works without it.",
            ),
            StoreError::SchemaBehind { .. } => Self::new(
                UNAVAILABLE,
                format!("Lo schema del database non è aggiornato: {chain}"),
                format!("The database schema is not up to date: {chain}"),
            )
            .hint("Eseguire `smista migrate`.", "Run `smista migrate`."),
            // A server that is being restored lets nobody in for a while: nothing that only a person can end.
            StoreError::Denied { .. } => Self::new(
                UNAVAILABLE,
                format!("Il database non ci lascia entrare: {chain}"),
                format!("The database does not let us in: {chain}"),
            )
            .hint(
                "Se dura, controllare utente, password e nome del database in [database].",
                "If it lasts, check user, password and the database's name in [database].",
            ),
            StoreError::ServerTooOld { .. } => Self::new(
                CONFIG,
                format!("Il database non è utilizzabile così: {chain}"),
                format!("The database cannot be used like this: {chain}"),
            ),
            _ => {
                Self::new(FOUND, format!("Errore del database: {chain}"), format!("Database error: {chain}"))
            }
        }
    }
}
