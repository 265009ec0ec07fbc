//! What is wrong with a rule although each of its parts is right: it can never hold, does nothing, says a thing twice, or says
//! what another rule says.

use std::collections::{BTreeMap, HashSet};

use smista_domain::VoteSubject;
use smista_settings::{Diagnostic, Spanned};

use crate::{
    compile::{Patterns, Written},
    matcher::Identity,
    pattern::{Pattern, Piece},
    spec::RuleSpec,
    stem::Stems,
};

/// What is wrong with one rule.
pub(crate) fn rule(spec: &RuleSpec, patterns: &Patterns, stems: &Stems) -> Vec<Diagnostic> {
    let mut out = Vec::new();
    form_of_id(spec, &mut out);
    presence(spec, &mut out);
    twice(patterns, &mut out);
    never(spec, patterns, stems, &mut out);
    contradicting_examples(spec, &mut out);
    out
}

fn form_of_id(spec: &RuleSpec, out: &mut Vec<Diagnostic>) {
    let id = &spec.id.value;
    if smista_domain::KindId::new(id.as_str()).is_err() {
        out.push(
            Diagnostic::error(
                "rule-id",
                format!("\"{id}\" non va bene come id di una regola"),
                format!("'{id}' will not do as the id of a rule"),
            )
            .hint(
                "usare lettere minuscole senza accenti, cifre e trattini, per esempio \"buche-stradali\"",
                "use lower-case letters without accents, digits and hyphens, for instance \"buche-stradali\"",
            )
            .at_opt(spec.place()),
        );
    }
}

fn presence(spec: &RuleSpec, out: &mut Vec<Diagnostic>) {
    let lists = [
        &spec.any,
        &spec.all,
        &spec.subject,
        &spec.channel,
        &spec.folder,
        &spec.sender,
        &spec.recipients,
        &spec.attachment,
    ];
    if lists.iter().all(|l| l.is_empty()) {
        let (code, it, en) = if spec.none.is_empty() {
            ("rule-no-condition", "la regola non ha condizioni", "the rule has no conditions")
        } else {
            (
                "rule-only-none",
                "la regola dice solo che cosa non ci deve essere, quindi varrebbe per quasi tutti i messaggi",
                "the rule only says what must not be there, and so would hold for nearly all messages",
            )
        };
        out.push(
            Diagnostic::error(code, it, en)
                .hint(
                    "aggiungere le parole che la fanno scattare: any = [\"...\"]",
                    "add the words that make it hold: any = [\"...\"]",
                )
                .at_opt(spec.place()),
        );
    }
    let nothing = spec.sector.is_none()
        && spec.kind.is_none()
        && spec.category.is_none()
        && spec.priority.is_none()
        && spec.tags.is_empty()
        && spec.set_aside.is_none();
    if nothing {
        out.push(
            Diagnostic::error("rule-no-effect", "la regola non fa niente", "the rule does nothing")
                .hint(
                    "aggiungere a chi va il messaggio: sector = \"...\" (oppure kind, category, priority, tag, set_aside)",
                    "add who gets the message: sector = \"...\" (or kind, category, priority, tag, set_aside)",
                )
                .at_opt(spec.place()),
        );
    }
}

/// What a pattern looks for, whatever way it is written.
fn meaning(pattern: &Pattern, stems: &Stems) -> Vec<Option<Identity>> {
    match pattern {
        Pattern::Regex(text) => vec![Some(Identity::Exact(format!("/{text}/")))],
        Pattern::Words(pieces) => pieces
            .iter()
            .map(|piece| match piece {
                Piece::Word(word) => Some(Identity::of(word, stems)),
                Piece::Gap => None,
            })
            .collect(),
    }
}

/// Singular beside plural is no mistake, only needless; the same words twice are.
fn twice(patterns: &Patterns, out: &mut Vec<Diagnostic>) {
    for list in [&patterns.any, &patterns.all, &patterns.none, &patterns.subject] {
        let mut seen: BTreeMap<String, &Written> = BTreeMap::new();
        for pattern in list {
            let Some(first) = seen.get(&pattern.value.to_string()) else {
                seen.insert(pattern.value.to_string(), pattern);
                continue;
            };
            let mut double = Diagnostic::warning(
                "rule-pattern-twice",
                format!("\"{}\" c'è due volte", pattern.value),
                format!("'{}' is there twice", pattern.value),
            )
            .hint(
                "toglierne una: maiuscole, accenti, apostrofi e punteggiatura non fanno differenza",
                "remove one: case, accents, apostrophes and punctuation make no difference",
            )
            .at_opt(pattern.source.span);
            if let Some(span) = first.source.span {
                double = double.label(span, "la prima è qui", "the first is here");
            }
            out.push(double);
        }
    }
}

/// True when a text that `narrow` is found in always has `wide` in it, too. May miss some; never claims too much.
fn implies(narrow: &Pattern, wide: &Pattern, stems: &Stems) -> bool {
    match (narrow, wide) {
        (Pattern::Regex(a), Pattern::Regex(b)) => a == b,
        (Pattern::Words(_), Pattern::Words(_)) => {
            let (narrow, wide) = (meaning(narrow, stems), meaning(wide, stems));
            narrow
                .windows(wide.len())
                .any(|part| part.iter().zip(&wide).all(|(n, w)| covers(w.as_ref(), n.as_ref(), stems)))
        }
        _ => false,
    }
}

/// True when whatever `narrow` stands for is also found by `wide`.
fn covers(wide: Option<&Identity>, narrow: Option<&Identity>, stems: &Stems) -> bool {
    match (wide, narrow) {
        (None, None) => true,
        (Some(wide), Some(narrow)) if wide == narrow => true,
        (Some(Identity::Keys(keys)), Some(Identity::Exact(form))) => {
            stems.keys(form).iter().any(|k| keys.iter().any(|x| x == k))
        }
        (Some(Identity::Typo(form)), Some(Identity::Keys(keys))) => {
            let own: HashSet<String> = stems.keys(form).iter().map(str::to_owned).collect();
            keys.iter().all(|k| own.contains(k))
        }
        _ => false,
    }
}

fn never(spec: &RuleSpec, patterns: &Patterns, stems: &Stems, out: &mut Vec<Diagnostic>) {
    let excluded_by =
        |pattern: &Pattern| patterns.none.iter().find(|none| implies(pattern, &none.value, stems));
    let at_none = |diagnostic: Diagnostic, none: &Written| match none.source.span {
        Some(span) => diagnostic.label(span, "esclusa qui", "excluded here"),
        None => diagnostic,
    };
    for pattern in &patterns.all {
        if let Some(none) = excluded_by(&pattern.value) {
            let finding = Diagnostic::error(
                "rule-never",
                format!(
                    "la regola non scatterà mai: \"{}\" deve esserci, ma \"{}\" in «none» lo esclude",
                    pattern.value, none.value
                ),
                format!(
                    "the rule can never hold: '{}' must be there, but '{}' in 'none' excludes it",
                    pattern.value, none.value
                ),
            )
            .hint("togliere una delle due voci", "remove one of the two")
            .at_opt(pattern.source.span);
            out.push(at_none(finding, none));
        }
    }
    for (key, list) in [("any", &patterns.any), ("subject", &patterns.subject)] {
        let excluded: Vec<_> = list.iter().filter_map(|p| Some((p, excluded_by(&p.value)?))).collect();
        let all = !list.is_empty() && excluded.len() == list.len();
        for (pattern, none) in &excluded {
            let finding = if all {
                Diagnostic::error(
                    "rule-never",
                    format!(
                        "la regola non scatterà mai: tutto quello che sta in «{key}» è escluso da «none»"
                    ),
                    format!("the rule can never hold: everything in '{key}' is excluded by 'none'"),
                )
                .hint("rendere più precise le voci di «none»", "make the patterns in 'none' more precise")
                .at_opt(pattern.source.span.or(spec.place()))
            } else {
                Diagnostic::warning(
                    "rule-pattern-never",
                    format!(
                        "\"{}\" non conta mai, perché \"{}\" in «none» lo esclude",
                        pattern.value, none.value
                    ),
                    format!("'{}' never counts, since '{}' in 'none' excludes it", pattern.value, none.value),
                )
                .hint(
                    "togliere una delle due voci, o renderla più precisa",
                    "remove one of the two, or make it more precise",
                )
                .at_opt(pattern.source.span)
            };
            out.push(at_none(finding, none));
            if all {
                break;
            }
        }
    }
}

fn contradicting_examples(spec: &RuleSpec, out: &mut Vec<Diagnostic>) {
    for counter in &spec.counterexamples {
        if let Some(example) = spec.examples.iter().find(|e| e.value == counter.value) {
            let mut finding = Diagnostic::error(
                "rule-example-twice",
                "lo stesso testo è sia un esempio sia un controesempio",
                "the same text is both an example and a counterexample",
            )
            .hint("toglierlo da una delle due liste", "remove it from one of the two lists")
            .at_opt(counter.span);
            if let Some(span) = example.span {
                finding = finding.label(span, "qui è un esempio", "here it is an example");
            }
            out.push(finding);
        }
    }
    for example in spec.examples.iter().chain(&spec.counterexamples) {
        if example.value.trim().is_empty() {
            out.push(
                Diagnostic::error("rule-example-empty", "l'esempio è vuoto", "the example is empty")
                    .hint(
                        "scrivere il testo di un messaggio, o toglierlo",
                        "write the text of a message, or remove it",
                    )
                    .at_opt(example.span),
            );
        }
    }
}

/// Warns of rules with the same conditions that differ in nothing or only in effects that could be one rule's.
pub(crate) fn same_conditions<'a>(
    spec: &'a RuleSpec,
    patterns: &Patterns,
    seen: &mut BTreeMap<String, &'a RuleSpec>,
    stems: &Stems,
) -> Option<Diagnostic> {
    let list = |list: &[Written]| {
        let mut all: Vec<String> = list.iter().map(|p| format!("{:?}", meaning(&p.value, stems))).collect();
        all.sort();
        all.dedup();
        all
    };
    let plain = |list: &[Spanned<String>]| {
        let mut all: Vec<String> = list.iter().map(|s| s.value.trim().to_lowercase()).collect();
        all.sort();
        all.dedup();
        all
    };
    let key = format!(
        "{:?}",
        [
            list(&patterns.any),
            list(&patterns.all),
            list(&patterns.none),
            list(&patterns.subject),
            plain(&spec.channel),
            plain(&spec.folder),
            plain(&spec.sender),
            plain(&spec.recipients),
            plain(&spec.attachment),
        ]
    );
    let Some(first) = seen.get(&key) else {
        seen.insert(key, spec);
        return None;
    };
    if first.id.value == spec.id.value {
        return None;
    }
    let mut finding = Diagnostic::warning(
        "rule-same-conditions",
        format!("la regola ha le stesse condizioni di \"{}\"", first.id.value),
        format!("the rule has the same conditions as '{}'", first.id.value),
    )
    .hint(
        "farne una regola sola, o cambiare le parole di una delle due",
        "make them one rule, or change the words of one of them",
    )
    .at_opt(spec.place());
    if let Some(place) = first.place() {
        finding = finding.label(place, "l'altra è qui", "the other is here");
    }
    Some(finding)
}

/// What a rule is for in the first place: the subject by which its examples are judged.
pub(crate) fn main_subject(spec: &RuleSpec) -> Option<VoteSubject> {
    let subjects = [
        (spec.sector.is_some(), VoteSubject::Sector),
        (spec.set_aside.is_some(), VoteSubject::SetAside),
        (spec.kind.is_some(), VoteSubject::Kind),
    ];
    subjects.into_iter().find(|(there, _)| *there).map(|(_, subject)| subject)
}
