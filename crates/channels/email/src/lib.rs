//! The e-mail channel: fetching from IMAP mailboxes (with a password or an access token), importing files, reading letters.

pub mod channel;
pub mod config;
pub mod imap;
pub mod import;
pub mod oauth;
mod probe;
pub mod read;

pub use channel::{EmailChannel, tokens};
pub use config::{EmailSettings, PecSettings};
pub use imap::{Timing, advice::advice, budget::MemoryBudget};
