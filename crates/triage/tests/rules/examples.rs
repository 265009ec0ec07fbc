//! `rules test`: examples must match and win, counterexamples must not match.

use smista_triage::{count_examples, test_rules};

use crate::support::rules;

const OTHER: &str = "[[rule]]\nid = \"altra\"\nany = [\"rifiuto\"]\nsector = \"ambiente\"\nweight = 20\n";

fn failures(lines: &str) -> Vec<(&'static str, String)> {
    let rules = rules(&format!("{OTHER}[[rule]]\nid = \"r\"\n{lines}\n"));
    test_rules(&rules).into_iter().map(|f| (f.code, f.example)).collect()
}

#[test]
fn good_examples_fail_nothing() {
    let lines = "any = [\"buca\"]\nsector = \"lavori-pubblici\"\nexamples = [\"una buca\", \"Oggetto: Buca\\nin via Dante\"]\ncounterexamples = [\"un albero\"]";
    assert!(failures(lines).is_empty());
    assert_eq!(count_examples(&rules(&format!("[[rule]]\nid = \"r\"\n{lines}\n"))), 3);
}

#[test]
fn an_example_that_does_not_match() {
    let lines = "any = [\"buca\"]\nsector = \"lavori-pubblici\"\nexamples = [\"un albero\"]";
    assert_eq!(failures(lines), [("rule-example-no-match", "un albero".to_owned())]);
}

#[test]
fn an_example_that_another_rule_wins() {
    let lines = "any = [\"buca\"]\nsector = \"lavori-pubblici\"\nexamples = [\"una buca piena di rifiuti\"]";
    let all = rules(&format!("{OTHER}[[rule]]\nid = \"r\"\n{lines}\n"));
    let failures = test_rules(&all);
    assert_eq!(failures.len(), 1);
    let failure = &failures[0];
    assert_eq!(failure.code, "rule-example-loses");
    assert_eq!(
        failure.text.it,
        "questo esempio fa scattare la regola \"r\", ma non vince \"lavori-pubblici\": vince ambiente con 20 punti; \
         secondo: lavori-pubblici 10 ('buca', regola r)"
    );
    let diagnostic = failure.diagnostic();
    assert!(diagnostic.span.is_some() && diagnostic.hint.is_some());
}

#[test]
fn a_counterexample_that_matches_says_why() {
    let lines =
        "any = [\"buca\"]\nsector = \"lavori-pubblici\"\ncounterexamples = [\"le buche delle lettere\"]";
    let all = rules(&format!("[[rule]]\nid = \"r\"\n{lines}\n"));
    let failures = test_rules(&all);
    assert_eq!(failures[0].code, "rule-counterexample-matches");
    assert!(failures[0].text.en.contains("'buche' (text, line 1) matches 'buca'"), "{}", failures[0].text.en);
}

#[test]
fn a_rule_for_the_kind_is_judged_by_the_kind() {
    let lines = "any = [\"reclamo\"]\nkind = \"reclamo\"\nexamples = [\"un reclamo sui rifiuti\"]";
    assert!(failures(lines).is_empty());
    let weak = format!("{lines}\nweight = 5");
    assert_eq!(failures(&weak), [("rule-example-loses", "un reclamo sui rifiuti".to_owned())]);
}

#[test]
fn a_rule_that_sets_aside_is_judged_by_that() {
    let lines = "any = [\"che meraviglia\"]\nset_aside = \"applauso\"\nexamples = [\"Che meraviglia!\", \"Che meraviglia i rifiuti\"]";
    assert_eq!(failures(lines), [("rule-example-loses", "Che meraviglia i rifiuti".to_owned())]);
}

#[test]
fn conditions_other_than_words_count_as_met() {
    let lines = "channel = [\"phone\"]\nsender = [\"@anas.it\"]\nfolder = [\"Strade\"]\nrecipients = [\"a@b.it\"]\nattachment = [\"image/*\"]\n\
                 subject = [\"buca\"]\nsector = \"lavori-pubblici\"\nexamples = [\"buca\", \"Oggetto: buche\\ntesto\"]";
    assert!(failures(lines).is_empty());
}

#[test]
fn a_negative_rule_need_only_match() {
    let lines = "any = [\"provinciale\"]\nsector = \"lavori-pubblici\"\nweight = -10\nexamples = [\"strada provinciale\"]";
    assert!(failures(lines).is_empty());
}

#[test]
fn examples_of_disabled_rules_are_not_tried() {
    assert!(
        failures("enabled = false\nany = [\"buca\"]\nsector = \"ambiente\"\nexamples = [\"albero\"]")
            .is_empty()
    );
}
