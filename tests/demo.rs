//! The demo: every sample letter is where it must be.

use std::{collections::HashMap, fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::program;

/// `smista demo --json`.
fn demo() -> Value {
    let output = Command::new(program()).args(["demo", "--json"]).output().expect("the demo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn every_letter_is_where_expected_toml_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/expected.toml");
    let expected: toml::Table = fs::read_to_string(file).expect("expected.toml").parse().expect("TOML");
    let letters = expected["letter"].as_array().expect("letters");
    let demo = demo();
    let ledger = &demo["ledger"][0];
    let count = |outcome: &str| letters.iter().filter(|l| l["outcome"].as_str() == Some(outcome)).count();
    for outcome in ["opened", "appended", "ignored", "set_aside"] {
        assert_eq!(ledger[outcome], count(outcome), "{outcome}: {ledger}");
    }
    assert_eq!(ledger["quarantined"], 0, "{ledger}");

    let mut sectors: HashMap<(&str, &str), i64> = HashMap::new();
    for letter in letters.iter().filter(|l| l["outcome"].as_str() == Some("opened")) {
        let word = |key: &str| letter[key].as_str().expect("a word");
        *sectors.entry((word("sector"), word("kind"))).or_default() += 1;
    }
    for row in demo["queue"].as_array().expect("rows") {
        let key = (row["sector"].as_str().expect("a sector"), row["kind"].as_str().expect("a kind"));
        *sectors.entry(key).or_default() -= 1;
    }
    sectors.retain(|_, n| *n != 0);
    assert!(sectors.is_empty(), "expected more (+) or fewer (-): {sectors:?}");
}
