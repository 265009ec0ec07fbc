//! The IMAP channel against a real Dovecot and against a server that misbehaves by script.
#![allow(unreachable_pub, reason = "modules of a test program")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod config;
mod connect;
mod dovecot;
mod faults;
mod oauth;
mod quirks;
mod servers;
mod support;
mod vanished;
