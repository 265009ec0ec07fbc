//! The queue functions through the program: a case from its claim to its end, and what wrong calls are told.

use serde_json::Value;

use super::{Office, has, letter, run_with};

const CLAIMED: &[(&str, &str)] = &[
    ("lease", "string"),
    ("number", "string"),
    ("cause", "string"),
    ("channel", "string"),
    ("kind", "string"),
    ("category", "string?"),
    ("priority", "string"),
    ("subject", "string"),
    ("text", "string?"),
    ("sender", "object"),
    ("place", "object?"),
    ("messages", "array"),
    ("attachments", "array"),
    ("received_at", "string"),
    ("due_at", "string?"),
    ("attempts", "number"),
    ("decision", "object"),
];

fn word<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field}: {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_from_its_claim_to_its_end_and_open_again() {
    let office = Office::with(&[letter(1)]).await;
    let town = &office.town;
    let number = office.number();
    let claimed = town.json(&["queue", "claim", "lavori-pubblici", "--worker", "squadra-1"]);
    has(&claimed[0], CLAIMED);
    assert_eq!(word(&claimed[0], "number"), number);
    let lease = word(&claimed[0], "lease");
    // Nobody else gets it meanwhile.
    assert_eq!(town.json(&["queue", "claim", "lavori-pubblici"]), serde_json::json!([]));

    let extended = town.json(&["queue", "extend", lease, "--by", "1 hour"]);
    assert!(word(&extended, "leased_until") > word(&claimed[0], "leased_until"), "{extended}");
    for _ in 0..2 {
        assert_eq!(town.json(&["queue", "take", lease])["state"], "taken", "again is the same");
    }
    assert_eq!(town.json(&["queue", "assign", &number, "Anna"])["assigned_to"], "Anna");
    town.json(&["queue", "note", &number, "sopralluogo lunedì"]);
    for _ in 0..2 {
        let moved =
            town.json(&["queue", "reroute", &number, "ambiente", "--reason", "è nel parco", "--key", "k1"]);
        assert_eq!(word(&moved, "sector"), "ambiente");
    }
    let answered = run_with(town, &["queue", "answer", &number, "-", "--json"], "Ripareremo.".as_bytes());
    assert_eq!((answered.code, word(&answered.json(), "state")), (0, "answered"), "{answered:?}");
    assert_eq!(town.json(&["queue", "close", &number, "--outcome", "riparata"])["state"], "closed");
    assert_eq!(town.json(&["queue", "list"]), serde_json::json!([]));
    let opened = town.json(&["queue", "reopen", &number, "--reason", "di nuovo rotta"]);
    assert_eq!((word(&opened, "state"), word(&opened, "sector")), ("ready", "ambiente"));

    let shown = town.json(&["queue", "show", &number]);
    let events: Vec<&str> =
        shown["history"].as_array().expect("events").iter().map(|e| word(e, "event")).collect();
    for event in ["opened", "taken", "rerouted", "answered", "closed", "reopened"] {
        assert_eq!(events.iter().filter(|e| **e == event).count(), 1, "{event}: {events:?}");
    }
    for (lang, title) in [("it", "Storia"), ("en", "History")] {
        let said = town.run(&["queue", "show", &number, "--lang", lang]);
        assert!(said.code == 0 && said.out.contains(title) && said.out.contains("cittadina1@"), "{said:?}");
    }
    assert_eq!(office.store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_entry_comes_back_when_asked_and_costs_no_attempt() {
    let office = Office::with(&[letter(1)]).await;
    let town = &office.town;
    let lease = |claimed: &Value| word(&claimed[0], "lease").to_owned();
    let first = lease(&town.json(&["queue", "claim", "lavori-pubblici"]));
    let back = town.json(&["queue", "release", &first, "--reason", "non tocca a noi"]);
    assert_eq!((word(&back, "state"), &back["attempts"]), ("ready", &0.into()), "{back}");
    let second = lease(&town.json(&["queue", "claim", "lavori-pubblici", "--lease-for", "90s"]));
    town.json(&["queue", "release", &second, "--reason", "domani", "--retry-in", "1 hour"]);
    assert_eq!(town.json(&["queue", "claim", "lavori-pubblici"]), serde_json::json!([]));
    let stale = town.run(&["queue", "take", &first]);
    assert!(stale.code == 1 && stale.err.contains("non vale più"), "{stale:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_call_says_what_happened_and_what_to_do_in_both_languages() {
    let office = Office::with(&[letter(1)]).await;
    let number = office.number();
    let (lease, gone) = ("5b1f6b0e-0000-4000-8000-000000000000", "2026-999999");
    // The call, its exit code, a word of its Italian and one of its English answer.
    let calls: &[(&[&str], i32, &str, &str)] = &[
        (&["claim", "strade"], 1, "lavori-pubblici", "lavori-pubblici"),
        (&["claim", "lavori-pubblici", "--lease-for", "presto"], 2, "durata", "time"),
        (&["claim", "lavori-pubblici", "--max", "0"], 1, "limiti", "max"),
        (&["take", "abc"], 2, "smista queue claim", "smista queue claim"),
        (&["take", lease], 1, "non vale più", "lease"),
        (&["extend", lease, "--by", "5"], 2, "durata", "time"),
        (&["release", lease, "--reason", "x"], 1, "non vale più", "lease"),
        (&["reroute", &number, "strade", "--reason", "x"], 1, "lavori-pubblici", "lavori-pubblici"),
        (&["reroute", &number, "lavori-pubblici", "--reason", "x"], 1, "già", "already"),
        (&["reroute", &number, "urp", "--reason", ""], 1, "motivo", "reason"),
        (&["reroute", gone, "urp", "--reason", "x"], 1, gone, gone),
        (&["answer", &number, ""], 1, "testo", "text"),
        (&["close", &number, "--outcome", " "], 1, "esito", "outcome"),
        (&["close", gone, "--outcome", "x"], 1, gone, gone),
        (&["note", gone, "x"], 1, gone, gone),
        (&["assign", gone, "Anna"], 1, gone, gone),
        (&["reopen", &number, "--reason", "x"], 1, "già aperta", "open"),
        (&["show", gone], 1, "smista queue list", "smista queue list"),
        (&["list", "--state", "boh"], 2, "ready", "ready"),
        (&["list", "--sector", "strade"], 1, "lavori-pubblici", "lavori-pubblici"),
    ];
    for (call, code, italian, english) in calls {
        let mut spoken = Vec::new();
        for (lang, word, what_to_do) in [("it", italian, "Cosa fare: "), ("en", english, "What to do: ")] {
            let said = office.town.run(&[&["--lang", lang, "queue"], *call].concat());
            assert_eq!(said.code, *code, "{call:?}: {said:?}");
            assert!(said.err.contains(word), "{call:?}: no '{word}' in {said:?}");
            assert!(
                said.err.lines().any(|l| l.len() > what_to_do.len() && l.starts_with(what_to_do)),
                "{call:?}: {said:?}"
            );
            assert_eq!(said.out, "", "{call:?}");
            spoken.push(said.err);
        }
        assert_ne!(spoken[0], spoken[1], "{call:?} is said in one language only");
    }
    assert_eq!(office.town.json(&["queue", "list"])[0]["state"], "ready", "nothing of that changed anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_calls_about_deliveries_say_what_to_do() {
    let office = Office::with(&[letter(1)]).await;
    let id = office.town.json(&["deliveries", "list"])[0]["id"].to_string();
    let calls: &[(&[&str], i32, &str, &str)] = &[
        (&["show", "99999"], 1, "smista deliveries list", "smista deliveries list"),
        (&["retry", "99999"], 1, "99999", "99999"),
        (&["retry", &id], 1, "quarantena", "retried"),
        (&["retry"], 2, "--all", "--all"),
        (&["ignore", &id, "--reason", "x"], 1, "quarantena", "ignored"),
        (&["reopen", &id], 1, "quarantena", "reopened"),
        (&["list", "--state", "boh"], 2, "quarantined", "quarantined"),
        (&["list", "--outcome", "boh"], 2, "set_aside", "set_aside"),
    ];
    for (call, code, italian, english) in calls {
        let mut spoken = Vec::new();
        for (lang, word) in [("it", italian), ("en", english)] {
            let said = office.town.run(&[&["--lang", lang, "deliveries"], *call].concat());
            assert_eq!(said.code, *code, "{call:?}: {said:?}");
            assert!(said.err.contains(word), "{call:?}: no '{word}' in {said:?}");
            spoken.push(said.err);
        }
        assert_ne!(spoken[0], spoken[1], "{call:?} is said in one language only");
    }
    let raw = office.town.run(&["deliveries", "show", &id, "--raw"]);
    assert_eq!(raw.out.as_bytes(), letter(1), "the bytes as they came in");
    let shown = office.town.run(&["deliveries", "show", &id]);
    assert!(shown.code == 0 && shown.out.contains("sha256:"), "{shown:?}");
}
