//! Secrets are never in the configuration: `*_file` names a file, `*_env` a variable.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use crate::{codes, diagnostic::Diagnostic, environment::Environment, source::Span};

/// Where a secret is found. Debug output never shows the secret.
#[derive(Debug, Clone)]
pub struct SecretSource {
    place: Place,
    span: Option<Span>,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Variable { name: String, value: Option<SecretString> },
}

impl SecretSource {
    /// A file. A relative path is looked for in systemd's `$CREDENTIALS_DIRECTORY` first (when that has such a file),
    /// then in the configuration directory.
    pub(crate) fn file(path: &str, base: &Path, environment: &Environment, span: Option<Span>) -> Self {
        let credential = environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
        let path = credential.filter(|p| p.is_file()).unwrap_or_else(|| base.join(path));
        Self { place: Place::File(path), span }
    }

    /// An environment variable.
    pub(crate) fn variable(name: &str, environment: &Environment, span: Option<Span>) -> Self {
        let value = environment.get(name).map(SecretString::from);
        Self { place: Place::Variable { name: name.to_owned(), value }, span }
    }

    /// The file, when it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Variable { .. } => None,
        }
    }

    /// Where the key's value stands in the configuration.
    pub fn span(&self) -> Option<Span> {
        self.span
    }

    /// Reads the secret; a file is read anew each time, so that a changed password is seen. White space around it is no
    /// part of it. Fails (at the key's place) when there is none.
    pub fn load(&self) -> Result<SecretString, Diagnostic> {
        match &self.place {
            Place::File(path) => read(path).map_err(|d| d.at_opt(self.span)),
            Place::Variable { value: Some(value), .. } => Ok(value.clone()),
            Place::Variable { name, value: None } => Err(Diagnostic::error(
                codes::SECRET_MISSING,
                format!("la variabile d'ambiente {name} non esiste o è vuota"),
                format!("the environment variable {name} is not set or is empty"),
            )
            .hint(
                format!(
                    "impostare {name} prima di avviare smista, oppure usare la chiave che finisce in «_file»"
                ),
                format!("set {name} before starting smista, or use the key that ends in '_file'"),
            )
            .at_opt(self.span)),
        }
    }
}

fn read(path: &Path) -> Result<SecretString, Diagnostic> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| {
        let (it, en) = match e.kind() {
            std::io::ErrorKind::NotFound => ("non esiste".to_owned(), "does not exist".to_owned()),
            std::io::ErrorKind::PermissionDenied => {
                ("non può essere letto: mancano i permessi".to_owned(), "cannot be read: permission denied".to_owned())
            }
            std::io::ErrorKind::IsADirectory => ("è una cartella, non un file".to_owned(), "is a folder".to_owned()),
            _ => (format!("non può essere letto ({e})"), format!("cannot be read ({e})")),
        };
        Diagnostic::error(codes::SECRET_MISSING, format!("il file {shown} {it}"), format!("the file {shown} {en}"))
            .hint(
                "creare il file con dentro soltanto la password, leggibile solo dall'utente di smista (chmod 600)",
                "create the file with nothing but the password in it, readable only by smista's user (chmod 600)",
            )
    })?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let secret = text.trim_start_matches('\u{feff}').trim();
    if secret.is_empty() || secret.contains('\n') {
        let mut it = format!("il file {shown} ");
        let mut en = format!("the file {shown} ");
        if secret.is_empty() {
            it.push_str("è vuoto (o non è testo)");
            en.push_str("is empty (or no text)");
        } else {
            let lines = secret.lines().count();
            let _ = write!(it, "ha {lines} righe, ma deve contenere soltanto la password");
            let _ = write!(en, "has {lines} lines, but must hold nothing but the password");
        }
        return Err(Diagnostic::error(codes::SECRET_MISSING, it, en).hint(
            "scrivere nel file soltanto la password, su una riga",
            "write nothing but the password into the file, on one line",
        ));
    }
    Ok(SecretString::from(secret))
}
