//! Secrets are never in the configuration: `*_file` names a file, `*_env` a variable.

use std::{
    fmt::Write as _,
    io::Read as _,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use crate::{codes, diagnostic::Diagnostic, environment::Environment, loader::why_unreadable, source::Span};

/// No password is longer, in octets; a file that is was named by mistake.
const MAX_SECRET: u64 = 65_536;

/// Where a secret is found. Debug output never shows the secret.
#[derive(Debug, Clone)]
pub struct SecretSource {
    place: Place,
    span: Option<Span>,
}

#[derive(Debug, Clone)]
enum Place {
    /// Where it is, and how the configuration names it.
    File(PathBuf, String),
    Variable {
        name: String,
        value: Option<SecretString>,
    },
}

impl SecretSource {
    /// A file. A relative path is looked for in systemd's `$CREDENTIALS_DIRECTORY` first (when that has such a file),
    /// then in the configuration directory.
    pub(crate) fn file(path: &str, base: &Path, environment: &Environment, span: Option<Span>) -> Self {
        let shown = path.to_owned();
        let credential = environment.get("CREDENTIALS_DIRECTORY").map(|dir| Path::new(dir).join(path));
        let path = credential.filter(|p| p.is_file()).unwrap_or_else(|| base.join(path));
        Self { place: Place::File(path, shown), span }
    }

    /// An environment variable.
    pub(crate) fn variable(name: &str, environment: &Environment, span: Option<Span>) -> Self {
        let value = environment.get(name).map(SecretString::from);
        Self { place: Place::Variable { name: name.to_owned(), value }, span }
    }

    /// The file, when it is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path, _) => Some(path),
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
            Place::File(path, shown) => read(path, shown).map_err(|d| d.at_opt(self.span)),
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

fn read(path: &Path, shown: &str) -> Result<SecretString, Diagnostic> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_SECRET).read_to_end(&mut bytes));
    read.map_err(|e| {
        let why = why_unreadable(&e);
        Diagnostic::error(
            codes::SECRET_MISSING,
            format!("il file «{shown}» {}", why.it),
            format!("the file '{shown}' {}", why.en),
        )
        .hint(
            "creare il file con dentro soltanto la password, leggibile solo dall'utente di smista (chmod 600); un percorso \
             relativo parte dalle credenziali di systemd, poi dalla cartella della configurazione",
            "create the file with nothing but the password in it, readable only by smista's user (chmod 600); a relative path \
             starts from systemd's credentials, then from the configuration directory",
        )
    })?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let secret = text.trim_start_matches('\u{feff}').trim();
    if secret.is_empty() || secret.contains('\n') {
        let mut it = format!("il file «{shown}» ");
        let mut en = format!("the file '{shown}' ");
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
