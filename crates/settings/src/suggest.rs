//! Did-you-mean: what a wrong word was probably meant to be.

/// Words that people write, mostly Italian, where a key or value of ours was meant. What counts is what is allowed at the place.
const WORDS: &[(&str, &str)] = &[
    ("allegato", "attachment"),
    ("alta", "high"),
    ("avviato", "on"),
    ("bassa", "low"),
    ("calendario", "calendar"),
    ("cartella", "dir"),
    ("cartella", "folders"),
    ("cartella_dati", "dir"),
    ("cartelle", "folders"),
    ("casella", "email"),
    ("caselle", "email"),
    ("categoria", "category"),
    ("chiuso", "closed_days"),
    ("coda", "queue"),
    ("code", "queue"),
    ("conservazione", "retention"),
    ("controesempi", "counterexamples"),
    ("destinatario", "recipients"),
    ("directory", "dir"),
    ("domini", "domains"),
    ("dominio", "domains"),
    ("dopo", "after"),
    ("email", "mail"),
    ("esempi", "examples"),
    ("esempio", "examples"),
    ("feste", "closed_days"),
    ("fuso", "time_zone"),
    ("fuso_orario", "time_zone"),
    ("giorni_chiusi", "closed_days"),
    ("host_name", "host"),
    ("hostname", "host"),
    ("imap", "email"),
    ("indirizzo", "mail"),
    ("inglese", "en"),
    ("inizio", "start"),
    ("italiano", "it"),
    ("letto", "seen"),
    ("lingua", "language"),
    ("mail", "email"),
    ("media", "normal"),
    ("mittente", "sender"),
    ("modalita", "mode"),
    ("nessuna", "none"),
    ("nessuno", "none"),
    ("no", "none"),
    ("no", "off"),
    ("nome", "name"),
    ("normale", "normal"),
    ("nuova", "new"),
    ("nuovi", "new"),
    ("oggetto", "subject"),
    ("padre", "parent"),
    ("parola", "any"),
    ("parole", "any"),
    ("passwd", "password_file"),
    ("password", "password_file"),
    ("patrono", "patron"),
    ("peso", "weight"),
    ("porta", "port"),
    ("posta", "email"),
    ("priorita", "priority"),
    ("qualsiasi", "any"),
    ("regola", "rule"),
    ("regole", "rule"),
    ("riservato", "confidential"),
    ("scadenza", "deadline"),
    ("server", "host"),
    ("settore", "sector"),
    ("settori", "sector"),
    ("si", "on"),
    ("sportello", "desk"),
    ("ssl", "implicit"),
    ("ssl", "tls"),
    ("stato", "state"),
    ("telefono", "phone"),
    ("termine", "answer_within"),
    ("tipi", "kind"),
    ("tipo", "kind"),
    ("tls", "implicit"),
    ("tutta", "all"),
    ("tutte", "all"),
    ("tutti", "all"),
    ("tutto", "all"),
    ("uffici", "sector"),
    ("ufficio", "sector"),
    ("urgente", "urgent"),
    ("uscita", "outbox"),
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
    if let Some(meant) = WORDS.iter().filter(|(word, _)| *word == plain).find_map(|(_, key)| find(key)) {
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
            ("ssl", Some("tls")),
        ] {
            assert_eq!(closest(wrong, keys), meant, "{wrong}");
        }
        assert_eq!(closest("ssl", ["implicit", "starttls", "none"]), Some("implicit"));
        assert_eq!(closest("cartella", ["dir", "run_dir"]), Some("dir"));
    }
}
