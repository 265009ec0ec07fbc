//! Whole configuration directories: layering, file names, the town's and the sectors' types.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{fs, path::Path, time::Duration};

use smista_domain::{Lang, SectorId};
use smista_settings::{
    Days, Environment, Loaded, MonthDay, OutboxMode, Queue, Sectors, Severity, Town, find_config_dir, load,
    render,
};

const MINIMAL: &str = "[comune]\nname = \"Gubbio\"\n";
const SECTORS: &str =
    "[[sector]]\nid = \"urp\"\nname = \"URP\"\n[[kind]]\nid = \"altro\"\nname = \"Altro\"\n";

struct Directory(tempfile::TempDir);

impl Directory {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("below")).expect("folder");
            fs::write(path, text).expect("written");
        }
        Self(dir)
    }
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn load(&self, environment: &[(&str, &str)]) -> Loaded {
        load(self.path().to_owned(), environment.iter().copied().collect())
    }
}

/// Reads all that this crate owns; the findings in Italian.
fn check(loaded: &mut Loaded) -> (Option<Town>, Option<Sectors>, String) {
    let town = Town::read(&mut loaded.root);
    loaded.root.ignore(&["database", "email"]);
    loaded.root.clone().finish();
    let sectors = loaded.sectors.take().map(Sectors::read);
    if let (Some(town), Some(sectors)) = (&town, &sectors) {
        sectors.check_fallback(&town.queue.fallback, &loaded.diagnostics);
    }
    let findings = loaded.diagnostics.clone().into_sorted(&loaded.sources);
    (town, sectors, render(&findings, &loaded.sources, Lang::It, false))
}

#[test]
fn defaults_are_enough_but_for_the_name() {
    let dir = Directory::new(&[("smista.toml", MINIMAL), ("sectors.toml", SECTORS)]);
    let (town, sectors, findings) = check(&mut dir.load(&[]));
    assert_eq!(findings, "");
    let town = town.expect("valid");
    assert_eq!(town.comune.name, "Gubbio");
    assert_eq!(town.comune.time_zone.iana_name(), Some("Europe/Rome"));
    assert_eq!((town.comune.language, town.comune.patron), (Lang::It, None));
    assert_eq!(town.state.dir, Path::new("/var/lib/smista"));
    assert_eq!(town.http.public.to_string(), "127.0.0.1:8080");
    assert_eq!(town.queue, Queue::default());
    assert_eq!((town.queue.lease_for, town.queue.fallback.value.as_str()), (Duration::from_mins(5), "urp"));
    assert_eq!(town.outbox, OutboxMode::Hold);
    assert_eq!(sectors.expect("there").sectors.len(), 1);
}

#[test]
fn the_file_goes_over_the_defaults_and_the_environment_over_the_file() {
    let text = "[comune]\nname = \"Gubbio\"\ndomains = [\"a.it\"]\n[queue]\nmax_attempts = 3\nlead = 5\n\
                [database]\nschema = \"a\"\n";
    let dir = Directory::new(&[("smista.toml", text), ("sectors.toml", SECTORS)]);
    let mut loaded = dir.load(&[
        ("SMISTA_CONFIG", "/elsewhere"),
        ("SMISTA_URP_PASSWORD", "s3greto"),
        ("SMISTA_COMUNE__NAME", "2026"),
        ("SMISTA_COMUNE__DOMAINS", "b.it, c.it"),
        ("SMISTA_QUEUE__MAX_ATTEMPTS", "7"),
        ("SMISTA_STATE__DIR", "/tmp/state"),
        ("SMISTA_DATABASE__URL", "postgres://db/x"),
        ("RUNTIME_DIRECTORY", "/run/a:/run/b"),
        ("PATH", "/bin"),
    ]);
    let (town, _, findings) = check(&mut loaded);
    assert_eq!(findings, "");
    let town = town.expect("valid");
    assert_eq!((town.comune.name.as_str(), town.queue.max_attempts, town.queue.lead), ("2026", 7, 5));
    assert_eq!(town.comune.domains, ["b.it", "c.it"]);
    assert_eq!(
        (town.state.dir.as_path(), town.state.run_dir.as_path()),
        (Path::new("/tmp/state"), Path::new("/run/a"))
    );
    let mut database = loaded.root.table("database").expect("there");
    let url = database.string("url").expect("from the environment");
    assert_eq!(url.value, "postgres://db/x");
    assert_eq!(url.span.and_then(|s| loaded.sources.variable(s.file)), Some("SMISTA_DATABASE__URL"));
    let schema = database.string("schema").expect("from the file");
    assert_eq!(schema.span.map(|s| loaded.sources.line_col(s)), Some((8, 10)));
}

#[test]
fn a_table_that_only_the_environment_has_is_there() {
    let dir = Directory::new(&[("sectors.toml", SECTORS), ("smista.toml", "")]);
    let mut loaded = dir.load(&[("SMISTA_COMUNE__NAME", "Gubbio"), ("SMISTA_DATABASE__SCHEMA", "x")]);
    let (town, _, findings) = check(&mut loaded);
    assert_eq!((findings.as_str(), town.expect("valid").comune.name.as_str()), ("", "Gubbio"));
    assert_eq!(
        loaded.root.table("database").and_then(|mut d| d.string("schema")).map(|s| s.value).as_deref(),
        Some("x")
    );
}

#[test]
fn wrong_variables_are_told_by_name_and_never_by_value() {
    let text = format!("{MINIMAL}[[email]]\nname = \"urp\"\n");
    let dir = Directory::new(&[("smista.toml", &text), ("sectors.toml", SECTORS)]);
    let (_, _, findings) = check(&mut dir.load(&[
        ("SMISTA_EMAIL__HOST", "s3greto"),
        ("SMISTA_QUEUE__MAX_ATTEMPT", "3"),
        ("SMISTA_QUEUE__LEAD", "molto"),
        ("SMISTA___X", "1"),
    ]));
    assert_eq!(
        findings,
        "\
variabile d'ambiente SMISTA_EMAIL__HOST: errore: una variabile d'ambiente non può cambiare [[email]], che può esserci più volte [environment]
  Cosa fare: togliere la variabile e scrivere la voce nel file di configurazione

variabile d'ambiente SMISTA_QUEUE__LEAD: errore: «lead» deve essere un numero intero, ma qui c'è un testo [wrong-type]
  Cosa fare: scrivere un numero senza virgolette: lead = 10

variabile d'ambiente SMISTA_QUEUE__MAX_ATTEMPT: errore: la voce «max_attempt» non esiste in [queue] [unknown-key]
  Cosa fare: forse si voleva scrivere «max_attempts»?

variabile d'ambiente SMISTA___X: errore: il nome di questa variabile non corrisponde a nessuna voce della configurazione [environment]
  Cosa fare: un nome valido è per esempio SMISTA_COMUNE__NAME: sezione, due trattini bassi, voce

"
    );
}

#[test]
fn rule_files_come_by_name_without_what_editors_leave_behind() {
    let dir = Directory::new(&[
        ("smista.toml", MINIMAL),
        ("sectors.toml", SECTORS),
        ("rules/b.toml", "x = 1"),
        ("rules/A.TOML", "x = 1"),
        ("rules/b.toml~", "garbage"),
        ("rules/.#b.toml", "garbage"),
        ("rules/#b.toml#", "garbage"),
        ("rules/.b.toml.swp", "garbage"),
        ("rules/strade.toml.txt", "[[rule]]"),
        ("rules/old.toml/x.toml", "garbage"),
    ]);
    let loaded = dir.load(&[]);
    let names: Vec<String> = loaded.rule_files.iter().map(|(id, _)| loaded.sources.display(*id)).collect();
    assert_eq!(names, ["rules/A.TOML", "rules/b.toml"]);
    let findings = loaded.diagnostics.clone().into_sorted(&loaded.sources);
    let text = render(&findings, &loaded.sources, Lang::It, false);
    assert_eq!(
        text,
        "\
rules/strade.toml.txt: avviso: questo file non viene letto, perché il suo nome non finisce in «.toml» [file-ignored]
  Cosa fare: se contiene regole rinominarlo in «strade.toml», altrimenti spostarlo altrove

"
    );
}

#[test]
fn missing_files_are_told_with_the_one_that_was_meant() {
    let dir = Directory::new(&[("smista.toml.txt", MINIMAL)]);
    let (_, _, findings) = check(&mut dir.load(&[]));
    assert!(
        findings.contains(
            "manca il file «smista.toml» [file-missing]\n  Cosa fare: c'è invece «smista.toml.txt»"
        ),
        "{findings}"
    );
    assert!(findings.contains("manca il file «sectors.toml»"), "{findings}");
    let nowhere = load(dir.path().join("none"), Environment::default());
    let first = nowhere.diagnostics.clone().into_sorted(&nowhere.sources).remove(0);
    assert!(first.text.it.contains("non esiste"), "{}", first.text.it);
}

#[test]
fn the_directory_is_found_in_the_documented_order() {
    let environment: Environment = [("SMISTA_CONFIG", "/a")].into_iter().collect();
    assert_eq!(find_config_dir(Some("/b".into()), &environment), Path::new("/b"));
    assert_eq!(find_config_dir(None, &environment), Path::new("/a"));
    let fallback = if Path::new("/etc/smista").is_dir() { "/etc/smista" } else { "config" };
    assert_eq!(find_config_dir(None, &Environment::default()), Path::new(fallback));
}

#[test]
fn the_town_is_checked_in_full() {
    let text = "\
[comune]
name = \"Gubbio\"
time_zone = \"Rome\"
language = \"italiano\"
patron = \"16/05\"
domains = [\"@comune.gubbio.pg.it\", \"ok.it\"]
[http]
public = \"8080\"
internal = \"localhost:8081\"
[queue]
max_attempts = 0
lease_for = \"5\"
reopen_days = 9999
fallback = \"Ufficio Relazioni\"
[outbox]
mode = \"on\"
[desk]
name = \"a\"
[[phone]]
name = \"a\"
";
    let dir = Directory::new(&[("smista.toml", text), ("sectors.toml", SECTORS)]);
    let mut loaded = dir.load(&[]);
    let (town, _, findings) = check(&mut loaded);
    assert!(town.is_none());
    let findings: Vec<&str> =
        findings.lines().filter(|l| l.contains(": errore:") || l.contains(": avviso:")).collect();
    assert_eq!(
        findings,
        [
            "smista.toml:3:13: errore: «time_zone»: il fuso orario \"Rome\" non esiste [invalid-value]",
            "smista.toml:4:12: errore: «language» non può essere \"italiano\" [unknown-word]",
            "smista.toml:5:10: errore: «patron»: \"16/05\" non è un giorno dell'anno [invalid-value]",
            "smista.toml:6:12: errore: «domains»: \"@comune.gubbio.pg.it\" non è un dominio [invalid-value]",
            "smista.toml:8:10: errore: «public»: \"8080\" non è un indirizzo con la sua porta [invalid-value]",
            "smista.toml:11:16: errore: «max_attempts» deve essere un numero tra 1 e 100, ma qui è 0 [invalid-value]",
            "smista.toml:12:13: errore: «lease_for»: \"5\" non è una durata [invalid-value]",
            "smista.toml:13:15: errore: «reopen_days» deve essere un numero tra 0 e 3650, ma qui è 9999 [invalid-value]",
            "smista.toml:14:12: errore: «fallback»: \"Ufficio Relazioni\" non va bene: servono lettere minuscole senza accento, cifre e trattini, senza spazi [invalid-value]",
            "smista.toml:16:8: avviso: «mode = \"on\"» non è ancora attivo in questa versione: nessun messaggio viene spedito [not-yet]",
            "smista.toml:17:1: avviso: la sezione «desk» non è ancora attiva in questa versione: viene ignorata [not-yet]",
            "smista.toml:19:1: avviso: la sezione «phone» non è ancora attiva in questa versione: viene ignorata [not-yet]",
        ]
    );
    let all = loaded.diagnostics.into_sorted(&loaded.sources);
    assert_eq!(all.iter().filter(|d| d.severity == Severity::Warning).count(), 3);
    assert_eq!(all[0].hint.as_ref().map(|h| h.it.as_str()), Some("scrivere time_zone = \"Europe/Rome\""));
    assert_eq!(
        all[2].hint.as_ref().map(|h| h.it.as_str()),
        Some("scrivere mese e giorno, con due cifre: \"05-16\"")
    );
}

#[test]
fn sectors_are_read_and_their_relations_checked() {
    let good = "\
[[sector]]
id = \"urp\"
name = \" URP \"
[[sector]]
id = \"strade\"
name = \"Servizio strade\"
parent = \"urp\"
mail = \"strade@comune.gubbio.pg.it\"
cc = \"capo@comune.gubbio.pg.it\"
deadline = \"10 giorni lavorativi\"
confidential = true
[[kind]]
id = \"altro\"
name = \"Altro\"
answer_within = 30
[calendar]
closed_weekdays = [\"Sabato\", \"lunedi\"]
closed_days = [\"12-24\", \"2026-12-31\"]
";
    let dir = Directory::new(&[("smista.toml", MINIMAL), ("sectors.toml", good)]);
    let (_, sectors, findings) = check(&mut dir.load(&[]));
    assert_eq!(findings, "");
    let sectors = sectors.expect("there");
    let strade = sectors.sector(&SectorId::new("strade").expect("id")).expect("there");
    assert_eq!(sectors.sectors[0].name, "URP");
    assert_eq!(strade.parent.as_ref().map(|p| p.value.as_str()), Some("urp"));
    assert_eq!((strade.confidential, strade.external), (true, false));
    assert_eq!(strade.deadline, Some(Days { count: 10, working: true }));
    assert_eq!(strade.cc, ["capo@comune.gubbio.pg.it"]);
    assert_eq!(sectors.kinds[0].answer_within, Some(Days { count: 30, working: false }));
    let day = |m, d| jiff::civil::date(2026, m, d);
    let working = |date| sectors.calendar.is_working_day(date, MonthDay::parse("05-16"));
    assert!(!working(day(12, 24)) && !working(day(12, 31)) && !working(day(11, 21)) && !working(day(11, 22)));
    assert!(!working(day(11, 23)) && working(day(11, 24)));
}

#[test]
fn wrong_sectors_are_told() {
    let bad = "\
[[sector]]
id = \"urp\"
name = \"URP\"
parent = \"strdae\"
[[sector]]
id = \"strade\"
name = \"Strade\"
parent = \"ambiente\"
[[sector]]
id = \"ambiente\"
name = \"Ambiente\"
parent = \"strade\"
[[sector]]
id = \"ambiente\"
name = \"Ambiente bis\"
mail = \"ambiente.comune.it\"
[[sector]]
id = \"me\"
name = \"Io\"
parent = \"me\"
external = true
[[kind]]
id = \"Altro Tipo\"
name = \"Altro\"
answer_within = \"presto\"
";
    let dir = Directory::new(&[
        ("smista.toml", "[comune]\nname = \"G\"\n[queue]\nfallback = \"me\"\n"),
        ("sectors.toml", bad),
    ]);
    let (_, _, findings) = check(&mut dir.load(&[]));
    let found: Vec<&str> =
        findings.lines().filter(|l| l.contains(": errore:") || l.contains(": avviso:")).collect();
    assert_eq!(
        found,
        [
            "smista.toml:4:12: errore: \"me\" è un settore esterno: non può smistare quello che le regole non decidono [external-fallback]",
            "sectors.toml:4:10: errore: «parent»: il settore \"strdae\" non esiste in sectors.toml [unknown-sector]",
            "sectors.toml:12:10: errore: questi settori appartengono l'uno all'altro in cerchio: ambiente → strade → ambiente [sector-circle]",
            "sectors.toml:14:6: errore: il settore \"ambiente\" c'è già [duplicate-id]",
            "sectors.toml:16:8: errore: «mail»: \"ambiente.comune.it\" non è un indirizzo e-mail: manca la chiocciola (@) [bad-address]",
            "sectors.toml:17:1: avviso: questo settore è esterno ma non ha un indirizzo: non potrà ricevere nulla [external-without-mail]",
            "sectors.toml:20:10: errore: il settore \"me\" non può appartenere a sé stesso [sector-circle]",
            "sectors.toml:23:6: errore: «id»: \"Altro Tipo\" non va bene: servono lettere minuscole senza accento, cifre e trattini, senza spazi [invalid-value]",
            "sectors.toml:25:17: errore: «answer_within»: presto non è un numero di giorni [invalid-value]",
        ]
    );
}

#[test]
fn the_sample_configuration_is_right() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut loaded = load(dir, Environment::default());
    let (town, sectors, findings) = check(&mut loaded);
    assert_eq!(findings, "");
    let (town, sectors) = (town.expect("valid"), sectors.expect("there"));
    assert_eq!(town.comune.patron, MonthDay::parse("05-16"));
    let ids: Vec<&str> = sectors.sectors.iter().map(|s| s.id.value.as_str()).collect();
    assert_eq!(ids.len(), 14);
    assert_eq!(sectors.kinds.len(), 10);
    let confidential: Vec<&str> =
        sectors.sectors.iter().filter(|s| s.confidential).map(|s| s.id.value.as_str()).collect();
    assert_eq!(confidential, ["rpct"]);
}
