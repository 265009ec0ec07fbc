use super::*;
use crate::{Environment, FileId};

fn sources(text: &str) -> (Sources, FileId) {
    let mut sources = Sources::new("/etc/smista".into(), Environment::default());
    let id = sources.add("/etc/smista/smista.toml".into(), text.into()).expect("text");
    (sources, id)
}

fn at(sources: &Sources, file: FileId, part: &str) -> Span {
    let start = sources.text(file).find(part).expect("there");
    Span { file, start, end: start + part.len() }
}

#[test]
fn the_wrong_part_is_underlined_and_the_hint_follows() {
    let (sources, file) = sources("[comune]\ncittà = 'x'\nid = \"a\"\nid = \"a\"\n");
    let first = at(&sources, file, "\"a\"");
    let second = Span { file, start: first.start + 9, end: first.end + 9 };
    let findings = [
        Diagnostic::error("unknown-key", "la voce «città» non esiste", "no key 'città'")
            .hint("togliere questa riga", "remove this line")
            .at(at(&sources, file, "città")),
        Diagnostic::warning("duplicate-id", "doppio", "double").at(second).label(
            first,
            "il primo è qui",
            "first",
        ),
        Diagnostic::error("x", "senza posto", "no place"),
    ];
    let italian = "\
smista.toml:2:1: errore: la voce «città» non esiste [unknown-key]
  2 | città = 'x'
    | ^^^^^
  Cosa fare: togliere questa riga

smista.toml:4:6: avviso: doppio [duplicate-id]
  4 | id = \"a\"
    |      ^^^
  smista.toml:3:6: il primo è qui:
  3 | id = \"a\"
    |      ---

errore: senza posto [x]

";
    assert_eq!(render(&findings, &sources, Lang::It, false), italian);
    assert_eq!(summary(&findings, Lang::It), "2 errori, 1 avviso");
    assert_eq!(summary(&findings[..1], Lang::En), "1 error");
    assert_eq!(summary(&[], Lang::It), "");
    let english = render(&findings[..1], &sources, Lang::En, false);
    assert!(english.ends_with("  What to do: remove this line\n\n"), "{english}");
    assert_eq!(render(&[], &sources, Lang::It, false), "");
}

#[test]
fn colors_are_only_added() {
    let (sources, file) = sources("a = 1\n");
    let findings = [Diagnostic::error("x", "no", "no").hint("sì", "yes").at(at(&sources, file, "1"))];
    let plain = render(&findings, &sources, Lang::It, false);
    let colored = render(&findings, &sources, Lang::It, true);
    assert_ne!(plain, colored);
    let mut stripped = String::new();
    for (i, part) in colored.split('\u{1b}').enumerate() {
        stripped.push_str(if i == 0 { part } else { part.split_once('m').expect("ansi").1 });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn marks_stay_under_their_part_with_tabs_long_lines_and_line_ends() {
    let long = format!("examples = [\"{}\", 5, \"{}\"]", "à".repeat(150), "b".repeat(150));
    let (sources, file) = sources(&format!("\tx\t= 1\n{long}\nany = [\"a\"\n"));
    for (part, expected) in [("1", "x = 1"), ("5", "5")] {
        let finding = Diagnostic::error("x", "", "").at(at(&sources, file, part));
        let text = render(&[finding], &sources, Lang::It, false);
        let lines: Vec<Vec<char>> = text.lines().map(|l| l.chars().collect()).collect();
        assert!(lines[1].len() < 112, "{text}");
        let column = lines[2].iter().position(|c| *c == '^').expect("marked");
        assert_eq!(lines[1].get(column).map(char::to_string).as_deref(), Some(part), "{expected}\n{text}");
    }
    let end = sources.text(file).rfind('\n').expect("line end");
    let finding = Diagnostic::error("x", "", "").at(Span { file, start: end, end });
    let text = render(&[finding], &sources, Lang::It, false);
    assert!(text.contains("  3 | any = [\"a\"\n    |           ^\n"), "{text}");
    let whole = Diagnostic::error("x", "", "").at(Span { file, start: 1, end });
    let text = render(&[whole], &sources, Lang::It, false);
    assert!(text.contains("  1 |  x = 1\n    |  ^^^^^\n"), "{text}");
}

#[test]
fn secrets_and_control_characters_are_not_shown() {
    for (line, shown) in [
        ("password = \"s3greto\"", "password = \"*******\""),
        ("app_secret = 's3greto' # x", "app_secret = '*******' * *"),
        ("password: s3greto", "password: *******"),
        ("password_file = \"urp\"", "password_file = \"urp\""),
        ("password_expires = 2027-01-01", "password_expires = 2027-01-01"),
        ("token_url = \"https://u:p@a.example/t\"", "token_url = \"https://u:*@a.example/t\""),
        ("url = \"postgres://smista:s3gr@to@db/x\"", "url = \"postgres://smista:*******@db/x\""),
        ("url = 'postgres:///x?password=s3gr&host=/run'", "url = 'postgres:///x?password=****&host=/run'"),
        ("url = \"postgres://smista@db/x\"", "url = \"postgres://smista@db/x\""),
        ("città = \"x://a:b@c\" \"y://d:e@f\"", "città = \"x://a:*@c\" \"y://d:*@f\""),
    ] {
        assert_eq!(mask(line), shown);
    }
    let mut sources = sources("a = 1\n").0;
    let file = sources.add_variable("SMISTA_DATABASE__URL", "s3greto");
    let finding = Diagnostic::error("x", "no\u{1b}[31m", "no").at(Span { file, start: 0, end: 7 });
    let text = render(std::slice::from_ref(&finding), &sources, Lang::It, false);
    assert_eq!(text, "variabile d'ambiente SMISTA_DATABASE__URL: errore: no\u{fffd}[31m [x]\n\n");
    let json = to_json(&[finding], &sources, Lang::En);
    assert_eq!(json[0]["variable"], "SMISTA_DATABASE__URL");
    assert_eq!(json[0]["file"], Value::Null);
    assert!(!json.to_string().contains("s3greto"));
}

#[test]
fn json_has_the_documented_shape() {
    let (sources, file) = sources("[a]\nb = 1\n");
    let finding = Diagnostic::warning("x", "it", "en").hint("h-it", "h-en").at(at(&sources, file, "b"));
    assert_eq!(
        to_json(&[finding], &sources, Lang::En),
        json!([{"code": "x", "severity": "warning", "file": "smista.toml", "variable": null, "line": 2, "column": 1,
                "end_line": 2, "end_column": 2, "message": "en", "hint": "h-en"}])
    );
}
