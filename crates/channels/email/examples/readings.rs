//! What the reader makes of letters: one line of JSON for each, with the time it took.
//! `cargo run -p smista-email --example readings FILE ...` (.eml, mbox, Maildir, directories)
//!
//! `tests/corpora` compares these lines with what Python's email package says of the same bytes.
//! A letter that is ignored has its reason, and the message that it would be if a person reopened it.

use std::{
    io::{self, BufWriter, Write as _},
    path::PathBuf,
    time::Instant,
};

use serde_json::{Value, json};
use smista_domain::{ChannelKind, ChannelName, Delivery, Digest, Reading, Upstream};
use smista_email::{
    import,
    read::{ReadSettings, read},
};

/// The message as JSON, or why there is none.
fn told(delivery: &Delivery, settings: &ReadSettings) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(match read(delivery, settings) {
        Ok(Reading::Message(message)) => json!({"message": serde_json::to_value(message)?}),
        Ok(Reading::Ignored { reason, .. }) => json!({"ignored": reason}),
        Err(unreadable) => json!({"unreadable": unreadable.to_string()}),
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usual = ReadSettings::default();
    let reopened = ReadSettings { keep_everything: true, ..ReadSettings::default() };
    let mut out = BufWriter::new(io::stdout().lock());
    for item in import::open(std::env::args_os().skip(1).map(PathBuf::from)) {
        let letter = match item {
            Ok(letter) => letter,
            Err(error) => {
                writeln!(out, "{}", json!({"error": error.to_string()}))?;
                continue;
            }
        };
        let delivery = Delivery {
            channel: ChannelName::new(ChannelKind::Email, "import")?,
            scope: letter.folder,
            key: letter.key,
            bytes: letter.bytes,
            received_at: letter.received_at.unwrap_or_default(),
            upstream: Upstream::Void,
            facts: Value::Null,
            recognise: false,
        };
        let start = Instant::now();
        let first = told(&delivery, &usual)?;
        let micros = start.elapsed().as_micros();
        let line = json!({
            "path": letter.origin.path, "offset": letter.origin.offset, "octets": delivery.bytes.len(),
            "sha256": Digest::of(&delivery.bytes).to_string(), "micros": u64::try_from(micros)?,
            "usual": first, "reopened": told(&delivery, &reopened)?,
        });
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(())
}
