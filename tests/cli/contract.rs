//! The JSON that others rely on: more fields may come, none goes.

use std::fs;

use super::{Office, advertisement, has, letter, out_of_office, path, run_with, vague};

const LEDGER: &[(&str, &str)] = &[
    ("channel", "string"),
    ("delivered", "number"),
    ("opened", "number"),
    ("appended", "number"),
    ("ignored", "number"),
    ("set_aside", "number"),
    ("quarantined", "number"),
    ("waiting", "number"),
    ("reasons", "object"),
];

const DELIVERY: &[(&str, &str)] = &[
    ("id", "number"),
    ("channel", "string"),
    ("source_key", "string?"),
    ("received_at", "string"),
    ("state", "string"),
    ("outcome", "string?"),
    ("reason", "string?"),
    ("number", "string?"),
    ("attempts", "number"),
];

const ENTRY: &[(&str, &str)] = &[
    ("sector", "string"),
    ("number", "string"),
    ("kind", "string"),
    ("category", "string?"),
    ("priority", "string"),
    ("state", "string"),
    ("subject", "string"),
    ("received_at", "string"),
    ("due_at", "string?"),
];

const EXPLAIN: &[(&str, &str)] = &[
    ("kind", "string?"),
    ("sector", "string?"),
    ("category", "string?"),
    ("priority", "string?"),
    ("fallback", "bool"),
    ("votes", "array"),
    ("ruleset", "string"),
];

#[tokio::test(flavor = "multi_thread")]
async fn ledger_deliveries_and_queue_have_every_field_of_the_contract() {
    let office = Office::with(&[letter(1), vague(), out_of_office(), advertisement()]).await;
    let ledger = office.town.json(&["ledger"]);
    let row = &ledger[0];
    has(row, LEDGER);
    assert_eq!(row["channel"], "email/import");
    let number = |field: &str| row[field].as_i64().expect("a number");
    let outcomes = ["opened", "appended", "ignored", "set_aside", "quarantined", "waiting"];
    assert_eq!(outcomes.map(number), [2, 0, 1, 1, 0, 0], "{row}");
    assert_eq!(number("delivered"), 4);
    assert_eq!(row["reasons"]["auto-reply"], 1, "{row}");
    assert_eq!(row["reasons"]["pubblicita"], 1, "{row}");

    let deliveries = office.town.json(&["deliveries", "list"]);
    let rows = deliveries.as_array().expect("rows");
    assert_eq!(rows.len(), 4);
    for row in rows {
        has(row, DELIVERY);
    }
    assert!(rows.iter().any(|r| r["outcome"] == "opened" && r["number"].is_string()), "{deliveries}");
    let ignored = office.town.json(&["deliveries", "list", "--outcome", "ignored"]);
    assert_eq!(ignored.as_array().map(Vec::len), Some(1), "{ignored}");
    assert_eq!(ignored[0]["reason"], "auto-reply");

    let queue = office.town.json(&["queue", "list"]);
    let rows = queue.as_array().expect("rows");
    assert_eq!(rows.len(), 2);
    for row in rows {
        has(row, ENTRY);
    }
    let one = office.town.json(&["queue", "list", "--sector", "lavori-pubblici"]);
    assert_eq!(
        (one[0]["subject"].as_str(), one[0]["state"].as_str()),
        (Some("Buca numero 1"), Some("ready"))
    );
    assert_eq!(office.store.verify().await.expect("verified"), vec![]);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_tables_are_empty_lists() {
    let office = Office::new().await;
    for command in [&["ledger"][..], &["deliveries", "list"], &["queue", "list"]] {
        assert_eq!(office.town.json(command), serde_json::json!([]), "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_the_same_of_a_file_of_standard_input_and_of_a_number() {
    let office = Office::with(&[letter(1)]).await;
    let number = office.number();
    let file = office.town.path().join("lettere/000.eml");
    let of_file = office.town.json(&["explain", path(&file)]);
    has(&of_file, EXPLAIN);
    assert_eq!(
        (of_file["sector"].as_str(), of_file["fallback"].as_bool()),
        (Some("lavori-pubblici"), Some(false))
    );
    assert!(of_file["votes"].as_array().is_some_and(|v| !v.is_empty()), "{of_file}");
    let bytes = fs::read(&file).expect("the letter");
    assert_eq!(run_with(&office.town, &["explain", "-", "--json"], &bytes).json(), of_file);
    let of_number = office.town.json(&["explain", &number]);
    has(&of_number, EXPLAIN);
    for field in ["kind", "sector", "category", "priority", "fallback", "ruleset"] {
        assert_eq!(of_number[field], of_file[field], "{field}");
    }

    // The words that matched are shown to people, in their language.
    for (lang, word) in [("it", "corrisponde"), ("en", "matches")] {
        for what in [number.as_str(), path(&file)] {
            let said = office.town.run(&["explain", what, "--lang", lang]);
            assert!(said.code == 0 && said.out.contains("buca") && said.out.contains(word), "{said:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_of_a_plain_text_a_doubtful_one_and_an_ignored_one() {
    let office = Office::new().await;
    let plain = "Oggetto: Buca\nIn via Dante c'è una buca profonda nell'asfalto";
    let said = run_with(&office.town, &["explain", "-", "--json"], plain.as_bytes()).json();
    assert_eq!(said["sector"], "lavori-pubblici", "{said}");
    let doubtful = run_with(&office.town, &["explain", "-", "--json"], &vague()).json();
    has(&doubtful, EXPLAIN);
    assert_eq!((doubtful["sector"].as_str(), doubtful["fallback"].as_bool()), (Some("urp"), Some(true)));
    let ignored = run_with(&office.town, &["explain", "-", "--json"], &out_of_office()).json();
    has(&ignored, EXPLAIN);
    assert_eq!(ignored["ignored"], "auto-reply", "{ignored}");
    let people = run_with(&office.town, &["explain", "-"], &out_of_office());
    assert!(people.out.contains("risposta automatica"), "{people:?}");
}
