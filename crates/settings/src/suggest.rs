//! Did-you-mean: what a wrong word was probably meant to be.

/// Italian words that people write where a key of ours was meant.
const ITALIAN: &[(&str, &str)] = &[
    ("allegato", "attachment"),
    ("cartella", "folders"),
    ("cartelle", "folders"),
    ("categoria", "category"),
    ("chiave", "key"),
    ("controesempi", "counterexamples"),
    ("dominio", "domains"),
    ("domini", "domains"),
    ("dopo", "after"),
    ("esempi", "examples"),
    ("esempio", "examples"),
    ("fuso", "time_zone"),
    ("fuso_orario", "time_zone"),
    ("host_name", "host"),
    ("hostname", "host"),
    ("indirizzo", "mail"),
    ("email", "mail"),
    ("inizio", "start"),
    ("lingua", "language"),
    ("mittente", "sender"),
    ("modalita", "mode"),
    ("nessuno", "none"),
    ("nome", "name"),
    ("oggetto", "subject"),
    ("padre", "parent"),
    ("parola", "any"),
    ("parole", "any"),
    ("password", "password_file"),
    ("passwd", "password_file"),
    ("patrono", "patron"),
    ("peso", "weight"),
    ("porta", "port"),
    ("priorita", "priority"),
    ("qualsiasi", "any"),
    ("riservato", "confidential"),
    ("regola", "rule"),
    ("scadenza", "deadline"),
    ("server", "host"),
    ("settore", "sector"),
    ("settori", "sector"),
    ("ssl", "tls"),
    ("tipo", "kind"),
    ("tutti", "all"),
    ("tutte", "all"),
    ("ufficio", "sector"),
    ("username", "user"),
    ("utente", "user"),
];

/// The one of `allowed` that `wrong` was probably meant to be: the same but for case and `-`/`_`, an Italian word for
/// it, or one with few letters changed (a third of its length at most).
pub(crate) fn closest<'a>(wrong: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(wrong);
    let allowed: Vec<&str> = allowed.into_iter().collect();
    let find = |word: &str| allowed.iter().copied().find(|a| *a == word);
    if let Some(same) = find(&plain) {
        return Some(same);
    }
    if let Some(meant) = ITALIAN.iter().find(|(it, _)| *it == plain).and_then(|(_, key)| find(key)) {
        return Some(meant);
    }
    let limit = (plain.chars().count() / 3).max(1);
    allowed
        .iter()
        .copied()
        .map(|a| (strsim::damerau_levenshtein(&plain, &self::plain(a)), a))
        .filter(|(distance, a)| *distance <= limit && *distance < a.chars().count())
        .min()
        .map(|(_, a)| a)
}

fn plain(word: &str) -> String {
    word.trim()
        .to_lowercase()
        .chars()
        .map(|c| match c {
            '-' | ' ' => '_',
            'à' => 'a',
            'è' | 'é' => 'e',
            'ì' => 'i',
            'ò' => 'o',
            'ù' => 'u',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn finds_what_was_meant() {
        let keys = ["host", "port", "password_file", "delete_after_days", "name", "tls"];
        for (wrong, meant) in [
            ("hst", Some("host")),
            ("Host", Some("host")),
            ("delete-after-days", Some("delete_after_days")),
            ("delete_after_day", Some("delete_after_days")),
            ("porta", Some("port")),
            ("password", Some("password_file")),
            ("nome", Some("name")),
            ("tsl", Some("tls")),
            ("banana", None),
            ("x", None),
        ] {
            assert_eq!(closest(wrong, keys), meant, "{wrong}");
        }
    }
}
