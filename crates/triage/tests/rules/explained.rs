//! What people and programs are told about a decision.

use smista_domain::Lang;
use smista_triage::{explain, explain_json, reason};

use crate::support::{decide_text, rules};

const RULES: &str = r#"
[[rule]]
id = "buche-stradali"
any = ["buca"]
sector = "lavori-pubblici"
category = "strade/buche"
priority = "high"
[[rule]]
id = "tombini"
any = ["tombino"]
sector = "ambiente"
weight = 4
[[rule]]
id = "applauso"
any = ["che meraviglia"]
set_aside = "applauso"
"#;

#[test]
fn in_italian() {
    let decision = decide_text("Buongiorno,\nbuche vicino a un tombino", &rules(RULES));
    assert_eq!(
        explain(&decision, Lang::It),
        [
            "vince lavori-pubblici con 10 punti; secondo: ambiente 4 ('tombino', regola tombini)",
            "tipo: segnalazione (nessuna regola ne dice un altro)",
            "categoria: strade/buche",
            "priorità: alta",
            "regola buche-stradali: 'buche' (testo, riga 2) corrisponde a 'buca': +10 lavori-pubblici, +10 strade/buche, +10 priorità alta",
            "regola tombini: 'tombino' (testo, riga 2) corrisponde a 'tombino': +4 ambiente",
        ]
    );
    assert_eq!(reason(&decision, Lang::It), "'buche' (buche-stradali): 10 punti; secondo: ambiente 4");
}

#[test]
fn in_english() {
    let decision = decide_text("buche", &rules(RULES));
    let lines = explain(&decision, Lang::En);
    assert_eq!(lines[0], "lavori-pubblici wins with 10 points");
    assert_eq!(
        lines[4],
        "rule buche-stradali: 'buche' (text, line 1) matches 'buca': +10 lavori-pubblici, +10 strade/buche, +10 priority high"
    );
    assert_eq!(reason(&decision, Lang::En), "'buche' (buche-stradali): 10 points");
}

#[test]
fn why_the_fallback() {
    let all = rules(RULES);
    for (text, expected) in [
        ("ciao", "va a urp, perché qualcuno la veda: nessuna regola propone un settore"),
        (
            "tombino",
            "va a urp, perché qualcuno la veda: il primo, ambiente, ha solo 4 punti ('tombino', regola tombini)",
        ),
    ] {
        assert_eq!(explain(&decide_text(text, &all), Lang::It)[0], expected);
    }
    let even = rules(&RULES.replace("weight = 4", "weight = 10"));
    assert_eq!(
        reason(&decide_text("tombino e buca", &even), Lang::It),
        "ambiente (10 punti ('tombino', regola tombini)) e lavori-pubblici (10 ('buca', regola buche-stradali)) sono troppo vicini"
    );
}

#[test]
fn why_set_aside() {
    let decision = decide_text("Che  meraviglia!", &rules(RULES));
    assert_eq!(reason(&decision, Lang::It), "applauso ('Che meraviglia', regola applauso)");
    assert!(explain(&decision, Lang::En)[0].starts_with("set aside (applauso), nobody is needed"));
}

#[test]
fn the_json_has_every_field_of_the_contract() {
    let value = explain_json(&decide_text("ciao", &rules(RULES)));
    for key in ["kind", "sector", "category", "priority", "fallback", "votes", "ruleset"] {
        assert!(value.get(key).is_some(), "{key}");
    }
    assert_eq!((value["category"].is_null(), value["fallback"].as_bool()), (true, Some(true)));
    assert_eq!(value["fallback_reason"], "no-rule");
}
