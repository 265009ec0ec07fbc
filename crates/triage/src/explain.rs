//! A decision in words: what won, what came second, and which words of the message made which rule hold.
//!
//! Everything is taken from the decision itself, so that stored decisions of older rulesets can be explained as well.

use std::fmt::Write as _;

use serde_json::{Value, json};
use smista_domain::{Alternative, Decision, Evidence, Lang, Text, Vote, VoteSubject, document_of_place};

use crate::decide::{BELOW_MIN_SCORE, NO_LEAD, ONLY_SCAN, UNREADABLE_DOCUMENT};

/// A list of evidence shows so many matches.
const SHOWN: usize = 4;

/// The decision as lines for people: first what was decided, then every vote with its words.
pub fn explain(decision: &Decision, lang: Lang) -> Vec<String> {
    let mut out = vec![outcome(decision).in_lang(lang).to_owned(), kind(decision).in_lang(lang).to_owned()];
    out.extend(details(decision).map(|d| d.in_lang(lang).to_owned()));
    let mut rules: Vec<&str> = Vec::new();
    for vote in &decision.votes {
        if !rules.contains(&vote.rule.as_str()) {
            rules.push(&vote.rule);
        }
    }
    for rule in rules {
        let votes: Vec<&Vote> = decision.votes.iter().filter(|v| v.rule == rule).collect();
        out.push(rule_line(rule, &votes).in_lang(lang).to_owned());
    }
    out
}

/// Why a message went where it went, in one short line for tables: the words, the rule, the score and what came second.
pub fn reason(decision: &Decision, lang: Lang) -> String {
    let mut sectors = scores(decision, VoteSubject::Sector);
    let (first, second) = (sectors.next(), sectors.next());
    let text = match (&decision.set_aside, decision.fallback, first) {
        (Some(reason), ..) => {
            let aside = Alternative { about: VoteSubject::SetAside, value: reason.clone(), score: 0 };
            let because = strongest_rule(decision, &aside);
            Text::new(format!("{reason}{}", because.it), format!("{reason}{}", because.en))
        }
        (None, false, Some(first)) => {
            let mut because = won_by(decision, first);
            if let Some(second) = second {
                let _ = write!(because.it, "; secondo: {} {}", second.value, second.score);
                let _ = write!(because.en, "; second: {} {}", second.value, second.score);
            }
            because
        }
        _ => fallback_reason(decision, first, second),
    };
    text.in_lang(lang).to_owned()
}

/// `'buche', 'tombino' (buche-stradali, tombini): 20 punti`.
fn won_by(decision: &Decision, first: &Alternative) -> Text {
    let votes =
        || decision.votes.iter().filter(|v| v.about == first.about && v.value == first.value && v.weight > 0);
    let mut words: Vec<String> = Vec::new();
    for evidence in votes().flat_map(|v| &v.evidence) {
        let shown = format!("'{}'", flat(&evidence.words));
        if words.len() < SHOWN && !words.iter().any(|w| w.eq_ignore_ascii_case(&shown)) {
            words.push(shown);
        }
    }
    let words = words.join(", ");
    let rules = votes().map(|v| v.rule.as_str()).take(SHOWN).collect::<Vec<_>>().join(", ");
    Text::new(
        format!("{words} ({rules}): {} punti", first.score),
        format!("{words} ({rules}): {} points", first.score),
    )
}

/// The decision for programs: everything that it has, with `category` and `set_aside` always there.
pub fn explain_json(decision: &Decision) -> Value {
    let mut value = serde_json::to_value(decision).unwrap_or_else(|_| json!({}));
    if let Value::Object(fields) = &mut value {
        for key in ["category", "set_aside", "fallback_reason"] {
            fields.entry(key).or_insert(Value::Null);
        }
        fields.entry("tags").or_insert_with(|| json!([]));
        // Each with its evidence, which is kept once for each rule.
        fields.insert("votes".to_owned(), json!(decision.votes));
    }
    value
}

fn scores(decision: &Decision, about: VoteSubject) -> impl Iterator<Item = &Alternative> {
    decision.scores.iter().filter(move |s| s.about == about)
}

/// Which sector, with how much, and what came second.
pub(crate) fn outcome(decision: &Decision) -> Text {
    let mut sectors = scores(decision, VoteSubject::Sector);
    let (first, second) = (sectors.next(), sectors.next());
    let mut text = match (decision.fallback, first) {
        (false, Some(first)) => {
            let mut text = Text::new(
                format!("vince {} con {} punti", first.value, first.score),
                format!("{} wins with {} points", first.value, first.score),
            );
            if let Some(second) = second {
                let because = strongest_rule(decision, second);
                let _ = write!(text.it, "; secondo: {} {}{}", second.value, second.score, because.it);
                let _ = write!(text.en, "; second: {} {}{}", second.value, second.score, because.en);
            }
            text
        }
        (_, first) => fallback(decision, first, second),
    };
    if let Some(reason) = &decision.set_aside {
        text = Text::new(
            format!("da parte ({reason}), non serve nessuno; altrimenti: {}", text.it),
            format!("set aside ({reason}), nobody is needed; otherwise: {}", text.en),
        );
    }
    text
}

fn fallback(decision: &Decision, first: Option<&Alternative>, second: Option<&Alternative>) -> Text {
    let to = &decision.sector;
    let reason = fallback_reason(decision, first, second);
    Text::new(
        format!("va a {to}, perché qualcuno la veda: {}", reason.it),
        format!("goes to {to}, for somebody to look at it: {}", reason.en),
    )
}

fn fallback_reason(decision: &Decision, first: Option<&Alternative>, second: Option<&Alternative>) -> Text {
    match (decision.fallback_reason.as_deref(), first, second) {
        (Some(NO_LEAD), Some(first), Some(second)) => Text::new(
            format!(
                "{} ({} punti{}) e {} ({}{}) sono troppo vicini",
                first.value,
                first.score,
                strongest_rule(decision, first).it,
                second.value,
                second.score,
                strongest_rule(decision, second).it
            ),
            format!(
                "{} ({} points{}) and {} ({}{}) are too close",
                first.value,
                first.score,
                strongest_rule(decision, first).en,
                second.value,
                second.score,
                strongest_rule(decision, second).en
            ),
        ),
        (Some(BELOW_MIN_SCORE), Some(first), _) => Text::new(
            format!(
                "il primo, {}, ha solo {} punti{}",
                first.value,
                first.score,
                strongest_rule(decision, first).it
            ),
            format!(
                "the first, {}, has only {} points{}",
                first.value,
                first.score,
                strongest_rule(decision, first).en
            ),
        ),
        (Some(ONLY_SCAN), ..) => Text::new(
            "la lettera rimanda all'allegato, che è solo una scansione o una foto: non ci sono parole da leggere",
            "the letter points to its attachment, which is only a scan or a photograph: there are no words to read",
        ),
        (Some(UNREADABLE_DOCUMENT), ..) => Text::new(
            "la lettera rimanda all'allegato, che non si è potuto leggere",
            "the letter points to its attachment, which could not be read",
        ),
        _ => Text::new("nessuna regola propone un settore", "no rule proposes a sector"),
    }
}

/// ` ('tombino', regola tombini)` for the strongest vote for a value.
fn strongest_rule(decision: &Decision, value: &Alternative) -> Text {
    let vote =
        decision.votes.iter().find(|v| v.about == value.about && v.value == value.value && v.weight > 0);
    let Some(vote) = vote else { return Text::new("", "") };
    let words = vote.evidence.first().map(|e| format!("'{}', ", flat(&e.words))).unwrap_or_default();
    Text::new(format!(" ({words}regola {})", vote.rule), format!(" ({words}rule {})", vote.rule))
}

/// Which kind, and why.
pub(crate) fn kind(decision: &Decision) -> Text {
    let mut kinds = scores(decision, VoteSubject::Kind);
    let kind = &decision.kind;
    match (kinds.next(), kinds.next()) {
        (None, _) => Text::new(
            format!("tipo: {kind} (nessuna regola ne dice un altro)"),
            format!("kind: {kind} (no rule says otherwise)"),
        ),
        (Some(first), second) if first.value == kind.as_str() => {
            let mut text = Text::new(
                format!("tipo: {kind}, {} punti", first.score),
                format!("kind: {kind}, {} points", first.score),
            );
            if let Some(second) = second {
                let _ = write!(text.it, "; secondo: {} {}", second.value, second.score);
                let _ = write!(text.en, "; second: {} {}", second.value, second.score);
            }
            text
        }
        (Some(first), _) => Text::new(
            format!(
                "tipo: {kind}, perché {} con {} punti non vince abbastanza chiaramente",
                first.value, first.score
            ),
            format!(
                "kind: {kind}, since {} with {} points does not win clearly enough",
                first.value, first.score
            ),
        ),
    }
}

fn details(decision: &Decision) -> impl Iterator<Item = Text> + '_ {
    let category =
        decision.category.as_ref().map(|c| Text::new(format!("categoria: {c}"), format!("category: {c}")));
    let priority = scores(decision, VoteSubject::Priority).next().map(|_| {
        let word = decision.priority.as_str();
        Text::new(format!("priorità: {}", priority_it(word)), format!("priority: {word}"))
    });
    let tags = (!decision.tags.is_empty()).then(|| {
        let list = decision.tags.join(", ");
        Text::new(format!("etichette: {list}"), format!("tags: {list}"))
    });
    category.into_iter().chain(priority).chain(tags)
}

fn priority_it(word: &str) -> &str {
    match word {
        "urgent" => "urgente",
        "high" => "alta",
        "low" => "bassa",
        _ => "normale",
    }
}

fn rule_line(rule: &str, votes: &[&Vote]) -> Text {
    let effect = |vote: &&Vote, lang: Lang| {
        let value = match (vote.about, lang) {
            (VoteSubject::Priority, Lang::It) => format!("priorità {}", priority_it(&vote.value)),
            (VoteSubject::Priority, Lang::En) => format!("priority {}", vote.value),
            (VoteSubject::SetAside, Lang::It) => format!("da parte ({})", vote.value),
            (VoteSubject::SetAside, Lang::En) => format!("set aside ({})", vote.value),
            (VoteSubject::Tag, Lang::It) => format!("etichetta {}", vote.value),
            (VoteSubject::Tag, Lang::En) => format!("tag {}", vote.value),
            _ => vote.value.clone(),
        };
        format!("{:+} {value}", vote.weight)
    };
    let effects = |lang| votes.iter().map(|v| effect(v, lang)).collect::<Vec<_>>().join(", ");
    let words = votes.first().map_or_else(|| Text::new("", ""), |v| words(&v.evidence));
    Text::new(
        format!("regola {rule}: {}: {}", words.it, effects(Lang::It)),
        format!("rule {rule}: {}: {}", words.en, effects(Lang::En)),
    )
}

/// `'buche' (testo, riga 1) corrisponde a 'buca'`, and so on.
pub(crate) fn words(evidence: &[Evidence]) -> Text {
    let one = |e: &Evidence, lang: Lang| {
        let place = place(&e.place, lang);
        match (is_text(&e.place), lang) {
            (true, Lang::It) => {
                format!("'{}' ({place}, riga {}) corrisponde a '{}'", flat(&e.words), e.line, e.pattern)
            }
            (true, Lang::En) => {
                format!("'{}' ({place}, line {}) matches '{}'", flat(&e.words), e.line, e.pattern)
            }
            (false, Lang::It) => format!("{place} {} corrisponde a {}", e.words, e.pattern),
            (false, Lang::En) => format!("{place} {} matches {}", e.words, e.pattern),
        }
    };
    let all = |lang, and_more: fn(usize) -> String| {
        let mut list: Vec<String> = evidence.iter().take(SHOWN).map(|e| one(e, lang)).collect();
        if evidence.len() > SHOWN {
            list.push(and_more(evidence.len() - SHOWN));
        }
        list.join("; ")
    };
    Text::new(all(Lang::It, |n| format!("e altre {n}")), all(Lang::En, |n| format!("and {n} more")))
}

/// On one line, whatever line breaks the match has.
fn flat(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_text(place: &str) -> bool {
    matches!(place, "subject" | "text" | "quoted") || document_of_place(place).is_some()
}

fn place(place: &str, lang: Lang) -> String {
    if let Some((name, page)) = document_of_place(place) {
        return match lang {
            Lang::It => format!("allegato {name}, pag. {page}"),
            Lang::En => format!("attachment {name}, page {page}"),
        };
    }
    let word = match (place, lang) {
        ("subject", Lang::It) => "oggetto",
        ("text", Lang::It) => "testo",
        ("quoted", Lang::It) => "testo citato",
        ("quoted", Lang::En) => "quoted text",
        ("channel", Lang::It) => "il canale",
        ("folder", Lang::It) => "la cartella",
        ("sender", Lang::It) => "il mittente",
        ("recipients", Lang::It) => "il destinatario",
        ("attachment", Lang::It) => "l'allegato",
        (other, _) => other,
    };
    word.to_owned()
}
