//! The words for which stemming goes wrong, one way or the other.
//!
//! Three lists, all of folded forms: [`FAMILIES`] (these forms are one word, and nothing else is), [`NOUNS`] (the verb
//! endings that the stemmer would cut off belong to the noun) and [`PLAIN`] (function words, which equal only
//! themselves). A form stands in one list once; a test watches over it.

/// Forms of one word. Kept apart from what stems alike (`casa` and `caso`), or held together although it does not
/// (`spento` and `spegnere`).
pub(crate) const FAMILIES: &[&str] = &[
    // Articles and prepositions: `perdita d'acqua` = `perdita dell'acqua` = `perdite di acqua`.
    "di d del dello della dell dei degli delle",
    "a ad al allo alla all ai agli alle",
    "da dal dallo dalla dall dai dagli dalle",
    "in nel nello nella nell nei negli nelle",
    "su sul sullo sulla sull sui sugli sulle",
    "con col coi",
    "il lo la l i gli le",
    "un uno una",
    "e ed",
    "o od oppure",
    "questo questa quest questi queste",
    "quello quel quella quell quei quegli quelle",
    "nessuno nessun nessuna",
    "qualcuno qualcuna",
    "grande gran grandi",
    "santo san santa sant santi sante",
    // Short words, too short for stems.
    "via vie",
    "ora ore",
    "oro ori",
    "ape api",
    "zia zie",
    "zio zii",
    "rio rii",
    "tar",
    "tari",
    "tasi",
    "uomo uomini",
    "bue buoi",
    // Alike as stems, different as words.
    "abito abiti",
    "abitudine abitudini",
    "alba albe",
    "albo albi",
    "anna",
    "anno anni",
    "atto atti",
    "bagno bagni",
    "banca banche",
    "banco banchi",
    "banda bande",
    "bando bandi",
    "bolla bolle",
    "bollo bolli",
    "bucare bucato bucata bucati bucate",
    "busta buste",
    "busto busti",
    "calce",
    "calcio calci",
    "cappella cappelle",
    "cappello cappelli",
    "carcassa carcasse",
    "cartella cartelle",
    "cartello cartelli",
    "casa case",
    "caso casi",
    "cava cave",
    "cavo cavi",
    "chiara chiare",
    "colpa colpe",
    "colpo colpi",
    "corsa corse",
    "corso corsi",
    "costa coste",
    "costo costi",
    "credito crediti",
    "fermata fermate",
    "fila file",
    "filo fili",
    "foglia foglie",
    "foglio fogli",
    "lotta lotte",
    "lotto lotti",
    "luca",
    "luce luci",
    "manica maniche",
    "manico manici",
    "marca marche",
    "marco",
    "mare mari",
    "maria",
    "mario",
    "mercato mercati",
    "merce merci",
    "merito meriti",
    "messa messe",
    "messo messi",
    "moda mode",
    "modo modi",
    "morte",
    "mostra mostre",
    "mostro mostri",
    "moto",
    "motivo motivi",
    "nutria nutrie",
    "palma palme",
    "palmo palmi",
    "pala pale",
    "palo pali",
    "parte parti",
    "pasta paste",
    "pasto pasti",
    "piano piani",
    "pianta piante",
    "pianto pianti",
    "pino pini",
    "pina",
    "porta porte",
    "porto porti",
    "posta poste",
    "posto posti",
    "pozza pozze",
    "pozzo pozzi",
    "prestito prestiti",
    "presto",
    "privato privata privati private",
    "privo priva privi prive",
    "punta punte",
    "punto punti",
    "rame",
    "ramo rami",
    "retta rette",
    "rete reti",
    "rocca rocche",
    "rocco",
    "rosa",
    "salita salite",
    "scala scale",
    "scalo scali",
    "sede sedi",
    "segnale segnali",
    "segno segni",
    "sindaco sindaci sindaca",
    "sindacato sindacati",
    "sito siti",
    "tappa tappe",
    "tappo tappi",
    "tassa tasse",
    "tasso tassi",
    "tetto tetti",
    "viola viole",
    "visita visite visitare",
    "vista viste",
    "vita vite",
    "vito",
    "volta volte",
    "volto volti",
    // Verbs whose forms do not share a stem.
    "acceso accesa accesi accese accende accendono accendere accendersi accenda accendano",
    "aperto aperta aperti aperte apre aprono aprire aprite apertura aperture",
    "chiuso chiusa chiusi chiuse chiude chiudono chiudere chiudete chiusura chiusure",
    "iscrizione iscrizioni iscrivere iscriversi iscrivermi iscriverlo iscriverla iscrivo iscritto iscritta iscritti iscritte",
    "morso morsi morde mordono mordere morsicato morsicata",
    "potare potato potata potati potate potatura potature potiamo potano potarlo potarla potarli potarle",
    "pulizia pulizie pulire pulito pulita puliti pulite pulisce puliscono pulirlo pulirla pulirli",
    "richiesta richieste richiedere richiedo richiede richiediamo richiedono richiesto richiesti",
    "rotto rotta rotti rotte rompe rompono rompere rompersi rottura rotture",
    "seduta sedute",
    "seduto seduti sedere sedersi siede siedono",
    "spento spenta spenti spente spegne spengono spegnere spegnersi spegnendo",
];

/// Nouns and adjectives that look like verb forms: only their number and gender are folded.
#[rustfmt::skip]
pub(crate) const NOUNS: &[&str] = &[
    "alimentare", "alimentari", "altare", "altari", "anziana", "anziane", "anziani", "anziano",
    "appuntamenti", "appuntamento", "artigiana", "artigiani", "artigiano", "azienda", "aziende",
    "camera", "camere", "capitano", "cellulare", "cellulari", "cenere", "ceneri", "chiave", "chiavi",
    "circolare", "circolari", "comandi", "comando", "comunita", "condoni", "condono", "cratere",
    "crateri", "debiti", "debito", "divani", "divano", "elementare", "elementari", "entita", "estate",
    "gabbiani", "gabbiano", "genere", "generi", "gradita", "guardiani", "guardiano", "identita",
    "immunita", "italiana", "italiane", "italiani", "italiano", "lettera", "lettere", "limite",
    "limiti", "lontana", "lontane", "lontani", "lontano", "mensa", "mense", "metano", "militare",
    "militari", "mutande", "novita", "opportunita", "parere", "pareri", "particolare", "particolari",
    "patroni", "patrono", "podere", "poderi", "polvere", "polveri", "popolare", "popolari", "quantita",
    "quotidiana", "quotidiane", "quotidiani", "quotidiano", "regolare", "regolari", "scolare",
    "scolari", "soldati", "soldato", "stata", "state", "stati", "stato", "telefoni", "telefono",
    "tenda", "tende", "tessera", "tessere", "titolare", "titolari", "unita", "vipera", "vipere",
    "volontari", "volontario", "zanzara", "zanzare",
];

/// Words that equal only themselves.
#[rustfmt::skip]
pub(crate) const PLAIN: &[&str] = &[
    "abbiamo", "anche", "ancora", "anzi", "avere", "avete", "beh", "bene", "che", "chi", "ci", "cioe",
    "come", "comunque", "cosa", "cosi", "dare", "date", "deve", "devo", "devono", "dopo", "dove", "era",
    "erano", "essere", "fa", "fanno", "fare", "fino", "fra", "gia", "giu", "ha", "hai", "hanno", "ho",
    "lei", "loro", "lui", "ma", "mai", "me", "meno", "mentre", "mi", "mia", "mio", "molto", "ne", "noi",
    "non", "ogni", "per", "perche", "pero", "piu", "poi", "possiamo", "posso", "possono", "potere",
    "potete", "potrebbe", "potrei", "potreste", "prima", "puo", "quale", "quando", "quanto", "qui",
    "quindi", "sara", "saranno", "se", "sempre", "senza", "si", "sia", "siamo", "siete", "solo", "sono",
    "sta", "stanno", "stare", "sua", "suo", "tanto", "te", "ti", "tra", "tu", "tutto", "va", "vanno",
    "vi", "voi", "vorrei", "vuole",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn each_form_stands_in_one_list_once() {
        let mut seen = BTreeMap::new();
        let families = FAMILIES.iter().flat_map(|f| f.split(' '));
        for form in families.chain(NOUNS.iter().copied()).chain(PLAIN.iter().copied()) {
            *seen.entry(form).or_insert(0) += 1;
        }
        let twice: Vec<_> = seen.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn all_forms_are_folded() {
        let all = FAMILIES
            .iter()
            .flat_map(|f| f.split(' '))
            .chain(NOUNS.iter().copied())
            .chain(PLAIN.iter().copied());
        for form in all {
            assert!(!form.is_empty() && form.bytes().all(|b| b.is_ascii_lowercase()), "{form:?}");
        }
    }
}
