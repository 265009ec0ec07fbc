//! The command line: what each command does, in the words of design and docs.

pub(crate) mod args;
mod certificate;
pub(crate) mod connect;
pub(crate) mod deliveries;
pub(crate) mod exit;
pub(crate) mod import;
pub(crate) mod italian;
pub(crate) mod login;
pub(crate) mod queue;
pub(crate) mod render;
pub(crate) mod rules;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod words;

use std::io::Read as _;

use exit::{FOUND, Failure};

/// Everything on standard input.
pub(crate) fn read_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| {
        Failure::new(
            FOUND,
            format!("lo standard input non si riesce a leggere: {error}"),
            format!("standard input cannot be read: {error}"),
        )
    })?;
    Ok(bytes)
}

/// Standard input as text.
pub(crate) fn read_stdin_text() -> Result<String, Failure> {
    Ok(String::from_utf8_lossy(&read_stdin()?).into_owned())
}
