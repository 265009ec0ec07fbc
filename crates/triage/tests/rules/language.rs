//! Each feature of the rule language by itself, on sentences as people write them.

use smista_triage::decide;

use crate::support::{check, context, decide_text, holds, message, rule};

#[test]
fn any_needs_one_of_its_patterns() {
    check(
        &rule(r#"any = ["buca", "asfalto dissestato"]"#),
        &["In via Dante c'è una buca profonda", "Asfalto dissestato davanti alla scuola"],
        &["In via Dante c'è una perdita", "L'asfalto è nuovo"],
    );
}

#[test]
fn all_needs_every_pattern_wherever_it_stands() {
    check(
        &rule(r#"all = ["cane", "abbandonato"]"#),
        &["C'è un cane. Sembra abbandonato da giorni!", "Cani abbandonati al canile vecchio"],
        &["C'è un cane in via Dante", "Un divano abbandonato"],
    );
}

#[test]
fn all_is_met_across_subject_and_text() {
    let rules = rule(r#"all = ["lampione", "spento"]"#);
    let mut letter = message("È spento da una settimana.");
    letter.subject = "Lampione in via Dante".to_owned();
    assert_eq!(decide(&letter, &context(), &rules).votes.len(), 1);
}

#[test]
fn none_excludes() {
    check(
        &rule("any = [\"buca\"]\nnone = [\"buca delle lettere\"]"),
        &["Una buca in strada"],
        &["La buca delle lettere è piena", "Le buche delle lettere, e una buca in strada"],
    );
}

#[test]
fn any_all_and_none_together() {
    check(
        &rule("any = [\"strada\", \"via\"]\nall = [\"neve\"]\nnone = [\"spazzaneve\"]"),
        &["La neve in via Dante", "Strada piena di neve"],
        &["La neve sul tetto", "Via Dante è libera", "Quando passa lo spazzaneve in via Dante? C'è neve"],
    );
}

#[test]
fn case_does_not_matter() {
    check(&rule(r#"any = ["Tombino"]"#), &["TOMBINO ROTTO", "tombino", "ToMbInO"], &["tomba"]);
}

#[test]
fn accents_do_not_matter() {
    check(
        &rule(r#"any = ["città pulita", "perche no"]"#),
        &["Vogliamo una citta pulita", "una CITTÀ PULITA", "Perché no", "una citta\u{300} pulita"],
        &["città sporca"],
    );
}

#[test]
fn a_final_apostrophe_is_an_accent() {
    check(
        &rule(r#"any = ["pubblicità"]"#),
        &["troppa pubblicita' nelle cassette", "la pubblicita’"],
        &["pubblico"],
    );
}

#[test]
fn an_apostrophe_splits_words() {
    check(
        &rule(r#"any = ["acqua"]"#),
        &["Manca l'acqua", "Perdita dell’acqua", "un getto d´acqua", "l acqua"],
        &["l'acquedotto"],
    );
}

#[test]
fn number_and_gender_do_not_matter() {
    check(
        &rule(r#"any = ["buca", "lampione spento", "gioco rotto"]"#),
        &["Buche ovunque", "lampioni spenti", "i giochi rotti del parco", "lampione spenta"],
        &["bucato"],
    );
}

#[test]
fn verb_forms_do_not_matter() {
    check(
        &rule(r#"any = ["strada allagata", "abbandonare"]"#),
        &[
            "strada allagata",
            "strade allagate",
            "hanno abbandonato un divano",
            "rifiuti abbandonati",
            "abbandono di rifiuti",
        ],
        &["strada lunga"],
    );
}

#[test]
fn articles_and_prepositions_are_one_word_each() {
    check(
        &rule(r#"any = ["perdita d'acqua", "buca nella strada"]"#),
        &[
            "perdita di acqua",
            "perdite dell'acqua",
            "una perdita d’acqua",
            "una buca in strada",
            "buche nelle strade",
        ],
        &["perdita con acqua", "perdita acqua"],
    );
}

#[test]
fn words_that_only_stem_alike_are_apart() {
    check(
        &rule(r#"any = ["casa popolare", "segnale", "luce"]"#),
        &["case popolari", "i segnali", "le luci"],
        &["caso popolare", "vorrei segnalare", "Cordiali saluti, Luca"],
    );
}

#[test]
fn an_exact_word_has_no_inflections() {
    check(&rule(r#"any = ["=verde", "numero =verde"]"#), &["il Verde pubblico"], &["verdi", "verdure"]);
}

#[test]
fn a_phrase_is_its_words_in_a_row() {
    check(
        &rule(r#"any = ["manto stradale"]"#),
        &["il manto stradale", "Manto\nstradale", "manti stradali", "manto-stradale", "\"manto\" (stradale)"],
        &["manto della strada stradale", "stradale manto", "manto"],
    );
}

#[test]
fn a_phrase_ends_with_the_sentence() {
    check(
        &rule(r#"any = ["acqua sporca"]"#),
        &["c'è acqua sporca", "acqua,sporca"],
        &["Manca l'acqua. Sporca è la strada", "acqua! Sporca"],
    );
}

#[test]
fn a_gap_lets_up_to_five_words_stand_between() {
    check(
        &rule(r#"any = ["lampione .. spento"]"#),
        &[
            "lampione spento",
            "il lampione è spento",
            "il lampione di via Dante resta spento",
            "il lampione uno due tre quattro cinque spento",
        ],
        &[
            "il lampione uno due tre quattro cinque sei spento",
            "spento il lampione",
            "Il lampione c'è. Spento no",
        ],
    );
}

#[test]
fn a_gap_finds_the_later_word_when_the_first_is_in_vain() {
    check(
        &rule(r#"any = ["acqua .. non .. cantina piena"]"#),
        &["acqua che non esce e non va via dalla cantina piena"],
        &["acqua in cantina piena"],
    );
}

#[test]
fn gaps_as_windows_writes_them() {
    check(&rule("any = [\"lampione… spento\"]"), &["lampione ancora spento"], &["lampione acceso"]);
}

#[test]
fn a_typo_is_forgiven_where_asked_for() {
    check(
        &rule(r#"any = ["~tombino", "~marciapiede rotto"]"#),
        &[
            "il tonbino",
            "tombio",
            "tobmino",
            "i tonbini",
            "il marciapiedi rotti",
            "marciapide rotto",
            "macriapiede rotto",
            "marcaipiedi rotti",
        ],
        &["tubino", "un tonno", "marciapide pulito", "bambino"],
    );
}

#[test]
fn a_typo_is_not_forgiven_unasked() {
    check(&rule(r#"any = ["tombino"]"#), &["tombini"], &["tonbino", "tombio"]);
}

#[test]
fn a_typo_is_never_in_the_first_letter() {
    check(&rule(r#"any = ["~lampione"]"#), &["lanpione", "alm pione lampone"], &["campione", "camion"]);
}

#[test]
fn a_regular_expression_looks_at_folded_text() {
    check(
        &rule(r#"any = ["/Crater[ei]( di| della)? città/"]"#),
        &["Un CRATERE della citta", "crateri citta'", "cratere\n   di Città"],
        &["cratere del paese"],
    );
}

#[test]
fn a_regular_expression_finds_parts_of_words_and_boundaries() {
    check(&rule(r"any = ['/asfalt/']"), &["riasfaltatura"], &["alto"]);
    check(&rule(r"any = ['/\bsp ?240\b/']"), &["sulla SP240", "SP 240 km 3"], &["GSP2401"]);
}

#[test]
fn typographic_characters_are_plain_ones_to_a_regular_expression() {
    check(&rule(r#"any = ["/c'e una \"buca\" - grossa/"]"#), &["C’è una “buca” – grossa"], &["c'e una buca"]);
}

#[test]
fn dotted_initials_are_one_word() {
    check(
        &rule(r#"any = ["suap", "carta c.i.e."]"#),
        &["lo S.U.A.P.", "il SUAP", "la carta CIE"],
        &["s u a p"],
    );
}

#[test]
fn letters_and_digits_meet_however_they_are_joined() {
    check(&rule(r#"any = ["sp 240"]"#), &["SP240", "sp 240", "S.P. 240", "SP-240"], &["SP 24"]);
}

#[test]
fn invisible_characters_do_not_hide_words() {
    check(
        &rule(r#"any = ["lampione"]"#),
        &["lam\u{ad}pione", "lam\u{200b}pione", "\u{feff}lampione"],
        &["lam pione"],
    );
}

#[test]
fn a_subject_condition_looks_at_the_subject_alone() {
    let rules = rule(r#"subject = ["buca", "voragine"]"#);
    let mut letter = message("C'è una buca");
    assert!(decide(&letter, &context(), &rules).votes.is_empty());
    letter.subject = "BUCHE in via Dante".to_owned();
    assert_eq!(decide(&letter, &context(), &rules).votes.len(), 1);
}

#[test]
fn the_subject_counts_like_the_text() {
    let rules = rule(r#"any = ["buca"]"#);
    let mut letter = message("Vedi oggetto");
    letter.subject = "Buca".to_owned();
    let decision = decide(&letter, &context(), &rules);
    assert_eq!(decision.votes[0].evidence[0].place, "subject");
}

#[test]
fn quoted_text_counts_only_when_the_own_words_say_nothing() {
    let rules = rule(r#"any = ["buca", "lampione"]"#);
    let mut letter = message("Confermo quanto sotto.");
    letter.quoted = "> C'è una buca".to_owned();
    let decision = decide(&letter, &context(), &rules);
    assert_eq!(
        (decision.sector.as_str(), decision.votes[0].evidence[0].place.as_str()),
        ("lavori-pubblici", "quoted")
    );
    letter.text = "Il lampione è spento.".to_owned();
    let decision = decide(&letter, &context(), &rules);
    assert_eq!(decision.votes[0].evidence.len(), 1);
    assert_eq!(decision.votes[0].evidence[0].words, "lampione");
}

#[test]
fn the_signature_is_never_looked_at() {
    let rules = rule(r#"any = ["buca"]"#);
    let mut letter = message("Buongiorno");
    letter.signature = "Ditta Buca srl".to_owned();
    assert!(decide(&letter, &context(), &rules).votes.is_empty());
}

#[test]
fn evidence_has_the_words_as_they_stand_with_place_and_line() {
    let rules = rule(r#"any = ["lampione .. spento", "buca", "/crater[ei] enorm/"]"#);
    let decision =
        decide_text("Buongiorno,\nil LAMPIONE di via\nDante è  spento.\nC'è un  Cratere\nenorme", &rules);
    let evidence = &decision.votes[0].evidence;
    assert_eq!(evidence.len(), 2);
    assert_eq!(evidence[0].pattern, "lampione .. spento");
    assert_eq!(evidence[0].words, "LAMPIONE di via\nDante è  spento");
    assert_eq!((evidence[0].place.as_str(), evidence[0].line), ("text", 2));
    assert_eq!((evidence[1].words.as_str(), evidence[1].line), ("Cratere\nenorm", 4));
}

#[test]
fn a_rule_counts_once_however_often_it_matches() {
    let rules = rule(r#"any = ["buca", "asfalto"]"#);
    let decision = decide_text("Buca, buca, buca! L'asfalto è una buca", &rules);
    assert_eq!((decision.votes.len(), decision.scores[0].score), (1, 10));
}

#[test]
fn the_surprises_that_the_documentation_names() {
    for (pattern, text, found) in [
        ("~multa", "molta", true),
        ("panca", "pancia", true),
        ("informazione", "informare", true),
        ("passo", "passato", true),
        ("lavoro", "lavorare", true),
        ("perso", "perdita", false),
        ("d'acqua", "dall'acqua", false),
        ("=panca", "pancia", false),
    ] {
        assert_eq!(holds(&rule(&format!("any = [\"{pattern}\"]")), text), found, "{pattern} {text}");
    }
}
