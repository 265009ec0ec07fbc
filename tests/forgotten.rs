//! No test file is forgotten: one that no `mod` line leads to is never compiled, and nobody notices.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Rust files below `dir`, each with the file that must have its `mod` line.
fn files(dir: &Path, parent: &Path, found: &mut Vec<(PathBuf, PathBuf)>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("readable").path();
        // What is a package of its own (tests/fuzz) says itself what belongs to it.
        if path.join("Cargo.toml").exists() {
            continue;
        }
        if path.is_dir() {
            let own = path.join("mod.rs");
            let rust = |e: fs::DirEntry| e.path().extension().is_some_and(|e| e == "rs");
            if fs::read_dir(&path).expect("a folder").flatten().any(rust) {
                found.push((path.clone(), parent.to_owned()));
                files(&path, &own, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") && path != parent {
            found.push((path, parent.to_owned()));
        }
    }
}

#[test]
fn every_test_file_belongs_to_the_one_test_program() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests");
    let mut found = Vec::new();
    files(&tests, &tests.join("main.rs"), &mut found);
    assert!(found.len() >= 10, "{found:?}");
    for (path, parent) in found {
        let name = path.file_stem().and_then(|n| n.to_str()).expect("a name");
        let text = fs::read_to_string(&parent).expect("the parent");
        let led_to = text.lines().any(|line| line.trim() == format!("mod {name};"));
        assert!(led_to, "{} has no line 'mod {name};' for {}", parent.display(), path.display());
    }
}
