//! The corpora of the fuzz targets, through what the targets run: what a fuzzer has found once stays mended, without a fuzzer.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test, and what it shares with the targets"
)]

#[path = "src/lib.rs"]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    all.sort();
    all
}

/// Runs a target on every file of its corpus, and on pieces of each: cut short, and without its first half.
fn replay(target: targets::Target) {
    let (name, run) = target;
    let corpus = files(&folder().join("corpus").join(name));
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for path in corpus {
        let bytes = fs::read(&path).expect("readable");
        // The name of the file stands above the panic, if there is one.
        println!("{}", path.display());
        run(&bytes);
        for piece in [..bytes.len() / 3, ..bytes.len() * 2 / 3, ..bytes.len().saturating_sub(1)] {
            run(&bytes[piece]);
        }
        run(&bytes[bytes.len() / 2..]);
    }
}

#[test]
fn every_target_has_a_binary_and_a_corpus_and_nothing_else_has() {
    let mut names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let stems = |under: &str| -> Vec<String> {
        let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        files(&folder().join(under)).iter().map(stem).collect()
    };
    assert_eq!(stems("fuzz_targets"), names);
    assert_eq!(stems("corpus"), names);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("the manifest");
    for name in names {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            replay((stringify!($name), targets::$name));
        }
    )*};
}

replayed!(mime pec daticert segnatura quote html charset imap mbox documents pdf settings rules);
