//! Keys that name a secret.

use super::{Section, Surroundings, codes};
use crate::{diagnostic::Diagnostic, secret::SecretSource};

impl Section {
    /// A secret: `{base}_file` or `{base}_env`, not both. The secret itself in the configuration is an error.
    pub fn secret(&mut self, base: &str) -> Option<SecretSource> {
        let (file_key, env_key) = (format!("{base}_file"), format!("{base}_env"));
        if let Some(entry) = self.ask(base) {
            self.push(
                Diagnostic::error(
                    codes::SECRET_IN_FILE,
                    format!("«{base}» non può stare nei file di configurazione, che molti possono leggere"),
                    format!("'{base}' must not stand in the configuration, which many can read"),
                )
                .hint(
                    format!(
                        "scriverla da sola in un file leggibile solo da smista e qui mettere {file_key} = \"percorso\"; \
                         poi cambiarla, perché è stata scritta in chiaro"
                    ),
                    format!(
                        "put it alone into a file that only smista can read and write {file_key} = \"path\" here; \
                         then change it, since it was written in clear"
                    ),
                )
                .at_opt(entry.key.or(entry.item.span)),
            );
        }
        let file = self.string(&file_key);
        let variable = self.string(&env_key);
        let Surroundings { base: dir, environment, .. } = &*self.around;
        match (file, variable) {
            (Some(_), Some(variable)) => {
                self.push(
                    Diagnostic::error(
                        codes::SECRET_TWICE,
                        format!("ci sono sia «{file_key}» sia «{env_key}», ma ne serve uno solo"),
                        format!("both '{file_key}' and '{env_key}' are there, but only one can count"),
                    )
                    .hint(
                        format!("togliere «{file_key}» o «{env_key}»"),
                        format!("remove '{file_key}' or '{env_key}'"),
                    )
                    .at_opt(self.key_span(&env_key).or(variable.span)),
                );
                None
            }
            (Some(file), None) => Some(SecretSource::file(&file.value, dir, environment, file.span)),
            (None, Some(variable)) => {
                Some(SecretSource::variable(&variable.value, environment, variable.span))
            }
            (None, None) => None,
        }
    }

    /// Several secrets, each in a file of its own: `{base}_files`; one of them may be in a variable (`{base}_env`). The secret
    /// itself in the configuration is an error.
    pub fn secrets(&mut self, base: &str) -> Vec<SecretSource> {
        let files = self.strings(&format!("{base}_files"));
        let one = self.secret(base);
        let Surroundings { base: dir, environment, .. } = &*self.around;
        let of = |file: &super::Spanned<String>| SecretSource::file(&file.value, dir, environment, file.span);
        files.iter().map(of).chain(one).collect()
    }
}
