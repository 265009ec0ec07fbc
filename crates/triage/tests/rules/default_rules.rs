//! The rules that smista comes with: they compile without errors, and every example and counterexample holds.

use std::path::Path;

use smista_domain::SectorId;
use smista_settings::{Diagnostics, Environment, Sectors, Severity, Sources, parse};
use smista_triage::{RuleSpec, Rules, Settings, count_examples, test_rules};

#[test]
fn every_example_of_the_default_rules_holds() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config");
    let mut sources = Sources::new(config.clone(), Environment::default());
    let diagnostics = Diagnostics::new();
    let mut read = |path: &Path| {
        let bytes = std::fs::read(path).expect("readable");
        let file = sources.add(path.to_owned(), bytes).expect("text");
        parse(&mut sources, file, &diagnostics).expect("TOML")
    };
    let sectors = Sectors::read(read(&config.join("sectors.toml")));
    let mut specs = Vec::new();
    for entry in std::fs::read_dir(config.join("rules")).expect("there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "toml") {
            specs.extend(RuleSpec::read_file(read(&path)));
        }
    }
    let settings = Settings::new(SectorId::new("urp").expect("valid"));
    let rules = Rules::compile(specs, &sectors, settings, &diagnostics);
    let errors: Vec<_> =
        diagnostics.into_sorted(&sources).into_iter().filter(|d| d.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let rules = rules.expect("no errors");
    assert!(rules.len() > 50 && count_examples(&rules) > 200, "the rules were found");
    let failures: Vec<_> = test_rules(&rules)
        .into_iter()
        .map(|f| format!("{}: {:?}: {}", f.rule, f.example, f.text.en))
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}
