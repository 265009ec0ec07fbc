//! The program's stable words (states, outcomes, causes, events, priorities) as people read them.
//!
//! JSON, SQL and `--lang en` have the words themselves; Italian is for tables and sentences alone. A word that is not known
//! here stands as it is, so that a newer database never makes an empty cell.

use smista_domain::{DOCUMENT_CUT, DOCUMENT_SCAN, DOCUMENT_UNREADABLE, Lang};
use smista_email::read::notes as letters;
use smista_meta::read::notes;

use super::render::say;

type Words = &'static [(&'static str, &'static str)];

/// Of a segnalazione in its queue.
const STATES: Words = &[
    ("ready", "pronta"),
    ("leased", "prenotata"),
    ("taken", "in carico"),
    ("answered", "con risposta"),
    ("closed", "chiusa"),
];

/// Why a segnalazione is in its queue.
const CAUSES: Words = &[
    ("new", "nuova"),
    ("linked", "collegata"),
    ("follow-up", "nuovo messaggio"),
    ("rerouted", "trasferita"),
    ("max-attempts", "troppi tentativi"),
    ("reopened", "riaperta"),
    ("undelivered", "risposta non consegnata"),
];

/// What happened to a segnalazione.
const EVENTS: Words = &[
    ("opened", "aperta"),
    ("appended", "nuovo messaggio"),
    ("taken", "presa in carico"),
    ("left-ready", "lasciata pronta"),
    ("released", "restituita"),
    ("lease-expired", "prenotazione scaduta"),
    ("fallback", "al settore di riserva"),
    ("rerouted", "trasferita"),
    ("answered", "risposta"),
    ("asked", "chieste notizie"),
    ("closed", "chiusa"),
    ("reopened", "riaperta"),
    ("noted", "nota"),
    ("assigned", "assegnata"),
    ("planned", "pianificata"),
    ("referenced", "riferimento"),
    ("linked", "collegata"),
    ("receipt", "ricevuta"),
    ("undelivered", "risposta non consegnata"),
];

/// What a receipt of certified mail says: the providers' words, and our own for a bounce.
const RECEIPTS: &[(&str, &str, &str)] = &[
    ("accettazione", "accettata dal nostro gestore", "accepted by our provider"),
    ("avvenuta-consegna", "consegnata", "delivered"),
    ("errore-consegna", "non consegnata", "not delivered"),
    (
        "preavviso-errore-consegna",
        "non ancora consegnata dopo 12 o 24 ore",
        "not delivered after 12 or 24 hours",
    ),
    ("non-accettazione", "rifiutata dal nostro gestore", "refused by our provider"),
    (
        "presa-in-carico",
        "presa in carico dal gestore del destinatario",
        "taken in charge by the recipient's provider",
    ),
    ("rilevazione-virus", "fermata per virus", "stopped for a virus"),
    ("bounce", "tornata indietro", "bounced"),
];

/// What a clerk should know about a message: what of it nobody here could read, or what Facebook and Instagram say of it. The other
/// notes are about how a letter was made and help few.
const NOTES: &[(&str, &str, &str)] = &[
    (
        DOCUMENT_SCAN,
        "un allegato è solo una scansione o una foto: va letto da una persona",
        "an attachment is only a scan or a photograph: a person must read it",
    ),
    (
        DOCUMENT_UNREADABLE,
        "un allegato non si è potuto leggere (protetto, rovinato o troppo grande)",
        "an attachment could not be read (under a password, damaged or too large)",
    ),
    (
        DOCUMENT_CUT,
        "degli allegati è stata letta solo la prima parte",
        "only the beginning of the attachments was read",
    ),
    (
        letters::ENCRYPTED,
        "è cifrato e non si è potuto leggere: chiedere al mittente di riscrivere senza cifratura",
        "it is encrypted and could not be read: ask the sender to write again without encryption",
    ),
    (
        letters::WINMAIL,
        "un allegato di Outlook (winmail.dat) non si è potuto aprire: chiedere gli allegati in un altro formato",
        "an attachment of Outlook (winmail.dat) could not be opened: ask for the attachments in another format",
    ),
    (
        letters::TEXT_FROM_CALENDAR,
        "il testo è preso da un invito del calendario",
        "the text was taken from an invitation in the calendar",
    ),
    (
        notes::EDITED,
        "modificato da chi l'ha scritto: questo è il testo di ora",
        "changed by who wrote it: this is how it reads now",
    ),
    (
        notes::NOT_FETCHED,
        "il testo non è stato mandato: guardare sulla pagina",
        "the text was not sent: look at the page",
    ),
    (
        notes::UNSUPPORTED,
        "un tipo di messaggio che Facebook e Instagram non passano: guardare nell'app",
        "a kind of message that Facebook and Instagram do not hand on: look into the app",
    ),
    (notes::STORY_REPLY, "risponde a una nostra storia", "it answers a story of ours"),
    (notes::STORY_MENTION, "ci nomina in una sua storia", "it mentions us in a story"),
    (notes::BUTTON, "ha premuto un pulsante", "a button was pressed"),
];

/// Notes that are followed by an address.
const ADDRESSES: &[(&str, &str, &str)] =
    &[(notes::PERMALINK, "sta qui", "it stands here"), (notes::ATTACHMENT, "allegato", "attachment")];

/// A note in words; None for those that are not shown.
pub(crate) fn note(code: &str, lang: Lang) -> Option<String> {
    if let Some((_, it, en)) = NOTES.iter().find(|(known, ..)| *known == code) {
        return Some(say(lang, it, en).to_owned());
    }
    ADDRESSES.iter().find_map(|(known, it, en)| {
        let rest = code.strip_prefix(known)?.replacen(':', ": ", usize::from(*known == notes::ATTACHMENT));
        Some(format!("{}: {}", say(lang, it, en), rest.trim_end_matches(": ")))
    })
}

const PRIORITIES: Words = &[("urgent", "urgente"), ("high", "alta"), ("normal", "normale"), ("low", "bassa")];

/// Of a delivery ("arrivo").
const DELIVERY_STATES: Words = &[
    ("announced", "annunciato"),
    ("waiting", "in attesa"),
    ("settled", "smistato"),
    ("quarantined", "in quarantena"),
];

/// What a delivery became.
const OUTCOMES: Words = &[
    ("opened", "nuova segnalazione"),
    ("appended", "aggiunto"),
    ("ignored", "ignorato"),
    ("set_aside", "messo da parte"),
];

/// What upstream must still be told of a delivery.
const UPSTREAM: Words = &[("void", "niente da dire"), ("pending", "da dire"), ("done", "detto")];

fn of(words: Words, word: &str, lang: Lang) -> &str {
    match lang {
        Lang::En => word,
        Lang::It => words.iter().find(|(en, _)| *en == word).map_or(word, |(_, it)| it),
    }
}

/// A segnalazione's state.
pub(crate) fn state(word: &str, lang: Lang) -> &str {
    of(STATES, word, lang)
}

/// Why a segnalazione is in its queue.
pub(crate) fn cause(word: &str, lang: Lang) -> &str {
    of(CAUSES, word, lang)
}

/// An event of a segnalazione's history.
pub(crate) fn event(word: &str, lang: Lang) -> &str {
    of(EVENTS, word, lang)
}

/// What a receipt says; a kind that is not known stands as it is.
pub(crate) fn receipt(kind: &str, lang: Lang) -> &str {
    RECEIPTS.iter().find(|(known, ..)| *known == kind).map_or(kind, |(_, it, en)| say(lang, it, en))
}

/// A priority.
pub(crate) fn priority(word: &str, lang: Lang) -> &str {
    of(PRIORITIES, word, lang)
}

/// A delivery's state.
pub(crate) fn delivery_state(word: &str, lang: Lang) -> &str {
    of(DELIVERY_STATES, word, lang)
}

/// A delivery's outcome.
pub(crate) fn outcome(word: &str, lang: Lang) -> &str {
    of(OUTCOMES, word, lang)
}

/// What upstream must still be told.
pub(crate) fn upstream(word: &str, lang: Lang) -> &str {
    of(UPSTREAM, word, lang)
}

/// `ready (pronta), leased (prenotata), ...`: the words to type, each with what tables show for it.
pub(crate) fn both(words: &[&str], italian: fn(&str, Lang) -> &str) -> String {
    words.iter().map(|word| format!("{word} ({})", italian(word, Lang::It))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use smista_domain::{DeliveryState, EntryState, Outcome, Priority};

    use super::*;

    #[test]
    fn every_word_of_the_program_has_an_italian_one() {
        let known = |words: Words, word: &str| {
            assert!(words.iter().any(|(en, it)| *en == word && !it.is_empty()), "{word}");
        };
        for word in EntryState::ALL {
            known(STATES, word.as_str());
        }
        for word in DeliveryState::ALL {
            known(DELIVERY_STATES, word.as_str());
        }
        for word in Outcome::ALL {
            known(OUTCOMES, word.as_str());
        }
        for priority in [Priority::Urgent, Priority::High, Priority::Normal, Priority::Low] {
            known(PRIORITIES, priority.as_str());
        }
    }

    #[test]
    fn every_event_that_the_queue_functions_record_has_an_italian_word() {
        let sql = include_str!("../../../store/migrations/0002_queue.sql");
        let recorded = sql.lines().filter(|l| l.contains("perform record(")).flat_map(|line| {
            // the words in quotes before the payload
            let call = line.split("jsonb_build_object").next().unwrap_or(line);
            call.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
        });
        let recorded: Vec<String> = recorded.collect();
        assert!(recorded.len() > 10, "{recorded:?}");
        for word in recorded {
            assert!(EVENTS.iter().any(|(en, _)| *en == word), "{word}");
        }
    }

    #[test]
    fn notes_with_addresses_are_shown_with_them() {
        let shown = |code: &str| note(code, Lang::It);
        assert_eq!(
            shown("permalink:https://example.org/1").as_deref(),
            Some("sta qui: https://example.org/1")
        );
        assert_eq!(
            shown("attachment:image:https://a.example/b:c").as_deref(),
            Some("allegato: image: https://a.example/b:c")
        );
        assert_eq!(shown("attachment:location:").as_deref(), Some("allegato: location"));
        assert_eq!((shown("edited").is_some(), shown("empty")), (true, None));
    }

    #[test]
    fn english_and_what_is_not_known_stand_as_they_are() {
        assert_eq!(state("ready", Lang::It), "pronta");
        assert_eq!(state("ready", Lang::En), "ready");
        assert_eq!(event("of-tomorrow", Lang::It), "of-tomorrow");
        assert_eq!(both(&["ready"], state), "ready (pronta)");
    }
}
