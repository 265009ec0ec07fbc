//! Help, usage errors, exit codes: what is said before anything is done.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use super::{Office, letter, path};
use crate::support::program;

/// Every command of the design that exists.
const COMMANDS: &[&[&str]] = &[
    &["run"],
    &["demo"],
    &["check"],
    &["explain"],
    &["rules"],
    &["rules", "test"],
    &["import"],
    &["import", "mail"],
    &["queue"],
    &["queue", "list"],
    &["queue", "show"],
    &["queue", "claim"],
    &["queue", "take"],
    &["queue", "release"],
    &["queue", "extend"],
    &["queue", "reroute"],
    &["queue", "answer"],
    &["queue", "close"],
    &["queue", "note"],
    &["queue", "assign"],
    &["queue", "reopen"],
    &["deliveries"],
    &["deliveries", "list"],
    &["deliveries", "show"],
    &["deliveries", "retry"],
    &["deliveries", "ignore"],
    &["deliveries", "reopen"],
    &["login"],
    &["status"],
    &["ledger"],
    &["migrate"],
];

/// English words that Italian help and errors must not have.
const ENGLISH: &[&str] = &[
    "Usage",
    "Options",
    "OPTIONS",
    "Commands",
    "Arguments",
    "Print ",
    "possible values",
    "Possible values",
    "default:",
    "error:",
    "For more information",
];

fn smista(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(program()).args(args).stdin(Stdio::null()).output().expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

#[test]
fn every_command_has_help_in_italian_and_in_english_on_request() {
    for command in COMMANDS.iter().copied().chain([&[][..]]) {
        for flag in ["--help", "-h"] {
            let (code, italian, err) = smista(&[command, &[flag]].concat());
            assert_eq!((code, err.as_str()), (0, ""), "{command:?}");
            assert!(
                italian.contains("Uso: smista") && italian.contains("Opzioni:"),
                "{command:?}: {italian}"
            );
            for word in ENGLISH {
                assert!(!italian.contains(word), "{command:?} {flag}: '{word}' in {italian}");
            }
            let (code, english, err) = smista(&[command, &[flag, "--lang", "en"]].concat());
            assert_eq!((code, err.as_str()), (0, ""), "{command:?}");
            assert!(english.contains("Usage: smista") && !english.contains("Uso:"), "{command:?}: {english}");
            assert_ne!(italian.lines().next(), english.lines().next(), "{command:?}");
        }
    }
}

#[test]
fn usage_errors_are_2_and_say_what_is_wrong_in_the_language_of_the_caller() {
    // The call, and what both languages must name.
    let calls: &[(&[&str], &str)] = &[
        (&["boh"], "boh"),
        (&["stauts"], "status"),
        (&["queue", "boh"], "boh"),
        (&["queue", "show"], "<NUMBER>"),
        (&["queue", "close", "2026-000001"], "--outcome"),
        (&["queue", "claim", "urp", "--max", "tre"], "--max"),
        (&["queue", "list", "--limit"], "--limit"),
        (&["queue", "list", "--secotr", "urp"], "--sector"),
        (&["status", "altro"], "altro"),
        (&["deliveries", "retry", "3", "--all"], "--all"),
        (&["explain"], "<FILE|NUMBER|->"),
        (&["login"], "<CHANNEL>"),
        (&["import", "mail"], "<PATH>"),
    ];
    for (call, named) in calls {
        let (code, out, italian) = smista(call);
        assert_eq!((code, out.as_str()), (2, ""), "{call:?}: {italian}");
        assert!(italian.contains(named), "{call:?}: {italian}");
        assert!(italian.starts_with("smista: ") && italian.contains("Cosa fare: "), "{call:?}: {italian}");
        for word in ENGLISH {
            assert!(!italian.contains(word), "{call:?}: '{word}' in {italian}");
        }
        let (code, _, english) = smista(&[&["--lang", "en"], *call].concat());
        assert_eq!(code, 2, "{call:?}: {english}");
        assert!(english.contains(named) && english.starts_with("error: "), "{call:?}: {english}");
    }
    // Without any command: the help, as an error.
    let (code, _, help) = smista(&[]);
    assert!(code == 2 && help.contains("smista check") && help.contains("Uso:"), "{help}");
    assert_eq!(smista(&["--lang", "de", "status"]).0, 2);
    let (code, version, _) = smista(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("smista ", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_used_is_78_and_check_finds_it_with_1() {
    let office = Office::new().await;
    assert_eq!(office.town.run(&["check"]).code, 0);
    let file = office.town.config().join("smista.toml");
    let good = fs::read_to_string(&file).expect("smista.toml");
    fs::write(&file, good.replace("[comune]", "[comune]\nnaem = \"x\"")).expect("written");
    for (lang, word) in [("it", "smista.toml:2"), ("en", "smista.toml:2")] {
        let check = office.town.run(&["check", "--lang", lang]);
        assert!(check.code == 1 && check.err.contains(word) && check.err.contains("naem"), "{check:?}");
        for command in [&["ledger"][..], &["queue", "list"], &["run"], &["status"], &["rules", "test"]] {
            let said = office.town.run(&[command, &["--lang", lang]].concat());
            assert!(said.code == 78 && said.err.contains("naem"), "{command:?}: {said:?}");
        }
    }
    let nowhere = office.town.run(&["check", "--config", "/nessuna/cartella"]);
    assert!(nowhere.code != 0 && nowhere.err.contains("/nessuna/cartella"), "{nowhere:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_test_names_the_example_that_does_not_hold() {
    let office = Office::new().await;
    let good = office.town.run(&["rules", "test"]);
    assert!(good.code == 0 && good.out.contains("esempi"), "{good:?}");
    let rule = "[[rule]]\nid = \"prova\"\nany = [\"girasole\"]\nsector = \"ambiente\"\n\
                examples = [\"Un tulipano nel parco\"]\n";
    fs::write(office.town.config().join("rules/prova.toml"), rule).expect("written");
    for (lang, word) in [("it", "esempio"), ("en", "example")] {
        let bad = office.town.run(&["rules", "test", "--lang", lang]);
        assert!(bad.code == 1 && bad.err.contains("prova.toml:5") && bad.err.contains(word), "{bad:?}");
    }
    let json = office.town.run(&["rules", "test", "--json"]);
    assert!(json.code == 1 && json.json().as_array().is_some_and(|a| a.len() == 1), "{json:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_is_no_panic() {
    let office = Office::with(&[letter(1), letter(2)]).await;
    let file = office.town.path().join("lettere/000.eml");
    let id = office.town.json(&["deliveries", "list"])[0]["id"].to_string();
    let commands: &[&[&str]] = &[
        &["--help"],
        &["queue", "--help"],
        &["check"],
        &["check", "--json"],
        &["ledger"],
        &["ledger", "--json"],
        &["queue", "list"],
        &["queue", "claim", "urp"],
        &["deliveries", "list", "--json"],
        &["deliveries", "show", &id],
        &["deliveries", "show", &id, "--raw"],
        &["explain", path(&file)],
        &["status"],
        &["migrate"],
        &["rules", "test"],
        &["queue", "show", "1999-000001"],
        &["boh"],
    ];
    for command in commands {
        // A pipe whose reader has gone before the program writes anything.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = office.town.command().args(*command).stdout(writer).stderr(Stdio::piped()).spawn();
        let output = output.and_then(Child::wait_with_output).expect("runs");
        let (code, err) = (output.status.code(), String::from_utf8_lossy(&output.stderr));
        assert!(code.is_some_and(|c| c != 101) && !err.contains("panicked"), "{command:?}: {code:?} {err}");

        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let status = office.town.command().args(*command).stdout(Stdio::null()).stderr(writer).status();
        let code = status.expect("runs").code();
        assert!(code.is_some_and(|c| c != 101), "{command:?} without a reader of its errors: {code:?}");
    }
}
