//! What documents in the attachment say.

use smista_domain::{DOCUMENT_SCAN, DOCUMENT_UNREADABLE, DocumentText, Lang, Message};
use smista_triage::{BELOW_MIN_SCORE, NO_RULE, ONLY_SCAN, UNREADABLE_DOCUMENT, decide, explain};

use crate::support::{context, message, rules};

const RULES: &str = "[[rule]]\nid = \"buche\"\nany = [\"buca\"]\nsector = \"lavori-pubblici\"\n";

fn page(attachment: &str, page: u32, text: &str) -> DocumentText {
    DocumentText { attachment: attachment.to_owned(), page, text: text.to_owned() }
}

fn transmitted(documents: Vec<DocumentText>) -> Message {
    Message { documents, ..message("Si trasmette quanto in oggetto.") }
}

#[test]
fn words_of_a_document_decide_and_the_evidence_names_attachment_and_page() {
    let letter = transmitted(vec![
        page("carta d'identità.pdf", 1, "Repubblica Italiana"),
        page("istanza.pdf", 1, "Al Comune di Borgo Esempio"),
        page("istanza.pdf", 2, "Con la presente\nsegnalo una buca."),
        page("istanza.pdf", 3, "Un'altra buca."),
    ]);
    let decision = decide(&letter, &context(), &rules(RULES));
    assert_eq!(decision.sector.as_str(), "lavori-pubblici");
    let [evidence] = decision.votes[0].evidence.as_slice() else { panic!("{decision:?}") };
    assert_eq!(
        (evidence.place.as_str(), evidence.line, evidence.words.as_str()),
        ("document:istanza.pdf#2", 2, "buca")
    );
    let it = explain(&decision, Lang::It).join("\n");
    assert!(it.contains("'buca' (allegato istanza.pdf, pag. 2, riga 2) corrisponde a 'buca'"), "{it}");
    let en = explain(&decision, Lang::En).join("\n");
    assert!(en.contains("'buca' (attachment istanza.pdf, page 2, line 2) matches 'buca'"), "{en}");
}

#[test]
fn the_letters_own_words_are_named_before_those_of_a_document() {
    let letter = Message { documents: vec![page("a.pdf", 1, "buca")], ..message("una buca, vedi allegato") };
    let decision = decide(&letter, &context(), &rules(RULES));
    assert_eq!(decision.votes[0].evidence[0].place, "text");
    assert_eq!(decision.votes[0].weight, decision.scores[0].score);
}

#[test]
fn the_decision_is_the_same_from_the_stored_message() {
    let letter = transmitted(vec![page("istanza.pdf", 1, "una buca")]);
    let stored: Message = serde_json::from_str(&serde_json::to_string(&letter).expect("JSON")).expect("JSON");
    let all = rules(RULES);
    assert_eq!(decide(&stored, &context(), &all), decide(&letter, &context(), &all));
}

#[test]
fn a_scan_alone_goes_to_the_fallback_with_that_reason() {
    for (note, reason, shown) in [
        (DOCUMENT_SCAN, ONLY_SCAN, "solo una scansione"),
        (DOCUMENT_UNREADABLE, UNREADABLE_DOCUMENT, "non si è potuto leggere"),
    ] {
        let letter = Message { notes: vec![note.to_owned()], ..transmitted(Vec::new()) };
        let decision = decide(&letter, &context(), &rules(RULES));
        assert_eq!((decision.sector.as_str(), decision.fallback_reason.as_deref()), ("urp", Some(reason)));
        assert!(explain(&decision, Lang::It)[0].contains(shown));
        // A second document that could be read, or a rule that holds for something else, is something to go by.
        let readable = Message { documents: vec![page("b.pdf", 1, "niente")], ..letter.clone() };
        let decision = decide(&readable, &context(), &rules(RULES));
        assert!(matches!(decision.fallback_reason.as_deref(), Some(NO_RULE | BELOW_MIN_SCORE)));
        let titled = Message { subject: "Buca".to_owned(), ..letter };
        assert!(!decide(&titled, &context(), &rules(RULES)).fallback);
    }
}
