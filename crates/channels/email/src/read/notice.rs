//! Legal notices below a letter: this message is confidential, who has it by mistake must delete it.
//!
//! A notice must give itself away by several marks: it speaks of the message itself, for whom it is, that it is secret, and what is
//! forbidden or to be done. A citizen who writes about privacy has one or two of them, and speaks of himself. A notice with words below it is taken only if
//! it has a sentence that nobody writes himself; the words below it stay.

use super::{
    closing::{is_afterword, is_footer},
    quote::{Whose, is_rule, mark},
};

/// A longer paragraph is no notice.
const MAX_NOTICE: usize = 6000;
/// Paragraphs of one notice that are looked through for one that is sure.
const MAX_PARAGRAPHS: usize = 8;

/// A paragraph of the writer's own lines.
struct Paragraph {
    first: usize,
    last: usize,
    sure: Sure,
}

/// How sure it is that a paragraph is a legal notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sure {
    No,
    /// It would be, as a part of one: its heading, its second paragraph.
    Part,
    /// It is, if nothing but notices and footers follows.
    AtEnd,
    /// Nobody writes such a sentence himself.
    Anywhere,
}

/// Marks notices, and footers below and between them.
pub(super) fn mark_notices(lines: &[&str], whose: &mut [Whose]) {
    let mut left = paragraphs(lines, whose);
    let mut marked = false;
    loop {
        while left
            .pop_if(|p| footers(lines, p) || (marked && rule(lines, p)))
            .map(|p| take(whose, &p))
            .is_some()
        {
            marked = true;
        }
        // The last lines of a paragraph, right below its words.
        if let Some(last) = left.last_mut() {
            while last.first < last.last && lines.get(last.last).is_some_and(|l| is_footer(l)) {
                mark(whose, last.last..last.last + 1, Whose::Signature);
                last.last -= 1;
            }
        }
        // Back over what may be parts of a notice to one that is sure.
        let parts = left.iter().rev().take(MAX_PARAGRAPHS).take_while(|p| p.sure == Sure::Part).count();
        let at = left.len().checked_sub(parts + 1);
        let Some(at) = at.filter(|at| left.get(*at).is_some_and(|p| p.sure >= Sure::AtEnd)) else { break };
        left.drain(at..).for_each(|p| take(whose, &p));
        // Its heading.
        if let Some(heading) =
            left.pop_if(|p| p.first == p.last && lines.get(p.first).is_some_and(|l| is_heading(l)))
        {
            take(whose, &heading);
        }
        marked = true;
    }
    let mut heading: Option<&Paragraph> = None;
    for paragraph in &left {
        if paragraph.sure == Sure::Anywhere {
            [heading, Some(paragraph)].into_iter().flatten().for_each(|p| take(whose, p));
        }
        let alone =
            paragraph.first == paragraph.last && lines.get(paragraph.first).is_some_and(|l| is_heading(l));
        heading = alone.then_some(paragraph);
    }
}

fn take(whose: &mut [Whose], paragraph: &Paragraph) {
    mark(whose, paragraph.first..paragraph.last + 1, Whose::Signature);
}

fn footers(lines: &[&str], p: &Paragraph) -> bool {
    lines.get(p.first..=p.last).unwrap_or_default().iter().all(|l| is_footer(l))
}

fn rule(lines: &[&str], p: &Paragraph) -> bool {
    p.first == p.last && lines.get(p.first).is_some_and(|l| is_rule(l))
}

/// The own lines in paragraphs: between empty lines, and before what begins a notice.
fn paragraphs(lines: &[&str], whose: &[Whose]) -> Vec<Paragraph> {
    let mut out: Vec<Paragraph> = Vec::new();
    let mut open = false;
    for (n, line) in lines.iter().enumerate() {
        if whose.get(n) != Some(&Whose::Own) || line.trim().is_empty() {
            open = false;
            continue;
        }
        let above = n.checked_sub(1).and_then(|n| lines.get(n)).copied().unwrap_or_default().trim();
        // A line within a wrapped paragraph is long and goes on.
        let ended = above.len() < 60 || above.ends_with(['.', ':', '!', '*', '_', '-']);
        let lower: String = line.trim().chars().take(60).flat_map(char::to_lowercase).collect();
        let begins =
            (ended && (starts_notice(&lower) || is_heading(line))) || is_afterword(&lower) || is_rule(line);
        match out.last_mut().filter(|p| open && !begins && !(p.first == p.last && is_rule(above))) {
            Some(last) => last.last = n,
            None => out.push(Paragraph { first: n, last: n, sure: Sure::No }),
        }
        open = true;
    }
    for p in &mut out {
        p.sure = sure(lines.get(p.first..=p.last).unwrap_or_default());
    }
    out
}

/// Whose message, for whom, secret, by mistake, forbidden, what to do, by which law: in Italian, English and German.
const MARKS: [&[&str]; 7] = [
    &[
        "questo messaggio",
        "presente messaggio",
        "del messaggio",
        "questa e-mail",
        "questa email",
        "questa mail",
        "presente e-mail",
        "presente email",
        "presente mail",
        "presente comunicazione",
        "questa comunicazione",
        "this e-mail",
        "this email",
        "this message",
        "this communication",
        "this transmission",
        "diese e-mail",
        "diese email",
        "dieser e-mail",
        "dieser email",
        "diese nachricht",
        "dieser nachricht",
    ],
    &[
        "destinat",
        "indirizzat",
        "intended",
        "addressee",
        "addressed",
        "recipient",
        "individual or entity",
        "empfänger",
        "adressat",
    ],
    &["riservat", "confidenzial", "confidential", "privileged", "vertraulich", "rechtlich geschützt"],
    &["per errore", "erroneamente", "in error", "by mistake", "irrtümlich", "versehentlich"],
    &[
        "vietat",
        "proibit",
        "non autorizzat",
        "non consentit",
        "divulgazione",
        "diffusione",
        "prohibited",
        "unauthori",
        "disclosure",
        "dissemination",
        "nicht gestattet",
        "unbefugt",
        "untersagt",
        "unerlaubt",
    ],
    &["cancell", "distrugg", "elimina", "avvis", "delete", "notify", "destroy", "vernicht", "lösch"],
    &["2016/679", "gdpr", "196/2003", "196/03", "616 c.p", "616 del codice penale"],
];

/// Sentences of notices alone.
const SURE: &[&str] = &[
    "se non siete i destinatari",
    "se non siete il destinatario",
    "se non sei il destinatario",
    "se lei non è il destinatario",
    "se non è il destinatario",
    "se avete ricevuto questo messaggio per errore",
    "se avete ricevuto questa e-mail per errore",
    "se avete ricevuto questa email per errore",
    "se hai ricevuto questo messaggio per errore",
    "se ha ricevuto questo messaggio per errore",
    "qualora abbiate ricevuto questo messaggio per errore",
    "qualora il messaggio in parola le fosse pervenuto per errore",
    "chiunque riceva questo messaggio per errore",
    "questo messaggio è destinato esclusivamente",
    "questa e-mail è destinata esclusivamente",
    "if you are not the intended recipient",
    "if you are not the named addressee",
    "if you have received this e-mail in error",
    "if you have received this email in error",
    "if you have received this message in error",
    "wenn sie nicht der richtige adressat sind",
    "sollten sie nicht der vorgesehene empfänger",
];

/// Words of somebody who speaks of himself, or greets: a notice never does.
const PERSONAL: &[&str] = &[
    "io",
    "ho",
    "mi",
    "mio",
    "mia",
    "miei",
    "mie",
    "chiedo",
    "segnalo",
    "vorrei",
    "prego",
    "scrivo",
    "ringrazio",
    "grazie",
    "buongiorno",
    "buonasera",
    "salve",
    "gentile",
    "my",
    "me",
    "thanks",
    "ich",
    "mein",
    "meine",
    "danke",
];

/// How sure it is that these lines are a notice.
fn sure(lines: &[&str]) -> Sure {
    let size: usize = lines.iter().map(|l| l.len() + 1).sum();
    let heading = lines.first().is_some_and(|l| is_heading(l));
    if size > MAX_NOTICE || (size < 40 && !heading) {
        return Sure::No;
    }
    let text = lines.iter().flat_map(|l| l.split_whitespace()).collect::<Vec<_>>().join(" ");
    let text = text.to_lowercase().replace('’', "'").replace("e’", "è").replace("e' ", "è ");
    if text.split(|c: char| !c.is_alphanumeric()).any(|word| PERSONAL.contains(&word)) {
        return Sure::No;
    }
    if SURE.iter().any(|s| text.contains(s)) {
        return Sure::Anywhere;
    }
    let has = MARKS.map(|words| words.iter().any(|w| text.contains(w)));
    let [message, whom, secret, ..] = has;
    let found = has.iter().filter(|mark| **mark).count();
    if heading && found >= 3 {
        Sure::Anywhere
    } else if message && secret && ((whom && found >= 4) || (starts_notice(&text) && found >= 3)) {
        Sure::AtEnd
    } else if found >= 2 || (heading && lines.len() == 1) {
        Sure::Part
    } else {
        Sure::No
    }
}

/// How notices begin (lower case).
fn starts_notice(lower: &str) -> bool {
    const STARTS: &[&str] = &[
        "le informazioni contenute",
        "le informazioni, i dati",
        "le informazioni trasmesse",
        "questo messaggio",
        "questa e-mail",
        "questa email",
        "questa comunicazione",
        "il presente messaggio",
        "la presente e-mail",
        "la presente email",
        "la presente comunicazione",
        "il contenuto di quest",
        "il contenuto della presente",
        "ai sensi de",
        "ai sensi e per gli effetti",
        "in ottemperanza",
        "this e-mail",
        "this email",
        "this message",
        "this communication",
        "the information contained",
        "the information in this",
        "the contents of this",
        "diese e-mail",
        "diese email",
        "diese nachricht",
        "der inhalt dieser",
    ];
    let lower = lower.trim_start_matches(|c: char| !c.is_alphanumeric());
    STARTS.iter().chain(SURE).any(|s| lower.starts_with(s))
}

/// The heading of a notice, alone in its line or before its first sentence.
fn is_heading(line: &str) -> bool {
    const FIRST: &[&str] = &[
        "avviso di riservatezza",
        "nota di riservatezza",
        "clausola di riservatezza",
        "avviso di confidenzialità",
        "avvertenza di riservatezza",
        "riservatezza e privacy",
        "confidentiality notice",
        "confidentiality note",
        "legal disclaimer",
        "privacy disclaimer",
        "email disclaimer",
        "vertraulichkeitshinweis",
    ];
    const ALONE: &[&str] =
        &["disclaimer", "privacy", "informativa privacy", "nota legale", "avvertenze legali", "legal notice"];
    let core: String = line
        .trim()
        .trim_matches(|c: char| !c.is_alphanumeric())
        .chars()
        .take(60)
        .flat_map(char::to_lowercase)
        .collect();
    FIRST.iter().any(|w| core.starts_with(w)) || ALONE.contains(&core.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_give_themselves_away_by_several_marks() {
        let of = |text: &str| sure(&text.split('\n').collect::<Vec<_>>());
        for (text, expected) in [
            (
                "Le informazioni contenute in questo messaggio di posta elettronica sono riservate\ne destinate esclusivamente alla persona in indirizzo.",
                Sure::AtEnd,
            ),
            (
                "Ai sensi del Regolamento UE 2016/679 le informazioni contenute in questa e-mail sono riservate e a uso esclusivo del destinatario.",
                Sure::AtEnd,
            ),
            (
                "AVVISO DI RISERVATEZZA: il contenuto del messaggio è confidenziale; ne è vietata la diffusione.",
                Sure::Anywhere,
            ),
            (
                "This e-mail and any attachments are confidential. If you are not the intended recipient, please delete it.",
                Sure::Anywhere,
            ),
            (
                "Diese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, vernichten Sie sie.",
                Sure::Anywhere,
            ),
            ("Ai sensi del Regolamento UE 2016/679 chiedo la cancellazione dei miei dati.", Sure::No),
            (
                "La presente comunicazione per segnalare un avviso che ho ricevuto per errore: vi prego di cancellarlo.",
                Sure::No,
            ),
            (
                "Questo messaggio è destinato all'ufficio tributi. Ho ricevuto un avviso riservato a mio zio, per errore, e chiedo di eliminarlo.",
                Sure::No,
            ),
            (
                "This message is for the tax office: a confidential notice intended for my neighbour came in error. Please delete it.",
                Sure::No,
            ),
            (
                "La diffusione del documento da parte di chi non è il destinatario è vietata ai sensi dell'art. 616 c.p. e del GDPR.",
                Sure::Part,
            ),
            (
                "Chiedo ai sensi del GDPR che i dati riservati pubblicati per errore siano cancellati.",
                Sure::No,
            ),
            ("Il lampione davanti al civico 12 di via Dante non si accende da due settimane.", Sure::No),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }
}
