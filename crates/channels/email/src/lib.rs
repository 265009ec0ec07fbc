//! The e-mail channel: fetching from IMAP mailboxes, importing files, reading letters.

pub mod read;
