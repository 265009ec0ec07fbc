//! What must hold for any rules and any message.

use proptest::prelude::*;
use smista_domain::Message;
use smista_triage::{Context, Rules, decide};

use crate::support::{compile_files, context, message};

/// Words that inflect, collide and appear in both rules and messages.
const WORDS: &[&str] = &[
    "buca",
    "buche",
    "strada",
    "strade",
    "lampione",
    "lampioni",
    "spento",
    "acqua",
    "dell'acqua",
    "perdita",
    "via",
    "di",
    "non",
    "casa",
    "caso",
    "rifiuti",
    "rifiuto",
    "città",
    "citta'",
    "tombino",
    "tonbino",
    "SP240",
    "albero",
];

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(WORDS)
}

/// Patterns that are right, of every sort.
fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => word().prop_map(str::to_owned),
        2 => (word(), word()).prop_map(|(a, b)| format!("{a} {b}")),
        2 => (word(), word()).prop_map(|(a, b)| format!("{a} .. {b}")),
        1 => prop::sample::select(vec!["~tombino", "~lampione", "=casa", "/buc(a|he)/", "/strad[ae] .{0,9}acqua/", "/[0-9]{3}/"]).prop_map(str::to_owned),
    ]
}

#[derive(Debug, Clone)]
struct Draft {
    any: Vec<String>,
    all: Vec<String>,
    none: Vec<String>,
    effect: String,
    weight: i64,
}

fn draft() -> impl Strategy<Value = Draft> {
    let effects = vec![
        "sector = \"ambiente\"",
        "sector = \"lavori-pubblici\"\ncategory = \"strade/buche\"",
        "sector = \"urp\"\nkind = \"reclamo\"",
        "kind = \"informazione\"\ntag = [\"a\", \"b\"]",
        "priority = \"urgent\"",
        "set_aside = \"spam\"",
    ];
    (
        prop::collection::vec(pattern(), 1..5),
        prop::collection::vec(pattern(), 0..2),
        prop::collection::vec(pattern(), 0..2),
        prop::sample::select(effects),
        prop_oneof![1..30i64, -10..-1i64],
    )
        .prop_map(|(any, all, none, effect, weight)| Draft {
            any,
            all,
            none,
            effect: effect.to_owned(),
            weight,
        })
}

fn toml(id: &str, draft: &Draft) -> String {
    let Draft { any, all, none, effect, weight } = draft;
    format!(
        "[[rule]]\nid = \"{id}\"\nany = {any:?}\nall = {all:?}\nnone = {none:?}\nweight = {weight}\n{effect}\n"
    )
}

/// A message made of the words of the rules, with some punctuation.
fn letter() -> impl Strategy<Value = Message> {
    let text = |most| {
        prop::collection::vec((word(), prop::sample::select(vec![" ", ", ", ". ", "\n", "! ", "'"])), 0..most)
            .prop_map(|all| all.into_iter().flat_map(|(word, after)| [word, after]).collect::<String>())
    };
    (text(4), text(30), text(10)).prop_map(|(subject, text, quoted)| {
        let mut letter = message(&text);
        letter.subject = subject.replace('\n', " ");
        letter.quoted = quoted;
        letter
    })
}

/// Rules that compile; drafts that can never hold (an error, rightly) are left out.
fn compile(drafts: &[(String, Draft)], files: usize) -> Option<Rules> {
    let mut texts = vec![String::new(); files];
    for (n, (id, draft)) in drafts.iter().enumerate() {
        texts[n % files].push_str(&toml(id, draft));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    compile_files(&texts, |_| {}).rules
}

fn possible(drafts: Vec<Draft>) -> Vec<(String, Draft)> {
    let named = drafts.into_iter().enumerate().map(|(n, draft)| (format!("r{n}"), draft));
    named.filter(|one| compile(std::slice::from_ref(one), 1).is_some()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_files_rules_and_patterns_never_matters(
        (drafts, shuffled) in prop::collection::vec(draft(), 1..8).prop_map(possible)
            .prop_flat_map(|drafts| (Just(drafts.clone()), Just(drafts).prop_shuffle())),
        files in 1..4usize,
        letters in prop::collection::vec(letter(), 1..6),
    ) {
        let mut shuffled = shuffled;
        for (_, draft) in &mut shuffled {
            draft.any.reverse();
            draft.none.reverse();
        }
        let (first, second) = (compile(&drafts, 1).expect("valid"), compile(&shuffled, files).expect("valid"));
        prop_assert_eq!(first.id(), second.id());
        prop_assert_eq!(first.canonical(), second.canonical());
        for letter in &letters {
            prop_assert_eq!(decide(letter, &context(), &first), decide(letter, &context(), &second));
        }
    }

    #[test]
    fn a_rule_that_does_not_hold_changes_nothing(
        drafts in prop::collection::vec(draft(), 1..8).prop_map(possible),
        letters in prop::collection::vec(letter(), 1..6),
        extra in draft(),
    ) {
        let before = compile(&drafts, 1).expect("valid");
        let mut more = drafts;
        more.push(("extra".to_owned(), extra));
        if let Some(after) = compile(&more, 1) {
            for letter in &letters {
                let (old, mut new) = (decide(letter, &context(), &before), decide(letter, &context(), &after));
                if new.votes.iter().any(|v| v.rule == "extra") {
                    continue;
                }
                new.ruleset = old.ruleset.clone();
                prop_assert_eq!(old, new);
            }
        }
    }

    #[test]
    fn a_decision_names_known_things_and_its_sums_are_those_of_its_votes(
        drafts in prop::collection::vec(draft(), 1..8).prop_map(possible),
        letter in letter(),
    ) {
        let rules = compile(&drafts, 1).expect("valid");
        let decision = decide(&letter, &context(), &rules);
        prop_assert_eq!(decision.fallback, decision.fallback_reason.is_some());
        if decision.fallback {
            prop_assert_eq!(decision.sector.as_str(), "urp");
        }
        for score in &decision.scores {
            // Category votes of rules for losing sectors are left out of the sums.
            if score.about != smista_domain::VoteSubject::Category {
                let votes = decision.votes.iter().filter(|v| v.about == score.about && v.value == score.value);
                prop_assert_eq!(votes.map(|v| v.weight).sum::<i64>(), score.score);
            }
        }
        for vote in &decision.votes {
            prop_assert!(!vote.evidence.is_empty(), "every vote has words");
            for evidence in &vote.evidence {
                let text = match evidence.place.as_str() {
                    "subject" => &letter.subject,
                    "text" => &letter.text,
                    _ => &letter.quoted,
                };
                prop_assert!(text.contains(&evidence.words), "{:?} stands in {:?}", evidence.words, text);
                prop_assert!(evidence.line as usize <= text.split('\n').count());
            }
        }
    }

    #[test]
    fn any_text_is_decided(subject in any::<String>(), text in any::<String>(), quoted in "\\PC*", name in any::<String>()) {
        let rules = every_feature();
        let mut letter = message(&text);
        letter.subject = subject;
        letter.quoted = quoted;
        letter.folder.clone_from(&name);
        letter.sender.address = Some(name);
        let first = decide(&letter, &context(), &rules);
        prop_assert_eq!(first, decide(&letter, &context(), &rules));
    }

    #[test]
    fn any_pattern_is_compiled_or_refused(pattern in any::<String>(), text in any::<String>()) {
        let escaped = pattern.replace('\\', "\\\\").replace('"', "\\\"");
        let plain: String = escaped.chars().filter(|c| !c.is_control()).collect();
        for pattern in [plain.clone(), format!("/{plain}/"), format!("~{plain}")] {
            let toml = format!("[[rule]]\nid = \"r\"\nany = [\"{pattern}\"]\nsector = \"urp\"\n");
            if let Some(rules) = compile_files(&[&toml], |_| {}).rules {
                decide(&message(&text), &context(), &rules);
            }
        }
    }
}

fn every_feature() -> Rules {
    let draft = Draft {
        any: ["buca", "~lampione", "a .. b", "=x", "/[^a]bc/", "/.{3}x/", "strada di casa", "/ß/"]
            .map(str::to_owned)
            .to_vec(),
        all: Vec::new(),
        none: vec!["zzz".to_owned()],
        effect: "sector = \"ambiente\"".to_owned(),
        weight: 10,
    };
    compile(&[("r".to_owned(), draft)], 1).expect("valid")
}

#[test]
fn hostile_texts_cost_no_more_than_their_length() {
    // Gaps on gaps over a text of nothing but their words: what was tried from one place is not tried again.
    let draft = Draft {
        any: vec![
            "via .. via .. via .. via .. via .. buca".to_owned(),
            "/(via ){5}buca/".to_owned(),
            "~lampione".to_owned(),
        ],
        all: Vec::new(),
        none: Vec::new(),
        effect: "sector = \"ambiente\"".to_owned(),
        weight: 10,
    };
    let rules = compile(&[("r".to_owned(), draft)], 1).expect("valid");
    let context = Context::new("email/urp".parse().expect("valid"));
    for text in
        ["via ".repeat(50_000), "lampiome".repeat(20_000), "a.".repeat(50_000), "\u{301}".repeat(50_000)]
    {
        assert!(decide(&message(&text), &context, &rules).votes.len() <= 1);
    }
    assert!(!decide(&message(&("via ".repeat(50_000) + "buca")), &context, &rules).votes.is_empty());
}
