//! Compiles the rules of a configuration directory and tries their examples: `cargo run --example try_rules [DIR]`.
//!
//! What `smista rules test` does, without the rest of the configuration; handy while the rules of a new subject are written.

use std::{path::PathBuf, process::ExitCode};

use smista_domain::SectorId;
use smista_settings::{Diagnostics, Environment, Sectors, Severity, Sources, parse};
use smista_triage::{RuleSpec, Rules, Settings, count_examples, test_rules};

fn main() -> ExitCode {
    let dir = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("config"), PathBuf::from);
    let mut sources = Sources::new(dir.clone(), Environment::default());
    let diagnostics = Diagnostics::new();
    let mut sectors = Sectors::default();
    let mut specs = Vec::new();
    let rules = std::fs::read_dir(dir.join("rules")).into_iter().flatten().flatten().map(|e| e.path());
    let mut paths: Vec<PathBuf> = rules.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    paths.sort();
    paths.insert(0, dir.join("sectors.toml"));
    for (n, path) in paths.into_iter().enumerate() {
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("{}: {error}", path.display());
                return ExitCode::from(78);
            }
        };
        match sources.add(path, bytes) {
            Ok(file) => match parse(&mut sources, file, &diagnostics) {
                Some(section) if n == 0 => sectors = Sectors::read(section),
                Some(section) => specs.extend(RuleSpec::read_file(section)),
                None => {}
            },
            Err(finding) => diagnostics.push(finding),
        }
    }
    let Ok(fallback) = SectorId::new("urp") else { return ExitCode::from(78) };
    let rules = Rules::compile(specs, &sectors, Settings::new(fallback), &diagnostics);
    if let Some(rules) = &rules {
        let failures = test_rules(rules);
        let tried = count_examples(rules);
        println!(
            "{} rules, {tried} examples, {} failed; ruleset {}",
            rules.len(),
            failures.len(),
            rules.id().short()
        );
        for failure in &failures {
            diagnostics.push(failure.diagnostic());
            println!("{}: {:?}", failure.rule, failure.example);
        }
    }
    let failed = diagnostics.has_errors();
    for finding in diagnostics.into_sorted(&sources) {
        let place = finding.span.map(|s| {
            let (line, column) = sources.line_col(s);
            format!("{}:{line}:{column}", sources.display(s.file))
        });
        let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
        println!("{} {severity}[{}] {}", place.unwrap_or_default(), finding.code, finding.text.it);
        if let Some(hint) = finding.hint {
            println!("    {}", hint.it);
        }
    }
    if failed { ExitCode::from(1) } else { ExitCode::SUCCESS }
}
