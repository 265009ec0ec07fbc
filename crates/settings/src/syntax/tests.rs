use super::*;
use crate::Environment;

/// Every finding of a text as `line:column <underlined> Italian text | hint`.
fn found(text: &str) -> Vec<String> {
    let mut sources = Sources::new("/c".into(), Environment::default());
    let file = sources.add("/c/smista.toml".into(), text.into()).expect("text");
    let diagnostics = Diagnostics::new();
    parse(&mut sources, file, &diagnostics);
    let show = |d: Diagnostic| {
        let span = d.span.expect("placed");
        let (line, column) = sources.line_col(span);
        let part = sources.text(file).get(span.start..span.end).expect("within the text");
        format!("{line}:{column} <{part}> {} | {}", d.text.it, d.hint.expect("hint").it)
    };
    diagnostics.into_sorted(&sources).into_iter().map(show).collect()
}

/// A text with a mistake, and what is said of it.
const MISTAKES: &[(&str, &[&str])] = &[
    (
        "name = \"Gubbio\nx = 1\n",
        &["1:8 <\"Gubbio> mancano le virgolette di chiusura | mettere \" alla fine del testo: \"Gubbio\""],
    ),
    (
        "name = Gubbio\nx = 1\n",
        &["1:8 <Gubbio> il testo va scritto tra virgolette | scrivere: name = \"Gubbio\""],
    ),
    (
        "name = Gubbio\"\nx = 1\n",
        &[
            "1:8 <Gubbio\"> mancano le virgolette di apertura | mettere le virgolette anche all'inizio: name = \"Gubbio\"",
        ],
    ),
    (
        "name = 'Gubbio\nx = 1\n",
        &["1:8 <'Gubbio> mancano le virgolette di chiusura | mettere ' alla fine del testo: 'Gubbio'"],
    ),
    (
        "name = \"\"\"Gubbio\nx = 1\n",
        &[
            "1:8 <\"\"\"> il testo che comincia con \"\"\" non viene mai chiuso | mettere \"\"\" alla fine del testo",
        ],
    ),
    (
        "name = \"a\" \"b\"\nx = 1\n",
        &[
            "1:8 <\"a\" \"b\"> ci sono virgolette dentro il testo, che così finisce prima del dovuto | davanti alle virgolette interne mettere una barra: \\\"; due testi diversi vanno invece tra parentesi quadre, separati da una virgola",
        ],
    ),
    ("[comune\nname = \"x\"\n", &["1:8 <> manca «]» alla fine del nome della sezione | scrivere [comune]"]),
    (
        "comune]\nname = \"x\"\n",
        &["1:1 <comune]> manca la parentesi quadra di apertura della sezione | scrivere [comune]"],
    ),
    ("[[email]\nname = \"x\"\n", &["1:9 <> manca «]» alla fine del nome della sezione | scrivere [[email]]"]),
    (
        "[email]]\nname = \"x\"\n",
        &[
            "1:1 <[email]]> le parentesi quadre aperte e chiuse non sono lo stesso numero | scrivere [[email]]",
        ],
    ),
    ("[]\nname = \"x\"\n", &["1:1 <[]> manca il nome della sezione | scrivere per esempio [comune]"]),
    (
        "[co mune]\nname = \"x\"\n",
        &[
            "1:4 < > il nome della sezione «co mune» contiene un carattere non ammesso | usare solo lettere senza accento, cifre, trattini e trattini bassi",
        ],
    ),
    (
        "[città]\nname = \"x\"\n",
        &[
            "1:6 <à> il nome della sezione «città» contiene un carattere non ammesso | usare solo lettere senza accento, cifre, trattini e trattini bassi",
        ],
    ),
    (
        "[comune] name = \"x\"\n",
        &["1:10 <name = \"x\"> dopo il nome di una sezione la riga deve finire | mandare a capo il resto"],
    ),
    (
        "any = [\"a\", \"b\"\nx = 1\n",
        &[
            "1:7 <[> l'elenco che comincia qui non viene chiuso: manca la parentesi quadra ] | mettere ] dopo l'ultimo valore dell'elenco",
        ],
    ),
    (
        "any = [\"a\" \"b\"]\nx = 1\n",
        &[
            "1:11 <> manca la virgola tra due valori dell'elenco | mettere una virgola qui: any = [\"uno\", \"due\"]",
        ],
    ),
    ("any = [\"a\", b]\nx = 1\n", &["1:13 <b> il testo va scritto tra virgolette | scrivere: \"b\""]),
    (
        "any = [\n\"a\",\n\"b\nc\n]\nx = 1\n",
        &["3:1 <\"b> mancano le virgolette di chiusura | mettere \" alla fine del testo: \"b\""],
    ),
    (
        "any = [\n\"a\"\n\"b\"\n]\nx = 1\n",
        &[
            "2:4 <> manca la virgola tra due valori dell'elenco | mettere una virgola qui: any = [\"uno\", \"due\"]",
        ],
    ),
    (
        "any = [\n\"a\",\n\"b,\n\"c\"\n]\nx = 1\n",
        &["3:1 <\"b> mancano le virgolette di chiusura | mettere \" alla fine del testo: \"b\""],
    ),
    ("any = [\"a\",, \"b\"]\nx = 1\n", &["1:12 <,> c'è una virgola di troppo | toglierla"]),
    (
        "any = \"a\", \"b\"\nx = 1\n",
        &[
            "1:7 <\"a\", \"b\"> più valori separati da virgole vanno tra parentesi quadre | scrivere any = [\"a\", \"b\"]",
        ],
    ),
    (
        "any = \"a\"]\nx = 1\n",
        &["1:10 <]> c'è una parentesi quadra chiusa, ma nessuna aperta | scrivere any = [\"a\"]"],
    ),
    (
        "any = [\"a\"]]\nx = 1\n",
        &[
            "1:12 <]> dopo il valore c'è altro testo | se è una spiegazione mettere # davanti, altrimenti andare a capo o toglierlo",
        ],
    ),
    ("name \"Gubbio\"\nx = 1\n", &["1:1 <name> dopo «name» manca il segno = | scrivere name = \"Gubbio\""]),
    (
        "name: Gubbio\nx = 1\n",
        &["1:5 <:> al posto dei due punti serve il segno = | scrivere name = \"Gubbio\""],
    ),
    ("name\nx = 1\n", &["1:1 <name> dopo «name» mancano il segno = e il valore | scrivere name = \"...\""]),
    (
        "name = # che nome?\nx = 1\n",
        &["1:1 <name => dopo «name =» manca il valore | scrivere name = \"...\""],
    ),
    (
        "= 3\nx = 1\n",
        &["1:1 <=> manca il nome della voce davanti al segno = | scrivere per esempio name = \"Gubbio\""],
    ),
    ("name == 3\nx = 1\n", &["1:7 <=> c'è un segno = di troppo | scrivere name = 3"]),
    (
        "d = 2026-13-01\nx = 1\n",
        &["1:5 <2026-13-01> la data «2026-13-01» non esiste | scrivere anno-mese-giorno: d = 2027-02-01"],
    ),
    (
        "d = 01/02/2026\nx = 1\n",
        &[
            "1:5 <01/02/2026> la data «01/02/2026» non è scritta come serve | scrivere anno-mese-giorno: d = 2026-02-01",
        ],
    ),
    (
        "d = 01-02-2026\nx = 1\n",
        &[
            "1:5 <01-02-2026> la data «01-02-2026» non è scritta come serve | scrivere anno-mese-giorno: d = 2026-02-01",
        ],
    ),
    (
        "d = 2026-1-1\nx = 1\n",
        &[
            "1:5 <2026-1-1> la data «2026-1-1» non è scritta come serve | scrivere anno-mese-giorno: d = 2026-01-01",
        ],
    ),
    (
        "p = \"C:\\Users\\x\"\nx = 1\n",
        &[
            "1:8 <\\U> la barra \\ seguita da «U» non ha significato tra virgolette doppie | usare gli apici al posto delle virgolette: 'C:\\Users\\x' (oppure raddoppiare la barra: \\\\)",
        ],
    ),
    (
        "p = \"C:\\posta\\\"\nx = 1\n",
        &[
            "1:14 <\\\"> la barra \\ davanti alle virgolette ne annulla la chiusura | per un percorso di Windows usare gli apici: 'C:\\posta\\'",
        ],
    ),
    (
        "p = [\"/\\bbuca\\s/\"]\nx = 1\n",
        &[
            "1:14 <\\s> la barra \\ seguita da «s» non ha significato tra virgolette doppie | usare gli apici al posto delle virgolette: '/\\bbuca\\s/' (oppure raddoppiare la barra: \\\\)",
        ],
    ),
    (
        "p = \"\\u12\"\nx = 1\n",
        &[
            "1:6 <\\u> la barra \\ seguita da «u» non ha significato tra virgolette doppie | usare gli apici al posto delle virgolette: '\\u12' (oppure raddoppiare la barra: \\\\)",
        ],
    ),
    ("a = 1\na = 2\n", &["2:1 <a> la voce «a» c'è già più sopra | toglierne una delle due"]),
    (
        "[a]\nx=1\n[a]\ny=2\n",
        &["3:2 <a> la sezione [a] c'è già più sopra | unire le due sezioni in una sola"],
    ),
    (
        "[rule]\nx=1\n[[rule]]\ny=2\n",
        &["3:3 <rule> la sezione [[rule]] c'è già più sopra | scrivere [[rule]] in entrambe"],
    ),
    (
        "n = 007\nx = 1\n",
        &["1:5 <007> un numero non può cominciare con 0 | scrivere: n = 7, oppure \"007\" se è un codice"],
    ),
    (
        "n = 1,5\nx = 1\n",
        &["1:5 <1,5> i numeri con la virgola non vanno bene | scrivere un numero intero, per esempio: n = 1"],
    ),
    (
        "n = 10%\nx = 1\n",
        &[
            "1:5 <10%> «10%» non è solo un numero, e senza virgolette non può stare | scrivere soltanto il numero, oppure tutto tra virgolette: n = 10 oppure \"10%\"",
        ],
    ),
    (
        "n = 10 giorni\nx = 1\n",
        &[
            "1:5 <10 giorni> «10 giorni» non è solo un numero, e senza virgolette non può stare | scrivere soltanto il numero, oppure tutto tra virgolette: n = 10 oppure \"10 giorni\"",
        ],
    ),
    (
        "b = True\nx = 1\n",
        &[
            "1:5 <True> sì e no si scrivono true e false, in minuscolo: «True» non va bene | scrivere: b = true",
        ],
    ),
    (
        "b = sì\nx = 1\n",
        &["1:5 <sì> sì e no si scrivono true e false, in minuscolo: «sì» non va bene | scrivere: b = true"],
    ),
    (
        "name = “Gubbio”\nx = 1\n",
        &[
            "1:8 <“Gubbio”> queste virgolette (“) non vanno bene: sono quelle dei testi stampati | usare le virgolette dritte della tastiera: \"Gubbio\"",
        ],
    ),
    (
        "any = [«buca», «asfalto»]\nx = 1\n",
        &[
            "1:8 <«buca»> queste virgolette («) non vanno bene: sono quelle dei testi stampati | usare le virgolette dritte della tastiera: \"buca\"",
        ],
    ),
    (
        "name =\u{a0}\"Gubbio\"\nx = 1\n",
        &[
            "1:7 <\u{a0}> qui c'è uno spazio speciale, che non si vede ma non è ammesso | cancellare lo spazio e ribatterlo (succede copiando da Word o da una pagina web)",
        ],
    ),
    (
        "città = \"Gubbio\"\nx = 1\n",
        &[
            "1:5 <à> il nome della voce «città» contiene «à», che non è ammesso | nel nome usare solo lettere senza accento, cifre e trattini bassi",
        ],
    ),
    (
        "nome comune = \"Gubbio\"\nx = 1\n",
        &[
            "1:1 <nome comune> il nome della voce «nome comune» contiene uno spazio | scriverlo senza spazi, per esempio nome_comune",
        ],
    ),
    (
        "// commento\nx = 1\n",
        &["1:1 <//> le spiegazioni non cominciano con «//» | mettere # all'inizio della riga"],
    ),
    (
        "; commento\nx = 1\n",
        &["1:1 <;> le spiegazioni non cominciano con «;» | mettere # all'inizio della riga"],
    ),
    (
        "solo testo qui\nx = 1\n",
        &[
            "1:1 <solo testo qui> questa riga non è né una voce né una spiegazione | se è una spiegazione mettere # davanti, altrimenti scrivere voce = valore",
        ],
    ),
    ("x = 1 y = 2\n", &["1:7 <y = 2> ci sono due voci sulla stessa riga | andare a capo prima di «y»"]),
    (
        "x = { a = 1\ny = 1\n",
        &[
            "1:1 <x = { a = 1> smista non riesce a leggere questo punto (unclosed inline table, expected `}`) | confrontare la riga con la configurazione di esempio: voce = \"testo\", voce = 10, voce = [\"uno\", \"due\"]",
        ],
    ),
    (
        "name = \"L'ufficio \"URP\" di\"\nx = 1\n",
        &[
            "1:8 <\"L'ufficio \"URP\" di\"> ci sono virgolette dentro il testo, che così finisce prima del dovuto | davanti alle virgolette interne mettere una barra: \\\"; due testi diversi vanno invece tra parentesi quadre, separati da una virgola",
        ],
    ),
    (
        "name = \"a\u{7}\"\nx = 1\n",
        &["1:10 <\u{7}> qui c'è un carattere invisibile non ammesso | cancellarlo e ribattere il testo"],
    ),
    (
        "<html>\n<p>\n",
        &[
            "1:1 <<html>> questo file non è una configurazione di smista: sembra scritto in XML o HTML | riscriverlo con righe come name = \"Gubbio\" sotto sezioni come [comune]",
        ],
    ),
    (
        "{\n \"name\": \"x\"\n}\n",
        &[
            "1:1 <{> questo file non è una configurazione di smista: sembra scritto in JSON | riscriverlo con righe come name = \"Gubbio\" sotto sezioni come [comune]",
        ],
    ),
    (
        "name: x\nfolders:\n  - INBOX\n",
        &[
            "1:5 <:> al posto dei due punti serve il segno = | scrivere name = \"x\"",
            "2:8 <:> al posto dei due punti serve il segno = | scrivere folders = \"...\"",
            "3:3 <- INBOX> questa riga non è né una voce né una spiegazione | se è una spiegazione mettere # davanti, altrimenti scrivere voce = valore",
        ],
    ),
    ("a.b = 1\na = 2\n", &["2:1 <a> la voce «a» c'è già più sopra | toglierne una delle due"]),
    (
        "\"nome = 1\n",
        &[
            "1:1 <\"nome = 1> questa riga non è né una voce né una spiegazione | se è una spiegazione mettere # davanti, altrimenti scrivere voce = valore",
        ],
    ),
    (
        "mail = urp@comune.it\n",
        &["1:8 <urp@comune.it> il testo va scritto tra virgolette | scrivere: mail = \"urp@comune.it\""],
    ),
    (
        "host = imap.comune.it\n",
        &["1:8 <imap.comune.it> il testo va scritto tra virgolette | scrivere: host = \"imap.comune.it\""],
    ),
    (
        "examples = [\"Uno\", \"Due]\nx = 1\n",
        &["1:20 <\"Due> mancano le virgolette di chiusura | mettere \" alla fine del testo: \"Due\""],
    ),
    (
        "examples = [\"Uno\",\n   \"Due\",\n   \"Tre\"\nsector = \"urp\"\n",
        &[
            "1:12 <[> l'elenco che comincia qui non viene chiuso: manca la parentesi quadra ] | mettere ] dopo l'ultimo valore dell'elenco",
        ],
    ),
];

#[test]
fn usual_mistakes_are_told_at_their_place_with_the_line_as_it_should_be() {
    for (text, expected) in MISTAKES {
        assert_eq!(found(text), *expected, "{text}");
    }
}

#[test]
fn a_mistake_hides_only_its_own_statement() {
    let text = "\
[comune]
name = Gubbio
langauge = \"it\"
[http
public = \"x\"
internal = = 3
[queue]
any = [
  \"a\",
  \"b,
]
lead = \"1\"
[state]
dir = 3
[[email]]
name = \"\"\"
x = 1
\"\"\"
host = \"a\"
host = \"b\"
";
    let mut sources = Sources::new("/c".into(), Environment::default());
    let file = sources.add("/c/smista.toml".into(), text.into()).expect("text");
    let diagnostics = Diagnostics::new();
    let mut root = parse(&mut sources, file, &diagnostics).expect("always");
    assert!(root.is_damaged(), "the header of [http] is lost");
    let mut comune = root.table("comune").expect("there");
    assert!(comune.is_damaged());
    assert!(comune.required_string("name").is_none());
    assert!(comune.required_string("language").is_none());
    diagnostics.push(Diagnostic::error("late", "", "").at(comune.span().expect("header")));
    comune.finish();
    let mut queue = root.table("queue").expect("there");
    assert_eq!(queue.strings("any"), []);
    assert!(queue.int("lead").is_none());
    queue.finish();
    let mut state = root.table("state").expect("there");
    assert!(!state.is_damaged());
    assert!(state.required_string("dir").is_none());
    let mut email = root.tables("email").remove(0);
    assert!(!email.is_damaged());
    assert_eq!(email.string("name").map(|n| n.value).as_deref(), Some("x = 1\n"));
    assert_eq!(email.string("host").map(|n| n.value).as_deref(), Some("a"));
    root.missing("http", "[http]");
    root.finish();
    let places: Vec<String> = diagnostics
        .into_sorted(&sources)
        .into_iter()
        .map(|d| format!("{}:{}", sources.line_col(d.span.expect("placed")).0, d.code))
        .collect();
    assert_eq!(
        places,
        [
            "2:syntax",
            "3:unknown-key",
            "4:syntax",
            "6:syntax",
            "10:syntax",
            "12:wrong-type",
            "14:wrong-type",
            "20:duplicate-key"
        ]
    );
}

#[test]
fn a_flood_of_mistakes_is_cut() {
    let text = "a: 1\n".repeat(100);
    let told = found(&text);
    assert_eq!(told.len(), MAX_TOLD);
    assert!(told.last().expect("some").ends_with("poi rivedere le altre 75 righe sbagliate di questo file"));
}

proptest::proptest! {
    /// Whatever is cut out of or put into a right configuration: every place is within the text, and the parser's displeasure
    /// is never passed over in silence.
    #[test]
    fn no_mistake_is_silent_or_out_of_place(
        cuts in proptest::collection::vec((0_usize..3000, 0_usize..4, "[\\[\\]{}\"'=#,.\\\\nà“«0a \n-]{0,3}"), 1..4)
    ) {
        let mut text = include_str!("../../../../config/sectors.toml").to_owned();
        for (at, length, insert) in cuts {
            let floor = |mut i: usize| { i = i.min(text.len()); while !text.is_char_boundary(i) { i -= 1; } i };
            let (start, end) = (floor(at), floor(at + length));
            text.replace_range(start..end, &insert);
        }
        let is_wrong = DeTable::parse(&text).is_err();
        proptest::prop_assert_eq!(is_wrong, !found(&text).is_empty());
    }
}

#[test]
fn a_file_of_nothing_but_openings_comes_to_an_end() {
    let text = "a = [\"\n".repeat(5_000);
    assert_eq!(found(&text).len(), MAX_TOLD);
}
