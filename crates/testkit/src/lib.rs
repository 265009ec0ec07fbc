//! Servers and doubles for tests. Nothing here goes into the product.

#[cfg(feature = "database")]
pub mod bench;
pub mod chaos_proxy;
#[cfg(feature = "database")]
pub mod crashes;
pub mod dovecot;
pub mod installation;
pub mod memory_intake;
pub mod nasty;
pub mod pec;
pub mod ports;
#[cfg(feature = "database")]
pub mod postgres;
pub mod scripted_imap;
pub mod webhooks;
