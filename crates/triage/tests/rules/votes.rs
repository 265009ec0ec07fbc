//! How votes become a decision.

use smista_domain::{Priority, VoteSubject};
use smista_triage::{BELOW_MIN_SCORE, NO_LEAD, NO_RULE};

use crate::support::{compile_files, context, decide_text, message, rules};

const TWO: &str = r#"
[[rule]]
id = "buche"
any = ["buca"]
sector = "lavori-pubblici"
category = "strade/buche"
[[rule]]
id = "strade"
any = ["strada"]
sector = "lavori-pubblici"
weight = 4
[[rule]]
id = "rifiuti"
any = ["rifiuto"]
sector = "ambiente"
category = "rifiuti"
"#;

#[test]
fn votes_for_the_same_value_are_added_up() {
    let decision = decide_text("Una buca in strada e un rifiuto", &rules(TWO));
    assert_eq!((decision.sector.as_str(), decision.fallback), ("lavori-pubblici", false));
    let scores: Vec<_> = decision.scores.iter().map(|s| (s.about, s.value.as_str(), s.score)).collect();
    assert_eq!(
        scores[..2],
        [(VoteSubject::Sector, "lavori-pubblici", 14), (VoteSubject::Sector, "ambiente", 10)]
    );
}

#[test]
fn without_a_vote_the_fallback_says_no_rule() {
    let decision = decide_text("Buongiorno a tutti", &rules(TWO));
    assert_eq!((decision.sector.as_str(), decision.fallback), ("urp", true));
    assert_eq!(decision.fallback_reason.as_deref(), Some(NO_RULE));
    assert_eq!((decision.kind.as_str(), decision.priority), ("segnalazione", Priority::Normal));
}

#[test]
fn below_min_score_nobody_wins() {
    let decision = decide_text("La strada è brutta", &rules(TWO));
    assert_eq!(
        (decision.sector.as_str(), decision.fallback_reason.as_deref()),
        ("urp", Some(BELOW_MIN_SCORE))
    );
    assert_eq!((decision.scores[0].value.as_str(), decision.scores[0].score), ("lavori-pubblici", 4));
}

#[test]
fn a_tie_is_never_won_and_both_are_named() {
    let decision = decide_text("Una buca e un rifiuto", &rules(TWO));
    assert_eq!((decision.sector.as_str(), decision.fallback_reason.as_deref()), ("urp", Some(NO_LEAD)));
    let named: Vec<_> =
        decision.scores.iter().filter(|s| s.about == VoteSubject::Sector).map(|s| s.value.as_str()).collect();
    assert_eq!(named, ["ambiente", "lavori-pubblici"]);
}

#[test]
fn the_lead_asked_for_must_be_reached() {
    let outcome = compile_files(&[TWO], |settings| settings.lead = 5);
    let decision = decide_text("Una buca in strada e un rifiuto", &outcome.rules.expect("valid"));
    assert_eq!(decision.fallback_reason.as_deref(), Some(NO_LEAD));
}

#[test]
fn a_score_of_zero_never_wins_whatever_min_score_says() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"buca\"]\nsector = \"ambiente\"\nweight = 5\n\
                [[rule]]\nid = \"b\"\nany = [\"buche\", \"voragine\"]\nsector = \"ambiente\"\nweight = -5\n";
    let outcome = compile_files(&[text], |settings| (settings.min_score, settings.lead) = (0, 0));
    let decision = decide_text("buca", &outcome.rules.expect("valid"));
    assert_eq!(decision.fallback_reason.as_deref(), Some(BELOW_MIN_SCORE));
}

#[test]
fn a_negative_weight_takes_away() {
    let text = format!(
        "{TWO}\n[[rule]]\nid = \"provinciale\"\nany = [\"strada provinciale\"]\nsector = \"lavori-pubblici\"\nweight = -10\n"
    );
    let decision = decide_text("Buca sulla strada provinciale", &rules(&text));
    assert_eq!((decision.fallback, decision.scores[0].score), (true, 4));
}

#[test]
fn the_fallback_sector_may_win_by_votes() {
    let decision =
        decide_text("orari", &rules("[[rule]]\nid = \"orari\"\nany = [\"orario\"]\nsector = \"urp\"\n"));
    assert_eq!((decision.sector.as_str(), decision.fallback), ("urp", false));
}

#[test]
fn kind_and_sector_are_voted_apart() {
    let text = format!(
        "{TWO}\n[[rule]]\nid = \"accesso\"\nany = [\"accesso agli atti\"]\nkind = \"accesso-atti\"\n"
    );
    let decision = decide_text("Chiedo accesso agli atti sulla buca", &rules(&text));
    assert_eq!((decision.kind.as_str(), decision.sector.as_str()), ("accesso-atti", "lavori-pubblici"));
}

#[test]
fn kinds_too_close_leave_the_default_kind() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"reclamo\"]\nkind = \"reclamo\"\n[[rule]]\nid = \"b\"\nany = [\"vorrei sapere\"]\nkind = \"informazione\"\n";
    let decision = decide_text("Reclamo: vorrei sapere quando", &rules(text));
    assert_eq!(decision.kind.as_str(), "segnalazione");
}

#[test]
fn the_category_is_one_of_the_winning_sector() {
    let text = format!(
        "{TWO}\n[[rule]]\nid = \"asfalto\"\nany = [\"asfalto\"]\nsector = \"lavori-pubblici\"\nweight = 5\n"
    );
    let text = text.replace("category = \"strade/buche\"\n", "category = \"strade/buche\"\nweight = 8\n");
    let decision = decide_text("Buca nell'asfalto piena di rifiuti", &rules(&text));
    // "rifiuti" has 10 points, but belongs to a rule for ambiente; "strade/buche" has 8, which is below min_score.
    assert_eq!((decision.sector.as_str(), decision.category), ("lavori-pubblici", None));
    let decision = decide_text("Una buca e un rifiuto in strada", &rules(TWO));
    assert_eq!(decision.category.as_deref(), Some("strade/buche"));
}

#[test]
fn priorities_too_close_give_the_more_urgent() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"ferito\"]\npriority = \"urgent\"\n[[rule]]\nid = \"b\"\nany = [\"pericolo\"]\npriority = \"high\"\n";
    let all = rules(text);
    assert_eq!(decide_text("Pericolo, un ferito", &all).priority, Priority::Urgent);
    assert_eq!(decide_text("Pericolo", &all).priority, Priority::High);
    assert_eq!(decide_text("Niente", &all).priority, Priority::Normal);
}

#[test]
fn every_tag_is_given() {
    let text = "[[rule]]\nid = \"a\"\nany = [\"scuola\"]\ntag = [\"scuole\", \"minori\"]\n[[rule]]\nid = \"b\"\nany = [\"mensa\"]\ntag = \"mensa\"\n";
    assert_eq!(decide_text("La mensa della scuola", &rules(text)).tags, ["mensa", "minori", "scuole"]);
}

const ASIDE: &str = "[[rule]]\nid = \"applauso\"\nany = [\"che meraviglia\"]\nset_aside = \"applauso\"\n\
    [[rule]]\nid = \"luci\"\nany = [\"lampione\"]\nsector = \"lavori-pubblici\"\n";

#[test]
fn a_message_is_set_aside_when_nothing_else_speaks() {
    let all = rules(ASIDE);
    let decision = decide_text("Che meraviglia!", &all);
    assert_eq!(decision.set_aside.as_deref(), Some("applauso"));
    assert_eq!((decision.sector.as_str(), decision.fallback), ("urp", true));
}

#[test]
fn a_message_that_a_sector_may_want_is_not_set_aside() {
    let decision = decide_text("Che meraviglia i lampioni nuovi", &rules(ASIDE));
    assert_eq!((decision.set_aside, decision.sector.as_str()), (None, "lavori-pubblici"));
}

#[test]
fn setting_aside_needs_min_score_and_wins_by_weight() {
    let weak = rules(&ASIDE.replace("set_aside = \"applauso\"", "set_aside = \"applauso\"\nweight = 9"));
    assert_eq!(decide_text("Che meraviglia!", &weak).set_aside, None);
    let strong = rules(&ASIDE.replace("set_aside = \"applauso\"", "set_aside = \"applauso\"\nweight = 20"));
    assert_eq!(decide_text("Che meraviglia i lampioni", &strong).set_aside.as_deref(), Some("applauso"));
}

#[test]
fn a_disabled_rule_does_not_vote() {
    let all = rules(&TWO.replace("id = \"buche\"", "id = \"buche\"\nenabled = false"));
    assert!(decide_text("Una buca", &all).votes.is_empty());
}

#[test]
fn votes_are_strongest_first_then_by_rule() {
    let decision = decide_text("Rifiuti in una buca della strada", &rules(TWO));
    let order: Vec<_> = decision.votes.iter().map(|v| (v.weight, v.rule.as_str(), v.about)).collect();
    assert_eq!(
        order,
        [
            (10, "buche", VoteSubject::Sector),
            (10, "buche", VoteSubject::Category),
            (10, "rifiuti", VoteSubject::Sector),
            (10, "rifiuti", VoteSubject::Category),
            (4, "strade", VoteSubject::Sector),
        ]
    );
}

#[test]
fn the_ruleset_has_a_name_that_only_what_matters_changes() {
    let base = rules(TWO).id().clone();
    assert_eq!(base.0.len(), 64);
    let same = TWO.replace("any = [\"buca\"]", "any = [\"buca\"]\nexamples = [\"una buca\"]");
    assert_eq!(rules(&same).id(), &base);
    for changed in
        [TWO.replace("weight = 4", "weight = 5"), TWO.replace("\"rifiuto\"", "\"rifiuto\", \"sacco\"")]
    {
        assert_ne!(rules(&changed).id(), &base);
    }
    let outcome = compile_files(&[TWO], |settings| settings.min_score = 11);
    assert_ne!(outcome.rules.expect("valid").id(), &base);
    assert_eq!(decide_text("ciao", &rules(TWO)).ruleset, base);
}

#[test]
fn what_a_citizen_chose_in_a_form_votes_for_the_category_and_weakly_for_its_sector() {
    let rules = rules(
        "[[rule]]\nid = \"buche\"\nany = [\"buca\"]\nsector = \"lavori-pubblici\"\ncategory = \"strade/buche\"\nweight = 10\n\
         [[rule]]\nid = \"rifiuti\"\nany = [\"spazzatura\"]\nsector = \"ambiente\"\ncategory = \"rifiuti\"\nweight = 30\n",
    );
    let filled = |text: &str, category: &str| {
        let form = smista_domain::Form {
            from: "noreply@comune.example".to_owned(),
            category: Some(category.to_owned()),
            phone: None,
        };
        let message = smista_domain::Message { form: Some(form), ..message(text) };
        smista_triage::decide(&message, &context(), &rules)
    };
    let silent = filled("Venite a vedere", "strade/buche");
    assert_eq!(
        (silent.sector.as_str(), silent.category.as_deref()),
        ("lavori-pubblici", Some("strade/buche"))
    );
    let vote = silent.votes.iter().find(|v| v.rule == "form").expect("a vote of the form");
    assert_eq!((vote.evidence[0].place.as_str(), vote.evidence[0].words.as_str()), ("form", "strade/buche"));
    let otherwise = filled("Non ritirano la spazzatura", "strade/buche");
    assert_eq!((otherwise.sector.as_str(), otherwise.category.as_deref()), ("ambiente", Some("rifiuti")));
    let unknown = filled("Venite a vedere", "Varie");
    assert_eq!((unknown.fallback, unknown.category.as_deref()), (true, Some("Varie")));
}
