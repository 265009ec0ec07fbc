//! Documents as citizens attach them. The files are made by `tests/samples/make.py` or here.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests"
)]

mod formats;
mod hostile;
mod make;
mod signed;
mod words;

use smista_documents::{Document, Limits, Unreadable, text_of};

fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    text_of(bytes, &Limits::default())
}

fn sample(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}
