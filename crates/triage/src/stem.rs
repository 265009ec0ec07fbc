//! Which words are the same word: the keys of a folded form.
//!
//! Two forms meet when they share a key. A form has up to two: the *noun key*, which folds number and gender alone
//! (`buca`, `buche`; `lampione`, `lampioni`; `zanzara`, `zanzare`), and the *verb key*, the Snowball stem of Italian
//! (`allagato`, `allagano`, `allagamento`). Snowball by itself takes plurals for verbs (`zanzare`, `cantiere`, `anziano`)
//! and leaves `buche` and `buca` apart; the noun key by itself knows no verbs. What both get wrong is in the lexicon.
//! A key of the lexicon ends with `=`, so that it never equals a stem.

use std::{borrow::Cow, sync::LazyLock};

use rust_stemmers::{Algorithm, Stemmer};

use crate::{
    hash::QuickMap,
    lexicon::{FAMILIES, NOUNS, PLAIN},
};

/// Raised whenever folding, splitting or keys change: a ruleset's id depends on it, since decisions do.
pub(crate) const ENGINE: u32 = 1;

/// The keys of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys<'a> {
    One(&'a str),
    Two(&'a str, Cow<'a, str>),
}

impl Keys<'_> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::One(one) => (*one, None),
            Self::Two(one, two) => (*one, Some(two.as_ref())),
        };
        std::iter::once(first).chain(second)
    }
}

enum Entry {
    Family(String),
    Noun,
    Plain,
}

static LEXICON: LazyLock<QuickMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut forms = QuickMap::default();
    for family in FAMILIES {
        let name = family.split(' ').next().unwrap_or_default();
        for form in family.split(' ') {
            forms.insert(form, Entry::Family(format!("{name}=")));
        }
    }
    forms.extend(NOUNS.iter().map(|form| (*form, Entry::Noun)));
    forms.extend(PLAIN.iter().map(|form| (*form, Entry::Plain)));
    forms
});

/// Makes keys.
pub(crate) struct Stems {
    lexicon: &'static QuickMap<&'static str, Entry>,
    snowball: Stemmer,
}

impl Stems {
    pub(crate) fn new() -> Self {
        Self { lexicon: &LEXICON, snowball: Stemmer::create(Algorithm::Italian) }
    }

    /// The keys of a folded form. Numbers, words of other scripts and words under four letters have the form itself.
    pub(crate) fn keys<'a>(&self, form: &'a str) -> Keys<'a> {
        match self.lexicon.get(form) {
            Some(Entry::Family(key)) => return Keys::One(key),
            Some(Entry::Noun) => return Keys::One(noun_key(form)),
            Some(Entry::Plain) => return Keys::One(form),
            None => {}
        }
        if form.len() < 4 || !form.bytes().all(|b| b.is_ascii_lowercase()) {
            return Keys::One(form);
        }
        let noun = noun_key(form);
        if NOUN_ENDINGS.iter().any(|ending| form.ends_with(ending)) {
            return Keys::One(noun);
        }
        let verb = match self.snowball.stem(form) {
            Cow::Borrowed(stem) => Cow::Borrowed(hard(stem)),
            Cow::Owned(mut stem) => {
                stem.truncate(hard(&stem).len());
                Cow::Owned(stem)
            }
        };
        if verb.len() < VERB_KEY_MIN || verb == noun { Keys::One(noun) } else { Keys::Two(noun, verb) }
    }

    /// True for words that carry no matter by themselves.
    pub(crate) fn is_function_word(&self, form: &str) -> bool {
        match self.lexicon.get(form) {
            Some(Entry::Plain) => true,
            Some(Entry::Family(key)) => {
                let articles = [
                    "di=", "a=", "da=", "in=", "su=", "con=", "il=", "un=", "e=", "o=", "questo=", "quello=",
                ];
                articles.contains(&key.as_str())
            }
            _ => false,
        }
    }
}

/// Shorter verb keys join too much (`rif` of `rifiuti` and `rifare`, `sal` of `saluti` and `sale`); the verbs that need them are
/// in the lexicon.
const VERB_KEY_MIN: usize = 4;

/// Endings of nouns that the stemmer takes for verb forms, or for words made of others (`cittadinanza` of `cittadino`,
/// `pubblicita` of `pubblico`): different matters in a town hall.
const NOUN_ENDINGS: &[&str] = &[
    "iera", "iere", "ieri", "iero", "anza", "anze", "enza", "enze", "ismo", "ismi", "ista", "isti", "iste",
    "acita", "alita", "arita", "bilita", "essita", "icita", "ivita", "nsita", "ocita", "orita", "osita",
    "rsita",
];

/// `ch` and `gh` at the end of a stem are `c` and `g` written before e and i.
fn hard(stem: &str) -> &str {
    match stem.strip_suffix('h') {
        Some(rest) if rest.ends_with(['c', 'g']) => rest,
        _ => stem,
    }
}

/// The form without the ending of its number and gender.
pub(crate) fn noun_key(form: &str) -> &str {
    if form.len() < 4 || !form.is_ascii() {
        return form;
    }
    let Some(stem) = form.strip_suffix(['a', 'e', 'i', 'o']) else { return form };
    hard(stem.strip_suffix('i').unwrap_or(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(a: &str, b: &str) -> bool {
        let stems = Stems::new();
        let (a, b) = (stems.keys(a), stems.keys(b));
        a.iter().any(|x| b.iter().any(|y| x == y))
    }

    #[test]
    fn singular_and_plural_meet() {
        let pairs = "strada strade, lampione lampioni, tombino tombini, albero alberi, luogo luoghi, amico amici, buca buche, fogna fogne, \
            discarica discariche, marciapiede marciapiedi, cassonetto cassonetti, rifiuto rifiuti, zanzara zanzare, topo topi, ratto ratti, \
            cane cani, gatto gatti, cinghiale cinghiali, piccione piccioni, vespa vespe, ramo rami, pianta piante, siepe siepi, parco parchi, \
            giardino giardini, aiuola aiuole, panchina panchine, gioco giochi, altalena altalene, fontana fontane, perdita perdite, \
            allagamento allagamenti, caditoia caditoie, fosso fossi, frana frane, muro muri, ponte ponti, semaforo semafori, \
            incrocio incroci, rotatoria rotatorie, striscia strisce, cartello cartelli, segnale segnali, parcheggio parcheggi, multa multe, \
            verbale verbali, divieto divieti, auto auto, macchina macchine, camion camion, rumore rumori, locale locali, cantiere cantieri, \
            edificio edifici, abuso abusi, licenza licenze, negozio negozi, mercato mercati, tassa tasse, tributo tributi, bolletta bollette, \
            cartella cartelle, rimborso rimborsi, scuola scuole, mensa mense, asilo asili, nido nidi, alunno alunni, bambino bambini, \
            anziano anziani, disabile disabili, famiglia famiglie, contributo contributi, casa case, alloggio alloggi, biblioteca biblioteche, \
            museo musei, teatro teatri, palestra palestre, evento eventi, certificato certificati, documento documenti, matrimonio matrimoni, \
            cimitero cimiteri, loculo loculi, tomba tombe, lampada lampade, luce luci, palo pali, cavo cavi, filo fili, tubo tubi, \
            contatore contatori, acquedotto acquedotti, barriera barriere, fioriera fioriere, ringhiera ringhiere, camera camere, lettera lettere, \
            tessera tessere, quartiere quartieri, carabiniere carabinieri, telefono telefoni, divano divani, elettrodomestico elettrodomestici, \
            frigorifero frigoriferi, materasso materassi, siringa siringhe, carcassa carcasse, provincia province, erba erbe, erbaccia erbacce, \
            foglia foglie, radice radici, orto orti, olmo olmi, arco archi, alga alghe, asse assi, ora ore, via vie, farmacia farmacie, \
            spiaggia spiagge, pioggia piogge, faggio faggi, vecchio vecchi, macchia macchie, secchio secchi, occhio occhi, ufficio uffici, \
            atto atti, accesso accessi, ordinanza ordinanze, delibera delibere, bando bandi, gara gare, concorso concorsi, problema problemi, \
            autista autisti, braccio braccia, uomo uomini, crepa crepe, voragine voragini, transenna transenne, ape api, chiave chiavi, cratere crateri";
        let apart: Vec<_> = pairs
            .split(", ")
            .map(|pair| pair.trim().split_once(' ').expect("two words"))
            .filter(|(one, many)| !meet(one, many))
            .collect();
        assert!(apart.is_empty(), "{apart:?}");
    }

    #[test]
    fn forms_of_verbs_and_their_nouns_meet() {
        let pairs = "allagato allagata, allagato allagano, allagata allagamento, allaga allagare, perde perdono, perde perdere, perde perdita, \
            spento spenta, spento spente, spento spegne, acceso accende, rotto rotte, rotto rompe, parcheggio parcheggiano, parcheggiate parcheggiare, \
            abbandono abbandonato, abbandonati abbandonare, cade caduto, caduta cadono, crollo crollato, crolla crollare, tagliare tagliato, \
            taglio tagliano, potare potatura, pulire pulizia, puliscono pulito, pagare pagato, pagamento pagare, iscrivere iscrizione, \
            asfaltare asfaltato, segnalo segnalazione, segnaliamo segnalare, puzza puzzano, abbaia abbaiano, \
            abbaiano abbaiare, disturbano disturbo, bruciano bruciare, brucia bruciato, chiuso chiude, chiusa chiusura, aperto apre, \
            danneggiato danneggiata, danneggiare danneggiati, ostruito ostruita, ostruito ostruire, otturato otturata, intasato intasati, \
            raccolta raccolte, raccolto raccolta, sporco sporca, sporche sporco, pericoloso pericolose, residente residenti, scaricare scarico, \
            scaricano scarica, scarichi scarico, funziona funzionano, funzionare funziona, manca mancano, mancante mancanti, inciampato inciampata, \
            affittare affitto, prenotare prenotazione, prenotato prenotare, rinnovare rinnovo, rinnovato rinnovare, autorizzazione autorizzare, \
            vaccinare vaccinazione, sfalcio sfalciare, sfalciata sfalcio, manutenzione manutenzioni, riparare riparazione, ripara riparato";
        let apart: Vec<_> = pairs
            .split(", ")
            .map(|pair| pair.trim().split_once(' ').expect("two words"))
            .filter(|(one, many)| !meet(one, many))
            .collect();
        assert!(apart.is_empty(), "{apart:?}");
    }

    #[test]
    fn different_words_stay_apart() {
        let pairs = "casa caso, case casi, posta posto, porta porto, foglio foglia, tassa tasso, banca banco, luce luca, segnale segnalazione, \
            segnale segnalo, potare potete, potatura potere, moto motivo, cartello cartella, mercato merce, fermata fermo, sindaco sindacato, \
            comando come, anziano anzi, cantiere cantare, cantiere canti, lettere letto, tari tar, prestito presto, sede seduta, anno anna, mare maria, \
            ramo rame, cavo cava, palo pala, albo alba, bucato buca, buca bocca, multa molta, fogna foglia, lampione lampada, credito credo, \
            metano meta, divano diva, ora oro, messo messa, mostra mostro, bando banda, salita sale, rete retta, vita vito, quando qua, \
            pubblicita pubblico, comunita comune, cittadinanza cittadino, attivita attivo, ordinanza ordine, importanza importo, presenza presente, \
            favoritismo favorito, semaforista semaforo, capacita capace, appuntamento appunto, \
            saluti sala, saluti sale, rifiuti rifare, comune comunicazione, ferie ferita, guardia guardare, quiete qui, testo testamento, mancia manca";
        let met: Vec<_> = pairs
            .split(", ")
            .map(|pair| pair.trim().split_once(' ').expect("two words"))
            .filter(|(one, other)| meet(one, other))
            .collect();
        assert!(met.is_empty(), "{met:?}");
    }

    #[test]
    fn articles_and_prepositions_are_one_word_each() {
        assert!(meet("d", "dell") && meet("nella", "in") && meet("il", "gli") && !meet("di", "da"));
    }
}
