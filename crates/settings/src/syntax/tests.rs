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
const MISTAKES: &[(&str, &[&str])] = &[];

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
