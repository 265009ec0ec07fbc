//! Servers and doubles for tests. Nothing here goes into the product.

pub mod chaos_proxy;
pub mod dovecot;
pub mod memory_intake;
pub mod nasty;
pub mod scripted_imap;
#[cfg(feature = "database")]
pub mod postgres;
