//! `smista check` on the sample configurations of tests/config: every broken one is told as its expected.txt has it.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn samples(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config").join(kind);
    let mut all: Vec<PathBuf> =
        fs::read_dir(dir).expect("there").map(|e| e.expect("readable").path()).collect();
    all.sort();
    all
}

/// Runs `smista check` with nothing in its environment but what the sample's `ambiente.env` says.
fn check(dir: &Path, more: &[&str]) -> Output {
    let variables = fs::read_to_string(dir.join("ambiente.env")).unwrap_or_default();
    Command::new(env!("CARGO_BIN_EXE_smista"))
        .env_clear()
        .envs(variables.lines().filter_map(|line| line.split_once('=')))
        .args(["check", "--config"])
        .arg(dir)
        .args(more)
        .output()
        .expect("runs")
}

#[test]
fn every_broken_configuration_is_told_as_written_down() {
    let all = samples("invalid");
    assert!(all.len() >= 100, "{}", all.len());
    for dir in all {
        let expected =
            fs::read_to_string(dir.join("expected.txt")).expect("every sample has its expected.txt");
        let output = check(&dir, &[]);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let shown = dir.display();
        if expected.contains(": errore: ") || expected.starts_with("errore: ") {
            assert_eq!((err.as_ref(), output.status.code()), (expected.as_str(), Some(1)), "{shown}");
        } else {
            // Warnings alone: the configuration can be used, and the count closes what is said of it.
            let (findings, count) = expected.trim_end().rsplit_once('\n').expect("findings and their count");
            assert_eq!((err.trim_end(), output.status.code()), (findings.trim_end(), Some(0)), "{shown}");
            assert_eq!(out.lines().last(), Some(count), "{shown}");
        }
    }
}

#[test]
fn nothing_is_said_of_valid_configurations() {
    for dir in samples("valid") {
        let output = check(&dir, &[]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!((err.as_ref(), output.status.code()), ("", Some(0)), "{}", dir.display());
    }
}

#[test]
fn programs_get_the_same_findings_as_json_in_every_language() {
    for dir in samples("invalid") {
        let expected =
            fs::read_to_string(dir.join("expected.txt")).expect("every sample has its expected.txt");
        let remedies = expected.matches("  Cosa fare: ").count();
        for language in ["it", "en"] {
            let output = check(&dir, &["--json", "--lang", language]);
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let findings = json.as_array().expect("a list");
            assert_eq!(findings.len(), remedies, "{}", dir.display());
            for finding in findings {
                for key in ["code", "severity", "message", "hint"] {
                    assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {finding}");
                }
            }
        }
    }
}
