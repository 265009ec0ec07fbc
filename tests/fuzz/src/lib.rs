//! What the fuzz targets run: each takes any bytes and panics if what must always hold does not. `make fuzz` gives them to
//! libFuzzer; `cargo test` gives them the committed corpora (`replay.rs`, which has this file as a module).

mod files;
mod imap;
mod letters;
mod text;
mod toml;
mod xml;

pub use files::{documents, mbox, pdf};
pub use imap::imap;
pub use letters::{mime, pec};
pub use text::{charset, html, quote};
pub use toml::{rules, settings};
pub use xml::{daticert, segnatura};

/// A target: its name (also of its corpus) and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("mime", mime),
    ("pec", pec),
    ("daticert", daticert),
    ("segnatura", segnatura),
    ("quote", quote),
    ("html", html),
    ("charset", charset),
    ("imap", imap),
    ("mbox", mbox),
    ("documents", documents),
    ("pdf", pdf),
    ("settings", settings),
    ("rules", rules),
];

/// The first byte says how, the rest is what is read.
fn how(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(how, rest)| (*how, rest))
}

/// What is stored as JSON is the same when it is read again, and has no NUL, which PostgreSQL's `jsonb` refuses.
fn is_storable<T>(value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let json = serde_json::to_value(value).expect("JSON");
    assert!(!has_nul(&json), "a NUL in {value:?}");
    assert_eq!(&serde_json::from_value::<T>(json).expect("read again"), value);
}

fn has_nul(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains('\0'),
        serde_json::Value::Array(all) => all.iter().any(has_nul),
        serde_json::Value::Object(all) => all.values().any(has_nul),
        _ => false,
    }
}

/// One line of no more than `max` characters, none of them a control.
fn is_line(text: &str, max: usize) {
    assert!(text.chars().count() <= max, "{} characters of {max}", text.chars().count());
    assert!(!text.chars().any(char::is_control), "a control in {text:?}");
}
