use secrecy::ExposeSecret;

use super::*;
use crate::{SecretSource, parse, source::Sources};

struct Bench {
    sources: Sources,
    diagnostics: Diagnostics,
    root: Section,
}

fn bench(text: &str) -> Bench {
    let environment = [("URP_PASSWORD", "segreto")].into_iter().collect();
    let mut sources = Sources::new("/etc/smista".into(), environment);
    let file = sources.add("/etc/smista/smista.toml".into(), text.into()).expect("text");
    let diagnostics = Diagnostics::new();
    let root = parse(&mut sources, file, &diagnostics).expect("parses");
    Bench { sources, diagnostics, root }
}

impl Bench {
    /// Every finding as `code line:column "underlined" Italian text | hint`.
    fn found(self) -> Vec<String> {
        let text =
            |span: Span| self.sources.text(span.file).get(span.start..span.end).unwrap_or("?").to_owned();
        self.diagnostics
            .clone()
            .into_sorted(&self.sources)
            .into_iter()
            .map(|d| {
                let at = d.span.map_or("-".to_owned(), |s| {
                    let (line, column) = self.sources.line_col(s);
                    format!("{line}:{column} <{}>", text(s))
                });
                format!("{} {at} {} | {}", d.code, d.text.it, d.hint.map_or(String::new(), |h| h.it))
            })
            .collect()
    }
}

#[test]
fn every_type_is_read_with_its_place() {
    let mut bench = bench(
        "s = \"x\"\ni = 0x10\nb = true\nf = 1.5\nl = [\"a\", \"b\"]\none = \"a\"\nd = 2026-11-01\nd2 = \"2026-11-02\"\n\
         w = 2026-11-03\n[t]\nx = 1\n[[many]]\n[[many]]\n",
    );
    let root = &mut bench.root;
    let s = root.string("s").expect("there");
    assert_eq!(bench.sources.position(s.span.expect("place")).column, 5);
    assert_eq!(s.value, "x");
    assert_eq!(root.int("i").map(|v| v.value), Some(16));
    assert_eq!(root.bool("b").map(|v| v.value), Some(true));
    assert_eq!(root.float("f").map(|v| v.value), Some(1.5));
    assert_eq!(root.float("i").map(|v| v.value), Some(16.0));
    assert_eq!(root.strings("l").into_iter().map(|v| v.value).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(root.strings("one").into_iter().map(|v| v.value).collect::<Vec<_>>(), ["a"]);
    assert_eq!(root.date("d").map(|v| v.value), Some(jiff::civil::date(2026, 11, 1)));
    assert_eq!(root.date("d2").map(|v| v.value), Some(jiff::civil::date(2026, 11, 2)));
    assert_eq!(root.string_or_date("w").map(|v| v.value), Some("2026-11-03".to_owned()));
    let mut table = root.table("t").expect("there");
    assert_eq!(table.int("x").map(|v| v.value), Some(1));
    assert_eq!(table.title(), "[t]");
    assert_eq!(table.span().map(|s| bench.sources.line_col(s)), Some((10, 1)));
    let many = root.tables("many");
    assert_eq!(many.iter().map(Section::title).collect::<Vec<_>>(), ["[[many]]", "[[many]]"]);
    assert_eq!(many.get(1).and_then(Section::span).map(|s| bench.sources.line_col(s)), Some((13, 1)));
    bench.root.clone().finish();
    assert_eq!(bench.found(), Vec::<String>::new());
}

#[test]
fn wrong_types_are_told_with_the_line_as_it_should_be() {
    let mut bench = bench(
        "host = 5\nport = \"993\"\non = \"sì\"\nlist = 3\nitems = [\"a\", 2]\nday = \"01/02/2027\"\nbad = \"2026-02-30\"\n\
         tls = \"tsl\"\nhuge = 99999999999999999999\nmail = \"x\"\n[[http]]\n[rule]\n",
    );
    let root = &mut bench.root;
    assert!(root.string("host").is_none());
    assert!(root.int("port").is_none());
    assert!(root.bool("on").is_none());
    assert!(root.strings("list").is_empty());
    assert_eq!(root.strings("items").len(), 1);
    assert!(root.date("day").is_none());
    assert!(root.date("bad").is_none());
    assert!(root.choice("tls", &[("tls", 1), ("none", 2)]).is_none());
    assert!(root.int("huge").is_none());
    assert!(root.tables("mail").is_empty());
    assert!(root.table("http").is_none());
    assert_eq!(root.tables("rule").len(), 1);
    assert_eq!(
        bench.found(),
        [
            "wrong-type 1:8 <5> «host» deve essere un testo tra virgolette, ma qui c'è un numero intero | mettere le virgolette: host = \"5\"",
            "wrong-type 2:8 <\"993\"> «port» deve essere un numero intero, ma qui c'è un testo | togliere le virgolette: port = 993",
            "wrong-type 3:6 <\"sì\"> «on» deve essere true (sì) oppure false (no), ma qui c'è un testo | senza virgolette e in inglese: on = true",
            "wrong-type 4:8 <3> «list» deve essere un elenco di testi tra virgolette, ma qui c'è un numero intero | scrivere list = [\"primo\", \"secondo\"]",
            "wrong-type 5:15 <2> «items» deve essere un elenco di testi tra virgolette, ma qui c'è un numero intero | scrivere items = [\"primo\", \"secondo\"]",
            "wrong-type 6:7 <\"01/02/2027\"> «day» deve essere una data, ma qui c'è un testo | scrivere prima l'anno: day = 2027-02-01",
            "wrong-type 7:7 <\"2026-02-30\"> «bad» deve essere una data, ma \"2026-02-30\" non è una data che esiste | scrivere la data come anno-mese-giorno: bad = 2027-02-01",
            "unknown-word 8:7 <\"tsl\"> «tls» non può essere \"tsl\" | forse \"tls\"? Sono ammessi: \"tls\", \"none\"",
            "wrong-type 9:8 <99999999999999999999> il numero in «huge» è troppo grande | scrivere un numero senza virgolette: huge = 10",
            "wrong-type 10:8 <\"x\"> «mail» deve essere una sezione, ma qui c'è un testo | scrivere [[mail]] su una riga, e sotto le sue voci",
            "wrong-type 11:1 <[[http]]> [http] può esserci una volta sola e vuole parentesi quadre semplici | scrivere [http]",
            "wrong-type 12:1 <[rule]> «rule» vuole doppie parentesi quadre, perché possono essercene più d'una | scrivere [[rule]]",
        ]
    );
}

#[test]
fn unknown_and_missing_keys_are_told_with_what_was_meant() {
    let mut bench = bench("[comune]\nnome = \"Gubbio\"\nxyz = 1\nlanguage = \" \"\n[emial]\n");
    let mut comune = bench.root.table("comune").expect("there");
    assert!(comune.required_string("name").is_none());
    assert!(comune.required_string("language").is_none());
    comune.finish();
    assert!(bench.root.tables("email").is_empty());
    bench.root.clone().finish();
    assert_eq!(
        bench.found(),
        [
            "missing-key 1:1 <[comune]> manca «name» in [comune] | aggiungere sotto questa riga: name = \"...\"",
            "unknown-key 2:1 <nome> la voce «nome» non esiste in [comune] | forse si voleva scrivere «name»?",
            "unknown-key 3:1 <xyz> la voce «xyz» non esiste in [comune] | togliere questa riga, oppure usare una delle voci ammesse: language, name",
            "invalid-value 4:12 <\" \"> «language» è vuoto | scrivere il valore tra le virgolette",
            "unknown-key 5:2 <emial> la sezione [emial] non esiste | forse si voleva scrivere [[email]]?",
        ]
    );
}

#[test]
fn secrets_come_from_one_file_or_one_variable_and_never_from_here() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("urp");
    std::fs::write(&path, "s3greto\r\n").expect("written");
    let mut bench = bench(&format!(
        "[a]\npassword_file = \"{0}\"\n[b]\npassword_env = \"URP_PASSWORD\"\n[c]\npassword_env = \"NO\"\n[d]\n\
         password_env = \"A\"\npassword_file = \"b\"\n[e]\npassword = \"x\"\n[f]\npassword_file = \"none\"\n",
        path.display()
    ));
    let mut secret = |key| bench.root.table(key).and_then(|mut t| t.secret("password"));
    let load = |s: Option<SecretSource>| s.expect("named").load().map(|s| s.expose_secret().to_owned());
    assert_eq!(load(secret("a")), Ok("s3greto".to_owned()));
    assert_eq!(load(secret("b")), Ok("segreto".to_owned()));
    let missing = load(secret("c")).expect_err("not set");
    assert_eq!((missing.code, missing.span.is_some()), (codes::SECRET_MISSING, true));
    assert!(secret("d").is_none());
    assert!(secret("e").is_none());
    assert!(load(secret("f")).expect_err("no file").text.it.contains("il file «none» non esiste"));
    let source = secret("b");
    assert!(!format!("{source:?}").contains("segreto"));
    let codes: Vec<String> =
        bench.found().iter().map(|f| f.split(" <").next().unwrap_or("").to_owned()).collect();
    assert_eq!(codes, ["secret-twice 8:1", "secret-in-file 11:1"]);
}
