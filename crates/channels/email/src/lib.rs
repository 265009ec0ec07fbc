//! The e-mail channel: fetching from IMAP mailboxes, importing files, reading letters.

pub mod channel;
pub mod config;
pub mod imap;
pub mod import;
mod probe;
pub mod read;

pub use channel::EmailChannel;
pub use config::EmailSettings;
pub use imap::{Timing, advice::advice, budget::MemoryBudget};
