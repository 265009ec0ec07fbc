//! Every mistake in a rule, with its code and the text that it points at.

use smista_settings::Severity;

use crate::support::{compile, compile_files};

/// A rule that is right but for the given line.
fn with(line: &str) -> String {
    format!("[[rule]]\nid = \"r\"\nany = [\"buca\"]\nsector = \"lavori-pubblici\"\n{line}\n")
}

#[track_caller]
fn mistake(text: &str, code: &str, at: &str) {
    let outcome = compile(text);
    let (finding, pointed) = outcome.only();
    assert_eq!((finding.code, pointed), (code, at));
    assert!(finding.hint.is_some(), "says what to do");
    assert_eq!(finding.severity, Severity::Error);
}

#[track_caller]
fn warning(text: &str, code: &str, at: &str) {
    let outcome = compile(text);
    let (finding, pointed) = outcome.only();
    assert_eq!((finding.code, pointed, finding.severity), (code, at, Severity::Warning));
}

#[test]
fn patterns_that_are_none() {
    for (pattern, code) in [
        ("\"\"", "rule-pattern-empty"),
        ("\"//\"", "rule-pattern-empty"),
        ("\"?!\"", "rule-pattern-no-letters"),
        ("\"lampione ..\"", "rule-pattern-gap"),
        ("\"~via\"", "rule-typo-short"),
        ("\"~ lampione\"", "rule-pattern-mark"),
        ("\"asfalt*\"", "rule-pattern-star"),
        ("\"/buca\"", "rule-regex-unclosed"),
        ("\"/(buca)?/\"", "rule-regex-empty"),
        ("\"/buca(/\"", "rule-regex-broken"),
        ("'/((bu{100}){100}){100}/'", "rule-regex-too-big"),
        ("\"a b c d e f g h i l m n o p q r s\"", "rule-pattern-too-long"),
    ] {
        for key in ["none", "all", "subject"] {
            mistake(&with(&format!("{key} = [{pattern}]")), code, pattern);
        }
    }
}

#[test]
fn patterns_that_are_doubtful() {
    warning(&with("all = [\"di\"]"), "rule-pattern-too-common", "\"di\"");
    warning(&with("all = ['/[0-9]{5}/']"), "rule-regex-slow", "'/[0-9]{5}/'");
    warning(&with("all = [\"via\", \"VIA!\"]"), "rule-pattern-twice", "\"VIA!\"");
}

#[test]
fn unknown_sectors_and_kinds() {
    mistake(&with("").replace("lavori-pubblici", "lavori-publici"), "unknown-sector", "\"lavori-publici\"");
    mistake(&with("kind = \"reclami\""), "unknown-kind", "\"reclami\"");
}

#[test]
fn words_of_the_wrong_form() {
    mistake(&with("category = \"Strade e buche\""), "rule-word", "\"Strade e buche\"");
    mistake(&with("tag = [\"ok\", \"non ok\"]"), "rule-word", "\"non ok\"");
    mistake(&with("").replace("id = \"r\"", "id = \"Regola 1\""), "rule-id", "\"Regola 1\"");
    mistake(&with("channel = [\"fax\"]"), "rule-channel", "\"fax\"");
    mistake(&with("sender = [\"Mario Rossi\"]"), "rule-address", "\"Mario Rossi\"");
    mistake(&with("folder = [\" \"]"), "rule-condition-empty", "\" \"");
    mistake(&with("priority = \"alta\""), "unknown-word", "\"alta\"");
}

#[test]
fn weights() {
    mistake(&with("weight = 0"), "rule-weight-zero", "0");
    mistake(&with("weight = 100000"), "rule-weight-absurd", "100000");
    mistake(&with("weight = -1001"), "rule-weight-absurd", "-1001");
}

#[test]
fn rules_without_condition_or_effect() {
    mistake("[[rule]]\nid = \"r\"\nsector = \"urp\"\n", "rule-no-condition", "\"r\"");
    mistake("[[rule]]\nid = \"r\"\nnone = [\"buca\"]\nsector = \"urp\"\n", "rule-only-none", "\"r\"");
    mistake("[[rule]]\nid = \"r\"\nany = [\"buca\"]\n", "rule-no-effect", "\"r\"");
}

#[test]
fn a_rule_without_id_and_an_unknown_key() {
    assert_eq!(compile("[[rule]]\nany = [\"buca\"]\nsector = \"urp\"\n").codes(), ["missing-key"]);
    mistake(&with("eny = [\"buca\"]"), "unknown-key", "eny");
    mistake("regola = 1\n", "unknown-key", "regola");
}

#[test]
fn a_rule_that_is_there_twice_points_at_the_first() {
    let outcome = compile_files(&[&with(""), &with("").replace("buca", "voragine")], |_| {});
    let (finding, pointed) = outcome.only();
    assert_eq!((finding.code, pointed), ("rule-duplicate-id", "\"r\""));
    let [(first, _)] = finding.labels.as_slice() else { panic!("one label") };
    assert_ne!(Some(first.file), finding.span.map(|s| s.file));
    assert_eq!(outcome.text_at(*first), "\"r\"");
}

#[test]
fn a_rule_that_can_never_hold() {
    mistake(&with("all = [\"strada\"]\nnone = [\"strade\"]"), "rule-never", "\"strada\"");
    mistake(
        &with("all = [\"la strada provinciale\"]\nnone = [\"strada provinciale\"]"),
        "rule-never",
        "\"la strada provinciale\"",
    );
    mistake(&with("none = [\"Buche\"]"), "rule-never", "\"buca\"");
    mistake(&with("none = [\"~buca\"]"), "rule-never", "\"buca\"");
    mistake(&with("all = [\"/x yz/\"]\nnone = [\"/x yz/\"]"), "rule-never", "\"/x yz/\"");
}

#[test]
fn a_rule_that_can_hold_is_not_called_impossible() {
    for line in [
        "none = [\"buca delle lettere\"]",
        "all = [\"strada\"]\nnone = [\"strada provinciale\"]",
        "all = [\"~tombino\"]\nnone = [\"tombino\"]",
        "all = [\"lampione .. spento\"]\nnone = [\"lampione spento\"]",
    ] {
        assert!(compile(&with(line)).codes().is_empty(), "{line}");
    }
}

#[test]
fn a_pattern_of_any_that_never_counts() {
    let text =
        with("none = [\"buca\"]").replace("any = [\"buca\"]", "any = [\"buca delle lettere\", \"voragine\"]");
    warning(&text, "rule-pattern-never", "\"buca delle lettere\"");
}

#[test]
fn rules_with_the_same_conditions() {
    let text = format!("{}{}", with(""), with("").replace("\"r\"", "\"s\"").replace("buca", "BUCHE"));
    let outcome = compile(&text);
    let (finding, pointed) = outcome.only();
    assert_eq!((finding.code, pointed, finding.labels.len()), ("rule-same-conditions", "\"s\"", 1));
}

#[test]
fn examples_that_contradict_each_other() {
    mistake(
        &with("examples = [\"una buca\"]\ncounterexamples = [ \"una buca\" ]"),
        "rule-example-twice",
        "\"una buca\"",
    );
    mistake(&with("examples = [\"\"]"), "rule-example-empty", "\"\"");
}

#[test]
fn every_mistake_is_reported_not_just_the_first() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"\", \"/(/\"]\nsector = \"nessuno\"\nweight = 0\n[[rule]]\nid = \"a\"\nany = [\"~x\"]\n";
    assert_eq!(
        compile(text).codes(),
        [
            "rule-pattern-empty",
            "rule-regex-broken",
            "unknown-sector",
            "rule-weight-zero",
            "rule-duplicate-id",
            "rule-no-effect",
            "rule-typo-short"
        ]
    );
}

#[test]
fn each_message_is_there_in_italian_and_english() {
    let text = "[[rule]]\nid = \"A b\"\nany = [\"\", \"*\", \"~x\", \"/(/\"]\nnone = [\"di\", \"di\"]\nweight = 5000\n";
    for finding in compile(text).findings {
        let hint = finding.hint.expect("what to do");
        for (it, en) in [(&finding.text.it, &finding.text.en), (&hint.it, &hint.en)] {
            assert!(!it.is_empty() && !en.is_empty() && it != en, "{it} / {en}");
        }
    }
}

#[test]
fn every_code_is_in_the_reference_and_the_other_way_round() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let reference = std::fs::read_to_string(root.join("../../docs/reference/diagnostics.md")).expect("there");
    let documented: std::collections::BTreeSet<String> = reference
        .lines()
        .filter_map(|l| l.strip_prefix("| `rule-")?.split('`').next().map(|c| format!("rule-{c}")))
        .collect();
    let mut used = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(root.join("src")).expect("there") {
        let source = std::fs::read_to_string(entry.expect("readable").path()).expect("text");
        let codes = source.split('"').filter(|s| s.strip_prefix("rule-").is_some_and(is_code));
        used.extend(codes.map(str::to_owned));
    }
    assert_eq!(used, documented);
}

fn is_code(rest: &str) -> bool {
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}
