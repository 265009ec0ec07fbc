//! Whatever people do to a right configuration: nothing panics, nothing that cannot be used goes without a word, and every finding
//! points into its file.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;

use proptest::prelude::*;
use smista_domain::Lang;
use smista_settings::{Environment, Queue, Sectors, Town, load, render, to_json};

const MAIN: &str = include_str!("../../../config/smista.toml");
const SECTORS: &str = include_str!("../../../config/sectors.toml");

/// Cuts, insertions of what matters to TOML, whole values replaced by others of another type.
fn mutated(original: &'static str) -> impl Strategy<Value = String> {
    let cut = (0..original.len(), 0_usize..6, "[\\[\\]{}\"'=#,.\\\\\nà“«0a -]{0,3}")
        .prop_map(|(at, n, s)| (at, n, s));
    let value = prop::sample::select(vec![
        "1",
        "-1",
        "\"\"",
        "\"x\"",
        "true",
        "[]",
        "[1]",
        "[\"a\", 2]",
        "{ a = 1 }",
        "2026-11-01",
        "12:00:00",
        "1e400",
        "nan",
        "99999999999999999999",
        "\"\\u001b[31m\"",
        "'''\n'''",
        "\"2026-02-30\"",
        "\"a@b\"",
        "Gubbio",
        "\"\\b\"",
    ]);
    let replace = (0_usize..60, value).prop_map(|(line, value)| (line, value.to_owned()));
    (prop::collection::vec(cut, 0..3), prop::collection::vec(replace, 0..4)).prop_map(
        move |(cuts, replacements)| {
            // Examples that are switched off take part, explanations do not.
            let on = |line: &'static str| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') && rest.ends_with(']') => rest.to_owned(),
                Some(rest) if rest.split_once('=').is_some_and(|(key, _)| !key.trim().contains(' ')) => {
                    rest.to_owned()
                }
                _ => line.to_owned(),
            };
            let mut lines: Vec<String> = original.lines().map(on).collect();
            let is_key = |line: &String| line.contains(" = ") && !line.starts_with('#');
            let keys: Vec<usize> = (0..lines.len()).filter(|i| is_key(&lines[*i])).collect();
            for (n, value) in replacements {
                let line = &mut lines[keys[n % keys.len()]];
                *line = format!("{} = {value}", line.split('=').next().unwrap_or(""));
            }
            let mut text = lines.join("\n");
            for (at, length, insert) in cuts {
                let floor = |mut i: usize| {
                    i = i.min(text.len());
                    while !text.is_char_boundary(i) {
                        i -= 1;
                    }
                    i
                };
                let (start, end) = (floor(at), floor(at + length));
                text.replace_range(start..end, &insert);
            }
            text
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics_and_nothing_is_passed_over(main in mutated(MAIN), sectors in mutated(SECTORS)) {
        let dir = tempfile::tempdir().expect("folder");
        fs::write(dir.path().join("smista.toml"), &main).expect("written");
        fs::write(dir.path().join("sectors.toml"), &sectors).expect("written");
        let mut loaded = load(dir.path().to_owned(), Environment::default());
        let town = Town::read(&mut loaded.root);
        loaded.root.ignore(&["email", "database"]);
        loaded.root.finish();
        let sectors = Sectors::read(loaded.sectors.expect("there"));
        let queue = town.as_ref().map_or_else(Queue::default, |t| t.queue.clone());
        sectors.check_fallback(&queue.fallback, &loaded.diagnostics);
        prop_assert!(town.is_some() || loaded.diagnostics.has_errors(), "no town and no word why:\n{main}");
        let all = loaded.diagnostics.into_sorted(&loaded.sources);
        for finding in &all {
            prop_assert!(finding.hint.is_some(), "{finding:?}");
            if let Some(span) = finding.span {
                let text = loaded.sources.text(span.file);
                prop_assert!(text.get(span.start..span.end).is_some(), "{finding:?}");
            }
        }
        for lang in [Lang::It, Lang::En] {
            let text = render(&all, &loaded.sources, lang, false);
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
            prop_assert_eq!(to_json(&all, &loaded.sources, lang).as_array().map(Vec::len), Some(all.len()));
        }
    }
}
