//! The rules in the documentation are rules: they compile without findings, and their examples hold.

use smista_triage::test_rules;

use crate::support::rules;

#[test]
fn every_rule_in_the_documentation_works() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (page, least) in [("rules.md", 1), ("it/regole.md", 5)] {
        let text = std::fs::read_to_string(docs.join(page)).expect("there");
        let blocks: Vec<&str> =
            text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("a part")).collect();
        assert!(blocks.len() >= least, "{page}");
        for block in blocks {
            let failures: Vec<_> =
                test_rules(&rules(block)).into_iter().map(|f| (f.example, f.text.en)).collect();
            assert!(failures.is_empty(), "{page}: {failures:#?}");
        }
    }
}
