//! The IMAP channel against a real Dovecot and against a server that misbehaves by script.
#![allow(unreachable_pub, reason = "modules of a test program")]

mod dovecot;
mod faults;
mod quirks;
mod support;
