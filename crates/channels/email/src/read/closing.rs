//! What stands below the writer's words: legal notices (`notice`), lines that telephones and virus scanners add, signatures.
//!
//! What is taken here is kept and shown as the signature; only rules do not see it. The address in a signature is where the writer
//! lives, seldom where the matter is: a clerk reads it beside the text.
//!
//! Invariant: linear in the text; only lines that are [`Whose::Own`] are marked.

use super::{
    notice,
    quote::{Whose, mark},
};

/// Marks what belongs below the words.
pub(super) fn mark_closing(lines: &[&str], whose: &mut [Whose]) {
    notice::mark_notices(lines, whose);
    let own: Vec<usize> = (0..lines.len()).filter(|i| whose.get(*i) == Some(&Whose::Own)).collect();
    let line = |i: usize| lines.get(i).copied().unwrap_or_default();
    // The separator of RFC 3676: `-- `. Cleaning took its blank; two hyphens alone in a line are hardly anything else if
    // what follows is short.
    let mut end = own.len();
    if let Some(cut) = own.iter().rposition(|i| matches!(line(*i), "--" | "-- ")) {
        let after = own.get(cut + 1..).unwrap_or_default();
        if after.iter().filter(|i| !line(**i).trim().is_empty()).count() <= 15 {
            own.iter().skip(cut).for_each(|i| mark(whose, *i..*i + 1, Whose::Signature));
            end = cut;
        }
    }
    // Footers above the separator.
    while let Some(last) = own.iter().take(end).rposition(|i| !line(*i).trim().is_empty()) {
        let Some(&at) = own.get(last) else { break };
        if !is_footer(line(at)) {
            break;
        }
        mark(whose, at..at + 1, Whose::Signature);
        end = last;
    }
    // A closing formula with a name, a function, an address below it: short lines that are no sentences.
    let body = own.get(..end).unwrap_or_default();
    if let Some(cut) = body.iter().rposition(|i| is_closing(line(*i))) {
        let after: Vec<&str> =
            body.iter().skip(cut + 1).map(|i| line(*i).trim()).filter(|l| !l.is_empty()).collect();
        let looks_signed = !after.is_empty()
            && after.len() <= 8
            && after.iter().all(|l| {
                let lower = l.to_lowercase();
                l.chars().count() <= 60
                    && l.split_whitespace().count() <= 8
                    && !l.ends_with(['.', '?', '!', ';', ':'])
                    && !is_afterword(&lower)
            });
        if looks_signed {
            body.iter().skip(cut).for_each(|i| mark(whose, *i..*i + 1, Whose::Signature));
        }
    }
}

/// Lines that a telephone, a web mail or a virus scanner adds.
pub(super) fn is_footer(line: &str) -> bool {
    const STARTS: &[&str] = &[
        "inviato da iphone",
        "inviato da ipad",
        "inviato da android",
        "inviato da huawei",
        "inviato da xiaomi",
        "inviato da samsung",
        "inviato da smartphone",
        "inviato da telefono",
        "inviato da mobile",
        "inviato dal mio",
        "inviato dal cellulare",
        "inviato dall'app",
        "inviato da outlook",
        "inviato da yahoo",
        "inviato da libero",
        "inviato da posta per windows",
        "inviato da mail per windows",
        "inviato da tiscali",
        "inviato da virgilio",
        "inviato da tim mail",
        "inviato da alice",
        "inviato da aruba",
        "inviato da gmail",
        "inviato da proton",
        "inviato con aqua mail",
        "inviato con libero mail",
        "inviato con bluemail",
        "inviato con proton",
        "inviato con l'app",
        "inviata da iphone",
        "inviata dal mio",
        "ottieni outlook per",
        "ottieni bluemail",
        "scarica outlook per",
        "sent from my ",
        "sent from outlook",
        "sent from yahoo",
        "sent from mail for windows",
        "sent from samsung",
        "sent with proton",
        "get outlook for",
        "get bluemail for",
        "von meinem iphone",
        "von meinem ipad",
        "von meinem samsung",
        "von meinem android",
        "von meinem smartphone",
        "von meinem handy",
        "von outlook für",
        "gesendet von outlook",
        "gesendet von mail für windows",
        "gesendet mit der",
        "holen sie sich outlook für",
        "laden sie outlook für",
        "diese nachricht wurde von meinem android",
        "envoyé de mon ",
        "envoyé depuis ",
        "enviado desde mi ",
        // Paper.
        "prima di stampare",
        "pensa all'ambiente prima",
        "pensa all'ambiente:",
        "rispetta l'ambiente",
        "please consider the environment",
        // The first letter is a tree in the font Webdings.
        "p please consider the environment",
        "p prima di stampare",
        "think before you print",
        "bitte denken sie an die umwelt",
        // Virus scanners.
        "mail priva di virus",
        "email priva di virus",
        "e-mail priva di virus",
        "questa e-mail è stata controllata",
        "questa e-mail è stata esaminata",
        "questa e-mail è stata sottoposta a scansione",
        "questo messaggio è stato analizzato",
        "nessun virus nel messaggio",
        "scansionato da",
        "virus-free.",
        "virenfrei.",
        "no virus found in this message",
        "checked by avg",
        "this email has been checked for viruses",
        "this message has been scanned for viruses",
        "diese e-mail wurde von avast",
    ];
    if line.len() >= 240 {
        return false;
    }
    let lower: String = line
        .trim()
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .chars()
        .take(50)
        .flat_map(char::to_lowercase)
        .collect();
    let lower = lower.replace('’', "'");
    STARTS.iter().any(|s| lower.starts_with(s)) && line.chars().count() < 160
}

/// `P.S. ...`: never part of what stands above it.
pub(super) fn is_afterword(lower: &str) -> bool {
    ["p.s", "ps.", "ps:", "ps ", "n.b"].iter().any(|w| lower.starts_with(w))
}

/// A closing formula that stands alone in its line.
fn is_closing(line: &str) -> bool {
    const WORDS: &[&str] = &[
        "cordiali saluti",
        "distinti saluti",
        "cordialmente",
        "un cordiale saluto",
        "cordiali saluti e buona giornata",
        "cordiali saluti e grazie",
        "grazie e cordiali saluti",
        "grazie e distinti saluti",
        "grazie, cordiali saluti",
        "in attesa di riscontro, cordiali saluti",
        "porgo cordiali saluti",
        "porgo distinti saluti",
        "con i migliori saluti",
        "i migliori saluti",
        "saluti cordiali",
        "saluti",
        "grazie e saluti",
        "best regards",
        "kind regards",
        "regards",
        "mit freundlichen grüßen",
    ];
    let core = line.trim().trim_end_matches([',', '.', '!', ' ', ';', ':']).to_lowercase();
    WORDS.contains(&core.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn footers_are_lines_of_programs() {
        for yes in [
            "Inviato da iPhone",
            "Inviato da Outlook per Android<https://aka.example>",
            "Inviato dal mio dispositivo Samsung",
            "Inviato da Libero Mail",
            "Scarica Outlook per iOS",
            "Von meinem iPhone gesendet",
            "Mail priva di virus. www.avast.com",
            "[Avast logo] Virus-free. www.avast.com".trim_start_matches("[Avast logo] "),
            "🌳 Prima di stampare, pensa all'ambiente",
        ] {
            assert!(is_footer(yes), "{yes}");
        }
        for no in [
            "Von meinem Fenster sehe ich die Lampe",
            "Inviato da Mario con la raccomandata del 3 novembre",
            "La stampa non funziona",
            "",
        ] {
            assert!(!is_footer(no), "{no}");
        }
    }
}
