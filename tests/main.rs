//! The whole program against real servers: PostgreSQL, Dovecot, and a scripted IMAP server for what no real one does on
//! command. One binary, so that it links once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "what fails here fails its test, and says so"
)]

mod check;
mod cli;
mod conformance;
mod crashes;
mod cuts;
mod daemons;
mod demo;
mod forgotten;
mod forms;
mod known_failures;
mod line;
mod logins;
mod mailboxes;
mod pec;
mod privacy;
mod support;
mod threads;
mod webhooks;
