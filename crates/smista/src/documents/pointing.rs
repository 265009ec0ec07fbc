//! Whether a letter speaks for itself, or only points to what it sends along.

/// What a letter's own words are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// No words, or a formula of transmission.
    Nothing,
    /// A few words: perhaps all that there is to say, perhaps not.
    Little,
    Enough,
}

/// Fewer characters than this are little.
const LITTLE: usize = 200;
/// A formula with greetings, the office's address and the usual notice on confidentiality; a longer text has something to say.
const FORMULA: usize = 1500;
/// What is left of a formula when those words are taken away: `di cui in oggetto, cordiali saluti, Perpetua`.
const FORMULA_ALONE: usize = 400;

/// How Italian letters say that the letter is elsewhere. Lower case, without accents and punctuation.
const FORMULAS: [&str; 32] = [
    "si trasmette",
    "si trasmettono",
    "si invia ",
    "si inviano",
    "si inoltra",
    "si inoltrano",
    "si allega",
    "si allegano",
    "trasmetto ",
    "trasmettiamo",
    "invio in allegato",
    "inviamo in allegato",
    "in allegato",
    "allego ",
    "alleghiamo",
    "vedi allegat",
    "vedere allegat",
    "vedasi allegat",
    "come da allegat",
    "come da oggetto",
    "quanto in oggetto",
    "di cui all oggetto",
    "di cui in oggetto",
    "documentazione allegata",
    "nota allegata",
    "lettera allegata",
    "modulo allegato",
    "istanza allegata",
    "richiesta allegata",
    "segnalazione allegata",
    "messaggio di posta certificata",
    "trasmissione documentazione",
];

pub(crate) fn says(text: &str) -> Says {
    let length = text.trim().chars().count();
    if length == 0 {
        return Says::Nothing;
    }
    if length < FORMULA {
        let plain = plain(text);
        let points = FORMULAS.iter().any(|formula| plain.contains(formula));
        if points && own_words(&plain) < FORMULA_ALONE {
            return Says::Nothing;
        }
    }
    if length < LITTLE { Says::Little } else { Says::Enough }
}

/// Characters before the notice on confidentiality, which every office appends.
fn own_words(plain: &str) -> usize {
    const NOTICES: [&str; 6] = [
        "ai sensi del",
        "le informazioni contenute",
        "questo messaggio",
        "il presente messaggio",
        "informativa privacy",
        "qualora il messaggio",
    ];
    let ends = NOTICES.iter().filter_map(|notice| plain.find(notice)).min();
    plain.get(..ends.unwrap_or(plain.len())).unwrap_or(plain).trim().len()
}

/// Lower case, words and single blanks; accents of Italian taken off.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars().flat_map(char::to_lowercase) {
        let c = match c {
            'à' | 'á' => 'a',
            'è' | 'é' => 'e',
            'ì' | 'í' => 'i',
            'ò' | 'ó' => 'o',
            'ù' | 'ú' => 'u',
            c if c.is_alphanumeric() => c,
            _ => ' ',
        };
        if c != ' ' || !out.ends_with(' ') {
            out.push(c);
        }
    }
    out.push(' ');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_of_transmission_say_nothing() {
        for text in [
            "",
            "  \n",
            "Si trasmette quanto in oggetto.\nCordiali saluti\nPerpetua Dell'Àncora",
            "Buongiorno,\nin  allegato\nla mia istanza. Grazie",
            "VEDI ALLEGATO",
            "Come da oggetto",
            "Allego.",
            "Messaggio di posta certificata",
        ] {
            assert_eq!(says(text), Says::Nothing, "{text}");
        }
        let notice = "Ai sensi del Regolamento UE le informazioni sono riservate. ".repeat(15);
        assert_eq!(says(&format!("Si trasmette l'istanza.\n\n{notice}")), Says::Nothing);
    }

    #[test]
    fn other_letters_say_little_or_enough() {
        assert_eq!(says("In via Dante c'è una buca"), Says::Little);
        let long = "In via Dante c'è una buca profonda. ".repeat(12);
        assert_eq!(says(&long), Says::Enough);
        assert_eq!(says(&format!("{long} In allegato una foto.")), Says::Enough);
    }
}
