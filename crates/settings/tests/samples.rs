//! The sample configurations of tests/config, as far as this crate alone can check them: mailboxes, databases and rules have other
//! owners, and the whole program checks them all.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use smista_domain::Lang;
use smista_settings::{Environment, Queue, Sectors, Town, load, render, summary};

fn samples(kind: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/config").join(kind);
    let mut all: Vec<PathBuf> =
        fs::read_dir(dir).expect("there").map(|e| e.expect("readable").path()).collect();
    all.sort();
    all
}

fn is_ours(dir: &Path) -> bool {
    let main = fs::read(dir.join("smista.toml")).unwrap_or_default();
    let main = String::from_utf8_lossy(&main).into_owned();
    !dir.join("rules").is_dir()
        && ["[email", "[database", "[meta", "[pec"].iter().all(|other| !main.contains(other))
}

fn variables(dir: &Path) -> Environment {
    let text = fs::read_to_string(dir.join("ambiente.env")).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once('=')).collect()
}

fn check(dir: &Path, lang: Lang) -> (Option<Town>, String) {
    let mut loaded = load(dir.to_owned(), variables(dir));
    let town = Town::read(&mut loaded.root);
    loaded.root.ignore(&["database", "email", "meta", "pec"]);
    loaded.root.finish();
    if let Some(sectors) = loaded.sectors {
        let queue = town.as_ref().map_or_else(Queue::default, |t| t.queue.clone());
        Sectors::read(sectors).check_fallback(&queue.fallback, &loaded.diagnostics);
    }
    let all = loaded.diagnostics.into_sorted(&loaded.sources);
    let mut text = render(&all, &loaded.sources, lang, false);
    if !all.is_empty() {
        text.push_str(&summary(&all, lang));
        text.push('\n');
    }
    (town, text)
}

#[test]
fn every_mistake_is_told_as_written_down() {
    let all = samples("invalid");
    assert!(all.len() >= 40, "{}", all.len());
    let mut checked = 0;
    for dir in all {
        let expected =
            fs::read_to_string(dir.join("expected.txt")).expect("every sample has its expected.txt");
        assert!(expected.contains("Cosa fare:"), "{}: no remedy", dir.display());
        if is_ours(&dir) {
            assert_eq!(check(&dir, Lang::It).1, expected, "{}", dir.display());
            checked += 1;
        }
    }
    assert!(checked >= 40, "{checked}");
}

#[test]
fn english_says_the_same_at_the_same_places() {
    let places = |text: &str| -> Vec<String> {
        let findings = text.lines().filter(|l| l.ends_with(']') && !l.starts_with(' '));
        findings
            .map(|l| format!("{} {}", l.split(": ").next().unwrap_or(""), l.rsplit('[').next().unwrap_or("")))
            .collect()
    };
    for dir in samples("invalid").into_iter().filter(|d| is_ours(d)) {
        let (italian, english) = (check(&dir, Lang::It).1, check(&dir, Lang::En).1);
        let without_severity = |p: Vec<String>| {
            p.into_iter()
                .map(|l| l.replace("errore ", "error ").replace("avviso ", "warning "))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            without_severity(places(&italian)),
            without_severity(places(&english)),
            "{}",
            dir.display()
        );
        for word in ["errore", "scrivere", "Cosa fare", "manca", "oppure", " non "] {
            assert!(!english.contains(word), "{}: {word} in\n{english}", dir.display());
        }
    }
}

#[test]
fn nothing_is_said_of_valid_ones() {
    for dir in samples("valid") {
        let (town, findings) = check(&dir, Lang::It);
        assert_eq!(findings, "", "{}", dir.display());
        let town = town.expect("valid");
        let name = dir.file_name().and_then(|n| n.to_str()).expect("named");
        let expected = match name {
            "ambiente" | "casella" | "minima" | "modulo" | "oauth" | "pec" | "resti-di-editor" => "Gubbio",
            _ => "Città di Castello",
        };
        assert_eq!(town.comune.name, expected, "{name}");
        if name == "ambiente" {
            assert_eq!((town.queue.max_attempts, town.comune.domains.len()), (7, 2));
        }
    }
}

/// Every default stands in the reference, and every key of the sample configuration, switched off or not, is explained there.
#[test]
fn the_reference_has_every_key_and_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("there");
    let page = read("docs/reference/configuration.md");
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
    let defaults: toml::Table = read("crates/settings/src/defaults.toml").parse().expect("TOML");
    for (section, keys) in defaults {
        for (key, value) in keys.as_table().expect("a section") {
            let shown = format!("`{value}`");
            let explains = |row: &&&str| {
                row.contains(&format!("| `{key}` ")) || row.contains(&format!("| `{section}.{key}` "))
            };
            let row = rows.iter().find(explains);
            assert!(row.is_some_and(|r| r.contains(&shown)), "[{section}] {key} = {value}");
        }
    }
    for file in ["config/smista.toml", "config/sectors.toml"] {
        for line in read(file).lines() {
            let line = line.trim_start_matches("# ");
            let Some((key, _)) = line.split_once('=') else { continue };
            let key = key.trim();
            if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
                let is_there =
                    rows.iter().any(|r| r.contains(&format!("`{key}`")) || r.contains(&format!(".{key}`")));
                assert!(is_there || page.contains(&format!("`{key}`")), "{file}: {key}");
            }
        }
    }
}
